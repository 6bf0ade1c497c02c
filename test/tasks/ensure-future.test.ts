import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loop } from '../../src/index.ts';
import { ensureFuture, Future, sleep, wrapFuture } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage, heapUsed } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, unexpected } from './helpers.ts';

test('ensureFuture returns a future and a task unchanged', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    const task = loop.createTask(() => future);
    assert.equal(ensureFuture(future), future);
    assert.equal(ensureFuture(task), task);
    assert.equal(ensureFuture(task, { loop }), task);
    future.setResult(1);
    await task;
  }));

test('ensureFuture makes a future that settles as the promise does', () =>
  simulate(async (loop) => {
    const good = ensureFuture(Promise.resolve(1));
    assert.ok(good instanceof Future);
    assert.equal(good.getLoop(), loop);
    assert.equal(await good, 1);
    assert.equal(await outcome(ensureFuture(Promise.reject(new Error('no')))), 'error no');
  }));

test('ensureFuture accepts any object with a then method', () =>
  simulate(async () => {
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
    const settled = { then: (onFulfilled: (value: string) => void) => onFulfilled('at once') };
    assert.equal(await ensureFuture(settled as unknown as PromiseLike<string>), 'at once');
    const broken = {
      // biome-ignore lint/suspicious/noThenProperty: as above
      then: () => {
        throw new Error('broken then');
      },
    };
    assert.equal(await outcome(ensureFuture(broken as unknown as PromiseLike<string>)), 'error broken then');
  }));

test('ensureFuture makes the await of a promise cancellable, and the promise’s later rejection is not reported', () =>
  simulate(async (loop) => {
    let fail: (error: Error) => void = unexpected;
    const promise = new Promise<void>((_resolve, reject) => {
      fail = reject;
    });
    const task = loop.createTask(async () => {
      await ensureFuture(promise);
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    fail(new Error('late'));
    await sleep(1);
    await collectGarbage();
  }));

test('several futures of one promise settle alike, unless they were cancelled', () =>
  simulate(async () => {
    let resolve: (value: string) => void = unexpected;
    const promise = new Promise<string>((done) => {
      resolve = done;
    });
    const futures = [1, 2, 3].map(() => ensureFuture(promise));
    futures[1]?.cancel();
    resolve('value');
    assert.deepEqual(await Promise.all(futures.map(outcome)), [
      'result value',
      'CancelledError',
      'result value',
    ]);
    assert.equal(await ensureFuture(promise), 'value');
  }));

test('two loops can await one promise at once', async () => {
  const loops = [new SimulatedEventLoop(), new SimulatedEventLoop()];
  let resolve: (value: number) => void = unexpected;
  const promise = new Promise<number>((done) => {
    resolve = done;
  });
  loops[0]?.callLater(5, () => resolve(5));
  const runs = loops.map((loop) => loop.runUntilComplete(async () => ensureFuture(promise)));
  for (const run of runs) assert.equal(await run, 5);
  for (const loop of loops) loop.close();
});

test('awaiting one promise again and again leaves nothing behind on it', () =>
  simulate(async () => {
    const promise = new Promise<void>(() => {});
    const rounds = (count: number): void => {
      for (let i = 0; i < count; i++) ensureFuture(promise).cancel();
    };
    rounds(1000);
    const before = await heapUsed();
    rounds(100_000);
    const grown = (await heapUsed()) - before;
    assert.ok(grown < 1_000_000, `${grown} bytes more after 100,000 waits`);
  }));

test('ensureFuture rejects values that cannot be awaited, and a future of another loop', () =>
  simulate(async (loop) => {
    const other = new SimulatedEventLoop();
    const wrong = { code: 'ERR_INVALID_ARG_TYPE', message: /"aw" argument must be a future/ };
    for (const value of [undefined, null, 5, 'x', {}, async () => {}]) {
      assert.throws(() => ensureFuture(value as unknown as Promise<void>), wrong);
    }
    assert.throws(() => ensureFuture(loop.createFuture(), { loop: other }), { code: 'ERR_OUT_OF_RANGE' });
    const options = { loop: 'x' as unknown as Loop };
    assert.throws(() => ensureFuture(Promise.resolve(), options), { message: /"options.loop"/ });
    assert.throws(() => ensureFuture(Promise.resolve(), { lopp: other } as object), { message: /lopp/ });
    other.close();
  }));

test('ensureFuture of a promise needs a loop', () => {
  assert.throws(() => ensureFuture(Promise.resolve()), { code: 'ERR_NO_RUNNING_LOOP' });
  const loop = new SimulatedEventLoop();
  assert.equal(ensureFuture(Promise.resolve(), { loop }).getLoop(), loop);
  loop.close();
});

test('wrapFuture makes a future of a promise, for the loop that it is told, and leaves a future as it is', () =>
  simulate(async (loop) => {
    const future = wrapFuture(Promise.resolve(7), { loop });
    assert.equal(future.getLoop(), loop);
    assert.equal(wrapFuture(future), future);
    const log: unknown[] = [];
    future.addDoneCallback((done) => log.push(done.result()));
    assert.equal(await future, 7);
    await sleep(0);
    assert.deepEqual(log, [7]);
    await assert.rejects(async () => void (await wrapFuture(Promise.reject(new Error('no')))), /no/);
    for (const wrong of [null, 1, {}, async () => {}]) {
      assert.throws(() => wrapFuture(wrong as never), { code: 'ERR_INVALID_ARG_TYPE', message: /future/ });
    }
  }));
