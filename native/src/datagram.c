/* UDP. Many datagrams are received by one system call into memory of ours, and moved together into the slab: each would take 64 KiB of it. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gyre.h"

enum {
  GYRE_DATAGRAM_BYTES = 64 * 1024,
  GYRE_DATAGRAMS = 20,
  /* In front of each datagram in the slab: where it came from. */
  GYRE_ADDRESS_BYTES = 32,
};

enum gyre_datagram_stage { GYRE_AT_BIND, GYRE_AT_CONNECT };

static void gyre__on_datagram_alloc(uv_handle_t* uv, size_t suggested, uv_buf_t* buf) {
  (void)suggested;
  gyre_env_t* env = gyre__of(uv)->env;
  size_t size = (size_t)GYRE_DATAGRAM_BYTES * GYRE_DATAGRAMS;
  if (env->datagram_memory == NULL) env->datagram_memory = gyre__alloc(size);
  *buf = uv_buf_init(env->datagram_memory, env->datagram_memory == NULL ? 0 : (unsigned int)size);
}

static void gyre__on_datagram(uv_udp_t* udp, ssize_t nread, const uv_buf_t* buf, const struct sockaddr* from,
                              unsigned int flags) {
  (void)flags;
  gyre_handle_t* handle = gyre__of(udp);
  gyre_env_t* env = handle->env;
  if (nread < 0) {
    gyre__event(env, handle->id, GYRE_ERROR, (int32_t)nread, 0, 0);
    return;
  }
  /* Nothing there, or the end of a batch. */
  if (from == NULL) return;
  uv_buf_t space;
  gyre__slab_reserve(env, GYRE_ADDRESS_BYTES + (size_t)nread, &space);
  if (space.base == NULL) return;
  memset(space.base, 0, GYRE_ADDRESS_BYTES);
  memcpy(space.base, from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
  memcpy(space.base + GYRE_ADDRESS_BYTES, buf->base, (size_t)nread);
  uint32_t slot = env->slab_slot;
  uint32_t offset = gyre__slab_commit(env, GYRE_ADDRESS_BYTES + (size_t)nread);
  gyre__event(env, handle->id, GYRE_MESSAGE, (int32_t)slot, (int32_t)offset, (int32_t)nread);
}

/* packAddress(host, port, scope): the bytes of a socket address, or an error. */
static napi_value gyre_pack_address(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  char* host = gyre__arg_string(&args, 0);
  int32_t port = gyre__arg_int(&args, 1);
  uint32_t scope = gyre__arg_uint(&args, 2);
  struct sockaddr_storage address;
  int error = gyre__arg_error(&args);
  if (error == 0) error = host == NULL ? UV_EINVAL : gyre__parse_address(host, port, scope, &address);
  free(host);
  if (error != 0) return gyre__int(&args, error);
  napi_value buffer, bytes = NULL;
  void* memory = NULL;
  if (napi_create_arraybuffer(napi, GYRE_ADDRESS_BYTES, &memory, &buffer) != napi_ok) {
    return gyre__int(&args, UV_ENOMEM);
  }
  memcpy(memory, &address, sizeof(struct sockaddr_in6));
  napi_create_typedarray(napi, napi_uint8_array, GYRE_ADDRESS_BYTES, buffer, 0, &bytes);
  return bytes;
}

/* The address in `memory`; NULL for null. What JavaScript has may begin anywhere, and change; of other families it is too short. */
static const struct sockaddr* gyre__arg_address(gyre_args_t* args, size_t index, struct sockaddr_storage* memory) {
  napi_valuetype type = napi_undefined;
  if (index < args->argc) napi_typeof(args->env->napi, args->argv[index], &type);
  if (type == napi_null) return NULL;
  uv_buf_t bytes = gyre__arg_bytes(args, index);
  if (bytes.len < GYRE_ADDRESS_BYTES) args->failed = true;
  if (args->failed) return NULL;
  memcpy(memory, bytes.base, GYRE_ADDRESS_BYTES);
  if (memory->ss_family != AF_INET && memory->ss_family != AF_INET6) {
    args->failed = true;
    return NULL;
  }
  return (const struct sockaddr*)memory;
}

/* unpackAddress(bytes): [host, port] or [host, port, flowinfo, scope]; null for any other address. */
static napi_value gyre_unpack_address(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  struct sockaddr_storage memory;
  const struct sockaddr* address = gyre__arg_address(&args, 0, &memory);
  napi_value nothing;
  napi_get_null(napi, &nothing);
  return address == NULL ? nothing : gyre__format_address(&args, address, GYRE_ADDRESS_BYTES);
}

/* A socket of libuv's that has no descriptor yet, unless its family is known: 0, or an error and nothing is left. */
static int gyre__datagram_new(gyre_env_t* env, unsigned int family, gyre_handle_t** result) {
  gyre_handle_t* handle = gyre__handle_new(env, GYRE_DATAGRAM, UV_UDP);
  if (handle == NULL) return UV_ENOMEM;
  int error = uv_udp_init_ex(env->loop, (uv_udp_t*)gyre__uv(handle), family | UV_UDP_RECVMMSG);
  if (error != 0) {
    gyre__handle_free(handle);
    return error;
  }
  uv_unref(gyre__uv(handle));
  *result = handle;
  return 0;
}

/* datagram(family, local | null, remote | null, reusePort, broadcast): an id, or an error, of which failedAt() tells the place. */
static napi_value gyre_datagram(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t family = gyre__arg_int(&args, 0);
  struct sockaddr_storage local_memory, remote_memory;
  const struct sockaddr* local = gyre__arg_address(&args, 1, &local_memory);
  const struct sockaddr* remote = gyre__arg_address(&args, 2, &remote_memory);
  bool reuse_port = gyre__arg_bool(&args, 3);
  bool broadcast = gyre__arg_bool(&args, 4);
  args.env->failed_at = GYRE_AT_BIND;
  if (args.failed || (family != AF_INET && family != AF_INET6)) return gyre__int(&args, UV_EINVAL);
  gyre_handle_t* handle;
  int error = gyre__datagram_new(args.env, (unsigned int)family, &handle);
  if (error != 0) return gyre__int(&args, error);
  uv_udp_t* udp = (uv_udp_t*)gyre__uv(handle);
  if (reuse_port) error = gyre__reuse_port(handle);
  if (error == 0 && local != NULL) error = uv_udp_bind(udp, local, 0);
  if (error == 0) args.env->failed_at = GYRE_AT_CONNECT;
  if (error == 0 && remote != NULL) error = uv_udp_connect(udp, remote);
  if (error == 0 && broadcast) error = uv_udp_set_broadcast(udp, 1);
  if (error != 0) gyre__handle_close(handle);
  return gyre__int(&args, error == 0 ? handle->id : error);
}

static bool gyre__is_datagram_socket(int fd) {
  int family = AF_UNSPEC, type = 0;
  socklen_t length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return false;
  length = sizeof(int);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM &&
         (family == AF_INET || family == AF_INET6);
}

/* datagramOpen(fd): takes a descriptor over, which is closed with the handle: an id, or an error, and then it is still the caller's. */
static napi_value gyre_datagram_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  if (args.failed || !gyre__is_datagram_socket(fd)) return gyre__int(&args, UV_EINVAL);
  gyre_handle_t* handle;
  int error = gyre__datagram_new(args.env, AF_UNSPEC, &handle);
  if (error != 0) return gyre__int(&args, error);
  error = uv_udp_open((uv_udp_t*)gyre__uv(handle), fd);
  if (error != 0) gyre__handle_close(handle);
  return gyre__int(&args, error == 0 ? handle->id : error);
}

