/*
 * Connections over TLS that come and go: each makes its handshake, sends one message, waits for it, and
 * closes with a close_notify. tls-full makes full handshakes only. tls-resumed resumes the client's
 * newest session, and fails if the server does not.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tls.h"

typedef struct {
  int fd;
  SSL *ssl;
  SSL_SESSION *session; /* of the connection before */
  int resumes; /* keeps the session for the next connection */
  int offered; /* the session, on this connection */
  int sent;
  size_t echoed;
  uint64_t began;
} client_t;

static void start_connection(client_t *client) {
  client->began = nanoseconds(CLOCK_MONOTONIC);
  client->offered = client->session != NULL;
  client->sent = 0;
  client->echoed = 0;
  client->fd = begin_connecting();
  client->ssl = new_client(client->fd, client->session, NULL, client->resumes ? &client->session : NULL);
  open_messages++;
  watch(EPOLL_CTL_ADD, client->fd, client, EPOLLIN | EPOLLOUT | EPOLLET);
}

/* Returns 1 if the operation is done, 0 if it waits for the socket. */
static int done(client_t *client, int result) {
  if (result > 0) return 1;
  int error = SSL_get_error(client->ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
  if (error == SSL_ERROR_SYSCALL && errno == ENOTCONN) return 0; /* TCP still connects */
  if (error == SSL_ERROR_SYSCALL) fail("the handshake or the echo failed");
  fail_in_tls("the handshake or the echo failed");
  return 0;
}

static int has_answer(client_t *client) {
  if (!SSL_is_init_finished(client->ssl) && !done(client, SSL_do_handshake(client->ssl))) return 0;
  if (!client->sent) {
    if (!done(client, SSL_write(client->ssl, pattern, (int) message_bytes))) return 0;
    client->sent = 1;
  }
  while (client->echoed < message_bytes) {
    int received = SSL_read(client->ssl, receive_buffer, (int) (message_bytes - client->echoed));
    if (!done(client, received)) return 0;
    if (memcmp(receive_buffer, pattern + client->echoed, (size_t) received) != 0)
      fail_because("something else came back than was sent");
    client->echoed += (size_t) received;
  }
  return 1;
}

static void on_handshake_event(void *data, uint32_t events) {
  client_t *client = data;
  if (events & EPOLLERR) fail_of_socket(client->fd);
  ERR_clear_error();
  if (!has_answer(client)) return;
  if (client->offered && !SSL_session_reused(client->ssl))
    fail_because("the server did not resume a session");
  if (client->resumes && client->session == NULL) fail_because("the server sent no session ticket");
  SSL_shutdown(client->ssl);
  SSL_free(client->ssl);
  close(client->fd);
  record_latency(client->began, nanoseconds(CLOCK_MONOTONIC));
  open_messages--;
  completed++;
  if (!stopping) start_connection(client);
}

static void start(size_t count, int resumes) {
  client_t *clients = calloc(count, sizeof *clients);
  if (clients == NULL) fail("calloc");
  for (size_t i = 0; i < count; i++) {
    clients[i].resumes = resumes;
    start_connection(&clients[i]);
  }
}

static void start_full(size_t count) {
  start(count, 0);
}

static void start_resumed(size_t count) {
  start(count, 1);
}

const kind_t tls_full_kind = {
  .name = "tls-full", .prime = prime_tls, .start = start_full, .on_event = on_handshake_event, .per_cpu = 1};
const kind_t tls_resumed_kind = {
  .name = "tls-resumed", .prime = prime_tls, .start = start_resumed, .on_event = on_handshake_event, .per_cpu = 1};
