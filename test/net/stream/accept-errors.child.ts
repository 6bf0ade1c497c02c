/**
 * A server that cannot accept. `node accept-errors.child.ts shut-down descriptor` takes a listening socket
 * over, which its other owner then shuts down. `... spare` has no descriptor left, and threads that take
 * every free one. Each line of the standard input is a step.
 */
import { closeSync, open } from 'node:fs';
import { createInterface } from 'node:readline';
import type { BaseEventLoop, Server, Transport } from '../../../src/index.ts';
import { Protocol } from '../../../src/index.ts';
import { busyPart } from '../../helpers/busy-part.ts';
import { takeAllDescriptors } from '../../helpers/exhaust.ts';
import { makeLoop, portOf } from '../../helpers/pairs.ts';

const loop = makeLoop();
const reports: { code: unknown; at: number }[] = [];
const firstReport = loop.createFuture<void>();
loop.setExceptionHandler((_loop, { exception }) => {
  reports.push({ code: (exception as { code?: unknown }).code, at: loop.time() });
  if (!firstReport.done()) firstReport.setResult(undefined);
});
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
const say = (what: unknown): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);

/** Threads that take every free descriptor. */
let greedy = true;

class Greeter extends Protocol {
  override connectionMade(transport: Transport): void {
    transport.write('served');
    transport.close();
  }
}

/**
 * Returns the shortest time between two reports, their codes, and the part of the time that the host is busy.
 */
async function summary(): Promise<unknown> {
  const gaps = reports.slice(1).map(({ at }, i) => at - (reports[i] as { at: number }).at);
  const codes = [...new Set(reports.map(({ code }) => code))];
  return { codes, gap: Math.min(...gaps, 60), busy: await busyPart() };
}

async function answerSteps(server: Server, free: () => void): Promise<void> {
  say(portOf(server));
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true || value === 'end') return;
    if (value === 'still') greedy = false;
    if (value === 'free') free();
    if (value === 'reported') await firstReport;
    say(value === 'summary' ? await summary() : value);
  }
}

const kinds: Record<string, (loop: BaseEventLoop) => Promise<void>> = {
  async 'shut-down'() {
    const server = await loop.createServer(() => new Greeter(), null, null, {
      sock: Number(process.argv[3]),
    });
    await answerSteps(server, () => {});
    server.close();
    await server.waitClosed();
  },

  async spare() {
    const server = await loop.createServer(() => new Greeter(), '127.0.0.1', 0);
    const held = await takeAllDescriptors();
    const take = (): void => {
      if (!greedy) return;
      open('/dev/null', 'r', (_error, fd) => {
        if (fd !== undefined) held.push(fd);
        setImmediate(take);
      });
    };
    for (let threads = 0; threads < 8; threads++) take();
    await answerSteps(server, () => {
      for (const fd of held.splice(0)) closeSync(fd);
    });
    server.close();
    await server.waitClosed();
  },
};

await loop.runUntilComplete(async () => await kinds[process.argv[2] as string]?.(loop));
loop.close();
process.exit();
