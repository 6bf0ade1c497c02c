/*
 * The load generator of the network workloads: one thread, epoll, no allocation while it measures. It is in C
 * because it has to be faster than every server that it measures; it reports how busy it was itself, so that
 * one can see whether it was.
 *
 *   load echo    <address> <server pid> <connections> <bytes> <depth> <warm-up s> <measured s>
 *   load connect <address> <server pid> <at once>     <bytes> 1       <warm-up s> <measured s>
 *   load udp     <address> <server pid> <sockets>     <bytes> <depth> <warm-up s> <measured s>
 *   load tls-echo, tls-full, tls-resumed: as echo, connect and connect
 *   load bulk    <address> <server pid> <bytes a write> <warm-up writes> <measured writes>
 *
 * An address is a port of the loopback address, or the path of a unix socket.
 *
 * echo: every connection keeps `depth` messages of `bytes` bytes in flight, and sends a new one for each that
 * has come back. connect: `at once` clients connect, send one message, wait for it, close, and begin again.
 * udp: as echo, with datagrams; what does not come back is counted and sent again. bulk: the server is asked
 * for so many writes, and what it sends is read. tls-echo: as echo, over TLS 1.3, with all handshakes before
 * the warm-up. tls-full and tls-resumed: as connect, with a full handshake or one that resumes the client's
 * session.
 *
 * Every byte that comes back is compared. Linux only. Prints one JSON line, `value` and `details` of a
 * measurement; ends with status 1 and a sentence when anything is not as it should be.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load.h"

enum { MAX_EVENTS = 256, TICK_MILLISECONDS = 5, LAST_ANSWERS_SECONDS = 5 };

/* Serves events until the monotonic clock shows `until`, or nothing is in flight any more. */
static void serve(const kind_t *kind, uint64_t until) {
  struct epoll_event events[MAX_EVENTS];
  uint64_t now, last_tick = 0;
  while (open_messages > 0 && (now = nanoseconds(CLOCK_MONOTONIC)) < until) {
    int milliseconds = (int) ((until - now) / 1000000) + 1;
    if (kind->on_tick != NULL) {
      if (now - last_tick > TICK_MILLISECONDS * 1000000u) kind->on_tick(last_tick = now);
      if (milliseconds > TICK_MILLISECONDS) milliseconds = TICK_MILLISECONDS;
    }
    int count = wait_for_events(events, MAX_EVENTS, milliseconds);
    for (int i = 0; i < count; i++) kind->on_event(events[i].data.ptr, events[i].events);
  }
}

static const kind_t *kind_named(const char *name) {
  static const kind_t *const kinds[] = {
    &echo_kind, &connect_kind, &datagram_kind,
#ifdef LOAD_TLS
    &tls_echo_kind, &tls_full_kind, &tls_resumed_kind,
#endif
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  fail_because("the first argument must be a kind of load; the kinds of TLS need OpenSSL");
  return NULL;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "bulk") == 0) return bulk_main(argc, argv);
  if (argc != 9)
    fail_because("usage: load <kind> <address> <pid> <clients> <bytes> <depth> <warm-up s> <measured s>");
  const kind_t *kind = kind_named(argv[1]);
  read_address(argv[2]);
  clockid_t server_clock = cpu_clock_of(argv[3]);
  size_t clients = strtoul(argv[4], NULL, 10);
  message_bytes = strtoul(argv[5], NULL, 10);
  depth = strtoul(argv[6], NULL, 10);
  double warm_up_seconds = atof(argv[7]), measured_seconds = atof(argv[8]);
  if (clients == 0 || message_bytes == 0 || depth == 0 || measured_seconds <= 0) fail_because("a size is not positive");

  fill_pattern(depth + 1);
  open_epoll();
  kind->prime();
  kind->start(clients);
  serve(kind, nanoseconds(CLOCK_MONOTONIC) + (uint64_t) (warm_up_seconds * 1e9));

  forget_latencies();
  completed = lost = 0;
  uint64_t server_cpu = nanoseconds(server_clock);
  uint64_t own_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t start = nanoseconds(CLOCK_MONOTONIC);
  serve(kind, start + (uint64_t) (measured_seconds * 1e9));
  double elapsed = (double) (nanoseconds(CLOCK_MONOTONIC) - start);
  double server_spent = (double) (nanoseconds(server_clock) - server_cpu);
  double own_spent = (double) (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu);
  uint64_t measured = completed, measured_lost = lost;
  if (measured == 0) fail_because("nothing came back while it was measured");

  stopping = 1;
  serve(kind, nanoseconds(CLOCK_MONOTONIC) + (uint64_t) LAST_ANSWERS_SECONDS * 1000000000u);
  if (open_messages > 0) fail_because("messages were lost: they had not come back seconds after the last one was sent");

  printf("{\"value\":%.1f,\"details\":{\"server CPU us\":%.4f,\"p50 us\":%llu,\"p99 us\":%llu,"
         "\"server busy %%\":%.2f,\"generator busy %%\":%.2f",
         (double) measured / (kind->per_cpu ? server_spent : elapsed) * 1e9, server_spent / 1e3 / (double) measured,
         (unsigned long long) latency_percentile(0.5), (unsigned long long) latency_percentile(0.99),
         100 * server_spent / elapsed, 100 * own_spent / elapsed);
  if (kind->per_cpu) printf(",\"connections/s\":%.1f", (double) measured / elapsed * 1e9);
  if (kind->lossy) printf(",\"lost\":%llu", (unsigned long long) measured_lost);
  printf("}}\n");
  return 0;
}
