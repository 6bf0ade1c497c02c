/*
 * Echo over TCP or a unix socket. Received data is written at once. If the kernel does not accept all of it,
 * the connection reads no more until the rest is written. Nothing is copied: such a write keeps the buffer,
 * and the next read gets another one.
 */
#include "serve.h"

typedef struct {
  uv_write_t request;
  char *buffer;
} pending_t;

/* The buffer of the current read. */
static char *buffer;

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  (void) handle, (void) suggested;
  if (buffer == NULL) buffer = allocate(READ_BYTES);
  *lent = uv_buf_init(buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data);

static void on_written(uv_write_t *request, int status) {
  pending_t *pending = (pending_t *) request;
  uv_stream_t *stream = request->handle;
  free(pending->buffer);
  free(pending);
  if (status < 0 || uv_read_start(stream, lend, on_read) < 0) hang_up(stream);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data) {
  if (count < 0) return hang_up(stream);
  uv_buf_t rest = uv_buf_init(data->base, (unsigned) count);
  int written = uv_try_write(stream, &rest, 1);
  if (written == count || count == 0) return;
  if (written < 0 && written != UV_EAGAIN) return hang_up(stream);
  if (written > 0) rest = uv_buf_init(rest.base + written, (unsigned) (count - written));

  pending_t *pending = allocate(sizeof *pending);
  pending->buffer = buffer;
  buffer = NULL;
  uv_read_stop(stream);
  if (uv_write(&pending->request, stream, &rest, 1, on_written) == 0) return;
  free(pending->buffer);
  free(pending);
  hang_up(stream);
}

static void on_connection(uv_stream_t *stream) {
  check(uv_read_start(stream, lend, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
  serve(argc, argv, sizeof(connection_t), on_connection);
}
