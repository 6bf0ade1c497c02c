/*
 * Opens pipes, FIFOs, sockets, terminals and other devices by descriptor. Decides whether the poller can
 * watch a file, and which descriptor the handle gets.
 *
 * O_NONBLOCK belongs to the open file description. All programs on a terminal, or at a shell's pipe, share
 * that description, and most of them fail if it does not block. So a file that blocks is opened again,
 * through its link in /proc: the handle gets a new description, and the shared one keeps blocking.
 * uv_tty_init() does that too, but only for terminals. If it cannot, it writes blocking, and a stopped
 * terminal stops the loop.
 *
 *   given                            the handle gets
 *   0, 1 or 2                        a new descriptor: the process always keeps its standard streams
 *   lent                             a new descriptor: its owner keeps the given one, and closes it
 *   any other that does not block    the given descriptor: its other users live with O_NONBLOCK already
 *   any other that blocks            the given number, which now refers to the file that was opened again
 *
 * A socket cannot be opened again. Its handle gets the given descriptor or a duplicate of it, and uses
 * MSG_DONTWAIT, so the shared description can keep blocking.
 *
 * file.c reads and writes them. If a child gets a non-blocking descriptor as a standard stream, it is opened
 * again for the child, in blocking mode: most programs expect that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gyre.h"

enum { GYRE_LAST_STDIO = 2 };

enum gyre_pipe_kind { GYRE_FIFO, GYRE_SOCKET, GYRE_TERMINAL, GYRE_DEVICE };

typedef struct {
  enum gyre_pipe_kind kind;
  int flags;  /* file status flags */
  int family; /* if it is a socket */
  ino_t inode;
} gyre_pipe_t;

/* --- inspecting a descriptor --- */

/* Whether it is a stream socket that does not listen. */
static bool gyre__is_stream(int fd, int* family) {
  int type = 0, listens = 0;
  socklen_t length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, family, &length) != 0) return false;
  length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return false;
  length = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0) return false;
  bool known = *family == AF_INET || *family == AF_INET6 || *family == AF_UNIX;
  return known && type == SOCK_STREAM && !listens;
}

static bool gyre__can_be_polled(int fd) {
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return false;
  struct epoll_event event = {.events = EPOLLIN};
  bool can = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
  close(epoll_fd);
  return can;
}

/*
 * Whether it is the master side of a pseudoterminal. That side has no name in /dev; opened again, it would be
 * another pseudoterminal.
 */
static bool gyre__is_master(int fd) {
  unsigned int number;
  return ioctl(fd, TIOCGPTN, &number) == 0;
}

/*
 * Fills in the facts of a descriptor. Returns 0 or an error. UV_EINVAL, UV_EBADF: it cannot carry bytes in
 * that direction. UV_ENOTSUP: the poller cannot watch it, so only a thread can read or write it.
 */
static int gyre__pipe_inspect(int fd, bool write, gyre_pipe_t* pipe) {
  struct stat facts;
  pipe->family = AF_UNSPEC;
  pipe->flags = fcntl(fd, F_GETFL);
  if (pipe->flags < 0 || fstat(fd, &facts) != 0) return -errno;
  pipe->inode = facts.st_ino;
  int access = pipe->flags & O_ACCMODE;
  if ((pipe->flags & O_PATH) || (access != O_RDWR && access != (write ? O_WRONLY : O_RDONLY))) return UV_EINVAL;
  if (S_ISFIFO(facts.st_mode)) {
    pipe->kind = GYRE_FIFO;
  } else if (S_ISSOCK(facts.st_mode)) {
    pipe->kind = GYRE_SOCKET;
    if (!gyre__is_stream(fd, &pipe->family)) return UV_EINVAL;
  } else if (S_ISCHR(facts.st_mode)) {
    pipe->kind = isatty(fd) && !gyre__is_master(fd) ? GYRE_TERMINAL : GYRE_DEVICE;
    /* For example /dev/null and /dev/zero. */
    if (!gyre__can_be_polled(fd)) return UV_ENOTSUP;
  } else {
    return UV_EINVAL;
  }
  return 0;
}

