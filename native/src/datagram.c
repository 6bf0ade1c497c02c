/*
 * UDP. One system call receives many datagrams into memory of the addon. Then they are moved to a slab, one
 * after the other: received there directly, each would take 64 KiB of it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

enum {
  GYRE_DATAGRAM_BYTES = 64 * 1024,
  GYRE_DATAGRAMS = 20,
  /* Batches in one turn. */
  GYRE_MOST_BATCHES = 16,
  /* Datagrams in one sendmmsg(). */
  GYRE_MOST_SENDS = 64,
};

/* How many of the largest datagrams fit into a slab. */
enum { GYRE_DATAGRAMS_A_SLAB = GYRE_SLAB_BYTES / (GYRE_ADDRESS_BYTES + GYRE_DATAGRAM_BYTES) };

_Static_assert(GYRE_MOST_BATCHES * GYRE_DATAGRAMS + 2 <= GYRE_TURN_EVENTS,
               "a turn has room for all that is received, an error, and the end of a send");
_Static_assert(GYRE_DATAGRAMS / GYRE_DATAGRAMS_A_SLAB < GYRE_TURN_SLABS, "a turn has slabs for a batch of the largest");

enum gyre_datagram_stage { GYRE_AT_BIND, GYRE_AT_CONNECT };

typedef struct {
  gyre_handle_t handle;
  bool receiving;
  /* A copy of the datagram that the kernel had no room for. NULL: none is pending. */
  char* data;
  size_t size;
  bool has_address;
  struct sockaddr_storage address;
} gyre_datagram_t;

/* The head of each datagram in the outbox. Its address follows, if it has one, then its data. */
typedef struct {
  int32_t id;
  int32_t length;
  int32_t has_address;
  int32_t error; /* why it was not sent; 0: it was sent */
} gyre_outbox_entry_t;

static gyre_datagram_t* gyre__arg_datagram(gyre_args_t* args, size_t index) {
  return (gyre_datagram_t*)gyre__arg_handle(args, index, GYRE_DATAGRAM);
}

/* Has the poller watch the socket for the events that it needs now. */
static int gyre__datagram_watch(gyre_datagram_t* socket) {
  return gyre__watch(&socket->handle, (socket->receiving ? EPOLLIN : 0u) | (socket->data != NULL ? EPOLLOUT : 0u));
}

/* --- receiving --- */

/* Passes a datagram on. Without memory the datagram is lost, as any datagram may be. */
static void gyre__received(gyre_handle_t* handle, const struct sockaddr_storage* from, const char* data, size_t length) {
  gyre_env_t* env = handle->env;
  uv_buf_t space;
  gyre__slab_reserve(env, GYRE_ADDRESS_BYTES + length, &space);
  if (space.base == NULL) return;
  memcpy(space.base, from, GYRE_ADDRESS_BYTES);
  memcpy(space.base + GYRE_ADDRESS_BYTES, data, length);
  gyre_place_t place = gyre__slab_commit(env, GYRE_ADDRESS_BYTES + length);
  gyre__event(env, handle->id, GYRE_MESSAGE, place.slot, place.offset, (int32_t)length);
}

