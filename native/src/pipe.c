/*
 * Pipes, FIFOs, sockets, terminals and other devices by descriptor: whether the set can have one, and under
 * which number.
 *
 * O_NONBLOCK is a property of what is open, not of the descriptor: of a terminal or a shell's pipe all
 * programs around us have the same, and most of them fail where it does not block. So what blocks is opened
 * anew, by the link to it in /proc, and what they have goes on blocking. uv_tty_init() does that too, but for
 * terminals only; and where it cannot it writes blocking, so that a terminal that is stopped stops the loop.
 *
 *   descriptor 0, 1, 2    the process's own for all its life: a second number is the handle's
 *   any other that blocks what was opened anew takes its number
 *   that does not block   as it is: whoever shares it lives with that already
 *   a socket              cannot be opened anew, and goes on blocking: MSG_DONTWAIT reads and writes it
 *   lent                  stays its owner's, who closes it: a second number is the handle's
 *
 * file.c reads and writes them. A child that gets a descriptor which does not block as one of its standard
 * streams gets it opened anew, too, and blocking: most programs expect nothing else.
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
  int flags;  /* as it is open */
  int family; /* of a socket */
  ino_t inode;
} gyre_pipe_t;

/* --- what it is --- */

/* A socket for streams that does not listen. */
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

/* Of a pseudoterminal, the side of who made it: it has no name, and opened anew it would be another one. */
static bool gyre__is_master(int fd) {
  unsigned int number;
  return ioctl(fd, TIOCGPTN, &number) == 0;
}

/*
 * 0; UV_EINVAL, UV_EBADF: nothing that bytes go through in that direction; UV_ENOTSUP: only a thread can have
 * it.
 */
static int gyre__pipe_look(int fd, bool write, gyre_pipe_t* pipe) {
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
    /* /dev/null and /dev/zero, say. */
    if (!gyre__can_be_polled(fd)) return UV_ENOTSUP;
  } else {
    return UV_EINVAL;
  }
  return 0;
}

/* --- under which number --- */

/*
 * Of a FIFO without writers the kernel tells the end to who had it open when there were some, and to nobody
 * who opens it now. (Pipes without a name are no such FIFOs.)
 */
static bool gyre__end_is_lost(int fd) {
  struct statfs system;
  struct pollfd poll_fd = {.fd = fd, .events = 0};
  if (fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC) return false;
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP);
}

/* Above those of the process itself, which are never closed; or an error. */
static int gyre__second_number(int fd) {
  int second = fcntl(fd, F_DUPFD_CLOEXEC, GYRE_LAST_STDIO + 1);
  return second < 0 ? -errno : second;
}

/*
 * Opens it anew, not blocking: a descriptor above those of the process itself, or an error; UV_ENOTSUP: it
 * would not be the same.
 */
static int gyre__pipe_reopen(int fd, const gyre_pipe_t* pipe) {
  if (pipe->kind != GYRE_FIFO && pipe->kind != GYRE_TERMINAL) return UV_ENOTSUP;
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  int access = pipe->flags & O_ACCMODE;
  int own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return -errno;
  /* Behind the opening: before it the last writer may still go. */
  if (pipe->kind == GYRE_FIFO && access == O_RDONLY && gyre__end_is_lost(fd)) {
    close(own);
    return UV_ENOTSUP;
  }
  if (own > GYRE_LAST_STDIO) return own;
  int moved = gyre__second_number(own);
  close(own);
  return moved;
}

int gyre__blocking_copy(int fd) {
  gyre_pipe_t pipe;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || !(flags & O_NONBLOCK)) return -1;
  if (gyre__pipe_look(fd, (flags & O_ACCMODE) == O_WRONLY, &pipe) != 0) return -1;
  int own = gyre__pipe_reopen(fd, &pipe);
  if (own < 0) return -1;
  if (fcntl(own, F_SETFL, flags & ~O_NONBLOCK) == 0) return own;
  close(own);
  return -1;
}

/*
 * The handle's descriptor: `fd`, or one to be closed where it comes to no handle; or an error. UV_ENOTSUP: it
 * is better left to Node.
 */
