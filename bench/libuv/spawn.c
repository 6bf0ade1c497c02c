/* Children that do nothing. Usage: spawn <operations> <at once> <MiB resident> */
#include <string.h>

#include "measure.h"

enum { WARM_UPS = 20, BLOCKED_SAMPLES = 30 };

static size_t to_start, ended;

/* The longest round of a loop that is always busy, in ns. */
static uint64_t longest_gap, last_tick;

static void spawn_one(void);

static void on_closed(uv_handle_t *handle) {
  free(handle);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal) {
  if (status != 0 || signal != 0) fail("the child failed");
  uv_close((uv_handle_t *) process, on_closed);
  ended++;
  if (to_start > 0) spawn_one();
}

static void spawn_one(void) {
  static char *arguments[] = {"true", NULL};
  static uv_stdio_container_t ignored[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
  uv_process_options_t options = {
    .file = arguments[0], .args = arguments, .exit_cb = on_child_exit, .stdio = ignored, .stdio_count = 3};
  uv_process_t *process = allocate(sizeof *process);
  to_start--;
  check(uv_spawn(uv_default_loop(), process, &options), "uv_spawn");
}

static void spawn_many(size_t count, size_t at_once) {
  to_start = count;
  ended = 0;
  for (size_t i = 0; i < at_once && to_start > 0; i++) spawn_one();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  if (ended != count) fail("not all children ended");
}

static void on_tick(uv_idle_t *idle) {
  uint64_t now = uv_hrtime();
  if (now - last_tick > longest_gap) longest_gap = now - last_tick;
  last_tick = now;
  if (ended == 1) uv_idle_stop(idle);
}

static double blocked_by_spawn(void) {
  uv_idle_t idle;
  check(uv_idle_init(uv_default_loop(), &idle), "uv_idle_init");
  check(uv_idle_start(&idle, on_tick), "uv_idle_start");
  longest_gap = 0;
  last_tick = uv_hrtime();
  spawn_many(1, 1);
  uv_close((uv_handle_t *) &idle, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  return (double) longest_gap / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: spawn <operations> <at once> <MiB resident>");
  size_t operations = strtoul(argv[1], NULL, 10), at_once = strtoul(argv[2], NULL, 10);
  size_t resident_bytes = strtoul(argv[3], NULL, 10) << 20;
  char *resident = allocate(resident_bytes + 1);
  memset(resident, 1, resident_bytes + 1); /* every page of it is written */

  spawn_many(WARM_UPS, at_once);
  uint64_t begin = uv_hrtime();
  spawn_many(operations, at_once);
  double microseconds = (double) (uv_hrtime() - begin) / 1e3;

  double gaps[BLOCKED_SAMPLES];
  for (size_t i = 0; i < BLOCKED_SAMPLES; i++) gaps[i] = blocked_by_spawn();
  for (size_t i = 0; i <= resident_bytes; i += 4096)
    if (resident[i] != 1) fail("the memory is gone");
  char details[64];
  snprintf(details, sizeof details, "\"blocked ms\":%.4f", median(gaps, BLOCKED_SAMPLES));
  report(microseconds / (double) operations, details);
}
