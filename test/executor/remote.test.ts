import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { RemotePort } from '../../src/index.ts';
import {
  connectRemote,
  currentTask,
  getRunningLoop,
  importFunctions,
  NodeEventLoop,
  sleep,
  ThreadPoolExecutor,
} from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import type { Handlers } from './remote-jobs.ts';

const jobs = importFunctions<typeof import('./remote-jobs.ts')>(new URL('./remote-jobs.ts', import.meta.url));

/** Runs a function of remote-jobs.ts in a thread, with a port for these handlers. */
function inThread<A extends unknown[], T>(
  pool: ThreadPoolExecutor,
  fn: (port: RemotePort<Handlers>, ...args: A) => T,
  port: RemotePort<Handlers>,
  ...args: A
): Promise<Awaited<T>> {
  return pool.submit(fn, [port, ...args], { transfer: [port] });
}

function handlers(seen: unknown[]): Handlers {
  return {
    add: (n) => void seen.push(n),
    note: (...words) => void seen.push(words),
  };
}

describe('loop.remote()', () => {
  test(
    'loop.remote() delivers 100,000 calls in order, and wakes an idle loop',
    onNode(async (loop) => {
      const calls = 100_000;
      let next = 0;
      const done = loop.createFuture<void>();
      const add = (n: number): void => {
        assert.equal(n, next);
        if (++next === calls) done.setResult();
      };
      await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
      const port = loop.remote<Handlers>({ ...handlers([]), add });
      void inThread(pool, jobs.callMany, port, 0, calls);
      await done;
      assert.equal(next, calls);
    }),
  );

  test(
    'loop.remote() serves several threads at once, each in its order',
    onNode(async (loop) => {
      const threads = 3;
      const each = 2000;
      const seen: number[] = [];
      await using pool = new ThreadPoolExecutor({ maxWorkers: threads });
      for (let i = 0; i < threads; i++) {
        const port = loop.remote<Handlers>(handlers(seen));
        void inThread(pool, jobs.callMany, port, i * each, (i + 1) * each);
      }
      while (seen.length < threads * each) await sleep(0);
      for (let i = 0; i < threads; i++) {
        const own = seen.filter((n) => Math.floor(n / each) === i);
        assert.deepEqual(
          own,
          Array.from({ length: each }, (_, n) => i * each + n),
        );
      }
    }),
  );

  test(
    'loop.remote() works in a worker of the program, by workerData',
    onNode(async (loop) => {
      const called = loop.createFuture<unknown>();
      const port = loop.remote({ called: (value: unknown) => called.setResult(value) });
      // This worker needs only the wire format of the library, in plain JavaScript, which Node 20 runs
      // without a loader.
      const code = `
        const { receiveMessageOnPort, workerData } = require('node:worker_threads');
        const { names } = receiveMessageOnPort(workerData).message;
        workerData.postMessage([names[0], [{ from: 'worker' }]]);`;
      const worker = new Worker(code, { eval: true, workerData: port, transferList: [port] });
      const exited = once(worker, 'exit');
      assert.deepEqual(await called, { from: 'worker' });
      await exited;
    }),
  );

  test(
    'a handler of loop.remote() runs as a callback, in the context of remote(), in no task, and its error is reported',
    onNode(async (loop, reports) => {
      const storage = new AsyncLocalStorage<string>();
      const seen: unknown[] = [];
      const done = loop.createFuture<void>();
      const port = storage.run('here', () =>
        loop.remote({
          look: (last: boolean) => {
            seen.push(storage.getStore(), getRunningLoop() === loop, currentTask());
            if (last) done.setResult();
            throw new Error('of the handler');
          },
          later: async () => {
            await Promise.resolve();
            throw new Error('of the async handler');
          },
        }),
      );
      const remote = connectRemote(port);
      remote.callSoonThreadsafe('later');
      remote.callSoonThreadsafe('look', false);
      remote.callSoonThreadsafe('look', true);
      await done;
      await sleep(0);
      remote.close();
      assert.deepEqual(seen, ['here', true, null, 'here', true, null]);
      assert.deepEqual(
        reports
          .take()
          .map(({ exception }) => (exception as Error).message)
          .sort(),
        ['of the async handler', 'of the handler', 'of the handler'],
      );
    }),
  );

  test(
    'loop.remote() offers an instance’s methods, inherited ones and own functions, each called on the instance',
    onNode(async (loop) => {
      class Base {
        readonly log: string[] = [];
        inherited(): void {
          this.log.push('inherited');
        }
        replaced(): void {
          this.log.push('never called');
        }
      }
      class Counter extends Base {
        size = 1;
        readonly own = (): void => {
          this.log.push('own');
        };
        get getter(): () => void {
          throw new Error('a getter is left alone');
        }
        override replaced(): void {
          this.log.push('replaced');
        }
        add(n: number): void {
          this.size += n;
          this.log.push('add');
        }
      }
      const counter = new Counter();
      const remote = connectRemote(loop.remote(counter));
      remote.callSoonThreadsafe('own');
      remote.callSoonThreadsafe('inherited');
      remote.callSoonThreadsafe('replaced');
      remote.callSoonThreadsafe('add', 4);
      while (counter.log.length < 4) await sleep(0);
      assert.deepEqual(counter.log, ['own', 'inherited', 'replaced', 'add']);
      assert.equal(counter.size, 5);
      for (const name of ['constructor', 'getter', 'size', 'toString', 'hasOwnProperty']) {
        assert.throws(() => remote.callSoonThreadsafe(name as 'own'), { code: 'ERR_INVALID_ARG_TYPE' });
      }
      remote.close();
    }),
  );

  test(
    'loop.remote() calls a function of an object on that object',
    onNode(async (loop) => {
      const done = loop.createFuture<unknown>();
      const handlers = {
        look(): void {
          done.setResult(this);
        },
      };
      const remote = connectRemote(loop.remote(handlers));
      remote.callSoonThreadsafe('look');
      assert.equal(await done, handlers);
      remote.close();
    }),
  );

  test(
    'loop.remote() rejects an instance without methods',
    onNode(async (loop) => {
      class Empty {
        size = 1;
      }
      assert.throws(() => loop.remote(new Empty() as unknown as { add(): void }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message:
          /^The "handlers" argument must be an object of functions, or one with methods; got .* Empty$/,
      });
    }),
  );

  test(
    'wrong calls of a remote port throw in the calling thread',
    onNode(async (loop) => {
      const seen: unknown[] = [];
      await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
      const errors = (await inThread(pool, jobs.callWrongly, loop.remote(handlers(seen)))) as Error[];
      assert.deepEqual(
        errors.map(({ name, message }) => `${name}: ${message.replace(/; got .*/, '')}`),
        [
          'TypeError: The "name" argument must be a handler of the loop (add, note)',
          'TypeError: The "name" argument must be a handler of the loop (add, note)',
          'TypeError: The "name" argument must be a string',
          'TypeError: The "args[0].callback" argument must be a value that can be copied to the thread of the loop',
          'TypeError: The "port" argument must be a port of loop.remote() that was not connected before',
          // structuredClone() keeps only the language's class of an error value.
          'Error: this remote loop was closed by close()',
        ],
      );
      while (seen.length === 0) await sleep(0);
      assert.deepEqual(seen, [['fine']]);
    }),
  );

  test(
    'loop.remote() reports messages that bypass connectRemote(), and crashes no thread',
    onNode(async (_loop, reports) => {
      const port = getRunningLoop().remote({ fn: () => {} });
      const strange: unknown[] = ['fn', null, [], ['fn'], ['fn', 5], ['toString', []], { name: 'fn' }];
      for (const message of strange) port.postMessage(message);
      let count = 0;
      while (count < strange.length) {
        for (const { message } of reports.take()) {
          assert.equal(message, 'a port of remote() received a message that is not a call');
          count++;
        }
        await sleep(0);
      }
      port.close();
    }),
  );

  test('a stopped loop runs the calls of its remote ports in its next run', () =>
    withLoop(
      () => new NodeEventLoop(),
      async (loop) => {
        const seen: unknown[] = [];
        await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
        await inThread(pool, jobs.callOnce, loop.remote(handlers(seen)), 'stopped');
        assert.deepEqual(seen, []);
        await loop.runUntilComplete(async () => {
          while (seen.length === 0) await sleep(0);
        });
        assert.deepEqual(seen, [['stopped']]);
      },
    ));

  test('calls to a closed loop throw at once, also in a thread that never awaits', async () => {
    const loop = new NodeEventLoop();
    const seen: unknown[] = [];
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const calling = inThread(pool, jobs.callUntilClosed, loop.remote(handlers(seen)));
    await loop.runUntilComplete(async () => {
      while (seen.length < 3) await sleep(0);
    });
    loop.close();
    const last = seen.length;
    const error = (await calling) as Error;
    assert.equal(error.message, 'the event loop is closed');
    assert.equal(seen.length, last);
    assert.throws(() => loop.remote(handlers([])), { code: 'ERR_LOOP_CLOSED' });
  });

  test('ports that were never connected, and threads that end without closing theirs, leave nothing behind', () =>
    withLoop(
      () => new NodeEventLoop(),
      async (loop) => {
        const seen: unknown[] = [];
        const before = loop._owned.unreported.size;
        await loop.runUntilComplete(async () => {
          for (let i = 0; i < 100; i++) loop.remote(handlers(seen)).close();
          await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
          await inThread(pool, jobs.callOnce, loop.remote(handlers(seen)), 'and gone');
        });
        await loop.runUntilComplete(async () => {
          while (loop._owned.unreported.size > before) await sleep(0);
        });
        assert.deepEqual(seen, [['and gone']]);
        loop.remote(handlers(seen));
      },
    ));

  test('loop.remote() and connectRemote() reject wrong arguments', () =>
    withLoop(
      () => new NodeEventLoop(),
      (loop) => {
        const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
        for (const wrong of [undefined, null, 5, [], { fn: 5 }]) {
          assert.throws(() => loop.remote(wrong as unknown as Handlers), typeError);
        }
        const { port1, port2 } = new MessageChannel();
        port2.postMessage('no greeting');
        port2.postMessage(null);
        for (const wrong of [undefined, {}, port2, port1, port1]) {
          assert.throws(() => connectRemote(wrong as RemotePort), {
            ...typeError,
            message: /The "port" argument must be a port of loop\.remote\(\) that was not connected before/,
          });
        }
        port1.close();
      },
    ));
});
