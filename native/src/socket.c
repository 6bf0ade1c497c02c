/*
 * Socket calls by descriptor, for sockets without a handle. They never block, except
 * socketSendFile().
 *
 * Each returns a number of bytes, a descriptor or 0 on success, and an error otherwise. UV_EAGAIN: the call
 * would block.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gyre.h"

/* --- arguments and results --- */

/* Returns -1 if the value is not a number. The system then answers EBADF. */
static int gyre__arg_fd(gyre_args_t* args, size_t index) {
  int32_t fd = gyre__arg_int(args, index);
  return args->failed ? -1 : fd;
}

/*
 * A string is the path of a unix socket; for an empty one the system chooses a name. Bytes are an address
 * from packAddress().
 */
static int gyre__arg_sockaddr(gyre_args_t* args, size_t index, struct sockaddr_storage* out, socklen_t* length) {
  napi_valuetype type = napi_undefined;
  if (index < args->argc) napi_typeof(args->env->napi, args->argv[index], &type);
  size_t size = 0;
  if (type == napi_string) napi_get_value_string_utf8(args->env->napi, args->argv[index], NULL, 0, &size);
  if (type == napi_string && size > 0) return gyre__arg_unix_address(args, index, out, length);
  memset(out, 0, sizeof(*out));
  if (type == napi_string) {
    out->ss_family = AF_UNIX;
    *length = sizeof(out->ss_family);
    return 0;
  }
  uv_buf_t bytes = gyre__arg_bytes(args, index);
  if (args->failed || bytes.len < sizeof(struct sockaddr_in6)) return UV_EINVAL;
  memcpy(out, bytes.base, sizeof(struct sockaddr_in6));
  *length = out->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  return 0;
}

/*
 * The Uint8Array at `index`, cut to the length that the next argument gives. base is NULL if the arguments
 * are wrong.
 */
static uv_buf_t gyre__arg_room(gyre_args_t* args, size_t index) {
  uv_buf_t buf = gyre__arg_bytes(args, index);
  int32_t length = gyre__arg_int(args, index + 1);
  if (args->failed || length < 0) {
    args->failed = true;
    return uv_buf_init(NULL, 0);
  }
  if ((size_t)length < buf.len) buf.len = (size_t)length;
  return buf;
}

static napi_value gyre__result(gyre_args_t* args, ssize_t result) {
  return gyre__int(args, result >= 0 ? result : -errno);
}

/* Returns [value, address], with null for an address that the system did not report. NULL: no memory. */
static napi_value gyre__with_address(gyre_args_t* args, int64_t value, const struct sockaddr_storage* address,
                                     socklen_t length) {
  napi_value pair = NULL;
  if (napi_create_array_with_length(args->env->napi, 2, &pair) != napi_ok) return NULL;
  napi_set_element(args->env->napi, pair, 0, gyre__int(args, value));
  napi_set_element(args->env->napi, pair, 1, gyre__format_address(args, (const struct sockaddr*)address, length));
  return pair;
}

/* --- descriptors that JavaScript owns --- */

enum { GYRE_WORD_BITS = 64 };

/*
 * Records that JavaScript owns the descriptor, so that the end of the environment closes it. Returns false if
 * there is no memory.
 */
static bool gyre__own(gyre_env_t* env, int fd) {
  uint32_t word = (uint32_t)fd / GYRE_WORD_BITS;
  if (word >= env->socket_words) {
    uint32_t words = (word + 1) * 2;
    uint64_t* sockets = gyre__realloc(env->sockets, words * sizeof(*sockets));
    if (sockets == NULL) return false;
    memset(sockets + env->socket_words, 0, (words - env->socket_words) * sizeof(*sockets));
    env->sockets = sockets;
    env->socket_words = words;
  }
  env->sockets[word] |= (uint64_t)1 << (uint32_t)fd % GYRE_WORD_BITS;
  return true;
}

bool gyre__disown(gyre_env_t* env, int fd) {
  uint32_t word = (uint32_t)fd / GYRE_WORD_BITS;
  uint64_t bit = (uint64_t)1 << (uint32_t)fd % GYRE_WORD_BITS;
  if (fd < 0 || word >= env->socket_words || !(env->sockets[word] & bit)) return false;
  env->sockets[word] &= ~bit;
  return true;
}

void gyre__sockets_end(gyre_env_t* env) {
  for (uint32_t word = 0; word < env->socket_words; word++) {
    for (int bit = 0; env->sockets[word] != 0 && bit < GYRE_WORD_BITS; bit++) {
      int fd = (int)word * GYRE_WORD_BITS + bit;
      if (gyre__disown(env, fd)) close(fd);
    }
  }
}

/* --- opening and naming --- */