/* Returns whether more datagrams may be waiting. */
static bool gyre__receive_batch(gyre_handle_t* handle) {
  gyre_env_t* env = handle->env;
  if (env->datagram_memory == NULL) env->datagram_memory = gyre__alloc((size_t)GYRE_DATAGRAM_BYTES * GYRE_DATAGRAMS);
  if (env->datagram_memory == NULL) {
    gyre__event(env, handle->id, GYRE_ERROR, UV_ENOBUFS, 0, 0);
    return false;
  }
  struct mmsghdr messages[GYRE_DATAGRAMS];
  struct iovec parts[GYRE_DATAGRAMS];
  struct sockaddr_storage from[GYRE_DATAGRAMS];
  for (int i = 0; i < GYRE_DATAGRAMS; i++) {
    parts[i] = (struct iovec){.iov_base = env->datagram_memory + (size_t)i * GYRE_DATAGRAM_BYTES, .iov_len = GYRE_DATAGRAM_BYTES};
    messages[i] = (struct mmsghdr){
        .msg_hdr = {.msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &parts[i], .msg_iovlen = 1}};
    /* Clear the bytes that are copied below: recvmmsg() fills in fewer for IPv4. */
    memset(&from[i], 0, GYRE_ADDRESS_BYTES);
  }
  int count;
  do {
    count = recvmmsg(handle->fd, messages, GYRE_DATAGRAMS, MSG_DONTWAIT, NULL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN) gyre__event(env, handle->id, GYRE_ERROR, -errno, 0, 0);
  for (int i = 0; i < count; i++) gyre__received(handle, &from[i], parts[i].iov_base, messages[i].msg_len);
  return count == GYRE_DATAGRAMS;
}

/*
 * Empties the error queue of a socket with IP_RECVERR. The kernel reports the socket as ready until the queue
 * is empty. recvmmsg() has reported an error already.
 */
static void gyre__drop_errors(int fd) {
  struct msghdr nothing = {.msg_iovlen = 0};
  while (recvmsg(fd, &nothing, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) continue;
}

/* Large datagrams fill slabs, so a batch that begins a new large slab is the last one of the turn. */
static void gyre__receive(gyre_handle_t* handle) {
  const gyre_slab_t* large = &handle->env->slabs[GYRE_LARGE];
  uint32_t fresh = large->fresh;
  for (int left = GYRE_MOST_BATCHES; left > 0 && large->fresh == fresh; left--) {
    if (!gyre__receive_batch(handle)) return;
  }
}

/* --- addresses --- */

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

/*
 * Copies an address into `memory`, and returns `memory`; NULL for null. JavaScript's bytes may be unaligned,
 * and may change later. Only IPv4 and IPv6 addresses fit into them.
 */
static const struct sockaddr_storage* gyre__arg_address(gyre_args_t* args, size_t index, struct sockaddr_storage* memory) {
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
  return memory;
}

/* unpackAddress(bytes): [host, port] or [host, port, flowinfo, scope]; null for any other address. */
static napi_value gyre_unpack_address(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  struct sockaddr_storage memory;
  const struct sockaddr_storage* address = gyre__arg_address(&args, 0, &memory);
  napi_value nothing;
  napi_get_null(napi, &nothing);
  return address == NULL ? nothing : gyre__format_address(&args, (const struct sockaddr*)address, GYRE_ADDRESS_BYTES);
}

/* --- opening --- */

static void gyre__forget_datagram(gyre_handle_t* handle) {
  gyre_datagram_t* socket = (gyre_datagram_t*)handle;
  free(socket->data);
  socket->data = NULL;
}

static void gyre__on_datagram(gyre_handle_t* handle, uint32_t events);

/* Takes the descriptor over. Returns its id, or an error; then the caller still owns the descriptor. */
static int gyre__datagram_new(gyre_env_t* env, int fd) {
  gyre_datagram_t* socket = gyre__handle_new(env, GYRE_DATAGRAM, sizeof(*socket));
  if (socket == NULL) return UV_ENOMEM;
  socket->handle.fd = fd;
  socket->handle.on_ready = gyre__on_datagram;
  socket->handle.on_close = gyre__forget_datagram;
  return socket->handle.id;
}

static int gyre__datagram_bind(int fd, const struct sockaddr_storage* local, bool reuse_port, bool broadcast) {
  int error = reuse_port ? gyre__set(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
  if (error == 0 && broadcast) error = gyre__set(fd, SOL_SOCKET, SO_BROADCAST, 1);
  if (error == 0 && local != NULL && bind(fd, (const struct sockaddr*)local, gyre__address_length(local)) != 0) error = -errno;
  return error;
}

/*
 * datagram(family, local | null, remote | null, reusePort, broadcast): an id or an error. After an error,
 * failedAt() names the step.
 */
static napi_value gyre_datagram(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t family = gyre__arg_int(&args, 0);
  struct sockaddr_storage local_memory, remote_memory;
  const struct sockaddr_storage* local = gyre__arg_address(&args, 1, &local_memory);
  const struct sockaddr_storage* remote = gyre__arg_address(&args, 2, &remote_memory);
  bool reuse_port = gyre__arg_bool(&args, 3);
  bool broadcast = gyre__arg_bool(&args, 4);
  args.env->failed_at = GYRE_AT_BIND;
  if (args.failed || (family != AF_INET && family != AF_INET6)) return gyre__int(&args, UV_EINVAL);
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gyre__int(&args, -errno);
  int result = gyre__datagram_bind(fd, local, reuse_port, broadcast);
  if (result == 0) args.env->failed_at = GYRE_AT_CONNECT;
  if (result == 0 && remote != NULL && connect(fd, (const struct sockaddr*)remote, gyre__address_length(remote)) != 0) {
    result = -errno;
  }
  if (result == 0) result = gyre__datagram_new(args.env, fd);
  if (result < 0) close(fd);
  return gyre__int(&args, result);
}

static bool gyre__is_datagram_socket(int fd) {
  int family = AF_UNSPEC, type = 0;
  socklen_t length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return false;
  length = sizeof(int);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM &&
         (family == AF_INET || family == AF_INET6);
}

/*
 * datagramOpen(fd): takes a descriptor over. Returns an id, or an error; then the caller still owns the
 * descriptor.
 */
static napi_value gyre_datagram_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  if (args.failed || !gyre__is_datagram_socket(fd)) return gyre__int(&args, UV_EINVAL);
  if (gyre__is_taken(args.env, fd)) return gyre__int(&args, UV_EEXIST);
  int error = gyre__never_block(fd);
  return gyre__int(&args, error == 0 ? gyre__datagram_new(args.env, fd) : error);
}

static napi_value gyre_receive_start(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_datagram_t* socket = gyre__arg_datagram(&args, 0);
  if (socket == NULL) return gyre__int(&args, UV_EBADF);
  socket->receiving = true;
  int error = gyre__datagram_watch(socket);
  if (error != 0) socket->receiving = false;
  return gyre__int(&args, error);
}

static napi_value gyre_receive_stop(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_datagram_t* socket = gyre__arg_datagram(&args, 0);
  if (socket != NULL) socket->receiving = false;
  return NULL;
}

/* --- sending --- */

static bool gyre__is_full(int error) {
  return error == EAGAIN || error == ENOBUFS;
}

/* Returns 0 or an error. UV_EAGAIN: the kernel has no room for the datagram. */
static int gyre__send_one(const gyre_datagram_t* socket, const char* data, size_t size, const struct sockaddr_storage* address) {
  ssize_t sent;
  if (socket->data != NULL) return UV_EAGAIN;
  do {
    sent = sendto(socket->handle.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr*)address,
                  address == NULL ? 0 : gyre__address_length(address));
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return 0;
  return gyre__is_full(errno) ? UV_EAGAIN : -errno;
}

/* trySend(id, data, address | null): 0 or an error. */
static napi_value gyre_try_send(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_datagram_t* socket = gyre__arg_datagram(&args, 0);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  struct sockaddr_storage memory;
  const struct sockaddr_storage* address = gyre__arg_address(&args, 2, &memory);
  if (socket == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  return gyre__int(&args, gyre__send_one(socket, buf.base, buf.len, address));
}

static void gyre__send_on(gyre_datagram_t* socket) {
  char* data = socket->data;
  socket->data = NULL;
  int error = gyre__send_one(socket, data, socket->size, socket->has_address ? &socket->address : NULL);
  if (error == UV_EAGAIN) {
    socket->data = data;
    return;
  }
  free(data);
  gyre__event(socket->handle.env, socket->handle.id, GYRE_SENT, error, 0, 0);
}

/*
 * send(id, data, address | null): copies a datagram, and sends it when the kernel has room. Returns 0, and
 * GYRE_SENT follows; or an error. UV_EBUSY: another datagram is pending.
 */
static napi_value gyre_send(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_datagram_t* socket = gyre__arg_datagram(&args, 0);
  uv_buf_t buf = gyre__arg_bytes(&args, 1);
  struct sockaddr_storage memory;
  const struct sockaddr_storage* address = gyre__arg_address(&args, 2, &memory);
  if (socket == NULL || args.failed) return gyre__int(&args, UV_EBADF);
  /* No datagram is larger. */
  if (buf.len > GYRE_DATAGRAM_BYTES) return gyre__int(&args, UV_EMSGSIZE);
  if (socket->data != NULL) return gyre__int(&args, UV_EBUSY);
  socket->data = gyre__alloc(buf.len + 1);
  if (socket->data == NULL) return gyre__int(&args, UV_ENOMEM);
  if (buf.len > 0) memcpy(socket->data, buf.base, buf.len);
  socket->size = buf.len;
  socket->has_address = address != NULL;
  if (address != NULL) socket->address = *address;
  int error = gyre__datagram_watch(socket);
  if (error != 0) gyre__forget_datagram(&socket->handle);
  return gyre__int(&args, error);
}

/* The bytes of an entry with its address, data and padding. 0: the entry is invalid. */
static size_t gyre__entry_size(const gyre_outbox_entry_t* entry, size_t room) {
  size_t head = sizeof(*entry) + (entry->has_address ? GYRE_ADDRESS_BYTES : 0);
  if (entry->length < 0 || head + (size_t)entry->length > room) return 0;
  return (head + (size_t)entry->length + 7) & ~(size_t)7;
}

static int gyre__all_failed(gyre_outbox_entry_t** entries, int count, int error) {
  for (int i = 0; i < count; i++) entries[i]->error = error;
  return count;
}

/* Sends entries of one socket. Returns how many were not sent. */
static int gyre__send_entries(gyre_env_t* env, gyre_outbox_entry_t** entries, struct mmsghdr* messages, int count) {
  gyre_handle_t* handle = gyre__handle_get(env, entries[0]->id);
  if (handle == NULL || handle->kind != GYRE_DATAGRAM) return gyre__all_failed(entries, count, UV_EBADF);
  if (((gyre_datagram_t*)handle)->data != NULL) return gyre__all_failed(entries, count, UV_EAGAIN);
  int failed = 0;
  for (int i = 0; i < count;) {
    int sent = sendmmsg(handle->fd, messages + i, (unsigned int)(count - i), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      i += sent;
    } else if (errno != EINTR) {
      if (gyre__is_full(errno)) return failed + gyre__all_failed(entries + i, count - i, UV_EAGAIN);
      failed += gyre__all_failed(entries + i++, 1, -errno);
    }
  }
  return failed;
}

/*
 * sendAll(bytes): sends the datagrams in the first `bytes` bytes of the outbox, with one system call for
 * consecutive datagrams of one socket. Returns how many were not sent, or UV_EINVAL if the bytes are no valid
 * entries.
 */
static napi_value gyre_send_all(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  uint32_t bytes = gyre__arg_uint(&args, 0);
  if (args.failed || bytes > GYRE_OUTBOX_BYTES) return gyre__int(&args, UV_EINVAL);
  gyre_outbox_entry_t* entries[GYRE_MOST_SENDS];
  struct mmsghdr messages[GYRE_MOST_SENDS];
  struct iovec parts[GYRE_MOST_SENDS];
  int count = 0, failed = 0;
  for (size_t at = 0; at < bytes;) {
    gyre_outbox_entry_t* entry = (gyre_outbox_entry_t*)(args.env->outbox + at);
    size_t size = bytes - at < sizeof(*entry) ? 0 : gyre__entry_size(entry, bytes - at);
    if (size == 0) return gyre__int(&args, UV_EINVAL);
    if (count == GYRE_MOST_SENDS || (count > 0 && entry->id != entries[0]->id)) {
      failed += gyre__send_entries(args.env, entries, messages, count);
      count = 0;
    }
    struct sockaddr_storage* address = entry->has_address ? (struct sockaddr_storage*)(entry + 1) : NULL;
    char* data = (char*)(entry + 1) + (address == NULL ? 0 : GYRE_ADDRESS_BYTES);
    entry->error = 0;
    entries[count] = entry;
    parts[count] = (struct iovec){.iov_base = data, .iov_len = (size_t)entry->length};
    messages[count] = (struct mmsghdr){.msg_hdr = {.msg_name = address,
                                                   .msg_namelen = address == NULL ? 0 : gyre__address_length(address),
                                                   .msg_iov = &parts[count],
                                                   .msg_iovlen = 1}};
    count++;
    at += size;
  }
  if (count > 0) failed += gyre__send_entries(args.env, entries, messages, count);
  return gyre__int(&args, failed);
}

/* --- readiness --- */

static void gyre__on_datagram(gyre_handle_t* handle, uint32_t events) {
  gyre_datagram_t* socket = (gyre_datagram_t*)handle;
  if (socket->receiving && (events & ~(uint32_t)EPOLLOUT)) gyre__receive(handle);
  if (events & EPOLLERR) gyre__drop_errors(handle->fd);
  if (socket->data != NULL && (events & ~(uint32_t)EPOLLIN)) gyre__send_on(socket);
  gyre__datagram_watch(socket);
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
    {"sendAll", gyre_send_all},
    {NULL, NULL},
};
