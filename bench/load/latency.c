/* How long messages took: a histogram, so that nothing is allocated while it is measured. */
#include <string.h>

#include "load.h"

enum { BUCKETS = 1000000 /* of 1 us each; the last one takes what is slower */ };

static uint32_t latencies[BUCKETS];

void record_latency(uint64_t from, uint64_t to) {
  uint64_t microseconds = (to - from) / 1000;
  latencies[microseconds < BUCKETS ? microseconds : BUCKETS - 1]++;
}

void forget_latencies(void) {
  memset(latencies, 0, sizeof latencies);
}

uint64_t latency_percentile(double share) {
  uint64_t total = 0, seen = 0;
  for (size_t i = 0; i < BUCKETS; i++) total += latencies[i];
  for (size_t i = 0; i < BUCKETS; i++) {
    seen += latencies[i];
    if ((double) seen >= share * (double) total) return i;
  }
  return 0;
}