/* --- choosing the handle's descriptor --- */

/*
 * Whether opening a FIFO again would lose its end of file. The kernel reports the end only to descriptors
 * that were open while the FIFO had a writer. Unnamed pipes don't have this problem.
 */
static bool gyre__end_is_lost(int fd) {
  struct statfs system;
  struct pollfd poll_fd = {.fd = fd, .events = 0};
  if (fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC) return false;
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP);
}

/*
 * Duplicates the descriptor, above the standard streams, which are never closed. Returns an error if that
 * fails.
 */
static int gyre__duplicate(int fd) {
  int second = fcntl(fd, F_DUPFD_CLOEXEC, GYRE_LAST_STDIO + 1);
  return second < 0 ? -errno : second;
}

/*
 * Opens the file again, non-blocking. Returns a descriptor above the standard streams, or an error.
 * UV_ENOTSUP: the new descriptor would not be equivalent.
 */
static int gyre__pipe_reopen(int fd, const gyre_pipe_t* pipe) {
  if (pipe->kind != GYRE_FIFO && pipe->kind != GYRE_TERMINAL) return UV_ENOTSUP;
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  int access = pipe->flags & O_ACCMODE;
  int own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return -errno;
  /* Don't check this before open(): the last writer may close in between. */
  if (pipe->kind == GYRE_FIFO && access == O_RDONLY && gyre__end_is_lost(fd)) {
    close(own);
    return UV_ENOTSUP;
  }
  if (own > GYRE_LAST_STDIO) return own;
  int moved = gyre__duplicate(own);
  close(own);
  return moved;
}

int gyre__blocking_copy(int fd) {
  gyre_pipe_t pipe;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || !(flags & O_NONBLOCK)) return -1;
  if (gyre__pipe_inspect(fd, (flags & O_ACCMODE) == O_WRONLY, &pipe) != 0) return -1;
  int own = gyre__pipe_reopen(fd, &pipe);
  if (own < 0) return -1;
  if (fcntl(own, F_SETFL, flags & ~O_NONBLOCK) == 0) return own;
  close(own);
  return -1;
}

/*
 * Returns the handle's descriptor, or an error. If it differs from `fd`, the caller closes it when no handle
 * takes it over. UV_ENOTSUP: Node should open the pipe instead.
 */
static int gyre__pipe_descriptor(int fd, bool lent, const gyre_pipe_t* pipe) {
  if (!lent && fd > GYRE_LAST_STDIO && (pipe->flags & O_NONBLOCK)) return fd;
  int own = gyre__pipe_reopen(fd, pipe);
  if (lent) {
    /* The owner is about to close its descriptor, so a shared description does no harm. */
    return own == UV_ENOTSUP ? gyre__duplicate(fd) : own;
  }
  if (fd <= GYRE_LAST_STDIO) return own >= 0 ? own : pipe->kind == GYRE_SOCKET ? gyre__duplicate(fd) : UV_ENOTSUP;
  /*
   * It cannot be opened again: it is another user's terminal, for example, or there is no /proc. A terminal
   * is always shared, so it is left to Node, which writes it in blocking mode.
   */
  if (own < 0) return pipe->kind == GYRE_TERMINAL ? UV_ENOTSUP : fd;
  int flags = fcntl(fd, F_GETFD);
  /* If this fails, the handle uses the given description. */
  (void)!dup3(own, fd, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
  close(own);
  return fd;
}

/* --- for JavaScript --- */

/* Whether a standard stream of the process is the same socket. */
static bool gyre__is_stdio(const gyre_pipe_t* pipe) {
  struct stat facts;
  for (int fd = 0; fd <= GYRE_LAST_STDIO; fd++) {
    if (fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode) && facts.st_ino == pipe->inode) return true;
  }
  return false;
}

