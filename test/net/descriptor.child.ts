/**
 * Takes over the socket of its descriptor 3: `node descriptor.child.ts connection|server`. Answers all data
 * in capitals, and ends when a connection has ended.
 */
import type { Protocol, Transport } from '../../src/index.ts';
import { NodeEventLoop } from '../../src/index.ts';

const [, , kind] = process.argv;
const loop = new NodeEventLoop();
const ended = loop.createFuture<void>();

class Capitals implements Protocol {
  #transport: Transport | null = null;

  connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  dataReceived(data: Buffer): void {
    this.#transport?.write(String(data).toUpperCase());
  }

  connectionLost(exception: Error | null): void {
    if (exception === null) ended.setResult(undefined);
    else ended.setException(exception);
  }
}

await loop.runUntilComplete(async () => {
  if (kind === 'connection') {
    const [transport] = await loop.createConnection(() => new Capitals(), null, null, { sock: 3 });
    console.log(JSON.stringify(transport.getExtraInfo('sockname')));
    await ended;
  } else {
    const server = await loop.createServer(() => new Capitals(), null, null, { sock: 3 });
    console.log(JSON.stringify(server.sockets[0]?.getsockname()));
    await ended;
    server.close();
    await server.waitClosed();
  }
});
loop.close();
