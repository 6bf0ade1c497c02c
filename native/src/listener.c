/*
 * Listening sockets. Each accepted connection is a GYRE_ACCEPTED record.
 *
 * If accept4() fails, the listener leaves the poller until JavaScript calls acceptStart(). Otherwise the
 * kernel would report the waiting client (or a listener that another process has shut down) in every poll
 * phase.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

enum {
  /* Connections in one turn. */
  GYRE_MOST_ACCEPTS = 64,
  /* Clients that are reset in one turn: as many as most backlogs hold. */
  GYRE_MOST_TURNED_AWAY = 1024,
};

_Static_assert((int)GYRE_MOST_ACCEPTS <= (int)GYRE_TURN_EVENTS, "a turn has room for all that it accepts");

typedef struct {
  gyre_handle_t handle;
  int family;
} gyre_listener_t;

/* --- accepting --- */

/* Fills in the peer's address if it is IPv4. */
static int gyre__accept(int fd, struct sockaddr_in* peer) {
  int result;
  do {
    socklen_t length = sizeof(*peer);
    result = accept4(fd, (struct sockaddr*)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (result < 0 && (errno == EINTR || errno == ECONNABORTED));
  return result < 0 ? -errno : result;
}

/*
 * Closes a connection, a TCP connection by reset (RST): the client must not take the close for an empty
 * answer.
 */
static void gyre__turn_away(int fd) {
  gyre__reset_at_close(fd);
  close(fd);
}

/*
 * No descriptor is free. Resets the clients that wait: a clear failure is better for them than no answer. If
 * another thread takes the spare descriptor first, the remaining clients wait until a descriptor is free.
 */
static void gyre__turn_all_away(gyre_listener_t* listener) {
  gyre_env_t* env = listener->handle.env;
  struct sockaddr_in peer;
  for (int left = GYRE_MOST_TURNED_AWAY; left > 0 && gyre__spare_lend(env); left--) {
    int fd = gyre__accept(listener->handle.fd, &peer);
    if (fd >= 0) gyre__turn_away(fd);
    gyre__spare_regain(env);
    if (fd < 0) return;
  }
}

static void gyre__accept_failed(gyre_listener_t* listener, int error) {
  if (error == UV_EMFILE || error == UV_ENFILE) gyre__turn_all_away(listener);
  gyre__watch(&listener->handle, 0);
  gyre__event(listener->handle.env, listener->handle.id, GYRE_ACCEPTED, error, 0, 0);
}

/* Returns whether more connections may be waiting. */
static bool gyre__accept_one(gyre_listener_t* listener) {
  gyre_env_t* env = listener->handle.env;
  struct sockaddr_in peer = {.sin_port = 0};
  int fd = gyre__accept(listener->handle.fd, &peer);
  if (fd == UV_EAGAIN) return false;
  gyre_stream_t* stream = fd < 0 ? NULL : gyre__stream_new(env, fd, listener->family == AF_UNIX ? GYRE_UNIX : GYRE_TCP);
  if (stream == NULL) {
    if (fd >= 0) gyre__turn_away(fd);
    gyre__accept_failed(listener, fd < 0 ? fd : UV_ENOMEM);
    return false;
  }
  /* JavaScript formats the address only if the program asks for it. */
  bool is_ipv4 = listener->family == AF_INET;
  gyre__event(env, listener->handle.id, GYRE_ACCEPTED, stream->handle.id, is_ipv4 ? (int32_t)peer.sin_addr.s_addr : 0,
              is_ipv4 ? ntohs(peer.sin_port) : 0);
  return true;
}

static void gyre__on_listener(gyre_handle_t* handle, uint32_t events) {
  (void)events;
  /*
   * Set O_NONBLOCK before each turn: a child that shares the listener may have cleared it, and accept4() has
   * no flag like MSG_DONTWAIT.
   */
  (void)gyre__never_block(handle->fd);
  gyre__spare_regain(handle->env);
  for (int left = GYRE_MOST_ACCEPTS; left > 0; left--) {
    if (!gyre__accept_one((gyre_listener_t*)handle)) return;
  }
}

/* acceptStart(id): accepts again after an error or acceptStop(). Returns 0 or an error. */
static napi_value gyre_accept_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_LISTENER);
  return gyre__int(&args, handle == NULL ? UV_EBADF : gyre__watch(handle, EPOLLIN));
}

/* acceptStop(id): leaves new connections to the kernel. Records of earlier ones may still come. */
static napi_value gyre_accept_stop(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_LISTENER);
  return gyre__int(&args, handle == NULL ? UV_EBADF : gyre__watch(handle, 0));
}

/* --- listening --- */

