/**
 * Reads 1 GiB while the heap is small. Prints how often V8 has marked the whole heap, and
 * whether a context that the program creates has the function `gc`.
 */
import type { PerformanceEntry } from 'node:perf_hooks';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { runInNewContext } from 'node:vm';
import type { Transport } from '../../../src/index.ts';
import { Protocol, UvEventLoop } from '../../../src/index.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { portOf } from '../../helpers/pairs.ts';

const TOTAL_BYTES = 1024 * 1024 * 1024;
const MESSAGE_BYTES = 64 * 1024;

let marked = 0;
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { detail } = entry as PerformanceEntry & { detail: { kind: number } };
    if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) marked++;
  }
});
observer.observe({ entryTypes: ['gc'] });

/** Sends messages while it is not paused. */
class Sender extends Protocol {
  #transport: Transport | null = null;
  #paused: boolean = false;
  #left: number = TOTAL_BYTES;
  readonly #message: Buffer = Buffer.alloc(MESSAGE_BYTES, 'x');

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#send();
  }

  override pauseWriting(): void {
    this.#paused = true;
  }

  override resumeWriting(): void {
    this.#paused = false;
    this.#send();
  }

  #send(): void {
    while (!this.#paused && this.#left > 0) {
      this.#left -= MESSAGE_BYTES;
      this.#transport?.write(this.#message);
    }
    if (this.#left === 0) this.#transport?.close();
  }
}

const loop = new UvEventLoop();
await loop.runUntilComplete(async () => {
  const over = loop.createFuture<number>();
  const receiver = new Protocol();
  let received = 0;
  receiver.dataReceived = (data) => {
    received += data.length;
  };
  receiver.connectionLost = () => over.setResult(received);
  const server = await loop.createServer(() => receiver, '127.0.0.1', 0);
  await loop.createConnection(() => new Sender(), '127.0.0.1', portOf(server));
  if ((await over) !== TOTAL_BYTES) throw new Error('data is missing');
  server.close();
  await server.waitClosed();
});
loop.close();
// The host tells of collections in a later task.
await hostPasses();
observer.disconnect();
console.log(JSON.stringify({ marked, gc: runInNewContext('typeof gc') }));
