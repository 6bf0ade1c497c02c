/* UDP echo, one datagram a system call. */
#include "udp.h"

int main(void) {
  serve_datagrams(AF_INET);
}
