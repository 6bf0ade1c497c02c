/** A worker that answers each line with its number, generation and thread, and obeys some of the lines. */
import { threadId } from 'node:worker_threads';
import type { WorkerContext } from '../../src/entry/workers.ts';
import type { Transport } from '../../src/index.ts';
import { Protocol } from '../../src/index.ts';

class Lines extends Protocol {
  readonly #context: WorkerContext;
  #transport: Transport | null = null;

  constructor(context: WorkerContext) {
    super();
    this.#context = context;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    const { worker, generation } = this.#context;
    const line = String(data).trim();
    if (line === 'exit') process.exit(3);
    if (line === 'block') for (;;);
    this.#transport?.write(`${worker} ${generation} ${process.pid} ${threadId}\n`);
  }
}

export async function main(context: WorkerContext): Promise<void> {
  await context.createServer(() => new Lines(context));
}
