/** The handler of the servers `echo` and `tls`. */
import { Unsent } from './unsent.ts';

export const echo: Bun.SocketHandler<Unsent> = {
  open(socket) {
    socket.data = new Unsent();
  },
  data(socket, data) {
    socket.data.write(socket, data);
  },
  drain(socket) {
    socket.data.drain(socket);
  },
};
