/** A worker that is in the middle of a transfer, with a server, a lookup and a child under way, until somebody ends it. */
import { parentPort } from 'node:worker_threads';
import { Protocol, UvEventLoop } from '../../../src/index.ts';

const loop = new UvEventLoop();
const piece = Buffer.alloc(256 * 1024, 'gyre');

class Flood extends Protocol {
  #transport: import('../../../src/index.ts').Transport | null = null;
  override connectionMade(transport: import('../../../src/index.ts').Transport): void {
    this.#transport = transport;
    this.resumeWriting();
  }
  override resumeWriting(): void {
    for (let i = 0; i < 8; i++) this.#transport?.write(piece);
  }
}

let received = 0;
class Sink extends Protocol {
  override dataReceived(data: Buffer): void {
    const before = received;
    received += data.length;
    if (before < 4_000_000 && received >= 4_000_000) parentPort?.postMessage('in the middle of it');
  }
}

await loop.runUntilComplete(async () => {
  const server = await loop.createServer(() => new Flood(), '127.0.0.1', 0);
  const [, port] = server.sockets[0]!.getsockname() as [string, number];
  for (let i = 0; i < 4; i++) await loop.createConnection(() => new Sink(), '127.0.0.1', port);
  void loop.getaddrinfo('localhost', 80).catch(() => {});
  await loop.createFuture<void>();
});