/* socketOpen(family, type, proto): a descriptor or an error. */
static napi_value gyre_socket_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t family = gyre__arg_int(&args, 0);
  int32_t type = gyre__arg_int(&args, 1);
  int32_t proto = gyre__arg_int(&args, 2);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
  if (fd < 0 || gyre__own(args.env, fd)) return gyre__result(&args, fd);
  close(fd);
  return gyre__int(&args, UV_ENOMEM);
}

/*
 * socketAdopt(fd): makes the socket non-blocking, and JavaScript its owner. Returns [family, type, proto] or
 * an error.
 */
static napi_value gyre_socket_adopt(napi_env napi, napi_callback_info info) {
  static const int questions[] = {SO_DOMAIN, SO_TYPE, SO_PROTOCOL};
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  napi_value facts;
  napi_create_array_with_length(napi, 3, &facts);
  for (uint32_t i = 0; i < 3; i++) {
    int value = 0;
    socklen_t length = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, questions[i], &value, &length) != 0) return gyre__int(&args, -errno);
    napi_set_element(napi, facts, i, gyre__int(&args, value));
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return gyre__int(&args, -errno);
  return gyre__own(args.env, fd) ? facts : gyre__int(&args, UV_ENOMEM);
}

/* socketDuplicate(fd): another descriptor of the same socket. JavaScript owns it. */
static napi_value gyre_socket_duplicate(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = fcntl(gyre__arg_fd(&args, 0), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (fd < 0 || gyre__own(args.env, fd)) return gyre__result(&args, fd);
  close(fd);
  return gyre__int(&args, UV_ENOMEM);
}

/* socketRelease(fd): JavaScript no longer owns the descriptor; its new owner closes it. */
static napi_value gyre_socket_release(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre__disown(args.env, gyre__arg_fd(&args, 0));
  return NULL;
}

static napi_value gyre__socket_name(napi_env napi, napi_callback_info info,
                                    int (*get)(int, struct sockaddr*, socklen_t*)) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  memset(&address, 0, sizeof(address));
  if (get(fd, (struct sockaddr*)&address, &length) != 0) return gyre__int(&args, -errno);
  return gyre__format_address(&args, (struct sockaddr*)&address, length);
}

/* socketName(fd): the local address, or an error. */
static napi_value gyre_socket_name(napi_env napi, napi_callback_info info) {
  return gyre__socket_name(napi, info, getsockname);
}

static napi_value gyre_socket_peer(napi_env napi, napi_callback_info info) {
  return gyre__socket_name(napi, info, getpeername);
}

/* --- connecting and listening --- */

/* socketBind(fd, address) */
static napi_value gyre_socket_bind(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  struct sockaddr_storage address;
  socklen_t length = 0;
  int error = gyre__arg_sockaddr(&args, 1, &address, &length);
  if (error != 0) return gyre__int(&args, error);
  return gyre__result(&args, bind(fd, (struct sockaddr*)&address, length));
}

/* socketConnect(fd, address) */
static napi_value gyre_socket_connect(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  struct sockaddr_storage address;
  socklen_t length = 0;
  int error = gyre__arg_sockaddr(&args, 1, &address, &length);
  if (error != 0) return gyre__int(&args, error);
  int result;
  do {
    result = connect(fd, (struct sockaddr*)&address, length);
  } while (result != 0 && errno == EINTR);
  return gyre__result(&args, result);
}

/* socketListen(fd, backlog) */
static napi_value gyre_socket_listen(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int32_t backlog = gyre__arg_int(&args, 1);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  return gyre__result(&args, listen(fd, backlog));
}

