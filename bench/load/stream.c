/*
 * Load over connections: TCP or unix sockets. Two kinds, connections that stay (echo) and connections that
 * come and go (connect).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

typedef struct {
  int fd;
  size_t owed;       /* bytes that wait to be sent */
  size_t out_offset; /* place in the message of the next byte to send */
  size_t in_offset;  /* and of the next byte to come back */
  size_t oldest;     /* index into sent_at of the message that comes back next */
  size_t in_flight;
  int wants_out; /* the kernel's buffer was full */
  uint64_t *sent_at;
} client_t;

/* Sends the waiting bytes, as many as the kernel accepts. */
static void send_owed(client_t *client) {
  while (client->owed > 0) {
    ssize_t sent = send(client->fd, pattern + client->out_offset, client->owed, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      fail("send");
    }
    client->owed -= (size_t) sent;
    client->out_offset = (client->out_offset + (size_t) sent) % message_bytes;
  }
}

static void start_messages(client_t *client, size_t count) {
  uint64_t now = nanoseconds(CLOCK_MONOTONIC);
  for (size_t i = 0; i < count; i++) client->sent_at[(client->oldest + client->in_flight++) % depth] = now;
  open_messages += count;
  client->owed += count * message_bytes;
  send_owed(client);
}

/* Reads the available data, and returns the number of messages that it completed. */
static size_t receive_messages(client_t *client) {
  ssize_t received = recv(client->fd, receive_buffer, sizeof receive_buffer, MSG_DONTWAIT);
  if (received < 0) {
    if (errno == EAGAIN || errno == EINTR) return 0;
    fail("recv");
  }
  if (received == 0) fail_because("the server closed a connection");
  size_t end = client->in_offset + (size_t) received;
  if (end > (depth + 1) * message_bytes) fail_because("more came back than was sent");
  if (memcmp(receive_buffer, pattern + client->in_offset, (size_t) received) != 0)
    fail_because("something else came back than was sent");
  size_t count = end / message_bytes;
  if (count > client->in_flight) fail_because("more messages came back than were sent");
  client->in_offset = end % message_bytes;
  uint64_t now = nanoseconds(CLOCK_MONOTONIC);
  for (size_t i = 0; i < count; i++) {
    record_latency(client->sent_at[client->oldest], now);
    client->oldest = (client->oldest + 1) % depth;
  }
  client->in_flight -= count;
  open_messages -= count;
  completed += count;
  return count;
}

static void reset_client(client_t *client) {
  uint64_t *sent_at = client->sent_at;
  memset(client, 0, sizeof *client);
  client->sent_at = sent_at;
}

/*
 * One whole connection before anything is measured. asyncio allocates and frees its receive buffer by mmap
 * for every message until a connection has closed once (glibc then raises its threshold): without this its
 * first server measures at a quarter of its speed. Others resolve and compile on their first connection.
 */
static void prime(void) {
  int fd = connect_blocking();
  send_whole(fd, pattern, message_bytes);
  for (size_t done = 0; done < message_bytes;) {
    ssize_t received = recv(fd, receive_buffer, sizeof receive_buffer, 0);
    if (received <= 0) fail("the server did not answer the first message");
    done += (size_t) received;
  }
  if (shutdown(fd, SHUT_WR) != 0) fail("shutdown");
  if (recv(fd, receive_buffer, sizeof receive_buffer, 0) != 0) fail("the server did not close after the end of input");
  close(fd);
}

static void start_clients(size_t count, void (*start)(client_t *)) {
  client_t *clients = calloc(count, sizeof *clients);
  if (clients == NULL) fail("calloc");
  for (size_t i = 0; i < count; i++) {
    clients[i].sent_at = calloc(depth, sizeof *clients[i].sent_at);
    if (clients[i].sent_at == NULL) fail("calloc");
    start(&clients[i]);
  }
}

/* --- echo --- */

static void start_echo(client_t *client) {
  client->fd = connect_blocking();
  watch(EPOLL_CTL_ADD, client->fd, client, EPOLLIN);
  start_messages(client, depth);
}

static void start_echoes(size_t count) {
  start_clients(count, start_echo);
}

static void on_echo_event(void *data, uint32_t events) {
  client_t *client = data;
  if (events & EPOLLOUT) send_owed(client);
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
    size_t count = receive_messages(client);
    if (count > 0 && !stopping) start_messages(client, count);
  }
  int wants_out = client->owed > 0;
  if (wants_out != client->wants_out) {
    client->wants_out = wants_out;
    watch(EPOLL_CTL_MOD, client->fd, client, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

const kind_t echo_kind = {.name = "echo", .prime = prime, .start = start_echoes, .on_event = on_echo_event};

/* --- connect --- */

static void start_connect(client_t *client) {
  reset_client(client);
  client->sent_at[0] = nanoseconds(CLOCK_MONOTONIC);
  client->in_flight = 1;
  open_messages++;
  client->owed = message_bytes;
  client->fd = begin_connecting();
  watch(EPOLL_CTL_ADD, client->fd, client, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void start_connects(size_t count) {
  start_clients(count, start_connect);
}

static void on_connect_event(void *data, uint32_t events) {
  client_t *client = data;
  if (events & EPOLLERR) fail_of_socket(client->fd);
  if (events & EPOLLOUT) send_owed(client);
  if (events & EPOLLIN && receive_messages(client) == 1) {
    close(client->fd);
    if (!stopping) start_connect(client);
  }
}

const kind_t connect_kind = {.name = "connect", .prime = prime, .start = start_connects, .on_event = on_connect_event};
