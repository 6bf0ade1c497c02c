import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { BoundedSemaphore, gather, getRunningLoop, Lock, Semaphore, sleep } from '../../src/index.ts';

async function simulated(main: () => PromiseLike<void>): Promise<void> {
  const loop = new SimulatedEventLoop();
  await loop.runUntilComplete(main);
  loop.close();
}

for (const make of [() => new Lock(), () => new Semaphore(1), () => new BoundedSemaphore(1)]) {
  const kind = make().constructor.name;

  test(`${kind}.run() calls one function at a time, in order, and returns its result`, () =>
    simulated(async () => {
      const lock = make();
      const log: string[] = [];
      const work = (name: string) => async () => {
        log.push(`${name} begins`);
        await sleep(1);
        log.push(`${name} ends`);
        return name;
      };
      assert.deepEqual(
        await gather(
          lock.run(work('a')),
          lock.run(work('b')),
          lock.run(() => 'c'),
        ),
        ['a', 'b', 'c'],
      );
      assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends']);
      assert.equal(lock.locked(), false);
    }));

  test(`${kind}.run() releases when the function throws, is cancelled, or was never called`, () =>
    simulated(async () => {
      const lock = make();
      const bug = new Error('bug');
      await assert.rejects(
        async () =>
          await lock.run(() => {
            throw bug;
          }),
        bug,
      );
      const loop = getRunningLoop();
      const running = loop.createTask(() => lock.run(() => sleep(100)));
      const waiting = loop.createTask(() => lock.run(() => assert.fail('it must not be called')));
      await sleep(1);
      waiting.cancel();
      running.cancel();
      for (const task of [waiting, running])
        await assert.rejects(async () => await task, { name: 'CancelledError' });
      assert.equal(lock.locked(), false);
      const signal = AbortSignal.abort();
      await assert.rejects(async () => await lock.run(() => assert.fail(), { signal }), {
        name: 'CancelledError',
      });
      assert.throws(() => lock.run(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }));
}

test('a handle of a callback or a timer is cancelled at the end of its scope', () =>
  simulated(async () => {
    const loop = getRunningLoop();
    const called: string[] = [];
    {
      using _soon = loop.callSoon(() => called.push('soon'));
      using timer = loop.callLater(1, () => called.push('later'));
      assert.equal(timer.cancelled(), false);
    }
    await sleep(2);
    assert.deepEqual(called, []);
  }));
