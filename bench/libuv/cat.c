/* Bytes through a child. Usage: cat <writes> <bytes a write> */
#include <string.h>

#include "measure.h"

enum { REPETITIONS = 5, READ_BYTES = 64 * 1024 };

static size_t size, to_write, received;
static int comparing;
static char *message; /* and as much again as is read at once: any window of the stream is one slice of it */
static char buffer[READ_BYTES];
static uv_pipe_t input, output;
static uv_write_t request;

static void on_written(uv_write_t *written, int status);

static void write_next(void) {
  uv_buf_t data = uv_buf_init(message, (unsigned) size);
  if (to_write-- == 0)
    uv_close((uv_handle_t *) &input, NULL);
  else
    check(uv_write(&request, (uv_stream_t *) &input, &data, 1, on_written), "uv_write");
}

static void on_written(uv_write_t *written, int status) {
  (void) written;
  check(status, "write");
  write_next();
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  (void) handle, (void) suggested;
  *lent = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data) {
  if (count == UV_EOF) return uv_close((uv_handle_t *) stream, NULL);
  check((int) count, "read");
  if (comparing && memcmp(data->base, message + received % size, (size_t) count) != 0)
    fail("something else came back than was sent");
  received += (size_t) count;
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal) {
  if (status != 0 || signal != 0) fail("cat failed");
  uv_close((uv_handle_t *) process, NULL);
}

static void transfer(size_t writes) {
  static char *arguments[] = {"cat", NULL};
  uv_loop_t *loop = uv_default_loop();
  uv_process_t process;
  check(uv_pipe_init(loop, &input, 0), "uv_pipe_init");
  check(uv_pipe_init(loop, &output, 0), "uv_pipe_init");
  uv_stdio_container_t stdio[3] = {
    {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *) &input},
    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *) &output},
    {.flags = UV_INHERIT_FD, .data.fd = 2}};
  uv_process_options_t options = {
    .file = arguments[0], .args = arguments, .exit_cb = on_child_exit, .stdio = stdio, .stdio_count = 3};
  check(uv_spawn(loop, &process, &options), "uv_spawn");
  to_write = writes;
  received = 0;
  check(uv_read_start((uv_stream_t *) &output, lend, on_read), "uv_read_start");
  write_next();
  uv_run(loop, UV_RUN_DEFAULT);
  if (received != writes * size) fail("more or less came back than was sent");
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage: cat <writes> <bytes a write>");
  size_t writes = strtoul(argv[1], NULL, 10);
  size = strtoul(argv[2], NULL, 10);
  if (writes == 0 || size == 0) fail("a size is not positive");
  message = message_of(size, size + READ_BYTES);

  double samples[REPETITIONS];
  for (size_t i = 0; i <= REPETITIONS; i++) {
    comparing = i == 0;
    uint64_t begin = uv_hrtime();
    transfer(writes);
    if (i > 0) samples[i - 1] = (double) (writes * size) * 1e3 / (double) (uv_hrtime() - begin);
  }
  report(median(samples, REPETITIONS), "");
}
