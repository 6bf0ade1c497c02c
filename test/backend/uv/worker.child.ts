/**
 * A worker that has everything open and is in the middle of a transfer, until it is terminated, or exits in a
 * call of the native part.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Transport } from '../../../src/index.ts';
import {
  createSubprocessExec,
  DatagramProtocol,
  DEVNULL,
  PIPE,
  Protocol,
  UvEventLoop,
} from '../../../src/index.ts';

const { path, end } = workerData as { path: string; end: 'terminated' | 'exits' | 'throws' };
const loop = new UvEventLoop();
const piece = Buffer.alloc(256 * 1024, 'gyre');

class Flood extends Protocol {
  #transport: Transport | null = null;
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.resumeWriting();
  }
  override resumeWriting(): void {
    for (let i = 0; i < 8; i++) this.#transport?.write(piece);
  }
}

/** Reads nothing, so that writes to it wait. */
class Clog extends Protocol {
  override connectionMade(transport: Transport): void {
    transport.pauseReading();
    for (let i = 0; i < 64; i++) transport.write(piece);
  }
}

let received = 0;
class Sink extends Protocol {
  override dataReceived(data: Buffer): void {
    const before = received;
    received += data.length;
    if (before >= 4_000_000 || received < 4_000_000) return;
    parentPort?.postMessage('in the middle of it');
    if (end === 'exits') process.exit(7);
  }
}

/** Many, so that records or slabs run out in the middle of a poll phase. */
function flood(from: Transport): void {
  for (let i = 0; i < 100; i++) from.write(piece);
}

await loop.runUntilComplete(async () => {
  const server = await loop.createServer(() => new Flood(), '127.0.0.1', 0);
  const unix = await loop.createUnixServer(() => new Clog(), path);
  const [, port] = server.sockets[0]!.getsockname() as [string, number];
  const [far] = await loop.createDatagramEndpoint(() => new DatagramProtocol(), {
    localAddr: ['127.0.0.1', 0],
  });
  const remoteAddr = far.getExtraInfo('sockname') as [string, number];
  const [near] = await loop.createDatagramEndpoint(() => new DatagramProtocol(), { remoteAddr });
  for (let i = 0; i < 50; i++) near.sendto(piece.subarray(0, 50_000));
  // Its stdin is a pipe of this worker, so it ends with it.
  const child = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: DEVNULL });
  child.stdin?.write(piece);
  await loop.createUnixConnection(() => new Clog(), path);
  for (let i = 0; i < 20; i++) {
    void loop.getaddrinfo('localhost', 80).catch(() => {});
    void loop.getnameinfo(['127.0.0.1', 80]).catch(() => {});
  }
  void loop.createConnection(() => new Protocol(), '127.0.0.1', port).catch(() => {});
  for (let i = 0; i < 4; i++) {
    const [transport] = await loop.createConnection(() => new Sink(), '127.0.0.1', port);
    flood(transport);
  }
  if (end === 'throws') {
    process.nextTick(() => {
      throw new Error('on purpose');
    });
  }
  await loop.createFuture<void>();
  unix.close();
});