/* socketAccept(fd): [descriptor, address], or an error. */
static napi_value gyre_socket_accept(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  struct sockaddr_storage address;
  socklen_t length;
  int accepted;
  /*
   * A child that shares the listener may have cleared O_NONBLOCK, and accept4() has no flag like
   * MSG_DONTWAIT.
   */
  int error = gyre__never_block(fd);
  if (error != 0) return gyre__int(&args, error);
  do {
    length = sizeof(address);
    memset(&address, 0, sizeof(address));
    accepted = accept4(fd, (struct sockaddr*)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    /* Skip a client that left while it was waiting. */
  } while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (accepted < 0) return gyre__int(&args, -errno);
  napi_value result = gyre__with_address(&args, accepted, &address, length);
  if (result != NULL && gyre__own(args.env, accepted)) return result;
  close(accepted);
  return gyre__int(&args, UV_ENOMEM);
}

/* socketShutdown(fd, how) */
static napi_value gyre_socket_shutdown(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int32_t how = gyre__arg_int(&args, 1);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  return gyre__result(&args, shutdown(fd, how));
}

/* --- data --- */

/* socketReadable(fd): how many bytes can be read; for datagrams, the bytes of the first one. */
static napi_value gyre_socket_readable(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int bytes = 0;
  return gyre__int(&args, ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : -errno);
}

/* socketRecv(fd, bytes, length) */
static napi_value gyre_socket_recv(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  uv_buf_t room = gyre__arg_room(&args, 1);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  ssize_t received;
  do {
    received = recv(fd, room.base, room.len, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  return gyre__result(&args, received);
}

/* socketRecvFrom(fd, bytes, length): [bytes, address]. */
static napi_value gyre_socket_recv_from(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  uv_buf_t room = gyre__arg_room(&args, 1);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  struct sockaddr_storage address;
  socklen_t length;
  ssize_t received;
  do {
    length = sizeof(address);
    memset(&address, 0, sizeof(address));
    received = recvfrom(fd, room.base, room.len, MSG_DONTWAIT, (struct sockaddr*)&address, &length);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return gyre__int(&args, -errno);
  return gyre__with_address(&args, received, &address, length);
}

/* socketSend(fd, bytes, offset): sends the bytes from `offset` on. */
static napi_value gyre_socket_send(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  uv_buf_t data = gyre__arg_bytes(&args, 1);
  size_t offset = gyre__arg_size(&args, 2);
  if (args.failed || offset > data.len) return gyre__int(&args, UV_EINVAL);
  ssize_t sent;
  do {
    sent = send(fd, data.base + offset, data.len - offset, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return gyre__result(&args, sent);
}

/* socketSendTo(fd, bytes, address) */
static napi_value gyre_socket_send_to(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  uv_buf_t data = gyre__arg_bytes(&args, 1);
  struct sockaddr_storage address;
  socklen_t length = 0;
  int error = gyre__arg_sockaddr(&args, 2, &address, &length);
  if (error != 0 || args.failed) return gyre__int(&args, error != 0 ? error : UV_EINVAL);
  ssize_t sent;
  do {
    sent = sendto(fd, data.base, data.len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr*)&address, length);
  } while (sent < 0 && errno == EINTR);
  return gyre__result(&args, sent);
}

/*
 * socketSendFile(fd, file, offset, count): sends bytes of an open file. This blocks while the kernel reads a
 * part of the file that is not in memory yet.
 */
static napi_value gyre_socket_send_file(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int file = gyre__arg_fd(&args, 1);
  off_t offset = (off_t)gyre__arg_size(&args, 2);
  size_t count = gyre__arg_size(&args, 3);
  if (args.failed) return gyre__int(&args, UV_EBADF);
  /* sendfile() has no MSG_DONTWAIT, and a process that shares the socket may have made it blocking. */
  int error = gyre__never_block(fd);
  if (error != 0) return gyre__int(&args, error);
  ssize_t sent;
  do {
    sent = sendfile(fd, file, &offset, count);
  } while (sent < 0 && errno == EINTR);
  return gyre__result(&args, sent);
}

/* --- options --- */

/* socketGetOption(fd, level, option, bytes): fills in the option's value, and returns its length. */
static napi_value gyre_socket_get_option(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int32_t level = gyre__arg_int(&args, 1);
  int32_t option = gyre__arg_int(&args, 2);
  uv_buf_t value = gyre__arg_bytes(&args, 3);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  socklen_t length = (socklen_t)value.len;
  int result = getsockopt(fd, level, option, value.base, &length);
  return gyre__result(&args, result == 0 ? (ssize_t)length : -1);
}

/* socketSetOption(fd, level, option, bytes) */
static napi_value gyre_socket_set_option(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int fd = gyre__arg_fd(&args, 0);
  int32_t level = gyre__arg_int(&args, 1);
  int32_t option = gyre__arg_int(&args, 2);
  uv_buf_t value = gyre__arg_bytes(&args, 3);
  if (args.failed) return gyre__int(&args, UV_EINVAL);
  return gyre__result(&args, setsockopt(fd, level, option, value.base, (socklen_t)value.len));
}

const gyre_export_t gyre_socket_exports[] = {
    {"socketOpen", gyre_socket_open},
    {"socketAdopt", gyre_socket_adopt},
    {"socketDuplicate", gyre_socket_duplicate},
    {"socketRelease", gyre_socket_release},
    {"socketName", gyre_socket_name},
    {"socketPeer", gyre_socket_peer},
    {"socketBind", gyre_socket_bind},
    {"socketConnect", gyre_socket_connect},
    {"socketListen", gyre_socket_listen},
    {"socketAccept", gyre_socket_accept},
    {"socketShutdown", gyre_socket_shutdown},
    {"socketReadable", gyre_socket_readable},
    {"socketRecv", gyre_socket_recv},
    {"socketRecvFrom", gyre_socket_recv_from},
    {"socketSend", gyre_socket_send},
    {"socketSendTo", gyre_socket_send_to},
    {"socketSendFile", gyre_socket_send_file},
    {"socketGetOption", gyre_socket_get_option},
    {"socketSetOption", gyre_socket_set_option},
    {NULL, NULL},
};
