/*
 * Reads and writes pipes, FIFOs, terminals and devices, without ever blocking.
 *
 * O_NONBLOCK belongs to the open file description, which processes share. Each of them can clear the flag:
 * Node and libuv do so for the standard streams of each child that they start. A read() or write() that
 * relies on the flag then blocks the whole process until the other side acts. Sockets have MSG_DONTWAIT
 * against that, and pipes have RWF_NOWAIT since Linux 6.4. For all other files these functions check the flag
 * before each call, and set it again if it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gyre.h"

enum {
  /* The initial size of a pipe. A read of that many bytes has found the pipe full. */
  GYRE_PIPE_BYTES = 64 * 1024,
  /*
   * The size of a child's pipe once it was full: as fast as a socket pair. All pipes of an unprivileged user
   * have 64 MiB together.
   */
  GYRE_BIG_PIPE_BYTES = 256 * 1024,
};

/* The kernel, or a sandbox, has no RWF_NOWAIT for this kind of file. */
static bool gyre__lacks_nowait(ssize_t result) {
  return result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM);
}

/* Makes sure that read() and write() do not block. Returns false, with errno, if that fails. */
static bool gyre__returns_at_once(const gyre_stream_t* stream) {
  int error = gyre__never_block(stream->handle.fd);
  if (error != 0) errno = -error;
  return error == 0;
}

static ssize_t gyre__total(const struct iovec* parts, int count) {
  size_t total = 0;
  for (int i = 0; i < count; i++) total += parts[i].iov_len;
  return (ssize_t)total;
}

/* Enlarges a child's pipe after it was full, once. Most children never need the room. */
static void gyre__grow_pipe(gyre_stream_t* stream) {
  int before = errno;
  int fd = stream->handle.fd;
  /* This fails if the user has no room left. Then the pipe keeps its size. */
  if (fcntl(fd, F_GETPIPE_SZ) < GYRE_BIG_PIPE_BYTES) (void)fcntl(fd, F_SETPIPE_SZ, GYRE_BIG_PIPE_BYTES);
  stream->growable = false;
  errno = before;
}

ssize_t gyre__file_read(gyre_stream_t* stream, const uv_buf_t* buf) {
  struct iovec part = {.iov_base = buf->base, .iov_len = buf->len};
  ssize_t count = -1;
  if (!stream->lacks_nowait) {
    count = preadv2(stream->handle.fd, &part, 1, -1, RWF_NOWAIT);
    stream->lacks_nowait = gyre__lacks_nowait(count);
  }
  if (stream->lacks_nowait) {
    count = gyre__returns_at_once(stream) ? read(stream->handle.fd, buf->base, buf->len) : -1;
  }
  if (stream->growable && count >= GYRE_PIPE_BYTES) gyre__grow_pipe(stream);
  return count;
}

ssize_t gyre__file_write(gyre_stream_t* stream, const struct iovec* parts, int count) {
  ssize_t sent = -1;
  if (!stream->lacks_nowait) {
    sent = pwritev2(stream->handle.fd, parts, count, -1, RWF_NOWAIT);
    stream->lacks_nowait = gyre__lacks_nowait(sent);
  }
  if (stream->lacks_nowait) sent = gyre__returns_at_once(stream) ? writev(stream->handle.fd, parts, count) : -1;
  bool was_full = sent < 0 ? errno == EAGAIN : stream->growable && sent < gyre__total(parts, count);
  if (stream->growable && was_full) gyre__grow_pipe(stream);
  return sent;
}
