/*
 * Reading and writing of pipes, FIFOs, terminals and devices, which never wait.
 *
 * O_NONBLOCK belongs to the open file description. Everybody who shares it can clear the flag: Node and libuv do so
 * for the standard streams of each child that they start. A read() or write() that relies on the flag then stops the
 * whole process until the other side acts. Sockets have MSG_DONTWAIT for that, and pipes have RWF_NOWAIT since
 * Linux 6.4. For everything else the flag is looked at before each call, and set again when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gyre.h"

/* The kernel, or a sandbox around us, has no RWF_NOWAIT for this kind of file. */
static bool gyre__lacks_nowait(ssize_t result) {
  return result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM);
}

/* Whether read() and write() return at once; else errno says why not. */
static bool gyre__returns_at_once(const gyre_stream_t* stream) {
  int error = gyre__never_block(stream->handle.fd);
  if (error != 0) errno = -error;
  return error == 0;
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
  return count;
}

ssize_t gyre__file_write(gyre_stream_t* stream, const struct iovec* parts, int count) {
  ssize_t sent = -1;
  if (!stream->lacks_nowait) {
    sent = pwritev2(stream->handle.fd, parts, count, -1, RWF_NOWAIT);
    stream->lacks_nowait = gyre__lacks_nowait(sent);
  }
  if (stream->lacks_nowait) sent = gyre__returns_at_once(stream) ? writev(stream->handle.fd, parts, count) : -1;
  return sent;
}
