/*
 * One way: writes until the kernel accepts no more, then the rest of that write, and continues when it is
 * done. All writes share the same messages.
 */
#include "serve.h"

typedef struct {
  connection_t connection;
  uv_write_t request;
  size_t left; /* writes */
  char *message;
  size_t size;
  char input[64];
} client_t;

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  client_t *client = (client_t *) handle;
  (void) suggested;
  *lent = uv_buf_init(client->input, sizeof client->input - 1);
}

static void end(client_t *client) {
  free(client->message);
  client->message = NULL;
  hang_up(&client->connection.stream);
}

static void on_written(uv_write_t *request, int status);

static void send_messages(client_t *client) {
  uv_stream_t *stream = &client->connection.stream;
  for (; client->left > 0; client->left--) {
    uv_buf_t rest = uv_buf_init(client->message, (unsigned) client->size);
    int written = uv_try_write(stream, &rest, 1);
    if (written == (int) client->size) continue;
    if (written < 0 && written != UV_EAGAIN) return end(client);
    if (written > 0) rest = uv_buf_init(rest.base + written, (unsigned) (client->size - (size_t) written));
    client->left--;
    if (uv_write(&client->request, stream, &rest, 1, on_written) < 0) end(client);
    return;
  }
  end(client);
}

static void on_written(uv_write_t *request, int status) {
  client_t *client = (client_t *) request->handle;
  if (status < 0) return end(client);
  send_messages(client);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data) {
  client_t *client = (client_t *) stream;
  if (count < 0) return end(client);
  data->base[count] = '\0';
  if (sscanf(data->base, "%zu %zu", &client->left, &client->size) != 2 || client->size == 0) abort();
  uv_read_stop(stream);
  client->message = message_of(client->size, client->size);
  send_messages(client);
}

static void on_connection(uv_stream_t *stream) {
  client_t *client = (client_t *) stream;
  client->message = NULL;
  check(uv_read_start(stream, lend, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
  serve(argc, argv, sizeof(client_t), on_connection);
}
