/*
 * Echo over TLS. OpenSSL makes all handshakes before anything is measured. It leaves the data that follows a
 * handshake to this file: SSL_connect() reads record by record, so the next record is still in the socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "tls.h"

typedef struct {
  int fd;
  direction_t to_server, from_server;
  unsigned char *out; /* the record of the message in flight */
  size_t out_offset, out_length;
  unsigned char in[2 * MAX_RECORD_BYTES];
  size_t in_used;
  size_t echoed; /* bytes of the message that came back */
  uint64_t sent_at;
} client_t;

static void handshake(client_t *client) {
  secrets_t secrets = {.known = 0};
  client->fd = connect_blocking();
  SSL *ssl = new_client(client->fd, NULL, &secrets, NULL);
  if (SSL_connect(ssl) != 1) fail_in_tls("the handshake failed");
  if (secrets.known != 3) fail_because("OpenSSL did not tell the secrets");
  start_direction(&client->to_server, secrets.client, 1);
  start_direction(&client->from_server, secrets.server, 0);
  SSL_set_quiet_shutdown(ssl, 1);
  SSL_free(ssl);
}

static void send_rest(client_t *client) {
  while (client->out_offset < client->out_length) {
    const unsigned char *rest = client->out + client->out_offset;
    ssize_t sent = send(client->fd, rest, client->out_length - client->out_offset, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail("send"); /* the kernel's buffer has room for the only message */
    client->out_offset += (size_t) sent;
  }
}

static void start_message(client_t *client) {
  client->sent_at = nanoseconds(CLOCK_MONOTONIC);
  client->out_length = seal_record(&client->to_server, client->out, pattern, message_bytes);
  client->out_offset = client->echoed = 0;
  open_messages++;
  send_rest(client);
}

/* Opens the complete records. Returns 1 if the message has come back. */
static int take_records(client_t *client) {
  size_t done = 0, length;
  while ((length = record_length(client->in + done, client->in_used - done)) > 0) {
    char *data;
    size_t count = open_record(&client->from_server, client->in + done, length, &data);
    if (client->echoed + count > message_bytes) fail_because("more came back than was sent");
    if (memcmp(data, pattern + client->echoed, count) != 0) fail_because("something else came back than was sent");
    client->echoed += count;
    done += length;
  }
  client->in_used -= done;
  if (client->in_used > 0 && done > 0) memmove(client->in, client->in + done, client->in_used);
  return client->echoed == message_bytes;
}

static void on_echo_event(void *data, uint32_t events) {
  client_t *client = data;
  (void) events;
  ssize_t received =
    recv(client->fd, client->in + client->in_used, sizeof client->in - client->in_used, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (received < 0) fail("recv");
  if (received == 0) fail_because("the server closed a connection");
  client->in_used += (size_t) received;
  if (!take_records(client)) return;
  record_latency(client->sent_at, nanoseconds(CLOCK_MONOTONIC));
  open_messages--;
  completed++;
  if (!stopping) start_message(client);
}

static void start(size_t count) {
  client_t *clients = calloc(count, sizeof *clients);
  if (clients == NULL) fail("calloc");
  if (depth != 1) fail_because("one message is in flight on a TLS connection");
  if (message_bytes > 16384) fail_because("a message is one record of at most 16 KiB");
  for (size_t i = 0; i < count; i++) {
    clients[i].out = malloc(message_bytes + RECORD_OVERHEAD);
    if (clients[i].out == NULL) fail("malloc");
    handshake(&clients[i]);
    watch(EPOLL_CTL_ADD, clients[i].fd, &clients[i], EPOLLIN);
  }
  for (size_t i = 0; i < count; i++) start_message(&clients[i]);
}

const kind_t tls_echo_kind = {.name = "tls-echo", .prime = prime_tls, .start = start, .on_event = on_echo_event};
