/*
 * UDP echo that receives and sends many datagrams by one system call: recvmmsg() and sendmmsg() on a socket
 * that libuv polls. A datagram that the kernel does not take at once is lost, as datagrams may be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "serve.h"

enum { BATCH = 64, DATAGRAM_BYTES = 2048 };

static int fd;
static char bytes[BATCH][DATAGRAM_BYTES];
static struct iovec slices[BATCH];
static struct sockaddr_in senders[BATCH];
static struct mmsghdr messages[BATCH];

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void) poll, (void) events;
  check(status, "poll");
  for (size_t i = 0; i < BATCH; i++) {
    slices[i] = (struct iovec) {.iov_base = bytes[i], .iov_len = DATAGRAM_BYTES};
    messages[i].msg_hdr = (struct msghdr) {
      .msg_iov = &slices[i], .msg_iovlen = 1, .msg_name = &senders[i], .msg_namelen = sizeof senders[i]};
  }
  int received = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
  if (received < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    fail("recvmmsg");
  }
  for (int i = 0; i < received; i++) slices[i].iov_len = messages[i].msg_len;
  int sent = sendmmsg(fd, messages, (unsigned) received, MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) fail("sendmmsg");
}

int main(void) {
  uv_poll_t poll;
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
  fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof address) != 0 ||
      getsockname(fd, (struct sockaddr *) &address, &length) != 0)
    fail("the socket cannot be bound");
  check(uv_poll_init(uv_default_loop(), &poll, fd), "uv_poll_init");
  check(uv_poll_start(&poll, UV_READABLE, on_readable), "uv_poll_start");
  announce_and_run(ntohs(address.sin_port));
}
