import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gather, sleep } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

test('gather returns the results in the order of its arguments', () =>
  simulate(async (loop) => {
    const results = await gather(sleep(3, 'slow'), Promise.resolve(2), sleep(1, true));
    assert.deepEqual(results, ['slow', 2, true]);
    assert.equal(loop.time(), 3);
  }));

test('gather without arguments, or of done futures, is done at once', () =>
  simulate(async (loop) => {
    assert.deepEqual(gather().result(), []);
    assert.deepEqual(gather({ returnExceptions: true }).result(), []);
    const done = loop.createFuture<number>();
    done.setResult(1);
    assert.deepEqual(gather(done, done).result(), [1, 1]);
    const failed = loop.createFuture<number>();
    const error = new Error('no');
    failed.setException(error);
    assert.equal(gather(done, failed).exception(), error);
    assert.deepEqual(gather({ returnExceptions: true }, failed, done).result(), [error, 1]);
  }));

test('gather fails at once with the first failure, and the others continue', () =>
  simulate(async (loop) => {
    const slow = sleep(10, 'slow');
    const failing = loop.createTask(async () => {
      await sleep(1);
      throw new Error('first');
    });
    assert.equal(await outcome(gather(slow, failing)), 'error first');
    assert.equal(loop.time(), 1);
    assert.equal(slow.done(), false);
    assert.equal(await slow, 'slow');
  }));

test('gather reports only the first failure, and leaves no callback on futures that continue', () =>
  simulate(async (loop) => {
    const longLived = loop.createFuture();
    const fail = (seconds: number) =>
      loop.createTask(async () => {
        await sleep(seconds);
        throw new Error(`after ${seconds}`);
      });
    const gathering = gather(fail(1), longLived, fail(2), Promise.reject(new Error('promise')), fail(1));
    assert.equal(await outcome(gathering), 'error promise');
    assert.equal(waitersOf(longLived), 0);
    await sleep(5);
    await collectGarbage();
  }));

test('gather with returnExceptions waits for all, and returns failures and cancellations as results', () =>
  simulate(async (loop) => {
    const cancelled = sleep(100);
    loop.callLater(2, () => cancelled.cancel('enough'));
    const results = await gather(
      { returnExceptions: true },
      Promise.reject(new Error('no')),
      cancelled,
      sleep(3, 'ended'),
    );
    assert.deepEqual(results.map(String), ['Error: no', 'CancelledError: enough', 'ended']);
    assert.equal(loop.time(), 3);
  }));

test('gather accepts one future several times', () =>
  simulate(async (loop) => {
    const nap = sleep(1, 'nap');
    assert.deepEqual(await gather(nap, sleep(0, 'x'), nap), ['nap', 'x', 'nap']);
    const promise = Promise.resolve(5);
    assert.deepEqual(await gather(promise, promise), [5, 5]);
    const failing = loop.createTask(() => Promise.reject(new Error('no')));
    assert.equal(await outcome(gather(failing, failing)), 'error no');
  }));

test('cancelling gather cancels all futures that are not done, and then gather itself', () =>
  simulate(async (loop) => {
    const done = sleep(0, 'done');
    const log: string[] = [];
    const cleaning = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        log.push('cleaned up');
      }
    });
    const gathering = gather(done, cleaning, sleep(100));
    await sleep(1);
    assert.equal(gathering.cancel('enough'), true);
    await assert.rejects(gathering, { name: 'CancelledError', message: 'enough' });
    assert.equal(gathering.cancelled(), true);
    await sleep(1);
    assert.deepEqual(log, ['cleaned up']);
    assert.equal(done.result(), 'done');
  }));

test('gather with returnExceptions that is cancelled waits for all, and returns no results', () =>
  simulate(async (loop) => {
    const swallowing = loop.createTask(async () => {
      await sleep(100).catch(() => {});
      await sleep(5);
      return 'swallowed';
    });
    const gathering = gather({ returnExceptions: true }, swallowing, sleep(100));
    await sleep(1);
    gathering.cancel();
    assert.equal(await outcome(gathering), 'CancelledError');
    assert.equal(loop.time(), 6);
    assert.equal(swallowing.result(), 'swallowed');
  }));

test('a future that is cancelled by itself cancels gather and none of the others', () =>
  simulate(async (loop) => {
    const [one, other] = [sleep(100), sleep(5, 'other')];
    loop.callLater(1, () => one.cancel('by itself'));
    await assert.rejects(gather(one, other), { name: 'CancelledError', message: 'by itself' });
    assert.equal(loop.time(), 1);
    assert.equal(await other, 'other');
  }));

test('gather rejects a cancel once all its futures are done', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    const gathering = gather(future);
    future.setResult(1);
    assert.equal(gathering.cancel(), false);
    assert.deepEqual(await gathering, [1]);
  }));

test('gather accepts 100,000 arguments', () =>
  simulate(async () => {
    const count = 100_000;
    const results = await gather(...Array.from({ length: count }, (_, i) => sleep(0, i)));
    assert.equal(results.length, count);
    assert.equal(results[count - 1], count - 1);
  }));

test('gather accepts options only as a plain object that cannot be awaited', () =>
  simulate(async () => {
    // biome-ignore lint/suspicious/noThenProperty: a plain object that can be awaited is what this is about
    const thenable = { then: (done: (value: string) => void) => done('a thenable') };
    assert.deepEqual(await gather(thenable as unknown as Promise<string>), ['a thenable']);
    assert.deepEqual(await gather(Object.assign(Object.create(null), { returnExceptions: true })), []);
    const message = /aws\[0\].*must be a future, a task or a promise/;
    for (const value of [[], new Date(0), 5, null, undefined, async () => {}]) {
      assert.throws(() => gather(value as never), { code: 'ERR_INVALID_ARG_TYPE', message });
    }
  }));

test('gather rejects wrong arguments at the call, and waits for nothing then', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const other = new SimulatedEventLoop();
    const foreign = other.createFuture();
    const type = 'ERR_INVALID_ARG_TYPE';
    assert.throws(() => gather(future, 'x' as never), { code: type, message: /"aws\[1\]".*got "x"/ });
    assert.throws(() => gather(future, (async () => {}) as never), { code: type });
    assert.throws(() => gather({ returnExceptions: 1 } as never, future), { code: type });
    assert.throws(() => gather({ returnExcept: true } as never, future), { message: /known options/ });
    assert.throws(() => gather(future, foreign), { code: 'ERR_OUT_OF_RANGE', message: /"aws\[1\]".*loop/ });
    assert.equal(waitersOf(future), 0);
    assert.equal(waitersOf(foreign), 0);
    other.close();
  }));

test('gather of futures works outside of a running loop', async () => {
  const loop = new SimulatedEventLoop();
  const future = loop.createFuture<number>();
  const gathering = gather(Promise.resolve('p'), future);
  assert.equal(gathering.getLoop(), loop);
  loop.callLater(1, () => future.setResult(1));
  assert.deepEqual(await loop.runUntilComplete(gathering), ['p', 1]);
  loop.close();
  assert.throws(() => gather(Promise.resolve()), { code: 'ERR_NO_RUNNING_LOOP' });
  assert.throws(() => gather(), { code: 'ERR_NO_RUNNING_LOOP' });
});
