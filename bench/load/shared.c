/* Errors, clocks, addresses, messages, epoll: what every kind of load needs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

struct sockaddr_storage server_address;
socklen_t server_address_length;
size_t message_bytes;
size_t depth;
size_t open_messages;
uint64_t completed;
uint64_t lost;
int stopping;
char *pattern;
char receive_buffer[RECEIVE_BYTES];

static int epoll_fd;

void fail(const char *what) {
  if (errno != 0)
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  else
    fprintf(stderr, "load: %s\n", what);
  exit(1);
}

void fail_because(const char *what) {
  errno = 0;
  fail(what);
}

uint64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) fail("cannot read a clock; did the server end?");
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

clockid_t cpu_clock_of(const char *pid) {
  clockid_t clock;
  if (clock_getcpuclockid(atoi(pid), &clock) != 0) fail_because("the server's process is not there");
  return clock;
}

/* A port of the loopback address, or the path of a unix socket. */
void read_address(const char *text) {
  if (text[0] == '/') {
    struct sockaddr_un *address = (struct sockaddr_un *) &server_address;
    if (strlen(text) >= sizeof address->sun_path) fail_because("the path of the socket is too long");
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, text);
    server_address_length = sizeof *address;
  } else {
    struct sockaddr_in *address = (struct sockaddr_in *) &server_address;
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->sin_port = htons((uint16_t) atoi(text));
    server_address_length = sizeof *address;
  }
}

/* A message is letters and a newline, so the same load serves line servers. */
void fill_pattern(size_t messages) {
  pattern = malloc(messages * message_bytes);
  if (pattern == NULL) fail("malloc");
  for (size_t i = 0; i < messages * message_bytes; i++) {
    size_t place = i % message_bytes;
    pattern[i] = place == message_bytes - 1 ? '\n' : (char) ('a' + place % 26);
  }
}

int connect_blocking(void) {
  int fd = socket(server_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *) &server_address, server_address_length) != 0) fail("connect");
  int on = 1;
  if (server_address.ss_family == AF_INET && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    fail("TCP_NODELAY");
  return fd;
}

/*
 * Each connection comes from the next address of 127.1.0.0/16: the side that closes first keeps its port for
 * a minute, and one address would run out of ports within two seconds.
 */
int begin_connecting(void) {
  static uint32_t next_source = 0;
  if (server_address.ss_family != AF_INET) fail_because("connections that come and go are for TCP");
  struct sockaddr_in source = {.sin_family = AF_INET};
  source.sin_addr.s_addr = htonl(0x7f010000u | (1 + next_source++ % 65000));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  int on = 1;
  if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) fail("IP_BIND_ADDRESS_NO_PORT");
  if (bind(fd, (struct sockaddr *) &source, sizeof source) != 0) fail("bind");
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("TCP_NODELAY");
  if (connect(fd, (struct sockaddr *) &server_address, server_address_length) != 0 && errno != EINPROGRESS)
    fail("connect");
  return fd;
}

void fail_of_socket(int fd) {
  socklen_t length = sizeof errno;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &length);
  fail("connect");
}

void send_whole(int fd, const char *bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    ssize_t sent = send(fd, bytes + done, count - done, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    done += (size_t) sent;
  }
}

void open_epoll(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
}

void watch(int operation, int fd, void *client, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = client}};
  if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) fail("epoll_ctl");
}

int wait_for_events(struct epoll_event *events, int capacity, int milliseconds) {
  int count = epoll_wait(epoll_fd, events, capacity, milliseconds);
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  return count;
}
