/* Listening sockets: each accepted connection is a GYRE_ACCEPTED. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

/*
 * libuv listens no more until the connection that it announced is accepted. Where there is no memory for that, the connection is accepted
 * into a spare handle and reset. Until that is done, the next one waits.
 */
typedef struct {
  gyre_handle_t* spare;
  bool spare_in_use;
  bool waiting;
} gyre_listener_t;

/* --- the spare: made with its listener, known to nobody, used again and again --- */

static void gyre__refuse(gyre_handle_t* handle);

static void gyre__on_spare_closed(uv_handle_t* uv) {
  gyre_handle_t* spare = gyre__of(uv);
  gyre_handle_t* handle = spare->data;
  if (handle == NULL) {
    gyre__handle_free(spare);
    return;
  }
  gyre_listener_t* listener = handle->data;
  listener->spare_in_use = false;
  if (listener->waiting && !handle->closing) gyre__refuse(handle);
}

static void gyre__refuse(gyre_handle_t* handle) {
  gyre_listener_t* listener = handle->data;
  listener->waiting = listener->spare_in_use;
  if (listener->spare_in_use) return;
  uv_handle_t* spare = gyre__uv(listener->spare);
  if (gyre__stream_init(listener->spare) != 0) return;
  listener->spare_in_use = true;
  int error = uv_accept(gyre__stream(handle), (uv_stream_t*)spare);
  /* By RST: the client must not take it for an answer of nothing. */
  if (error == 0 && handle->type == UV_TCP) error = uv_tcp_close_reset((uv_tcp_t*)spare, gyre__on_spare_closed);
  if (error != 0 || handle->type != UV_TCP) uv_close(spare, gyre__on_spare_closed);
}

static void gyre__listener_gone(gyre_handle_t* handle) {
  gyre_listener_t* listener = handle->data;
  listener->spare->data = NULL;
  if (!listener->spare_in_use) gyre__handle_free(listener->spare);
  free(listener);
}

static gyre_handle_t* gyre__listener_new(gyre_env_t* env, uv_handle_type type) {
  gyre_handle_t* handle = gyre__handle_new(env, GYRE_LISTENER, type);
  gyre_handle_t* spare = handle == NULL ? NULL : gyre__handle_new(env, GYRE_STREAM, type);
  gyre_listener_t* listener = spare == NULL ? NULL : gyre__alloc(sizeof(*listener));
  if (listener == NULL) {
    if (spare != NULL) gyre__handle_free(spare);
    if (handle != NULL) gyre__handle_free(handle);
    return NULL;
  }
  /* So that nobody finds it, and nobody else closes it. */
  spare->closing = true;
  spare->data = handle;
  listener->spare = spare;
  handle->data = listener;
  handle->on_free = gyre__listener_gone;
  return handle;
}

/* --- accepting --- */

static void gyre__on_connection(uv_stream_t* uv, int status) {
  gyre_handle_t* handle = gyre__of(uv);
  gyre_handle_t* accepted = NULL;
  int error = status;
  if (error == 0) {
    error = gyre__stream_new(handle->env, (uv_handle_type)handle->type, &accepted);
    if (error != 0) gyre__refuse(handle);
  }
  if (accepted != NULL) {
    error = uv_accept(uv, gyre__stream(accepted));
    if (error != 0) gyre__handle_close(accepted);
    else if (accepted->type == UV_TCP) uv_tcp_nodelay((uv_tcp_t*)gyre__uv(accepted), 1);
  }
  gyre__event(handle->env, handle->id, GYRE_ACCEPTED, error == 0 ? accepted->id : error, 0, 0);
}

/* The handle's id; or an error, and then it is closed. */
static int gyre__listen(gyre_handle_t* handle, int error, int32_t backlog) {
  if (error == 0) error = uv_listen(gyre__stream(handle), backlog, gyre__on_connection);
  if (error == 0) return handle->id;
  gyre__handle_close(handle);
  return error;
}

/* tcpListen(host, port, scope, backlog, ipv6Only, reusePort): an id, or an error. */
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

  gyre_handle_t* handle = gyre__listener_new(args.env, UV_TCP);
  if (handle == NULL) return gyre__int(&args, UV_ENOMEM);
  uv_tcp_t* tcp = (uv_tcp_t*)gyre__uv(handle);
  error = uv_tcp_init_ex(args.env->loop, tcp, address.ss_family);
  if (error != 0) {
    gyre__handle_free(handle);
    return gyre__int(&args, error);
  }
  uv_unref(gyre__uv(handle));
  if (reuse_port) error = gyre__reuse_port(handle);
  unsigned int flags = address.ss_family == AF_INET6 && ipv6_only ? UV_TCP_IPV6ONLY : 0;
  if (error == 0) error = uv_tcp_bind(tcp, (struct sockaddr*)&address, flags);
  return gyre__int(&args, gyre__listen(handle, error, backlog));
}

/* Takes a socket over: an id, or an error. *fd is -1 when libuv has it, or had it and has closed it; else it is still the caller's. */
static int gyre__listen_on(gyre_env_t* env, int* fd, int32_t backlog) {
  int family = AF_UNSPEC;
  socklen_t length = sizeof(family);
  if (getsockopt(*fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return -errno;
  bool is_unix = family == AF_UNIX;
  if (!is_unix && family != AF_INET && family != AF_INET6) return UV_EAFNOSUPPORT;
  /* What cannot listen is found out before libuv has it, which would close it. */
  if (listen(*fd, backlog) != 0) return -errno;
  gyre_handle_t* handle = gyre__listener_new(env, is_unix ? UV_NAMED_PIPE : UV_TCP);
  if (handle == NULL) return UV_ENOMEM;
  int error = gyre__stream_init(handle);
  if (error != 0) {
    gyre__handle_free(handle);
    return error;
  }
  error = is_unix ? uv_pipe_open((uv_pipe_t*)gyre__uv(handle), *fd) : uv_tcp_open((uv_tcp_t*)gyre__uv(handle), *fd);
  if (error == 0) *fd = -1;
  return gyre__listen(handle, error, backlog);
}

/* unixListen(path, backlog): an id, or an error. The socket file is the caller's to remove. */
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
  int id = bind(fd, (struct sockaddr*)&address, length) == 0 ? gyre__listen_on(args.env, &fd, backlog) : -errno;
  if (fd >= 0) close(fd);
  return gyre__int(&args, id);
}

/* listenOn(fd, backlog): takes a bound or listening socket over. */
static napi_value gyre_listen_on(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  int32_t backlog = gyre__arg_int(&args, 1);
  return gyre__int(&args, args.failed ? UV_EBADF : gyre__listen_on(args.env, &fd, backlog));
}

const gyre_export_t gyre_listener_exports[] = {
    {"tcpListen", gyre_tcp_listen},
    {"unixListen", gyre_unix_listen},
    {"listenOn", gyre_listen_on},
    {NULL, NULL},
};
