/*
 * Load by datagrams: each socket keeps `depth` of them in flight. A datagram has its place among them and its
 * number there, so that a late one, which was given up, is not taken for its successor.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

enum {
  MAX_BYTES = 2048,
  MAX_DEPTH = 64,
  /* Far above the time that the slowest peer needs for everything in flight. */
  LOST_AFTER_NANOSECONDS = 200000000,
  PRIME_ATTEMPTS = 10
};

typedef struct {
  uint32_t place;
  uint32_t number;
} header_t;

typedef struct {
  uint32_t number;
  int in_flight;
  uint64_t sent_at;
} place_t;

typedef struct {
  int fd;
  place_t places[MAX_DEPTH];
} client_t;

/* Messages on their way in or out, of one socket at a time: received and sent many by one system call. */
static char bytes[MAX_DEPTH][MAX_BYTES];
static struct iovec slices[MAX_DEPTH];
static struct mmsghdr messages[MAX_DEPTH];

static client_t *clients;
static size_t client_count;

static int open_socket(void) {
  int fd = socket(server_address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *) &server_address, server_address_length) != 0) fail("connect");
  return fd;
}

static void prepare(size_t index, uint32_t place, uint32_t number) {
  header_t header = {place, number};
  memcpy(bytes[index], &header, sizeof header);
  memcpy(bytes[index] + sizeof header, pattern, message_bytes - sizeof header);
  slices[index].iov_len = message_bytes;
}

/*
 * Sends the first `count` messages. A message that the kernel does not accept counts as lost after the
 * timeout.
 */
static void send_prepared(client_t *client, size_t count) {
  for (size_t done = 0; done < count;) {
    int sent = sendmmsg(client->fd, messages + done, (unsigned) (count - done), MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return;
    if (sent < 0) fail("sendmmsg");
    done += (size_t) sent;
  }
}

static void start_message(client_t *client, size_t index, uint32_t place, uint64_t now) {
  place_t *here = &client->places[place];
  here->sent_at = now;
  prepare(index, place, ++here->number);
}

static void prime(void) {
  if (message_bytes <= sizeof(header_t) || message_bytes > MAX_BYTES || depth > MAX_DEPTH)
    fail_because("a datagram or the depth is too large, or a datagram too small");
  for (size_t i = 0; i < MAX_DEPTH; i++) {
    slices[i].iov_base = bytes[i];
    messages[i].msg_hdr.msg_iov = &slices[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  client_t client = {.fd = open_socket()};
  struct timeval patience = {.tv_sec = 1};
  if (setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) fail("SO_RCVTIMEO");
  for (int attempt = 0; attempt < PRIME_ATTEMPTS; attempt++) {
    prepare(0, 0, 0);
    send_prepared(&client, 1);
    if (recv(client.fd, receive_buffer, sizeof receive_buffer, 0) == (ssize_t) message_bytes) {
      close(client.fd);
      return;
    }
  }
  fail("the server did not answer the first datagram");
}

static void start(size_t count) {
  clients = calloc(count, sizeof *clients);
  if (clients == NULL) fail("calloc");
  client_count = count;
  uint64_t now = nanoseconds(CLOCK_MONOTONIC);
  for (size_t i = 0; i < count; i++) {
    clients[i].fd = open_socket();
    watch(EPOLL_CTL_ADD, clients[i].fd, &clients[i], EPOLLIN);
    for (uint32_t place = 0; place < depth; place++) {
      clients[i].places[place].in_flight = 1;
      start_message(&clients[i], place, place, now);
    }
    open_messages += depth;
    send_prepared(&clients[i], depth);
  }
}

/* Returns the place of a datagram that came back, or NULL if it had been given up. */
static place_t *check(client_t *client, size_t index, size_t length, uint32_t *place) {
  header_t header;
  if (length != message_bytes) fail_because("a datagram came back with another length");
  memcpy(&header, bytes[index], sizeof header);
  if (memcmp(bytes[index] + sizeof header, pattern, message_bytes - sizeof header) != 0 || header.place >= depth)
    fail_because("something else came back than was sent");
  *place = header.place;
  place_t *here = &client->places[header.place];
  return here->in_flight && here->number == header.number ? here : NULL;
}

static void on_event(void *data, uint32_t events) {
  (void) events;
  client_t *client = data;
  for (size_t i = 0; i < MAX_DEPTH; i++) slices[i].iov_len = MAX_BYTES;
  int received = recvmmsg(client->fd, messages, MAX_DEPTH, MSG_DONTWAIT, NULL);
  if (received < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    fail("recvmmsg");
  }
  uint64_t now = nanoseconds(CLOCK_MONOTONIC);
  size_t to_send = 0;
  for (int i = 0; i < received; i++) {
    uint32_t place;
    place_t *here = check(client, (size_t) i, messages[i].msg_len, &place);
    if (here == NULL) continue;
    record_latency(here->sent_at, now);
    completed++;
    if (stopping) {
      here->in_flight = 0;
      open_messages--;
    } else {
      /* Never beyond the messages that were looked at already: each that came sends one datagram at most. */
      start_message(client, to_send++, place, now);
    }
  }
  send_prepared(client, to_send);
}

static void on_tick(uint64_t now) {
  for (size_t i = 0; i < client_count; i++) {
    client_t *client = &clients[i];
    size_t to_send = 0;
    for (uint32_t place = 0; place < depth; place++) {
      place_t *here = &client->places[place];
      if (!here->in_flight || now - here->sent_at < LOST_AFTER_NANOSECONDS) continue;
      lost++;
      if (stopping) {
        here->in_flight = 0;
        open_messages--;
      } else {
        start_message(client, to_send++, place, now);
      }
    }
    if (to_send > 0) send_prepared(client, to_send);
  }
}

const kind_t datagram_kind = {
  .name = "udp", .prime = prime, .start = start, .on_event = on_event, .on_tick = on_tick, .lossy = 1};
