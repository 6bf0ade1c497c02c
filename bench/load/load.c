/*
 * The load generator of the network workloads: one thread, epoll, no allocation while it measures. It is in C because it
 * has to be faster than every server that it measures; it reports how busy it was itself, so that one can see whether it was.
 *
 *   load echo    <port> <server pid> <connections> <bytes> <depth> <warm-up s> <measured s>
 *   load connect <port> <server pid> <at once>     <bytes> <depth, ignored> <warm-up s> <measured s>
 *
 * echo: every connection keeps `depth` messages of `bytes` bytes in flight, and sends a new one for each that has come back.
 * connect: `at once` clients connect, send one message, wait for it, close, and begin again.
 * A message is letters and a newline, so the same load serves line servers. Every byte that comes back is compared.
 *
 * Linux only. Prints one JSON line; ends with status 1 and a sentence when anything is not as it should be.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum {
  MAX_EVENTS = 256,
  RECEIVE_BYTES = 256 * 1024, /* uvloop and asyncio read as much at once */
  LATENCY_BUCKETS = 1000000,  /* of 1 us each; the last one takes what is slower */
  LAST_ANSWERS_SECONDS = 5
};

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

static struct sockaddr_in server_address;
static size_t message_bytes;
static size_t depth;
static char *pattern; /* the message, depth + 1 times: any window of what may be in flight is one slice of it */
static char receive_buffer[RECEIVE_BYTES];
static uint32_t latencies[LATENCY_BUCKETS];
static uint64_t completed;
static size_t open_messages; /* in flight on all connections */
static int stopping;         /* what is in flight is waited for, nothing new is sent */
static int epoll_fd;
static clockid_t server_clock;

static void fail(const char *what) {
  if (errno != 0)
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  else
    fprintf(stderr, "load: %s\n", what);
  exit(1);
}

static void fail_because(const char *what) {
  errno = 0;
  fail(what);
}

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) fail("cannot read a clock; did the server end?");
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static void record_latency(uint64_t from, uint64_t to) {
  uint64_t microseconds = (to - from) / 1000;
  latencies[microseconds < LATENCY_BUCKETS ? microseconds : LATENCY_BUCKETS - 1]++;
}

static uint64_t latency_percentile(double share) {
  uint64_t total = 0, seen = 0;
  for (size_t i = 0; i < LATENCY_BUCKETS; i++) total += latencies[i];
  for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
    seen += latencies[i];
    if ((double) seen >= share * (double) total) return i;
  }
  return 0;
}

static void watch(client_t *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = client}};
  if (epoll_ctl(epoll_fd, operation, client->fd, &event) != 0) fail("epoll_ctl");
}

static void set_no_delay(int fd) {
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("TCP_NODELAY");
}

/* Sends what is owed, as far as the kernel takes it. */
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

/* Takes what has come, and returns how many messages it completed. */
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

static int connect_blocking(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *) &server_address, sizeof server_address) != 0) fail("connect");
  set_no_delay(fd);
  return fd;
}

/*
 * One whole connection before anything is measured. asyncio allocates and frees its receive buffer by mmap for every
 * message until a connection has closed once (glibc then raises its threshold): without this its first server measures
 * at a quarter of its speed. Others resolve and compile on their first connection.
 */
