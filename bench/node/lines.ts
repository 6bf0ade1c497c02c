/** Line echo by async iteration of `node:readline`, with one write a line. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { ignoreReset, serve } from './serve.ts';

async function echo(socket: Socket): Promise<void> {
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    if (!socket.write(`${line}\n`)) await once(socket, 'drain');
  }
  socket.end();
}

serve((socket) => {
  socket.on('error', ignoreReset);
  echo(socket).catch(ignoreReset);
});
