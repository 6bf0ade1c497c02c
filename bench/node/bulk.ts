/** One way, by `net` alone: writes until `write()` says that it is enough. */
import { readRequest } from '../bulk-request.ts';
import { messageOf } from '../message.ts';
import { ignoreReset, serve } from './serve.ts';

serve((socket) => {
  let message: Buffer = Buffer.alloc(0);
  let left = 0;
  const send = (): void => {
    while (left > 0) {
      left -= 1;
      if (!socket.write(message)) return;
    }
    socket.end();
  };
  socket.on('error', ignoreReset);
  socket.on('drain', send);
  socket.once('data', (data) => {
    const { writes, size } = readRequest(data);
    message = messageOf(size);
    left = writes;
    send();
  });
});
