import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReturnWhen } from '../../src/index.ts';
import { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, sleep, wait } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

test('wait for all returns when all futures are done, and throws no failure', () =>
  simulate(async (loop) => {
    const failing = loop.createTask(() => Promise.reject(new Error('no')));
    const cancelled = sleep(100);
    loop.callLater(2, () => cancelled.cancel());
    const nap = sleep(3);
    const [done, pending] = await wait([failing, cancelled, nap], { returnWhen: ALL_COMPLETED });
    assert.deepEqual(done, new Set([failing, cancelled, nap]));
    assert.deepEqual(pending, new Set());
    assert.equal(loop.time(), 3);
    assert.equal(await outcome(failing), 'error no');
    const [again] = await wait([nap]);
    assert.deepEqual(again, new Set([nap]));
  }));

test('wait for the first returns when one future is done, and leaves the others alone', () =>
  simulate(async (loop) => {
    const [slow, fast] = [sleep(5, 'slow'), sleep(1, 'fast')];
    const [done, pending] = await wait([slow, fast], { returnWhen: FIRST_COMPLETED });
    assert.deepEqual([[...done], [...pending]], [[fast], [slow]]);
    assert.equal(loop.time(), 1);
    assert.equal(waitersOf(slow), 0);
    assert.equal(await slow, 'slow');
  }));

test('wait for the first failure ignores results and cancellations', () =>
  simulate(async (loop) => {
    const cancelled = sleep(100);
    loop.callLater(2, () => cancelled.cancel());
    const failing = loop.createTask(async () => {
      await sleep(3);
      throw new Error('no');
    });
    const last = sleep(4);
    const [done, pending] = await wait([sleep(1), cancelled, failing, last], { returnWhen: FIRST_EXCEPTION });
    assert.equal(done.size, 3);
    assert.deepEqual(pending, new Set([last]));
    assert.equal(loop.time(), 3);
    assert.equal(await outcome(failing), 'error no');
    const [all] = await wait([last, sleep(1)], { returnWhen: FIRST_EXCEPTION });
    assert.equal(all.size, 2);
  }));

test('wait for the first failure does not mark the failure as retrieved', () =>
  simulate(async (loop, reports) => {
    const error = new Error('lost');
    await (async () => {
      const failing = loop.createTask(() => Promise.reject(error));
      await wait([failing], { returnWhen: FIRST_EXCEPTION });
    })();
    await sleep(1);
    await collectGarbage();
    assert.deepEqual(
      reports.take().map((context) => context.exception),
      [error],
    );
  }));

test('wait returns the done futures after its timeout, and throws nothing', () =>
  simulate(async (loop) => {
    const [slow, fast] = [sleep(100), sleep(1)];
    const [done, pending] = await wait([slow, fast], { timeout: 5 });
    assert.deepEqual([[...done], [...pending]], [[fast], [slow]]);
    assert.equal(loop.time(), 5);
    for (const timeout of [0, -1, Number.NEGATIVE_INFINITY]) {
      const [none] = await wait([slow], { timeout });
      assert.equal(none.size, 0);
    }
    assert.equal(loop.time(), 5);
    slow.cancel();
    for (const timeout of [null, Number.POSITIVE_INFINITY])
      assert.equal((await wait([slow], { timeout }))[0].size, 1);
  }));

test('wait removes its timer when it ends before the timeout', () =>
  simulate(async (loop) => {
    await wait([sleep(1)], { timeout: 100 });
    assert.equal(loop._scheduler.timers.size, 0);
    const waiting = wait([loop.createFuture()], { timeout: 100 });
    waiting.cancel();
    assert.equal(await outcome(waiting), 'CancelledError');
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('cancelling wait leaves its futures alone', () =>
  simulate(async (loop) => {
    const nap = sleep(5, 'nap');
    const waiting = wait([nap]);
    await sleep(1);
    assert.equal(waiting.cancel(), true);
    assert.equal(await outcome(waiting), 'CancelledError');
    assert.equal(waitersOf(nap), 0);
    assert.equal(await nap, 'nap');
    assert.equal(loop.time(), 5);
  }));

test('wait counts futures that complete before it returns', () =>
  simulate(async (loop) => {
    const futures = [loop.createFuture(), loop.createFuture(), loop.createFuture()];
    const waiting = wait(futures, { returnWhen: FIRST_COMPLETED });
    futures[0]?.setResult(null);
    loop.callSoon(() => futures[1]?.setResult(null));
    const [done] = await waiting;
    assert.equal(done.size, 2);
    futures[2]?.cancel();
  }));

test('wait returns the very objects that it was given, promises included, each once', () =>
  simulate(async (loop) => {
    const good = Promise.resolve(1);
    const bad = Promise.reject(new Error('no'));
    const never = new Promise<void>(() => {});
    const nap = sleep(1);
    const [done, pending] = await wait(new Set([good, bad, never, nap, good]), { timeout: 2 });
    assert.deepEqual(done, new Set([good, bad, nap]));
    assert.deepEqual(pending, new Set([never]));
    assert.equal(await outcome(bad), 'error no');
    function* generate(): Generator<Promise<number>> {
      yield good;
      yield good;
    }
    assert.equal((await wait(generate()))[0].size, 1);
    assert.equal(loop.time(), 2);
    await collectGarbage();
  }));

test('wait rejects wrong arguments at the call, and waits for nothing then', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const other = new SimulatedEventLoop();
    const foreign = other.createFuture();
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    for (const aws of [undefined, null, 5, 'futures', future, Promise.resolve()]) {
      assert.throws(() => wait(aws as never), { ...type, message: /"aws" argument must be an iterable/ });
    }
    assert.throws(() => wait([]), { ...range, message: /"aws" argument must be at least one/ });
    assert.throws(() => wait([future, 5 as never]), { ...type, message: /"aws\[1\]".*got 5/ });
    assert.throws(() => wait([future, foreign]), { ...range, message: /"aws\[1\]"/ });
    assert.throws(() => wait([future], { timeout: Number.NaN }), {
      ...range,
      message: /"options.timeout".*NaN/,
    });
    assert.throws(() => wait([future], { timeout: '5' as never }), type);
    assert.throws(() => wait([future], { returnWhen: 'SOMETIMES' as ReturnWhen }), {
      ...range,
      message: /"options.returnWhen" argument must be FIRST_COMPLETED.*got "SOMETIMES"/,
    });
    assert.throws(() => wait([future], { returnwhen: FIRST_COMPLETED } as never), type);
    assert.equal(waitersOf(future), 0);
    assert.equal(loop._scheduler.timers.size, 0);
    other.close();
  }));