static int gyre__pipe_descriptor(int fd, bool lent, const gyre_pipe_t* pipe) {
  if (!lent && fd > GYRE_LAST_STDIO && (pipe->flags & O_NONBLOCK)) return fd;
  int own = gyre__pipe_reopen(fd, pipe);
  if (lent) {
    /* Nobody shares what is about to be closed. */
    return own == UV_ENOTSUP ? gyre__second_number(fd) : own;
  }
  if (fd <= GYRE_LAST_STDIO) return own >= 0 ? own : pipe->kind == GYRE_SOCKET ? gyre__second_number(fd) : UV_ENOTSUP;
  /* Another user's terminal, say, or no /proc. A terminal is always shared; Node writes it as it is. */
  if (own < 0) return pipe->kind == GYRE_TERMINAL ? UV_ENOTSUP : fd;
  int flags = fcntl(fd, F_GETFD);
  /* If it fails, what was given must do. */
  (void)!dup3(own, fd, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
  close(own);
  return fd;
}

/* --- for JavaScript --- */

/* Whether a standard stream of the process is open on it. */
static bool gyre__is_stdio(const gyre_pipe_t* pipe) {
  struct stat facts;
  for (int fd = 0; fd <= GYRE_LAST_STDIO; fd++) {
    if (fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode) && facts.st_ino == pipe->inode) return true;
  }
  return false;
}

/*
 * Linux tells the last writer of a FIFO that nobody reads any more; of sockets the peer's end tells. What
 * comes by the socket of a standard stream is for whoever reads stdin.
 */
static bool gyre__pipe_tells(const gyre_pipe_t* pipe) {
  if (pipe->kind == GYRE_SOCKET) return !gyre__is_stdio(pipe);
  return pipe->kind == GYRE_FIFO && (pipe->flags & O_ACCMODE) == O_WRONLY;
}

static enum gyre_stream_type gyre__pipe_type(const gyre_pipe_t* pipe) {
  if (pipe->kind != GYRE_SOCKET) return GYRE_FILE;
  return pipe->family == AF_UNIX ? GYRE_UNIX : GYRE_TCP;
}

static int gyre__pipe_open(gyre_env_t* env, int fd, bool write, bool lent) {
  gyre_pipe_t pipe;
  int error = gyre__pipe_look(fd, write, &pipe);
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
 * pipeOpen(fd, write, lent): an id, or an error, and then the descriptor is still the caller's. UV_EINVAL,
 * UV_EBADF: it is no pipe. UV_ENOTSUP: Node can have it, or a thread. UV_EEXIST: another handle has it.
 */
static napi_value gyre_pipe_open(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  int32_t fd = gyre__arg_int(&args, 0);
  bool write = gyre__arg_bool(&args, 1);
  bool lent = gyre__arg_bool(&args, 2);
  return gyre__int(&args, args.failed ? UV_EBADF : gyre__pipe_open(args.env, fd, write, lent));
}

/* What its descriptor is open on now; whether that is still what it was opened with. */
static bool gyre__pipe_now(const gyre_stream_t* stream, bool write, gyre_pipe_t* pipe) {
  return stream != NULL && gyre__pipe_look(stream->handle.fd, write, pipe) == 0 && pipe->inode == stream->inode;
}

static napi_value gyre__boolean(napi_env napi, bool value) {
  napi_value result;
  napi_get_boolean(napi, value, &result);
  return result;
}

/*
 * pipeTells(id): whether reading from it, which is written to, tells that its reader has gone. Else that
 * would take somebody's data.
 */
static napi_value gyre_pipe_tells(napi_env napi, napi_callback_info info) {
  gyre_args_t args = gyre__args(napi, info);
  gyre_pipe_t pipe;
  const gyre_stream_t* stream = (gyre_stream_t*)gyre__arg_handle(&args, 0, GYRE_STREAM);
  bool tells = gyre__pipe_now(stream, true, &pipe) && gyre__pipe_tells(&pipe);
  return gyre__boolean(napi, tells);
}

/* pipeStands(id): whether its descriptor is open, and not another's by now. */
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