static int gyre__listener_start(gyre_listener_t* listener, int32_t backlog) {
  if (listen(listener->handle.fd, backlog) != 0) return -errno;
  return gyre__watch(&listener->handle, EPOLLIN);
}

/*
 * Takes the descriptor over. Returns its id, or an error; then the caller still owns the descriptor. A
 * backlog of 0: the socket does not listen yet. Accepted connections inherit TCP_NODELAY from the listener on
 * Linux.
 */
static int gyre__listen(gyre_env_t* env, int fd, int family, int32_t backlog) {
  gyre_listener_t* listener = gyre__handle_new(env, GYRE_LISTENER, sizeof(*listener));
  if (listener == NULL) return UV_ENOMEM;
  listener->handle.fd = fd;
  listener->handle.on_ready = gyre__on_listener;
  listener->family = family;
  int error = backlog == 0 ? 0 : gyre__listener_start(listener, backlog);
  if (error == 0) {
    if (family != AF_UNIX) gyre__set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return listener->handle.id;
  }
  gyre__handle_free(&listener->handle);
  return error;
}

static int gyre__tcp_bind(int fd, const struct sockaddr_storage* address, bool ipv6_only, bool reuse_port) {
  bool is_ipv6 = address->ss_family == AF_INET6;
  int error = gyre__set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && reuse_port) error = gyre__set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && is_ipv6) error = gyre__set(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only);
  if (error == 0 && bind(fd, (const struct sockaddr*)address, gyre__address_length(address)) != 0) error = -errno;
  return error;
}

/* tcpListen(host, port, scope, backlog, ipv6Only, reusePort): an id or an error. */
static napi_value gyre_tcp_listen(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  char* host = gyre__arg_string(&args, 0);
  int32_t port = gyre__arg_int(&args, 1);
  uint32_t scope = gyre__arg_uint(&args, 2);
  int32_t backlog = gyre__arg_int(&args, 3);
  bool ipv6_only = gyre__arg_bool(&args, 4);
  bool reuse_port = gyre__arg_bool(&args, 5);
  struct sockaddr_storage address;
  int error = gyre__arg_error(&args);
  if (error == 0) error = host == NULL ? UV_EINVAL : gyre__parse_address(host, port, scope, &address);
  free(host);
  if (error != 0) return gyre__int(&args, error);
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int id = gyre__tcp_bind(fd, &address, ipv6_only, reuse_port);
  if (id == 0) id = gyre__listen(args.env, fd, address.ss_family, backlog);
  if (id < 0) close(fd);
  return gyre__int(&args, id);
}

/* unixListen(path, backlog): an id or an error. The caller removes the socket file. */
static napi_value gyre_unix_listen(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t backlog = gyre__arg_int(&args, 1);
  struct sockaddr_storage address;
  unsigned int length = 0;
  int error = gyre__arg_unix_address(&args, 0, &address, &length);
  if (error == 0 && args.failed) error = UV_EINVAL;
  if (error != 0) return gyre__int(&args, error);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int id = bind(fd, (struct sockaddr*)&address, length) == 0 ? gyre__listen(args.env, fd, AF_UNIX, backlog) : -errno;
  if (id < 0) close(fd);
  return gyre__int(&args, id);
}

/*
 * listenOn(fd, backlog): takes over a socket that is bound or listens. Returns an id, or an error; then the
 * caller still owns the descriptor.
 */
static napi_value gyre_listen_on(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  int32_t backlog = gyre__arg_int(&args, 1);
  int family = AF_UNSPEC;
  socklen_t length = sizeof(family);
  if (args.failed) return gyre__int(&args, UV_EBADF);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return gyre__int(&args, -errno);
  if (family != AF_UNIX && family != AF_INET && family != AF_INET6) return gyre__int(&args, UV_EAFNOSUPPORT);
  if (gyre__is_taken(args.env, fd)) return gyre__int(&args, UV_EEXIST);
  int error = gyre__never_block(fd);
  return gyre__int(&args, error == 0 ? gyre__listen(args.env, fd, family, backlog) : error);
}

/* listenerStart(id, backlog): begins to listen. Returns 0 or an error. */
static napi_value gyre_listener_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_listener_t* listener = (gyre_listener_t*)gyre__arg_handle(&args, 0, GYRE_LISTENER);
  int32_t backlog = gyre__arg_int(&args, 1);
  if (listener == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  return gyre__int(&args, gyre__listener_start(listener, backlog));
}

const gyre_export_t gyre_listener_exports[] = {
    {"tcpListen", gyre_tcp_listen},
    {"unixListen", gyre_unix_listen},
    {"listenOn", gyre_listen_on},
    {"listenerStart", gyre_listener_start},
    {"acceptStart", gyre_accept_start},
    {"acceptStop", gyre_accept_stop},
    {NULL, NULL},
};
