/*
 * Line echo. lines.c has one write a line; lines-cork.c, one write for all the lines of a read. A read
 * appends to the unwritten rest of the read before. A connection whose peer does not accept the answers reads
 * no more until it does.
 */
#include <string.h>

#include "serve.h"

typedef struct {
  connection_t connection;
  uv_write_t request;
  size_t used;    /* bytes in `buffer` */
  size_t written; /* the part of them that was echoed */
  char buffer[READ_BYTES];
} client_t;

/* Returns the number of bytes of `text`, which ends with a newline, for the next write. */
static size_t next_write(const char *text, size_t length);

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  client_t *client = (client_t *) handle;
  (void) suggested;
  *lent = uv_buf_init(client->buffer + client->used, (unsigned) (sizeof client->buffer - client->used));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data);

static void on_written(uv_write_t *request, int status);

/* Echoes the complete lines in the buffer. */
static void echo_lines(client_t *client) {
  uv_stream_t *stream = &client->connection.stream;
  const char *last = memrchr(client->buffer, '\n', client->used);
  size_t end = last == NULL ? 0 : (size_t) (last - client->buffer) + 1;
  while (client->written < end) {
    char *text = client->buffer + client->written;
    uv_buf_t rest = uv_buf_init(text, (unsigned) next_write(text, end - client->written));
    client->written += rest.len;
    int written = uv_try_write(stream, &rest, 1);
    if (written == (int) rest.len) continue;
    if (written < 0 && written != UV_EAGAIN) return hang_up(stream);
    if (written > 0) rest = uv_buf_init(rest.base + written, (unsigned) (rest.len - (size_t) written));
    uv_read_stop(stream);
    if (uv_write(&client->request, stream, &rest, 1, on_written) < 0) hang_up(stream);
    return;
  }
  memmove(client->buffer, client->buffer + client->written, client->used - client->written);
  client->used -= client->written;
  client->written = 0;
  if (client->used == sizeof client->buffer) hang_up(stream); /* no line is that long */
}

static void on_written(uv_write_t *request, int status) {
  uv_stream_t *stream = request->handle;
  if (status < 0 || uv_read_start(stream, lend, on_read) < 0) return hang_up(stream);
  echo_lines((client_t *) stream);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data) {
  client_t *client = (client_t *) stream;
  (void) data;
  if (count < 0) return hang_up(stream);
  client->used += (size_t) count;
  echo_lines(client);
}

static void on_connection(uv_stream_t *stream) {
  client_t *client = (client_t *) stream;
  client->used = client->written = 0;
  check(uv_read_start(stream, lend, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
  serve(argc, argv, sizeof(client_t), on_connection);
}
