/** Echo by `tls` alone. */
import { ignoreReset, serveTls } from './serve.ts';

serveTls((socket) => {
  socket.on('error', ignoreReset);
  socket.on('data', (data) => socket.write(data));
});
