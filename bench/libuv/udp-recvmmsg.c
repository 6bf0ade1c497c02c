/* UDP echo that receives many datagrams by one system call, and sends them one by one. */
#include "udp.h"

int main(void) {
  serve_datagrams(AF_INET | UV_UDP_RECVMMSG);
}
