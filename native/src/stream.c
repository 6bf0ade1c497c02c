/* TCP connections, unix sockets and pipes: reading into slabs, writing, closing. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_MOST_CHUNKS = 64,
  /* Seconds and a count: the values that Node uses. */
  GYRE_PROBE_INTERVAL = 1,
  GYRE_MOST_PROBES = 10,
};

_Static_assert(GYRE_MOST_READS + 1 <= GYRE_TURN_EVENTS, "a turn has room for all that is read, and for the end of a write");
_Static_assert(GYRE_MOST_READS * GYRE_BIG_READ / GYRE_SLAB_BYTES < GYRE_TURN_SLABS, "a turn has slabs for all that is read");

static gyre_stream_t* gyre__arg_stream(gyre_args_t* args, size_t index) {
  return (gyre_stream_t*)gyre__arg_handle(args, index, GYRE_STREAM);
}

/* Has the poller watch the stream for the events that it needs now. */
static int gyre__stream_watch(gyre_stream_t* stream) {
  return gyre__watch(&stream->handle, (stream->reading ? EPOLLIN : 0u) | (stream->data != NULL ? EPOLLOUT : 0u));
}

/* --- reading --- */

/*
 * Returns the buffer that JavaScript gave to read into. Look it up for each read, and use it before any
 * JavaScript runs: JavaScript can take the buffer back, transfer its memory to another thread, or shrink it.
 */
static bool gyre__direct_buffer(gyre_stream_t* stream, uv_buf_t* buf) {
  gyre_env_t* env = stream->handle.env;
  uint32_t index = (uint32_t)stream->handle.id & GYRE_ID_INDEX_MASK;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env->napi, &scope) != napi_ok) return false;
  napi_value array, buffer;
  bool found = napi_get_reference_value(env->napi, env->buffer_array, &array) == napi_ok &&
               napi_get_element(env->napi, array, index, &buffer) == napi_ok && gyre__bytes(env->napi, buffer, buf);
  napi_close_handle_scope(env->napi, scope);
  return found && buf->len > 0;
}

