import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asCompleted, sleep } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

test('asCompleted yields the futures that it was given, in the order in which they complete', () =>
  simulate(async (loop) => {
    const naps = [sleep(3, 'third'), sleep(1, 'first'), sleep(2, 'second')];
    const log: unknown[] = [];
    for await (const nap of asCompleted(naps)) {
      assert.ok(naps.includes(nap));
      assert.equal(nap.done(), true);
      log.push([loop.time(), nap.result()]);
    }
    assert.deepEqual(log, [
      [1, 'first'],
      [2, 'second'],
      [3, 'third'],
    ]);
  }));

test('asCompleted yields failed and cancelled futures, and throws nothing itself', () =>
  simulate(async (loop) => {
    const cancelled = sleep(100);
    loop.callLater(2, () => cancelled.cancel());
    const failing = loop.createTask(async () => {
      await sleep(1);
      throw new Error('no');
    });
    const log: string[] = [];
    for await (const aw of asCompleted([cancelled, failing, sleep(3)])) log.push(await outcome(aw));
    assert.deepEqual(log, ['error no', 'CancelledError', 'result undefined']);
  }));

test('asCompleted yields promises as promises, and each once', () =>
  simulate(async () => {
    const [one, two] = [Promise.resolve(1), Promise.reject(new Error('two'))];
    const seen: unknown[] = [];
    for await (const promise of asCompleted([one, two, one])) seen.push(promise);
    assert.deepEqual(new Set(seen), new Set([one, two]));
    assert.equal(seen.length, 2);
    assert.equal(await outcome(two), 'error two');
    await collectGarbage();
  }));

test('asCompleted of an empty list ends at once', () =>
  simulate(async () => {
    for await (const nothing of asCompleted([])) assert.fail(String(nothing));
  }));

test('asCompleted yields futures that completed meanwhile without another turn', () =>
  simulate(async (loop) => {
    const naps = [sleep(1), sleep(2), sleep(3)];
    const iterator = asCompleted(naps);
    await sleep(10);
    let turn = false;
    loop.callSoon(() => {
      turn = true;
    });
    for await (const nap of iterator) assert.equal(naps.shift(), nap);
    assert.equal(naps.length, 0);
    assert.equal(turn, false);
  }));

test('asCompleted throws a TimeoutError after its deadline, behind the completed futures, and then ends', () =>
  simulate(async (loop) => {
    const late = sleep(10);
    const iterator = asCompleted([sleep(1, 'in time'), sleep(2, 'too'), late], { timeout: 5 });
    await sleep(7);
    assert.equal((await iterator.next()).value?.result(), 'in time');
    assert.equal((await iterator.next()).value?.result(), 'too');
    assert.equal(await outcome(iterator.next()), 'TimeoutError');
    assert.deepEqual(await iterator.next(), { value: undefined, done: true });
    assert.equal(waitersOf(late), 0);
    await late;
    assert.equal(loop.time(), 10);
  }));

test('asCompleted counts its timeout from the call, for the whole iteration', () =>
  simulate(async (loop) => {
    const log: unknown[] = [];
    const iterate = async (): Promise<void> => {
      for await (const nap of asCompleted([sleep(2), sleep(4), sleep(6)], { timeout: 5 })) {
        await nap;
        log.push(loop.time());
      }
    };
    assert.equal(await outcome(iterate()), 'TimeoutError');
    assert.deepEqual(log, [2, 4]);
    assert.equal(loop.time(), 5);
    for (const timeout of [0, -1]) {
      assert.equal(await outcome(asCompleted([sleep(1)], { timeout }).next()), 'TimeoutError');
    }
    assert.equal(loop.time(), 5);
  }));

test('leaving a loop over asCompleted ends the iteration, and leaves no callback on pending futures', () =>
  simulate(async (loop) => {
    const slow = sleep(5);
    const iterator = asCompleted([slow, sleep(1)], { timeout: 100 });
    for await (const _nap of iterator) break;
    assert.equal(waitersOf(slow), 0);
    assert.deepEqual(await iterator.next(), { value: undefined, done: true });
    await slow;
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('cancelling the task that iterates over asCompleted ends the iteration, and nothing else', () =>
  simulate(async (loop) => {
    const slow = sleep(5);
    const log: unknown[] = [];
    const task = loop.createTask(async () => {
      for await (const nap of asCompleted([slow, sleep(1)], { timeout: 100 })) log.push(nap.done());
    });
    await sleep(2);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, [true]);
    assert.equal(waitersOf(slow), 0);
    await slow;
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('asCompleted does not yield a future whose done callback comes after the deadline', () =>
  simulate(async (loop) => {
    const late = loop.createFuture<string>();
    loop.callLater(1, () => late.setResult('late'));
    const iterator = asCompleted([late], { timeout: 1 });
    const task = loop.createTask(async () => await iterator.next());
    assert.equal(await outcome(task), 'TimeoutError');
  }));

test('asCompleted serves several pending next() calls in order', () =>
  simulate(async () => {
    const iterator = asCompleted([sleep(2, 'b'), sleep(1, 'a')]);
    const steps = [iterator.next(), iterator.next(), iterator.next()];
    const [a, b, over] = await Promise.all(steps);
    assert.equal(a?.value?.result(), 'a');
    assert.equal(b?.value?.result(), 'b');
    assert.equal(over?.done, true);
  }));

test('asCompleted ends its pending next() calls when the iteration ends', () =>
  simulate(async (loop) => {
    const iterator = asCompleted([loop.createFuture()]);
    const step = iterator.next();
    await iterator.return?.();
    assert.deepEqual(await step, { value: undefined, done: true });
  }));

test('asCompleted rejects wrong arguments at the call, and waits for nothing then', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const other = new SimulatedEventLoop();
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    for (const aws of [undefined, 5, 'x', future]) {
      assert.throws(() => asCompleted(aws as never), { ...type, message: /"aws"/ });
    }
    assert.throws(() => asCompleted([future, null as never]), { ...type, message: /"aws\[1\]"/ });
    assert.throws(() => asCompleted([future, other.createFuture()]), { ...range, message: /"aws\[1\]"/ });
    assert.throws(() => asCompleted([future], { timeout: Number.NaN }), range);
    assert.throws(() => asCompleted([future], { timeout: 'x' as never }), type);
    assert.throws(() => asCompleted([future], { time: 5 } as never), type);
    assert.equal(waitersOf(future), 0);
    assert.equal(loop._scheduler.timers.size, 0);
    other.close();
  }));
