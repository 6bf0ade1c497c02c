/** Messages on the channel between a pool and its worker that do not come from gyre. */
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { describe, mock, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { currentJob } from '../../src/index.ts';
import { jobs, kinds, withPool } from './pools.ts';

/** Posts as a library within a job does that believes to own the thread, or the process. */
async function postEach(messages: unknown[]): Promise<string> {
  const { parentPort } = await import('node:worker_threads');
  for (const message of messages) {
    if (parentPort === null) process.send?.(message as object);
    else parentPort.postMessage(message);
  }
  return 'fine';
}

/** Sends a socket to the parent, which expects none. Returns once the other side has closed it. */
async function sendSocket(): Promise<string> {
  const { connect, createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const client = connect((server.address() as { port: number }).port, '127.0.0.1').resume();
  const accepted = await new Promise<import('node:net').Socket>((resolve) =>
    server.once('connection', resolve),
  );
  process.send?.({ take: 'this' }, accepted);
  await new Promise((resolve) => client.once('close', resolve));
  server.close();
  return 'closed';
}

/** Returns the text of the next warning in the worker. */
async function nextWarning(): Promise<string> {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  currentJob()?.reportProgress('listening');
  const { message } = await warned;
  return message;
}

/** Messages in the format of gyre's answers, or near it. */
const LOOKALIKES = [0, 1, 2].flatMap((slot) => [
  [slot, 1, 'forged', false],
  [slot, 4, undefined, false],
  { gyre: slot },
  { gyre: null },
  { gyre: { 0: slot, 1: 1, 2: 'forged' } },
]);

/** Any other value that can be sent to a process, too. */
const STRANGE = [null, 0, 'text', '', true, [], [null], {}, { id: 'x' }, { result: null }, 'ready'];

async function warningsOf(body: () => Promise<void>): Promise<Error[]> {
  const warnings: Error[] = [];
  const listener = (warning: Error & { code?: string }): void => {
    if (warning.code === 'GYRE_FOREIGN_MESSAGE') warnings.push(warning);
  };
  process.on('warning', listener);
  await body();
  process.off('warning', listener);
  return warnings;
}

for (const { kind, make } of kinds) {
  describe(`a foreign message on the channel of a ${kind}`, () => {
    test('a pool drops a foreign message that a job sent, and warns of the first one', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        const warnings = await warningsOf(async () => {
          for (const message of [...STRANGE, ...LOOKALIKES]) {
            assert.equal(await pool.submit(postEach, [[message]]), 'fine', JSON.stringify(message));
          }
          assert.equal(await pool.submit(postEach, [[...STRANGE, ...LOOKALIKES]]), 'fine');
          assert.equal(await pool.submit(jobs.fib, [5]), 5);
        });
        assert.equal(warnings.length, 1);
        assert.match(
          warnings[0]!.message,
          /^a pool received a message \(null\) that gyre did not send, and dropped/,
        );
      }));

    test('a worker drops a foreign message that it gets, and warns of it', async () => {
      const { host, restore } = catchWorker(kind);
      await withPool(make({ maxWorkers: 1 }), async (pool) => {
        const warning = pool.submit(nextWarning, [], {
          onProgress: async () => {
            const worker = await host;
            for (const message of STRANGE) {
              if ('postMessage' in worker) worker.postMessage(message);
              else worker.send(message as object);
            }
          },
        });
        assert.match(await warning, /^a worker of a pool received a message \(null\) that gyre did not send/);
        assert.equal(await pool.submit(jobs.fib, [5]), 5);
      });
      restore();
    });
  });
}

test('a pool closes a socket that a job in a process sends', () =>
  withPool(kinds[1]!.make({ maxWorkers: 1 }), async (pool) => {
    assert.equal(await pool.submit(sendSocket, []), 'closed');
  }));

/** The host's object of the worker that starts next. */
function catchWorker(kind: 'thread' | 'process'): {
  host: Promise<Worker | childProcess.ChildProcess>;
  restore(): void;
} {
  if (kind === 'thread') {
    return { host: once(process, 'worker').then(([worker]) => worker as Worker), restore: () => {} };
  }
  let caught = (_child: childProcess.ChildProcess): void => {};
  const host = new Promise<childProcess.ChildProcess>((resolve) => {
    caught = resolve;
  });
  const { fork } = childProcess;
  const mocked = mock.method(childProcess, 'fork', (...args: unknown[]) => {
    const child = (fork as (...args: unknown[]) => childProcess.ChildProcess)(...args);
    caught(child);
    return child;
  });
  syncBuiltinESMExports();
  const restore = (): void => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  };
  return { host, restore };
}
