/** TCP echo by async iteration of the socket. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { ignoreReset, serve } from './serve.ts';

async function echo(socket: Socket): Promise<void> {
  for await (const chunk of socket) {
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  socket.end();
}

serve((socket) => {
  echo(socket).catch(ignoreReset);
});