static ssize_t gyre__receive(gyre_stream_t* stream, const uv_buf_t* buf) {
  ssize_t count;
  do {
    count = stream->type == GYRE_FILE ? gyre__file_read(stream, buf)
                                      : recv(stream->handle.fd, buf->base, buf->len, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return count;
}

/* Reports the end or an error. No data follows. */
static void gyre__read_ended(gyre_stream_t* stream, enum gyre_event_kind kind, int error) {
  stream->reading = false;
  gyre__event(stream->handle.env, stream->handle.id, kind, error, 0, 0);
}

/* Returns whether more data may be waiting. */
static bool gyre__read_once(gyre_stream_t* stream) {
  gyre_env_t* env = stream->handle.env;
  uv_buf_t buf;
  bool decrypts = stream->tls >= 0 && gyre__tls_receive_into(stream, &buf);
  bool into = !decrypts && stream->direct && gyre__direct_buffer(stream, &buf);
  if (!decrypts && !into) gyre__slab_reserve(env, stream->big ? GYRE_BIG_READ : GYRE_SMALL_READ, &buf);
  if (buf.base == NULL) {
    gyre__read_ended(stream, GYRE_ERROR, UV_ENOBUFS);
    return false;
  }
  ssize_t count = gyre__receive(stream, &buf);
  if (count == 0) {
    gyre__read_ended(stream, GYRE_END, 0);
  } else if (count < 0) {
    if (errno != EAGAIN) gyre__read_ended(stream, GYRE_ERROR, -errno);
  } else if (decrypts) {
    int error = gyre__tls_received(stream, (size_t)count);
    if (error != 0) gyre__read_ended(stream, GYRE_ERROR, error);
    return error == 0 && (size_t)count == buf.len;
  } else if (into) {
    /* Stop after one read: JavaScript is about to give another buffer. */
    stream->direct = false;
    gyre__event(env, stream->handle.id, GYRE_READ_INTO, (int32_t)count, 0, 0);
  } else {
    stream->big = (size_t)count == buf.len;
    gyre_place_t place = gyre__slab_commit(env, (size_t)count);
    gyre__event(env, stream->handle.id, GYRE_READ, place.slot, place.offset, (int32_t)count);
    return stream->big;
  }
  return false;
}

static void gyre__read(gyre_stream_t* stream) {
  for (int left = stream->handle.env->reads_a_turn; left > 0; left--) {
    if (!gyre__read_once(stream)) return;
  }
}

static napi_value gyre_read_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  if (stream == NULL) return gyre__int(&args, UV_EBADF);
  stream->reading = true;
  int error = gyre__stream_watch(stream);
  if (error != 0) stream->reading = false;
  return gyre__int(&args, error);
}

/*
 * readInto(id, on): switches reading into JavaScript's buffer on or off. Returns whether it was on. It is off
 * after one read into the buffer, even while the GYRE_READ_INTO record is still queued.
 */
static napi_value gyre_read_into(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  bool on = gyre__arg_bool(&args, 1);
  napi_value result;
  napi_get_boolean(napi, stream != NULL && stream->direct, &result);
  if (stream != NULL && !args.failed) stream->direct = on;
  return result;
}

static napi_value gyre_read_stop(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  if (stream != NULL) stream->reading = false;
  return NULL;
}

/* --- writing --- */

/* Returns how many bytes the kernel took, or an error. */
static int64_t gyre__send(gyre_stream_t* stream, struct iovec* parts, int count) {
  ssize_t sent;
  do {
    if (stream->type == GYRE_FILE) {
      sent = gyre__file_write(stream, parts, count);
    } else if (count == 1) {
      sent = send(stream->handle.fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
      sent = sendmsg(stream->handle.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
}

static napi_value gyre__try(gyre_args_t* args, gyre_stream_t* stream, struct iovec* parts, int count) {
  if (stream == NULL || args->failed) return gyre__int(args, UV_EBADF);
  /* The parts of two writes would mix. */
  if (stream->data != NULL) return gyre__int(args, UV_EBUSY);
  return gyre__int(args, gyre__send(stream, parts, count));
}

/* tryWrite(id, data): sends as much as the kernel takes now. Returns the number of bytes, or an error. */
static napi_value gyre_try_write(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  struct iovec part = {.iov_base = buf.base, .iov_len = buf.len};
  return gyre__try(&args, stream, &part, 1);
}

/* tryWriteArena(id, length): the same for the first `length` bytes of the arena. */
static napi_value gyre_try_write_arena(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  int32_t length = gyre__arg_int(&args, 1);
  if (length < 0 || length > GYRE_ARENA_BYTES) args.failed = true;
  struct iovec part = {.iov_base = args.env->arena, .iov_len = (size_t)length};
  return gyre__try(&args, stream, &part, 1);
}

/*
 * tryWriteAll(id, chunks, first, count, offset): the same for `count` chunks of an array, in one system call.
 * Skips the first `offset` bytes of the first chunk.
 */
static napi_value gyre_try_write_all(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  uint32_t first = gyre__arg_uint(&args, 2);
  uint32_t count = gyre__arg_uint(&args, 3);
  size_t offset = gyre__arg_size(&args, 4);
  uint32_t length = 0;
  if (args.failed || count == 0 || count > GYRE_MOST_CHUNKS ||
      napi_get_array_length(napi, args.argv[1], &length) != napi_ok || first > length || count > length - first) {
    return gyre__int(&args, UV_EINVAL);
  }
  napi_value chunks[GYRE_MOST_CHUNKS];
  struct iovec parts[GYRE_MOST_CHUNKS];
  /*
   * Read all elements first, because an element may be a getter. Then look up their memory and the handle: a
   * getter could detach the memory, or close the handle.
   */
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(napi, args.argv[1], first + i, &chunks[i]) != napi_ok) return gyre__int(&args, UV_EINVAL);
  }
  for (uint32_t i = 0; i < count; i++) {
    uv_buf_t buf;
    if (!gyre__bytes(napi, chunks[i], &buf)) return gyre__int(&args, UV_EINVAL);
    parts[i] = (struct iovec){.iov_base = buf.base, .iov_len = buf.len};
  }
  if (offset > parts[0].iov_len) return gyre__int(&args, UV_EINVAL);
  if (offset > 0) parts[0] = (struct iovec){.iov_base = (char*)parts[0].iov_base + offset, .iov_len = parts[0].iov_len - offset};
  return gyre__try(&args, gyre__arg_stream(&args, 0), parts, (int)count);
}

static void gyre__forget_data(gyre_handle_t* handle) {
  gyre_stream_t* stream = (gyre_stream_t*)handle;
  if (stream->data != NULL) napi_delete_reference(handle->env->napi, stream->data);
  stream->data = NULL;
}

/*
 * Sends more of the pending chunk, from where its memory is now. Returns 1 if bytes are left, 0 if none are,
 * or an error.
 */
static int64_t gyre__send_on(gyre_stream_t* stream) {
  napi_env napi = stream->handle.env->napi;
  napi_handle_scope scope;
  napi_value value;
  uv_buf_t buf;
  int64_t result = UV_EFAULT;
  if (napi_open_handle_scope(napi, &scope) != napi_ok) return UV_ENOMEM;
  if (napi_get_reference_value(napi, stream->data, &value) == napi_ok && gyre__bytes(napi, value, &buf) &&
      buf.len >= stream->size) {
    struct iovec rest = {.iov_base = buf.base + stream->offset, .iov_len = stream->size - stream->offset};
    result = gyre__send(stream, &rest, 1);
    if (result >= 0) {
      stream->offset += (size_t)result;
      result = stream->offset < stream->size;
    }
  }
  napi_close_handle_scope(napi, scope);
  return result;
}

static void gyre__write_on(gyre_stream_t* stream) {
  int64_t result = gyre__send_on(stream);
  if (result > 0) return;
  gyre__forget_data(&stream->handle);
  gyre__event(stream->handle.env, stream->handle.id, GYRE_WRITTEN, (int32_t)result, 0, 0);
}

/*
 * write(id, data, offset): sends a chunk from `offset` on, as soon as the kernel takes it. GYRE_WRITTEN
 * reports the end; UV_EFAULT: the chunk's memory was transferred meanwhile. UV_EBUSY: another chunk is
 * pending.
 */
static napi_value gyre_write(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  size_t offset = gyre__arg_size(&args, 2);
  if (stream == NULL || args.failed || offset > buf.len) return gyre__int(&args, UV_EBADF);
  if (stream->data != NULL) return gyre__int(&args, UV_EBUSY);
  if (gyre__fault() || napi_create_reference(napi, args.argv[1], 1, &stream->data) != napi_ok) {
    stream->data = NULL;
    return gyre__int(&args, UV_ENOMEM);
  }
  stream->offset = offset;
  stream->size = buf.len;
  int error = gyre__stream_watch(stream);
  if (error != 0) gyre__forget_data(&stream->handle);
  return gyre__int(&args, error);
}

/* --- readiness --- */

void gyre__on_stream(gyre_handle_t* handle, uint32_t events) {
  gyre_stream_t* stream = (gyre_stream_t*)handle;
  /* An error or a hang-up wakes both directions. The next system call returns the reason. */
  if (stream->reading && (events & ~(uint32_t)EPOLLOUT)) gyre__read(stream);
  if (stream->data != NULL && (events & ~(uint32_t)EPOLLIN)) gyre__write_on(stream);
  gyre__stream_watch(stream);
}

/* --- ending --- */

static napi_value gyre_shutdown(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  if (stream == NULL) return gyre__int(&args, UV_EBADF);
  /*
   * A pipe has one direction, and its close is its end. If shutdown() fails because the peer has gone,
   * reading reports that.
   */
  if (stream->type != GYRE_FILE) (void)shutdown(stream->handle.fd, SHUT_WR);
  return gyre__int(&args, 0);
}

/* reset(id): closes the stream at once; a TCP connection by reset (RST). */
static napi_value gyre_reset(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  if (stream == NULL) return NULL;
  if (stream->type == GYRE_TCP) gyre__reset_at_close(stream->handle.fd);
  gyre__handle_close(&stream->handle);
  return NULL;
}

/* --- addresses and options --- */

static napi_value gyre__name(napi_env napi, napi_callback_info info,
                             int (*get)(int, struct sockaddr*, socklen_t*)) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_handle_t* handle = gyre__arg_open(&args, 0);
  napi_value nothing;
  napi_get_null(napi, &nothing);
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  if (handle == NULL || get(handle->fd, (struct sockaddr*)&address, &length) != 0) return nothing;
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
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  bool on = gyre__arg_bool(&args, 1);
  if (stream == NULL || stream->type != GYRE_TCP) return gyre__int(&args, UV_EBADF);
  return gyre__int(&args, gyre__set(stream->handle.fd, IPPROTO_TCP, TCP_NODELAY, on));
}

/* setKeepAlive(id, on, delay): if the delay is 0, the system's own times apply. */
static napi_value gyre_keep_alive(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_stream_t* stream = gyre__arg_stream(&args, 0);
  bool on = gyre__arg_bool(&args, 1);
  int32_t delay = gyre__arg_int(&args, 2);
  if (stream == NULL || stream->type != GYRE_TCP) return gyre__int(&args, UV_EBADF);
  int fd = stream->handle.fd;
  int error = gyre__set(fd, SOL_SOCKET, SO_KEEPALIVE, on);
  if (error == 0 && on && delay > 0) {
    error = gyre__set(fd, IPPROTO_TCP, TCP_KEEPIDLE, delay);
    if (error == 0) error = gyre__set(fd, IPPROTO_TCP, TCP_KEEPINTVL, GYRE_PROBE_INTERVAL);
    if (error == 0) error = gyre__set(fd, IPPROTO_TCP, TCP_KEEPCNT, GYRE_MOST_PROBES);
  }
  return gyre__int(&args, error);
}

/* --- opening --- */

gyre_stream_t* gyre__stream_new(gyre_env_t* env, int fd, enum gyre_stream_type type) {
  gyre_stream_t* stream = gyre__handle_new(env, GYRE_STREAM, sizeof(*stream));
  if (stream == NULL) return NULL;
  stream->handle.fd = fd;
  stream->handle.on_ready = gyre__on_stream;
  stream->handle.on_close = gyre__forget_data;
  stream->type = (uint8_t)type;
  stream->tls = -1;
  return stream;
}

/* Returns 0, or UV_EINVAL if the descriptor cannot carry a byte stream. */
static int gyre__stream_type(int fd, enum gyre_stream_type* type) {
  int family = AF_UNSPEC, kind = 0;
  socklen_t length = sizeof(int);
  struct stat facts;
  *type = GYRE_FILE;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) {
    return fstat(fd, &facts) == 0 && S_ISFIFO(facts.st_mode) ? 0 : UV_EINVAL;
  }
  length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &length) != 0 || kind != SOCK_STREAM) return UV_EINVAL;
  *type = family == AF_UNIX ? GYRE_UNIX : GYRE_TCP;
  return family == AF_UNIX || family == AF_INET || family == AF_INET6 ? 0 : UV_EINVAL;
}

int gyre__stream_open(gyre_env_t* env, int fd) {
  enum gyre_stream_type type;
  int error = gyre__stream_type(fd, &type);
  if (error != 0) return error;
  if (gyre__is_taken(env, fd)) return UV_EEXIST;
  error = gyre__never_block(fd);
  if (error != 0) return error;
  gyre_stream_t* stream = gyre__stream_new(env, fd, type);
  if (stream == NULL) return UV_ENOMEM;
  /* Among files, only a child's pipe is opened here. */
  stream->growable = type == GYRE_FILE;
  if (type == GYRE_TCP) gyre__set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return stream->handle.id;
}

/*
 * open(fd): takes a descriptor over. Returns an id, or an error; then the caller still owns the descriptor.
 */
static napi_value gyre_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  return gyre__int(&args, args.failed ? UV_EBADF : gyre__stream_open(args.env, fd));
}

/* openConnected(fd): the same, only for a connected stream socket. */
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