/*
 * Whether a handle that writes can learn, by reading, that its reader has gone. For a FIFO, the close of its
 * last reader is an error at the write end; a FIFO that is open in both directions is its own reader. A
 * socket reports the peer's end. Data at the socket of a standard stream belongs to the reader of stdin, so
 * that socket must not be read.
 */
static bool gyre__reports_reader_end(const gyre_pipe_t* pipe) {
  if (pipe->kind == GYRE_SOCKET) return !gyre__is_stdio(pipe);
  return pipe->kind == GYRE_FIFO && (pipe->flags & O_ACCMODE) == O_WRONLY;
}

static enum gyre_stream_type gyre__pipe_type(const gyre_pipe_t* pipe) {
  if (pipe->kind != GYRE_SOCKET) return GYRE_FILE;
  return pipe->family == AF_UNIX ? GYRE_UNIX : GYRE_TCP;
}

static int gyre__pipe_open(gyre_env_t* env, int fd, bool write, bool lent) {
  gyre_pipe_t pipe;
  int error = gyre__pipe_inspect(fd, write, &pipe);
  if (error != 0) return error;
  if (!lent && fd > GYRE_LAST_STDIO && gyre__is_taken(env, fd)) return UV_EEXIST;
  int own = gyre__pipe_descriptor(fd, lent, &pipe);
  if (own < 0) return own;
  error = pipe.kind == GYRE_SOCKET ? 0 : gyre__never_block(own);
  gyre_stream_t* stream = error == 0 ? gyre__stream_new(env, own, gyre__pipe_type(&pipe)) : NULL;
  if (stream == NULL) {
    if (own != fd) close(own);
    return error == 0 ? UV_ENOMEM : error;
  }
  stream->inode = pipe.inode;
  return stream->handle.id;
}

/*
 * pipeOpen(fd, write, lent): an id, or an error; then the caller still owns the descriptor. UV_EINVAL,
 * UV_EBADF: it is not a pipe. UV_ENOTSUP: Node or a thread must serve it. UV_EEXIST: another handle owns it.
 */
static napi_value gyre_pipe_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  bool write = gyre__arg_bool(&args, 1);
  bool lent = gyre__arg_bool(&args, 2);
  return gyre__int(&args, args.failed ? UV_EBADF : gyre__pipe_open(args.env, fd, write, lent));
}

/*
 * Inspects the handle's descriptor again. Returns whether it is still the file that the handle was opened
 * with.
 */
static bool gyre__pipe_inspect_again(const gyre_stream_t* stream, bool write, gyre_pipe_t* pipe) {
  return stream != NULL && gyre__pipe_inspect(stream->handle.fd, write, pipe) == 0 && pipe->inode == stream->inode;
}

static napi_value gyre__boolean(napi_env napi, bool value) {
  napi_value result;
  napi_get_boolean(napi, value, &result);
  return result;
}

/*
 * pipeTells(id): whether a handle that writes can learn, by reading, that its reader has gone. If not,
 * reading could take data that belongs to another reader.
 */
static napi_value gyre_pipe_tells(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_pipe_t pipe;
  const gyre_stream_t* stream = (gyre_stream_t*)gyre__arg_handle(&args, 0, GYRE_STREAM);
  bool tells = gyre__pipe_inspect_again(stream, true, &pipe) && gyre__reports_reader_end(&pipe);
  return gyre__boolean(napi, tells);
}

/* pipeStands(id): whether the handle's descriptor is open, and still the same file. */
static napi_value gyre_pipe_stands(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  const gyre_stream_t* stream = (gyre_stream_t*)gyre__arg_handle(&args, 0, GYRE_STREAM);
  struct stat facts;
  bool stands = stream != NULL && fstat(stream->handle.fd, &facts) == 0 && facts.st_ino == stream->inode;
  return gyre__boolean(napi, stands);
}

const gyre_export_t gyre_pipe_exports[] = {
    {"pipeOpen", gyre_pipe_open},
    {"pipeTells", gyre_pipe_tells},
    {"pipeStands", gyre_pipe_stands},
    {NULL, NULL},
};
