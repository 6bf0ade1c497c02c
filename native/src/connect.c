/* Connecting TCP and unix sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

static void gyre__on_connect(gyre_handle_t* handle, uint32_t events) {
  (void)events;
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(handle->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error == EINPROGRESS) return;
  handle->on_ready = gyre__on_stream;
  /* Wait for data at once: the caller is about to call readStart(). */
  gyre__watch(handle, error == 0 ? EPOLLIN : 0);
  gyre__event(handle->env, handle->id, GYRE_CONNECTED, -error, 0, 0);
}

static int gyre__connect(int fd, const struct sockaddr* address, socklen_t length) {
  int result;
  do {
    result = connect(fd, address, length);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : -errno;
}

/* Takes the descriptor over. Returns its id, or an error; then the caller still owns the descriptor. */
static int gyre__tcp_connect(gyre_env_t* env, int fd, const struct sockaddr_storage* address,
                             const struct sockaddr_storage* local) {
  int error = 0;
  if (local != NULL) {
    error = gyre__set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && bind(fd, (const struct sockaddr*)local, gyre__address_length(local)) != 0) error = -errno;
  }
  if (error == 0) error = gyre__set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (error == 0) error = gyre__connect(fd, (const struct sockaddr*)address, gyre__address_length(address));
  if (error != 0 && error != -EINPROGRESS) return error;
  gyre_stream_t* stream = gyre__stream_new(env, fd, GYRE_TCP);
  if (stream == NULL) return UV_ENOMEM;
  stream->handle.on_ready = gyre__on_connect;
  error = gyre__watch(&stream->handle, EPOLLOUT);
  if (error == 0) return stream->handle.id;
  gyre__handle_free(&stream->handle);
  return error;
}

/*
 * tcpConnect(host, port, scope, localHost | null, localPort): an id or an error. GYRE_CONNECTED reports the
 * result of the connect.
 */
static napi_value gyre_tcp_connect(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  char* host = gyre__arg_string(&args, 0);
  int32_t port = gyre__arg_int(&args, 1);
  uint32_t scope = gyre__arg_uint(&args, 2);
  char* local = gyre__arg_string(&args, 3);
  int32_t local_port = gyre__arg_int(&args, 4);
  struct sockaddr_storage address, from;
  int error = gyre__arg_error(&args);
  if (error == 0) error = host == NULL ? UV_EINVAL : gyre__parse_address(host, port, scope, &address);
  bool has_local = local != NULL;
  if (error == 0 && has_local) error = gyre__parse_address(local, local_port, 0, &from);
  free(host);
  free(local);
  if (error != 0) return gyre__int(&args, error);
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int id = gyre__tcp_connect(args.env, fd, &address, has_local ? &from : NULL);
  if (id < 0) close(fd);
  return gyre__int(&args, id);
}

/* unixConnect(path): an id or an error. A unix socket connects at once or not at all. */
static napi_value gyre_unix_connect(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  struct sockaddr_storage address;
  unsigned int length = 0;
  int error = gyre__arg_unix_address(&args, 0, &address, &length);
  if (error != 0) return gyre__int(&args, error);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int id = gyre__connect(fd, (struct sockaddr*)&address, length);
  if (id == 0) {
    gyre_stream_t* stream = gyre__stream_new(args.env, fd, GYRE_UNIX);
    id = stream == NULL ? UV_ENOMEM : stream->handle.id;
  }
  if (id < 0) close(fd);
  return gyre__int(&args, id);
}

const gyre_export_t gyre_connect_exports[] = {
    {"tcpConnect", gyre_tcp_connect},
    {"unixConnect", gyre_unix_connect},
    {NULL, NULL},
};
