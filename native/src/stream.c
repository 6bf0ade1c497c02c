/* TCP, unix sockets and pipes: reading into slabs, writing, ending. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_MOST_CHUNKS = 64,
  /* Of what waits, copied at a time: little to copy, and enough that the system call after it is the exception. */
  GYRE_PART_BYTES = 16 * 1024,
};

/* --- reading --- */

/*
 * The buffer that JavaScript gave to be read into. It is looked up for each read, and used before any JavaScript runs: in the meantime it may
 * have been taken back, moved to another thread, or made shorter.
 */
static bool gyre__direct_buffer(gyre_handle_t* handle, uv_buf_t* buf) {
  gyre_env_t* env = handle->env;
  uint32_t index = (uint32_t)handle->id & GYRE_ID_INDEX_MASK;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  napi_value array, buffer;
  bool found = napi_get_reference_value(env->napi, env->buffer_array, &array) == napi_ok &&
               napi_get_element(env->napi, array, index, &buffer) == napi_ok && gyre__bytes(env->napi, buffer, buf);
  napi_close_handle_scope(env->napi, scope);
  return found && buf->len > 0;
}

static void gyre__on_alloc(uv_handle_t* uv, size_t suggested, uv_buf_t* buf) {
  (void)suggested;
  gyre_handle_t* handle = gyre__of(uv);
  handle->into = handle->direct && !handle->env->ending && gyre__direct_buffer(handle, buf);
  if (handle->into) return;
  gyre__slab_reserve(handle->env, handle->big ? GYRE_BIG_READ : GYRE_SMALL_READ, buf);
}

static void gyre__on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buf) {
  gyre_handle_t* handle = gyre__of(stream);
  gyre_env_t* env = handle->env;
  if (nread > 0 && handle->into) {
    handle->direct = false;
    gyre__event(env, handle->id, GYRE_READ_INTO, (int32_t)nread, 0, 0);
  } else if (nread > 0) {
    handle->big = (size_t)nread == buf->len;
    uint32_t slot = env->slab_slot;
    uint32_t offset = gyre__slab_commit(env, (size_t)nread);
    gyre__event(env, handle->id, GYRE_READ, (int32_t)slot, (int32_t)offset, (int32_t)nread);
  } else if (nread == UV_EOF) {
    gyre__event(env, handle->id, GYRE_END, 0, 0, 0);
  } else if (nread < 0) {
    uv_read_stop(stream);
    gyre__event(env, handle->id, GYRE_ERROR, (int32_t)nread, 0, 0);
  }
}

static napi_value gyre_read_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  if (handle == NULL) return gyre__int(&args, UV_EBADF);
  int error = uv_read_start(gyre__stream(handle), gyre__on_alloc, gyre__on_read);
  return gyre__int(&args, error == UV_EALREADY ? 0 : error);
}

/* readInto(id, on): whether it was on: once the buffer has been read into, it is off, and the record of that may still be on its way. */
static napi_value gyre_read_into(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  bool on = gyre__arg_bool(&args, 1);
  napi_value result;
  napi_get_boolean(napi, handle != NULL && handle->direct, &result);
  if (handle != NULL && !args.failed) handle->direct = on;
  return result;
}

static napi_value gyre_read_stop(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  if (handle != NULL) uv_read_stop(gyre__stream(handle));
  return NULL;
}

/* --- writing --- */