static void prime(void) {
  int fd = connect_blocking();
  for (size_t done = 0; done < message_bytes;) {
    ssize_t sent = send(fd, pattern + done, message_bytes - done, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    done += (size_t) sent;
  }
  for (size_t done = 0; done < message_bytes;) {
    ssize_t received = recv(fd, receive_buffer, sizeof receive_buffer, 0);
    if (received <= 0) fail("the server did not answer the first message");
    done += (size_t) received;
  }
  if (shutdown(fd, SHUT_WR) != 0) fail("shutdown");
  if (recv(fd, receive_buffer, sizeof receive_buffer, 0) != 0) fail("the server did not close after the end of input");
  close(fd);
}

static void start_echo(client_t *client) {
  client->fd = connect_blocking();
  watch(client, EPOLL_CTL_ADD, EPOLLIN);
  start_messages(client, depth);
}

static void on_echo_event(client_t *client, uint32_t events) {
  if (events & EPOLLOUT) send_owed(client);
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
    size_t count = receive_messages(client);
    if (count > 0 && !stopping) start_messages(client, count);
  }
  int wants_out = client->owed > 0;
  if (wants_out != client->wants_out) {
    client->wants_out = wants_out;
    watch(client, EPOLL_CTL_MOD, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

/*
 * Each connection comes from the next address of 127.1.0.0/16: the side that closes first keeps its port for a minute,
 * and one address would run out of ports within two seconds.
 */
static void start_connect(client_t *client) {
  static uint32_t next_source = 0;
  struct sockaddr_in source = {.sin_family = AF_INET};
  source.sin_addr.s_addr = htonl(0x7f010000u | (1 + next_source++ % 65000));
  reset_client(client);
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client->fd < 0) fail("socket");
  int on = 1;
  if (setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) fail("IP_BIND_ADDRESS_NO_PORT");
  if (bind(client->fd, (struct sockaddr *) &source, sizeof source) != 0) fail("bind");
  set_no_delay(client->fd);
  client->sent_at[0] = nanoseconds(CLOCK_MONOTONIC);
  client->in_flight = 1;
  open_messages++;
  client->owed = message_bytes;
  if (connect(client->fd, (struct sockaddr *) &server_address, sizeof server_address) != 0 && errno != EINPROGRESS)
    fail("connect");
  watch(client, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void on_connect_event(client_t *client, uint32_t events) {
  if (events & EPOLLERR) {
    socklen_t length = sizeof errno;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &errno, &length);
    fail("connect");
  }
  if (events & EPOLLOUT) send_owed(client);
  if (events & EPOLLIN && receive_messages(client) == 1) {
    close(client->fd);
    if (!stopping) start_connect(client);
  }
}

/* Serves events until the monotonic clock shows `until`, or nothing is in flight any more. */
static void serve(void (*on_event)(client_t *, uint32_t), uint64_t until) {
  struct epoll_event events[MAX_EVENTS];
  uint64_t now;
  while (open_messages > 0 && (now = nanoseconds(CLOCK_MONOTONIC)) < until) {
    int milliseconds = (int) ((until - now) / 1000000) + 1;
    int count = epoll_wait(epoll_fd, events, MAX_EVENTS, milliseconds);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
  }
}

static void fill_pattern(void) {
  pattern = malloc((depth + 1) * message_bytes);
  if (pattern == NULL) fail("malloc");
  for (size_t i = 0; i < (depth + 1) * message_bytes; i++) {
    size_t place = i % message_bytes;
    pattern[i] = place == message_bytes - 1 ? '\n' : (char) ('a' + place % 26);
  }
}

int main(int argc, char **argv) {
  if (argc != 9) fail_because("usage: load echo|connect <port> <pid> <connections> <bytes> <depth> <warm-up s> <measured s>");
  int connecting = strcmp(argv[1], "connect") == 0;
  if (!connecting && strcmp(argv[1], "echo") != 0) fail_because("the first argument must be echo or connect");
  server_address.sin_family = AF_INET;
  server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server_address.sin_port = htons((uint16_t) atoi(argv[2]));
  if (clock_getcpuclockid(atoi(argv[3]), &server_clock) != 0) fail_because("the server's process is not there");
  size_t connections = strtoul(argv[4], NULL, 10);
  message_bytes = strtoul(argv[5], NULL, 10);
  depth = connecting ? 1 : strtoul(argv[6], NULL, 10);
  double warm_up_seconds = atof(argv[7]), measured_seconds = atof(argv[8]);
  if (connections == 0 || message_bytes == 0 || depth == 0 || measured_seconds <= 0) fail_because("a size is not positive");

  fill_pattern();
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
  prime();

  client_t *clients = calloc(connections, sizeof *clients);
  if (clients == NULL) fail("calloc");
  for (size_t i = 0; i < connections; i++) {
    clients[i].sent_at = calloc(depth, sizeof *clients[i].sent_at);
    if (clients[i].sent_at == NULL) fail("calloc");
    (connecting ? start_connect : start_echo)(&clients[i]);
  }

  void (*on_event)(client_t *, uint32_t) = connecting ? on_connect_event : on_echo_event;
  serve(on_event, nanoseconds(CLOCK_MONOTONIC) + (uint64_t) (warm_up_seconds * 1e9));
  memset(latencies, 0, sizeof latencies);
  completed = 0;
  uint64_t server_cpu = nanoseconds(server_clock);
  uint64_t own_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t start = nanoseconds(CLOCK_MONOTONIC);
  serve(on_event, start + (uint64_t) (measured_seconds * 1e9));
  double elapsed = (double) (nanoseconds(CLOCK_MONOTONIC) - start);
  double server_spent = (double) (nanoseconds(server_clock) - server_cpu);
  double own_spent = (double) (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - own_cpu);
  uint64_t measured = completed;
  if (measured == 0) fail_because("nothing came back while it was measured");

  stopping = 1;
  serve(on_event, nanoseconds(CLOCK_MONOTONIC) + (uint64_t) LAST_ANSWERS_SECONDS * 1000000000u);
  if (open_messages > 0) fail_because("messages were lost: they had not come back seconds after the last one was sent");

  printf("{\"perSecond\":%.1f,\"serverCpuMicroseconds\":%.4f,\"p50\":%llu,\"p99\":%llu,"
         "\"serverBusy\":%.4f,\"generatorBusy\":%.4f}\n",
         (double) measured / elapsed * 1e9, server_spent / 1e3 / (double) measured,
         (unsigned long long) latency_percentile(0.5), (unsigned long long) latency_percentile(0.99),
         server_spent / elapsed, own_spent / elapsed);
  return 0;
}
