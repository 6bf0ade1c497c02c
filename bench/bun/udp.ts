/**
 * UDP echo by Bun's sockets. A datagram that the kernel does not take at once is lost, as datagrams may be.
 */
import { announce } from '../announce.ts';

const socket = await Bun.udpSocket({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    data(self, data, port, address) {
      self.send(data, port, address);
    },
  },
});
announce(socket.port);