/* Gives the kernel what it takes now: the number of bytes, or an error. */
static napi_value gyre_try_write(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  if (handle == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  int written = uv_try_write(gyre__stream(handle), &buf, 1);
  return gyre__int(&args, written == UV_EAGAIN ? 0 : written);
}

/* As tryWrite, with the first `length` bytes of the arena. */
static napi_value gyre_try_write_arena(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  int32_t length = gyre__arg_int(&args, 1);
  if (handle == NULL || args.failed || length < 0 || length > GYRE_ARENA_BYTES) return gyre__int(&args, UV_EBADF);
  uv_buf_t buf = uv_buf_init(args.env->arena, (unsigned int)length);
  int written = uv_try_write(gyre__stream(handle), &buf, 1);
  return gyre__int(&args, written == UV_EAGAIN ? 0 : written);
}

/* As many of an array's chunks as go into one system call. */
static napi_value gyre_try_write_all(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  uint32_t length = 0;
  if (handle == NULL || args.argc < 2 || napi_get_array_length(napi, args.argv[1], &length) != napi_ok || length == 0) {
    return gyre__int(&args, UV_EBADF);
  }
  napi_value chunks[GYRE_MOST_CHUNKS];
  uv_buf_t bufs[GYRE_MOST_CHUNKS];
  unsigned int count = length < GYRE_MOST_CHUNKS ? length : GYRE_MOST_CHUNKS;
  /* First all elements, which may be getters, then all memory, which they could take away. */
  for (unsigned int i = 0; i < count; i++) {
    if (napi_get_element(napi, args.argv[1], i, &chunks[i]) != napi_ok) return gyre__int(&args, UV_EINVAL);
  }
  for (unsigned int i = 0; i < count; i++) {
    if (!gyre__bytes(napi, chunks[i], &bufs[i])) return gyre__int(&args, UV_EINVAL);
  }
  if (handle->closing) return gyre__int(&args, UV_EBADF);
  int written = uv_try_write(gyre__stream(handle), bufs, count);
  return gyre__int(&args, written == UV_EAGAIN ? 0 : written);
}

/*
 * What the kernel refused waits in memory of JavaScript's, which can give it away while it waits (structuredClone, transfer()). So libuv
 * has a copy of the next part only; as that has left, the kernel takes what else it has room for, from where the data is then.
 */
static void gyre__on_write(uv_write_t* req, int status);

static int gyre__write_part(gyre_request_t* request, const uv_buf_t* data) {
  uv_buf_t part = request->room;
  if (request->size - request->offset < part.len) part.len = request->size - request->offset;
  if (part.len > 0) memcpy(part.base, data->base + request->offset, part.len);
  request->offset += part.len;
  return uv_write(gyre__req(request), gyre__stream(request->handle), &part, 1, gyre__on_write);
}

/* 0: all of it is sent, or an error; 1: libuv has another part. */
static int gyre__write_on(gyre_request_t* request) {
  napi_env napi = request->env->napi;
  napi_handle_scope scope;
  napi_value value;
  uv_buf_t data;
  int result = UV_EFAULT;
  if (napi_open_handle_scope(napi, &scope) != napi_ok) return UV_ENOMEM;
  if (napi_get_reference_value(napi, request->data, &value) == napi_ok && gyre__bytes(napi, value, &data) &&
      data.len >= request->size) {
    uv_buf_t rest = {.base = data.base + request->offset, .len = request->size - request->offset};
    result = uv_try_write(gyre__stream(request->handle), &rest, 1);
    if (result > 0) request->offset += (size_t)result;
    if (result >= 0 || result == UV_EAGAIN) {
      bool more = request->offset < request->size;
      result = more ? gyre__write_part(request, &data) : 0;
      if (result == 0 && more) result = 1;
    }
  }
  napi_close_handle_scope(napi, scope);
  return result;
}

static void gyre__on_write(uv_write_t* req, int status) {
  gyre_request_t* request = gyre__request_of(req);
  gyre_handle_t* handle = request->handle;
  if (status == 0 && request->offset < request->size && !handle->closing) status = gyre__write_on(request);
  if (status == 1) return;
  gyre__request_free(request);
  if (!handle->closing) gyre__event(handle->env, handle->id, GYRE_WRITTEN, status, 0, 0);
}

/*
 * Sends what the kernel refused, from `offset` on; GYRE_WRITTEN tells the end, with UV_EFAULT when the data was given away meanwhile. One
 * at a time: parts of two would mix.
 */
static napi_value gyre_write(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  int32_t offset = gyre__arg_int(&args, 2);
  if (handle == NULL || args.failed || offset < 0 || (size_t)offset > buf.len) return gyre__int(&args, UV_EBADF);
  size_t left = buf.len - (size_t)offset;
  size_t room = left < GYRE_PART_BYTES ? left : GYRE_PART_BYTES;
  gyre_request_t* request = gyre__request_new(args.env, handle, UV_WRITE, room);
  if (request == NULL) return gyre__int(&args, UV_ENOMEM);
  request->offset = (size_t)offset;
  request->size = buf.len;
  int error = 0;
  if (left > room && (gyre__fault() || napi_create_reference(napi, args.argv[1], 1, &request->data) != napi_ok)) {
    error = UV_ENOMEM;
  }
  if (error == 0) error = gyre__write_part(request, &buf);
  if (error != 0) gyre__request_free(request);
  return gyre__int(&args, error);
}

/* --- ending --- */

static void gyre__on_shutdown(uv_shutdown_t* req, int status) {
  (void)status; /* A peer that is gone shows by reading. */
  gyre__request_free(gyre__request_of(req));
}

static napi_value gyre_shutdown(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  if (handle == NULL) return gyre__int(&args, UV_EBADF);
  gyre_request_t* request = gyre__request_new(args.env, handle, UV_SHUTDOWN, 0);
  if (request == NULL) return gyre__int(&args, UV_ENOMEM);
  int error = uv_shutdown(gyre__req(request), gyre__stream(handle), gyre__on_shutdown);
  if (error != 0) gyre__request_free(request);
  return gyre__int(&args, error);
}

/* Ends it at once: TCP by RST. What is being shut down cannot be reset, the FIN must do. */
static napi_value gyre_reset(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  if (handle == NULL) return NULL;
  if (handle->type == UV_TCP && uv_tcp_close_reset((uv_tcp_t*)gyre__uv(handle), gyre__on_close) == 0) {
    handle->closing = true;
  } else {
    gyre__handle_close(handle);
  }
  return NULL;
}

/* --- facts and options --- */

static napi_value gyre__name(napi_env napi, napi_callback_info info,
                             int (*get)(int, struct sockaddr*, socklen_t*)) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_uv(&args, 0);
  napi_value nothing;
  napi_get_null(napi, &nothing);
  uv_os_fd_t fd;
  if (handle == NULL || uv_fileno(gyre__uv(handle), &fd) != 0) return nothing;
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  if (get(fd, (struct sockaddr*)&address, &length) != 0) return nothing;
  return gyre__format_address(&args, (struct sockaddr*)&address, length);
}

