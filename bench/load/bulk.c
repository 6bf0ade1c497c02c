/*
 * One connection that only reads: requests a number of writes of a size, by a line such as "32768 65536",
 * reads until the server closes, and compares every byte. The first request warms up and primes (see
 * stream.c), the second is measured.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

/* Reads the requested data, and fails if it is more, less or different. */
static void transfer(size_t writes) {
  int fd = connect_blocking();
  char request[64];
  int length = snprintf(request, sizeof request, "%zu %zu\n", writes, message_bytes);
  send_whole(fd, request, (size_t) length);
  size_t total = 0;
  for (;;) {
    ssize_t received = recv(fd, receive_buffer, sizeof receive_buffer, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) fail("recv");
    if (received == 0) break;
    if (memcmp(receive_buffer, pattern + total % message_bytes, (size_t) received) != 0)
      fail_because("something else came than was asked for");
    total += (size_t) received;
  }
  close(fd);
  if (total != writes * message_bytes) fail_because("more or less came than was asked for");
}

/* The largest resident size that the process ever had, in KiB. */
static unsigned long peak_resident(const char *pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *status = fopen(path, "r");
  if (status == NULL) fail("/proc");
  unsigned long kibibytes = 0;
  while (fgets(line, sizeof line, status) != NULL) sscanf(line, "VmHWM: %lu", &kibibytes);
  fclose(status);
  return kibibytes;
}

int bulk_main(int argc, char **argv) {
  if (argc != 7) fail_because("usage: load bulk <address> <pid> <bytes a write> <warm-up writes> <measured writes>");
  read_address(argv[2]);
  clockid_t server_clock = cpu_clock_of(argv[3]);
  message_bytes = strtoul(argv[4], NULL, 10);
  size_t warm_up_writes = strtoul(argv[5], NULL, 10), measured_writes = strtoul(argv[6], NULL, 10);
  if (message_bytes == 0 || warm_up_writes == 0 || measured_writes == 0) fail_because("a size is not positive");
  fill_pattern(RECEIVE_BYTES / message_bytes + 2);

  transfer(warm_up_writes);
  uint64_t server_cpu = nanoseconds(server_clock);
  uint64_t own_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t start = nanoseconds(CLOCK_MONOTONIC);
  transfer(measured_writes);
  double elapsed = (double) (nanoseconds(CLOCK_MONOTONIC) - start);
  double server_spent = (double) (nanoseconds(server_clock) - server_cpu);
  double own_spent = (double) (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu);
  double megabytes = (double) measured_writes * (double) message_bytes / 1e6;

  printf("{\"value\":%.1f,\"details\":{\"server CPU us\":%.4f,\"server busy %%\":%.2f,\"generator busy %%\":%.2f,"
         "\"peak RSS MiB\":%.1f}}\n",
         megabytes / elapsed * 1e9, server_spent / 1e3 / megabytes, 100 * server_spent / elapsed,
         100 * own_spent / elapsed, (double) peak_resident(argv[3]) / 1024);
  return 0;
}
