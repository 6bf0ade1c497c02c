/* UDP echo by libuv. A datagram that the kernel does not take at once is lost, as datagrams may be. */
#ifndef UDP_H
#define UDP_H

#include <sys/socket.h>

#include "serve.h"

/* With UV_UDP_RECVMMSG, libuv receives as many datagrams at once as there are pieces of READ_BYTES. */
enum { PIECES = 20 };

static char buffer[PIECES * READ_BYTES];

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent) {
  (void) handle, (void) suggested;
  *lent = uv_buf_init(buffer, sizeof buffer);
}

static void on_datagram(
  uv_udp_t *socket, ssize_t count, const uv_buf_t *data, const struct sockaddr *from, unsigned flags) {
  (void) flags;
  if (from == NULL) return;
  check((int) count, "receive");
  uv_buf_t answer = uv_buf_init(data->base, (unsigned) count);
  int sent = uv_udp_try_send(socket, &answer, 1, from);
  if (sent != UV_EAGAIN) check(sent, "uv_udp_try_send");
}

static inline void serve_datagrams(unsigned flags) {
  uv_udp_t socket;
  struct sockaddr_in address;
  int length = sizeof address;
  check(uv_udp_init_ex(uv_default_loop(), &socket, flags), "uv_udp_init_ex");
  check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
  check(uv_udp_bind(&socket, (struct sockaddr *) &address, 0), "uv_udp_bind");
  check(uv_udp_getsockname(&socket, (struct sockaddr *) &address, &length), "uv_udp_getsockname");
  check(uv_udp_recv_start(&socket, lend, on_datagram), "uv_udp_recv_start");
  announce_and_run(ntohs(address.sin_port));
}

#endif