static napi_value gyre_sockname(napi_env napi, napi_callback_info info) {
  return gyre__name(napi, info, getsockname);
}

static napi_value gyre_peername(napi_env napi, napi_callback_info info) {
  return gyre__name(napi, info, getpeername);
}

static napi_value gyre_no_delay(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  bool on = gyre__arg_bool(&args, 1);
  if (handle == NULL || handle->type != UV_TCP) return gyre__int(&args, UV_EBADF);
  return gyre__int(&args, uv_tcp_nodelay((uv_tcp_t*)gyre__uv(handle), on));
}

static napi_value gyre_keep_alive(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_handle(&args, 0, GYRE_STREAM);
  bool on = gyre__arg_bool(&args, 1);
  int32_t delay = gyre__arg_int(&args, 2);
  uv_os_fd_t fd;
  if (handle == NULL || handle->type != UV_TCP || uv_fileno(gyre__uv(handle), &fd) != 0) {
    return gyre__int(&args, UV_EBADF);
  }
  if (delay > 0) return gyre__int(&args, uv_tcp_keepalive((uv_tcp_t*)gyre__uv(handle), on, (unsigned)delay));
  /* libuv refuses a delay of none, and newer ones set an interval of one second: the system's own are wanted. */
  int value = on;
  return gyre__int(&args, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)) == 0 ? 0 : -errno);
}