static napi_value gyre_receive_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_DATAGRAM);
  if (handle == NULL) return gyre__int(&args, UV_EBADF);
  int error = uv_udp_recv_start((uv_udp_t*)gyre__uv(handle), gyre__on_datagram_alloc, gyre__on_datagram);
  return gyre__int(&args, error == UV_EALREADY ? 0 : error);
}

static napi_value gyre_receive_stop(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_DATAGRAM);
  if (handle != NULL) uv_udp_recv_stop((uv_udp_t*)gyre__uv(handle));
  return NULL;
}

/* trySend(id, data, address | null): the number of bytes, or an error. */
static napi_value gyre_try_send(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_DATAGRAM);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  struct sockaddr_storage memory;
  const struct sockaddr* address = gyre__arg_address(&args, 2, &memory);
  if (handle == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  return gyre__int(&args, uv_udp_try_send((uv_udp_t*)gyre__uv(handle), &buf, 1, address));
}

static void gyre__on_send(uv_udp_send_t* req, int status) {
  gyre_request_t* request = gyre__request_of(req);
  gyre_handle_t* handle = request->handle;
  gyre__request_free(request);
  if (!handle->closing) gyre__event(handle->env, handle->id, GYRE_SENT, status < 0 ? status : 0, 0, 0);
}

/* send(id, data, address | null): 0 and later GYRE_SENT, or an error. */
static napi_value gyre_send(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_DATAGRAM);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  struct sockaddr_storage memory;
  const struct sockaddr* address = gyre__arg_address(&args, 2, &memory);
  if (handle == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  /* More goes into no datagram. */
  if (buf.len > GYRE_DATAGRAM_BYTES) return gyre__int(&args, UV_EMSGSIZE);
  gyre_request_t* request = gyre__request_new(args.env, handle, UV_UDP_SEND, buf.len);
  if (request == NULL) return gyre__int(&args, UV_ENOMEM);
  if (buf.len > 0) memcpy(request->room.base, buf.base, buf.len);
  int error = uv_udp_send(gyre__req(request), (uv_udp_t*)gyre__uv(handle), &request->room, 1, address, gyre__on_send);
  if (error != 0) gyre__request_free(request);
  return gyre__int(&args, error);
}

const gyre_export_t gyre_datagram_exports[] = {
    {"packAddress", gyre_pack_address},
    {"unpackAddress", gyre_unpack_address},
    {"datagram", gyre_datagram},
    {"datagramOpen", gyre_datagram_open},
    {"receiveStart", gyre_receive_start},
    {"receiveStop", gyre_receive_stop},
    {"trySend", gyre_try_send},
    {"send", gyre_send},
    {NULL, NULL},
};
