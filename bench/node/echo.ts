/** Echo by `net` alone. */
import { ignoreReset, serve } from './serve.ts';

serve((socket) => {
  socket.on('error', ignoreReset);
  socket.on('data', (data) => socket.write(data));
});