int gyre__stream_init(gyre_handle_t* handle) {
  uv_loop_t* loop = handle->env->loop;
  int error = handle->type == UV_TCP ? uv_tcp_init(loop, (uv_tcp_t*)gyre__uv(handle))
                                     : uv_pipe_init(loop, (uv_pipe_t*)gyre__uv(handle), 0);
  if (error == 0) uv_unref(gyre__uv(handle));
  return error;
}

int gyre__stream_new(gyre_env_t* env, uv_handle_type type, gyre_handle_t** result) {
  gyre_handle_t* handle = gyre__handle_new(env, GYRE_STREAM, type);
  if (handle == NULL) return UV_ENOMEM;
  int error = gyre__stream_init(handle);
  if (error != 0) gyre__handle_free(handle);
  else *result = handle;
  return error;
}

/* Of what libuv can read and write as a stream: UV_TCP, UV_NAMED_PIPE, or UV_UNKNOWN_HANDLE. */
static uv_handle_type gyre__stream_type(int fd) {
  int family = AF_UNSPEC, type = 0;
  socklen_t length = sizeof(int);
  struct stat facts;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0) {
    length = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) return UV_UNKNOWN_HANDLE;
    if (family == AF_INET || family == AF_INET6) return UV_TCP;
    return family == AF_UNIX ? UV_NAMED_PIPE : UV_UNKNOWN_HANDLE;
  }
  return fstat(fd, &facts) == 0 && S_ISFIFO(facts.st_mode) ? UV_NAMED_PIPE : UV_UNKNOWN_HANDLE;
}

int gyre__stream_open(gyre_env_t* env, int fd) {
  uv_handle_type type = gyre__stream_type(fd);
  if (type == UV_UNKNOWN_HANDLE) return UV_EINVAL;
  gyre_handle_t* handle;
  int error = gyre__stream_new(env, type, &handle);
  if (error != 0) return error;
  error = type == UV_TCP ? uv_tcp_open((uv_tcp_t*)gyre__uv(handle), fd) : uv_pipe_open((uv_pipe_t*)gyre__uv(handle), fd);
  if (error != 0) {
    gyre__handle_close(handle);
    return error;
  }
  if (type == UV_TCP) uv_tcp_nodelay((uv_tcp_t*)gyre__uv(handle), 1);
  return handle->id;
}

/* open(fd): takes a descriptor over, which is closed with the handle. */
static napi_value gyre_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  return gyre__int(&args, args.failed ? UV_EBADF : gyre__stream_open(args.env, fd));
}

/* openConnected(fd): the same, for the socket of a stream that is connected. */
static napi_value gyre_open_connected(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  struct sockaddr_storage peer;
  socklen_t length = sizeof(peer);
  if (args.failed || getpeername(fd, (struct sockaddr*)&peer, &length) != 0) return gyre__int(&args, UV_ENOTCONN);
  return gyre__int(&args, gyre__stream_open(args.env, fd));
}

const gyre_export_t gyre_stream_exports[] = {
    {"readStart", gyre_read_start},
    {"readStop", gyre_read_stop},
    {"readInto", gyre_read_into},
    {"tryWrite", gyre_try_write},
    {"tryWriteArena", gyre_try_write_arena},
    {"tryWriteAll", gyre_try_write_all},
    {"write", gyre_write},
    {"shutdown", gyre_shutdown},
    {"reset", gyre_reset},
    {"sockname", gyre_sockname},
    {"peername", gyre_peername},
    {"setNoDelay", gyre_no_delay},
    {"setKeepAlive", gyre_keep_alive},
    {"open", gyre_open},
    {"openConnected", gyre_open_connected},
    {NULL, NULL},
};
