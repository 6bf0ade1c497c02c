/* Helpers of the servers of this folder. */
#ifndef SERVE_H
#define SERVE_H

#include "common.h"

enum { READ_BYTES = 64 * 1024, BACKLOG = 1024 };

/* A TCP or a unix connection, at the beginning of the server's record of it. */
typedef union {
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
} connection_t;

static inline void free_handle(uv_handle_t *handle) {
  free(handle);
}

static inline void hang_up(uv_stream_t *stream) {
  if (!uv_is_closing((uv_handle_t *) stream)) uv_close((uv_handle_t *) stream, free_handle);
}

/* --- standard input: run.ts asks for a collection by a line, and for the end by closing it --- */

static inline void lend_line(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  static char line[256];
  (void) handle, (void) suggested;
  *buffer = uv_buf_init(line, sizeof line);
}

static inline void on_input(uv_stream_t *input, ssize_t count, const uv_buf_t *buffer) {
  (void) input, (void) buffer;
  if (count < 0) exit(0);
  printf("{}\n"); /* there is nothing to collect */
  fflush(stdout);
}

/* Tells run.ts where the server listens, and runs it. */
static inline void announce_and_run(int port) {
  static uv_pipe_t input;
  check(uv_pipe_init(uv_default_loop(), &input, 0), "uv_pipe_init");
  check(uv_pipe_open(&input, 0), "uv_pipe_open");
  check(uv_read_start((uv_stream_t *) &input, lend_line, on_input), "uv_read_start");
  printf("{\"port\":%d,\"runtime\":\"libuv %s\"}\n", port, uv_version_string());
  fflush(stdout);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

/* --- listening --- */

static size_t serve_connection_bytes;
static void (*serve_on_connection)(uv_stream_t *);

static inline void on_incoming(uv_stream_t *listener, int status) {
  check(status, "listen");
  connection_t *connection = allocate(serve_connection_bytes);
  if (listener->type == UV_TCP) {
    check(uv_tcp_init(listener->loop, &connection->tcp), "uv_tcp_init");
    check(uv_accept(listener, &connection->stream), "uv_accept");
    check(uv_tcp_nodelay(&connection->tcp, 1), "uv_tcp_nodelay");
  } else {
    check(uv_pipe_init(listener->loop, &connection->pipe, 0), "uv_pipe_init");
    check(uv_accept(listener, &connection->stream), "uv_accept");
  }
  serve_on_connection(&connection->stream);
}

/*
 * Serves the unix socket that the command line names, else a free port of the loopback address.
 *
 * connection_bytes: how much is allocated for a connection, which begins with a connection_t
 */
static inline void serve(int argc, char **argv, size_t connection_bytes, void (*on_connection)(uv_stream_t *)) {
  static connection_t listener;
  struct sockaddr_in address;
  int length = sizeof address, port = 0;
  serve_connection_bytes = connection_bytes;
  serve_on_connection = on_connection;
  if (argc > 1) {
    check(uv_pipe_init(uv_default_loop(), &listener.pipe, 0), "uv_pipe_init");
    check(uv_pipe_bind(&listener.pipe, argv[1]), "uv_pipe_bind");
  } else {
    check(uv_tcp_init(uv_default_loop(), &listener.tcp), "uv_tcp_init");
    check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    check(uv_tcp_bind(&listener.tcp, (struct sockaddr *) &address, 0), "uv_tcp_bind");
    check(uv_tcp_getsockname(&listener.tcp, (struct sockaddr *) &address, &length), "uv_tcp_getsockname");
    port = ntohs(address.sin_port);
  }
  check(uv_listen(&listener.stream, BACKLOG, on_incoming), "uv_listen");
  announce_and_run(port);
}

#endif
