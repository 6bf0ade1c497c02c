import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimJobs } from '../../../src/backend/sim/executor.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import { SimulatedEventLoop } from '../../../src/entry/sim.ts';
import {
  CancelledError,
  gather,
  importFunctions,
  ProcessPoolExecutor,
  sleep,
  ThreadPoolExecutor,
  toThread,
} from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

function onSim(body: (loop: SimulatedEventLoop, jobs: SimJobs) => Promise<void>): Promise<void> {
  return withLoop(
    () => new SimulatedEventLoop(),
    (loop) => {
      assert.ok(loop._backend instanceof SimBackend);
      const { jobs } = loop._backend.kernel.machine;
      return loop.runUntilComplete(() => body(loop, jobs));
    },
  );
}

const add = (a: number, b: number): number => a + b;

test('a function in the default executor of a simulated loop takes a few milliseconds of virtual time', () =>
  onSim(async (loop) => {
    assert.equal(await toThread(add, 1, 2), 3);
    assert.ok(loop.time() >= 0.001 && loop.time() < 0.005);
  }));

test('the virtual time of jobs can be set, and so many run at once as there are workers', () =>
  onSim(async (loop, jobs) => {
    jobs.seconds = () => 10;
    jobs.workers = 2;
    await gather(toThread(add, 1, 1), toThread(add, 1, 1), toThread(add, 1, 1));
    assert.equal(loop.time(), 20);
  }));

test('the order in which jobs end is a matter of the seed', async () => {
  const orderOf = async (seed: number): Promise<number[]> => {
    const order: number[] = [];
    const loop = new SimulatedEventLoop({ seed });
    await loop.runUntilComplete(() =>
      gather(
        ...[1, 2, 3, 4].map(async (n) => {
          order.push(await toThread((value: number) => value, n));
        }),
      ),
    );
    loop.close();
    return order;
  };
  assert.deepEqual(await orderOf(7), await orderOf(7));
  const orders = new Set<string>();
  for (let seed = 0; seed < 10; seed++) orders.add(String(await orderOf(seed)));
  assert.ok(orders.size > 1);
});

test('arguments and results are copies, and a function sees no variables from outside, as in a thread', () =>
  onSim(async () => {
    const given = { list: [1] };
    const got = await toThread((value: { list: number[] }) => {
      value.list.push(2);
      return value;
    }, given);
    assert.deepEqual([given, got], [{ list: [1] }, { list: [1, 2] }]);
    assert.throws(
      () =>
        toThread(
          (value: unknown) => value,
          () => {},
        ),
      { code: 'ERR_INVALID_ARG_TYPE' },
    );
    await assert.rejects(
      toThread(() => () => {}),
      { name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' },
    );
    const outside = 1;
    await assert.rejects(
      toThread(() => outside),
      { name: 'ReferenceError', message: /importFunctions/ },
    );
  }));

test('an exception arrives with its class, code and cause', () =>
  onSim(async () => {
    await assert.rejects(
      toThread(() => {
        throw Object.assign(new RangeError('own', { cause: new Error('why') }), { code: 'E_OWN' });
      }),
      (error) =>
        error instanceof RangeError &&
        (error as { code?: string }).code === 'E_OWN' &&
        error.cause instanceof Error,
    );
  }));

test('a function of importFunctions() runs, and time does not move while its module is loaded', () =>
  onSim(async (loop) => {
    const path = importFunctions<typeof import('node:path')>('node:path');
    assert.equal(await toThread(path.basename, '/a/b'), 'b');
    assert.ok(loop.time() < 0.005);
  }));

test('a cancelled job that has not begun never runs, and a shutdown waits for the others', () =>
  onSim(async (loop, jobs) => {
    jobs.workers = 1;
    const first = toThread(add, 1, 2);
    const second = toThread(() => process.exit(3));
    second.cancel();
    await assert.rejects(second, CancelledError);
    await loop.shutdownDefaultExecutor();
    assert.equal(await first, 3);
    assert.throws(() => toThread(add, 1, 2), { code: 'ERR_BROKEN_EXECUTOR' });
  }));

test('a pool of real threads or processes works on a simulated loop, and time stands still for its jobs', () =>
  onSim(async (loop) => {
    await using threads = new ThreadPoolExecutor({ maxWorkers: 1 });
    await using processes = new ProcessPoolExecutor({ maxWorkers: 1 });
    let ticks = 0;
    loop.callLater(1, () => ticks++);
    assert.equal(await loop.runInExecutor(threads, add, 1, 2), 3);
    assert.equal(await loop.runInExecutor(processes, add, 1, 2), 3);
    assert.equal(await threads.submit(add, [1, 2]), 3);
    assert.deepEqual([loop.time(), ticks], [0, 0]);
    await sleep(1);
    assert.equal(ticks, 1);
  }));
