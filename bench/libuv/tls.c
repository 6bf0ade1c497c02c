/*
 * Echo over TLS: OpenSSL with memory BIOs, on TCP of libuv. Usage: tls <certificate> <key>
 *
 * A read is decrypted and encrypted again, and the records leave by one write. If the kernel does not accept
 * all of them, the connection reads no more until the rest is written.
 */
#include <openssl/ssl.h>
#include <string.h>

#include "serve.h"

typedef struct {
  connection_t connection;
  SSL *ssl;
  uv_write_t request;
  char *unsent;
} client_t;

static SSL_CTX *context;
static char ciphertext[READ_BYTES], plaintext[READ_BYTES];

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  (void) handle, (void) suggested;
  *lent = uv_buf_init(ciphertext, sizeof ciphertext);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data);

static void free_client(uv_handle_t *handle) {
  client_t *client = (client_t *) handle;
  SSL_free(client->ssl);
  free(client->unsent);
  free(client);
}

static void end(client_t *client) {
  uv_handle_t *handle = (uv_handle_t *) client;
  if (!uv_is_closing(handle)) uv_close(handle, free_client);
}

static void on_written(uv_write_t *request, int status) {
  client_t *client = (client_t *) request->handle;
  free(client->unsent);
  client->unsent = NULL;
  if (status < 0 || uv_read_start(request->handle, lend, on_read) < 0) end(client);
}

/* Sends the records that OpenSSL has made. */
static void flush_records(client_t *client) {
  uv_stream_t *stream = &client->connection.stream;
  BIO *records = SSL_get_wbio(client->ssl);
  uv_buf_t rest;
  rest.len = (size_t) BIO_get_mem_data(records, &rest.base);
  if (rest.len == 0) return;
  int written = uv_try_write(stream, &rest, 1);
  if (written < 0 && written != UV_EAGAIN) return end(client);
  size_t sent = written > 0 ? (size_t) written : 0;
  if (sent < rest.len) {
    client->unsent = allocate(rest.len - sent);
    memcpy(client->unsent, rest.base + sent, rest.len - sent);
    rest = uv_buf_init(client->unsent, (unsigned) (rest.len - sent));
    uv_read_stop(stream);
    if (uv_write(&client->request, stream, &rest, 1, on_written) < 0) end(client);
  }
  BIO_reset(records);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *data) {
  client_t *client = (client_t *) stream;
  if (count < 0) return end(client);
  if (BIO_write(SSL_get_rbio(client->ssl), data->base, (int) count) != count) fail("BIO_write");
  int plain;
  while ((plain = SSL_read(client->ssl, plaintext, sizeof plaintext)) > 0)
    if (SSL_write(client->ssl, plaintext, plain) != plain) fail("SSL_write");
  int error = SSL_get_error(client->ssl, plain);
  if (error == SSL_ERROR_ZERO_RETURN) SSL_shutdown(client->ssl);
  flush_records(client);
  if (error != SSL_ERROR_WANT_READ) end(client);
}

static void on_connection(uv_stream_t *stream) {
  client_t *client = (client_t *) stream;
  client->unsent = NULL;
  client->ssl = SSL_new(context);
  if (client->ssl == NULL) fail("SSL_new");
  SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(client->ssl);
  check(uv_read_start(stream, lend, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage: tls <certificate> <key>");
  context = SSL_CTX_new(TLS_server_method());
  if (context == NULL || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
    fail("the certificate or the key cannot be used");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* as Node does */
  serve(1, argv, sizeof(client_t), on_connection);
}
