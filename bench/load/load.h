/*
 * Declarations of the parts of the load generator. load.c has the command line and the course of a
 * measurement. Each way to make load is a file and a `kind_t`: stream.c (echo, connect), datagram.c (udp),
 * tls-echo.c and tls-handshake.c. bulk.c measures in its own way, and has its own command line.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { RECEIVE_BYTES = 256 * 1024 /* uvloop and asyncio read as much at once */ };

/* A way to make load. */
typedef struct {
  const char *name;
  /* One whole exchange before anything is measured: see stream.c. */
  void (*prime)(void);
  /* Starts `count` clients, with `depth` messages in flight each. */
  void (*start)(size_t clients);
  void (*on_event)(void *client, uint32_t events);
  /* Called some hundred times a second; may be NULL. */
  void (*on_tick)(uint64_t now);
  /* Datagrams of this kind may be lost, and the figures say how many. */
  int lossy;
  /* The client needs more time than the server, so the value is per second of the server's CPU time. */
  int per_cpu;
} kind_t;

extern const kind_t echo_kind, connect_kind, datagram_kind;
/* With OpenSSL only: LOAD_TLS is defined then. */
extern const kind_t tls_echo_kind, tls_full_kind, tls_resumed_kind;

/* The command line. */
extern struct sockaddr_storage server_address;
extern socklen_t server_address_length;
extern size_t message_bytes;
extern size_t depth; /* messages that each client keeps in flight */

/* The course of the measurement. */
extern size_t open_messages; /* in flight on all clients */
extern uint64_t completed;
extern uint64_t lost;
extern int stopping; /* waits for messages in flight, sends no new ones */

extern char *pattern; /* the message, `depth` + 1 times, so that any messages in flight are one slice of it */
extern char receive_buffer[RECEIVE_BYTES];

/* shared.c */
void fail(const char *what);         /* with the reason of errno */
void fail_because(const char *what); /* without */
uint64_t nanoseconds(clockid_t clock);
clockid_t cpu_clock_of(const char *pid);
void read_address(const char *text);
void fill_pattern(size_t messages);
int connect_blocking(void);
int begin_connecting(void); /* without waiting for the end of it */
void fail_of_socket(int fd);
void send_whole(int fd, const char *bytes, size_t count);
void watch(int operation, int fd, void *client, uint32_t events);
int wait_for_events(struct epoll_event *events, int capacity, int milliseconds);
void open_epoll(void);

/* latency.c */
void record_latency(uint64_t from, uint64_t to);
void forget_latencies(void);
uint64_t latency_percentile(double share); /* in microseconds */

/* bulk.c */
int bulk_main(int argc, char **argv);

#endif
