/**
 * WebSockets by `ws` over connections of the loop. An open WebSocket is no request in flight, so `onClosing`
 * ends it.
 *
 *   $ node --import tsx examples/frameworks/ws.ts
 */
import { createServer } from 'node:http';
import { CancelledError, run, sleep } from 'gyre';
import { serve } from 'gyre/node';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

const http = createServer((_request, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ server: http });
sockets.on('connection', (socket: WebSocket) => {
  socket.on('message', async (data: Buffer) => {
    await sleep(0.01);
    socket.send(`echo ${data}`);
  });
});

const onClosing = (): void => {
  for (const socket of sockets.clients) socket.close(1001, 'the server is closing');
};

await run(async () => {
  const port = process.env.PORT ?? 8080;
  const server = await serve(http, { host: '127.0.0.1', port, deadline: 5, onClosing });
  console.log(`ws on ${server.url.replace('http', 'ws')}`);
  await server.serveForever();
}).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
