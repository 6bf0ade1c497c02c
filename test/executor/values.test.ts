import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { after, describe, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { findUncloneable } from '../../src/executor/uncloneable.ts';
import type { Executor } from '../../src/index.ts';
import { currentJob, ProcessPoolExecutor, ThreadPoolExecutor } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, kinds } from './pools.ts';

const MEBIBYTE = 1024 * 1024;

for (const { kind, make } of kinds) {
  describe(`arguments and results of a ${kind}`, () => {
    const pool: AnyPool = make({ maxWorkers: 1 });
    after(() => pool.shutdown());

    test('arguments and results are copied as by structuredClone()', async () => {
      const values = [
        null,
        undefined,
        -0,
        2n ** 70n,
        'text',
        new Date(5),
        /x/g,
        new Map<unknown, unknown>([['a', new Set([1])]]),
        new Uint8Array([1, 2]),
        { deep: [{ er: 1 }] },
      ];
      assert.deepEqual(await pool.submit((...args: unknown[]) => args, values), values);
      const round: { self?: unknown } = {};
      round.self = round;
      const back = await pool.submit((value: { self?: unknown }) => value, [round]);
      assert.equal(back.self, back);
    });

    test('an argument keeps the value that it had at the call', async () => {
      const list = [1];
      const busy = pool.submit(jobs.fib, [15]);
      const sum = pool.submit((values: number[]) => values.length, [list]);
      list.push(2);
      assert.equal(await sum, 1);
      await busy;
    });

    test('submit() names an argument that cannot be copied, and the pool still works', async () => {
      const value = { list: [1, { 'call back': (): void => {} }] };
      assert.throws(
        () => void pool.submit((_a: number, _b: unknown) => {}, [1, value]),
        (error: Error) => {
          assert.equal(error.name, 'TypeError');
          assert.equal((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_TYPE');
          assert.match(
            error.message,
            /^The "args\[1\]\.list\[1\]\["call back"\]" argument must be a value that can be copied/,
          );
          assert.match(error.message, /got function call back$/);
          assert.match((error.cause as Error).message, /could not be cloned/);
          return true;
        },
      );
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    });

    test('shared memory is shared with a thread, and rejected by a pool of processes', async () => {
      const memory = new SharedArrayBuffer(8);
      const set = (value: { part: Int32Array }): void => {
        value.part[0] = 5;
      };
      if (kind === 'thread') {
        await pool.submit(set, [{ part: new Int32Array(memory) }]);
        assert.equal(new Int32Array(memory)[0], 5);
        return;
      }
      for (const part of [memory, new Int32Array(memory), new DataView(memory, 4), Buffer.from(memory)]) {
        assert.throws(() => void pool.submit(set, [{ part: part as Int32Array }]), {
          code: 'ERR_INVALID_ARG_TYPE',
          message:
            /^The "args\[0\]\.part" argument must be unshared memory, because a process has its own memory: .*ThreadPoolExecutor; got an instance of /,
        });
      }
      // All values that are serialized otherwise arrive unchanged.
      const bytes = [
        new Uint8Array([1]),
        Buffer.from('x'),
        new DataView(new ArrayBuffer(2)),
        [1n],
        new Map([[1, /x/]]),
      ];
      assert.deepEqual(await pool.submit((values: unknown) => values, [bytes]), bytes);
    });

    test('a result that cannot be copied is named in the rejection', async () => {
      await assert.rejects(pool.submit(jobs.returnFunction, []), {
        name: 'TypeError',
        code: 'ERR_INVALID_RETURN_VALUE',
        message:
          /^the result of returnFunction cannot be copied out of its worker: it\.list\[1\]\.callback is function callback$/,
      });
      await assert.rejects(pool.submit(jobs.reportFunction, []), {
        message:
          /^the value of reportFunction cannot be copied out of its worker: it is an anonymous function$/,
      });
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    });

    test('a job returns a result of 100 MiB', async () => {
      const result = await pool.submit(jobs.bytes, [100 * MEBIBYTE, false]);
      assert.equal(result.length, 100 * MEBIBYTE);
      assert.deepEqual([result[0], result.at(-1)], [7, 7]);
      const handedOver = await pool.submit(jobs.bytes, [100 * MEBIBYTE, true]);
      assert.deepEqual([handedOver.length, handedOver.at(-1)], [100 * MEBIBYTE, 7]);
    });

    test('a job gets an argument of 32 MiB', async () => {
      const big = new Uint8Array(32 * MEBIBYTE).fill(3);
      const sum = (bytes: Uint8Array): number => bytes.length + (bytes.at(-1) as number);
      assert.equal(await pool.submit(sum, [big]), 32 * MEBIBYTE + 3);
    });

    test('progress arrives in order and before the result', async () => {
      const seen: unknown[] = [];
      const result = await pool.submit(jobs.count, [1000], { onProgress: (n: number) => seen.push(n) });
      seen.push(result);
      assert.deepEqual(seen, [...Array.from({ length: 1000 }, (_, i) => i + 1), 'counted to 1000']);
    });

    test('progress arrives before a failure, and from a function that is sent as source', async () => {
      const seen: unknown[] = [];
      const failing = pool.submit(
        () => {
          currentJob()?.reportProgress({ part: 1 });
          throw new Error('after part 1');
        },
        [],
        { onProgress: (part: unknown) => seen.push(part) },
      );
      await assert.rejects(failing, { message: 'after part 1' });
      assert.deepEqual(seen, [{ part: 1 }]);
    });

    test('progress without a listener, or after the end of the job, is dropped', async () => {
      const seen: unknown[] = [];
      await pool.submit(jobs.count, [10]);
      await pool.submit(jobs.leaveJob, []);
      await pool.submit(jobs.reportLate, [], { onProgress: (value: unknown) => seen.push(value) });
      assert.deepEqual(seen, []);
    });

    test('progress outside of a loop is delivered in the context of submit()', async () => {
      const storage = new AsyncLocalStorage<string>();
      const seen: unknown[] = [];
      const onProgress = (): unknown => seen.push(storage.getStore());
      await storage.run('here', () => pool.submit(jobs.count, [2], { onProgress }));
      assert.deepEqual(seen, ['here', 'here']);
    });

    test('currentJob() outside of a job returns null', () => {
      assert.equal(currentJob(), null);
    });
  });
}

describe('the transfer of objects', () => {
  const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  after(() => pool.shutdown());

  test('options.transfer moves arguments to the worker', async () => {
    const data = new Uint8Array(MEBIBYTE).fill(1);
    const length = (bytes: Uint8Array): number => bytes.length;
    const size = pool.submit(length, [data], { transfer: [data.buffer] });
    assert.equal(data.length, 0);
    assert.equal(await size, MEBIBYTE);
  });

  test('the options of an executor that is given to a loop can transfer a port', async () => {
    const { port1, port2 } = new MessageChannel();
    const answered = new Promise((resolve) => port1.once('message', resolve));
    const executor: Executor = pool.withOptions({ transfer: [port2] });
    await executor.submit((port: typeof port2) => port.postMessage('hello'), [port2]);
    assert.equal(await answered, 'hello');
    port1.close();
  });

  test('reportProgress() and transfer() move a value out of the worker', async () => {
    const left = await pool.submit(async () => {
      const job = currentJob();
      const data = new Uint8Array(8);
      job?.reportProgress(data, [data.buffer]);
      return data.length;
    }, []);
    assert.equal(left, 0);
    // The value is marked but is not the result, so it is copied and stays in the worker.
    assert.equal((await pool.submit(jobs.markAnother, [])).data.length, 8);
    assert.equal(await pool.submit(jobs.lengthOfMarked, []), 8);
  });

  test('submit() rejects options.transfer of values that cannot be moved, and a port that is not in it', async () => {
    const buffer = new ArrayBuffer(8);
    for (const transfer of [[5], [{}], [buffer, buffer]]) {
      assert.throws(() => void pool.submit((_a: unknown) => {}, [buffer], { transfer }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^The "options.transfer" argument must be a list of transferable objects, each listed once/,
      });
      assert.equal(buffer.byteLength, 8);
    }
    const port = new MessageChannel().port1;
    assert.throws(() => void pool.submit((_a: unknown) => {}, [port]), {
      message: /^The "args\[0\]" argument/,
    });
    port.close();
  });

  test('a pool of processes rejects transfers and shared memory', async () => {
    const processes = new ProcessPoolExecutor({ maxWorkers: 1 });
    const buffer = new ArrayBuffer(8);
    assert.throws(() => void processes.submit((_a: unknown) => {}, [buffer], { transfer: [buffer] }), {
      name: 'LoopError',
      code: 'ERR_UNSUPPORTED',
      message: /a process cannot receive transferred objects: use ThreadPoolExecutor/,
    });
    assert.equal(buffer.byteLength, 8);
    const shared = new SharedArrayBuffer(4);
    assert.throws(() => void processes.submit((_a: unknown) => {}, [{ shared }]), {
      message: /^The "args\[0\]\.shared" argument must be .*; got an instance of SharedArrayBuffer$/,
    });
    await processes.shutdown();
  });

  test('a pool of threads shares memory', async () => {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    await pool.submit((cells: Int32Array) => Atomics.store(cells, 0, 5), [shared]);
    assert.equal(shared[0], 5);
  });
});

describe('findUncloneable()', () => {
  test('findUncloneable() names the first part that cannot be copied', () => {
    const fn = (): void => {};
    const throwing = {
      get part(): never {
        throw new Error('thrown by a getter');
      },
    };
    const cases: [unknown, string | null][] = [
      [5, null],
      [fn, 'v'],
      [[1, fn], 'v[1]'],
      [{ a: { b: Symbol('s') } }, 'v.a.b'],
      [new Map([['k', fn]]), 'v.get("k")'],
      [new Map([[fn, 1]]), 'v[a key of the map]'],
      [new Set([fn]), 'v[an entry of the set]'],
      [{ weak: new WeakMap() }, 'v.weak'],
      [{ throwing }, 'v.throwing'],
    ];
    for (const [value, path] of cases) assert.equal(findUncloneable(value, 'v')?.path ?? null, path);
  });

  test('findUncloneable() ends in a cycle, and skips transferred objects', () => {
    const round: Record<string, unknown> = { first: 1 };
    round.self = round;
    round.last = (): void => {};
    assert.equal(findUncloneable(round, 'v')?.path, 'v.last');
    const { port1 } = new MessageChannel();
    assert.equal(findUncloneable({ port1 }, 'v', structuredClone, [port1]), null);
    port1.close();
  });
});
