/** Echo by Bun's sockets. */
import { serve } from './serve.ts';
import { Unsent } from './unsent.ts';

serve<Unsent>({
  open(socket) {
    socket.data = new Unsent();
  },
  data(socket, data) {
    socket.data.write(socket, data);
  },
  drain(socket) {
    socket.data.drain(socket);
  },
});
