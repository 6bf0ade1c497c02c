/* Connecting: TCP and unix sockets. The handle is there at once; GYRE_CONNECTED tells how it went. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

static void gyre__on_connect(uv_connect_t* req, int status) {
  gyre_request_t* request = gyre__request_of(req);
  gyre_handle_t* handle = request->handle;
  gyre__request_free(request);
  if (!handle->closing) gyre__event(handle->env, handle->id, GYRE_CONNECTED, status, 0, 0);
}

/* tcpConnect(host, port, scope, localHost | null, localPort): an id, or an error. */
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

  gyre_handle_t* handle;
  error = gyre__stream_new(args.env, UV_TCP, &handle);
  if (error != 0) return gyre__int(&args, error);
  uv_tcp_t* tcp = (uv_tcp_t*)gyre__uv(handle);
  if (has_local) error = uv_tcp_bind(tcp, (struct sockaddr*)&from, 0);
  gyre_request_t* request = error == 0 ? gyre__request_new(args.env, handle, UV_CONNECT, 0) : NULL;
  if (error == 0 && request == NULL) error = UV_ENOMEM;
  if (error == 0) error = uv_tcp_connect(gyre__req(request), tcp, (struct sockaddr*)&address, gyre__on_connect);
  if (error != 0) {
    gyre__request_free(request);
    gyre__handle_close(handle);
    return gyre__int(&args, error);
  }
  uv_tcp_nodelay(tcp, 1);
  return gyre__int(&args, handle->id);
}

/*
 * unixConnect(path): an id, or an error: a unix socket is connected at once, or not at all. By hand, because libuv takes no name of the
 * abstract namespace.
 */
static napi_value gyre_unix_connect(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  struct sockaddr_storage address;
  unsigned int length = 0;
  int error = gyre__arg_unix_address(&args, 0, &address, &length);
  if (error != 0) return gyre__int(&args, error);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int result;
  do {
    result = connect(fd, (struct sockaddr*)&address, length);
  } while (result != 0 && errno == EINTR);
  int id = result == 0 ? gyre__stream_open(args.env, fd) : -errno;
  if (id < 0) close(fd);
  return gyre__int(&args, id);
}

const gyre_export_t gyre_connect_exports[] = {
    {"tcpConnect", gyre_tcp_connect},
    {"unixConnect", gyre_unix_connect},
    {NULL, NULL},
};
