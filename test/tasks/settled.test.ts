/** Tests of the future that is already done when it is returned. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { Future } from '../../src/index.ts';
import { done, succeeded } from '../../src/tasks/settled.ts';
import { simulate } from '../helpers/simulation.ts';

test('done() returns one future per loop, which behaves like any other done future', async () => {
  await simulate(async (loop) => {
    const future = done(loop);
    assert.equal(done(loop), future);
    assert.ok(future instanceof Future);
    assert.equal(future.getLoop(), loop);
    assert.deepEqual([future.done(), future.cancelled(), future.cancel()], [true, false, false]);
    assert.equal(future.result(), undefined);
    assert.equal(future.exception(), null);
    assert.throws(() => future.setResult(), { code: 'ERR_INVALID_STATE' });
    const called = loop.createFuture<unknown>();
    future.addDoneCallback((one) => called.setResult(one === future));
    assert.equal(await called, true);
    assert.equal(await future.then(() => 'then'), 'then');
    assert.equal(await future.finally(() => {}), undefined);
    assert.deepEqual(await Promise.all([future, future]), [undefined, undefined]);
  });
  const other = new SimulatedEventLoop();
  await simulate(async (loop) => assert.notEqual(done(loop), done(other)));
  other.close();
});

test('awaiting done() takes one microtask, and no turn', async () => {
  await simulate(async (loop) => {
    const log: string[] = [];
    loop.callSoon(() => log.push('turn'));
    const wait = async (name: string, what: PromiseLike<unknown>): Promise<void> => {
      await what;
      log.push(name);
    };
    await Promise.all([wait('thenable', succeeded(loop, 1)), wait('done', done(loop))]);
    assert.deepEqual(log, ['done', 'thenable']);
  });
});

test('a task that is cancelled while it awaits done() continues, and gets the error at its next await', async () => {
  await simulate(async (loop) => {
    let reached = false;
    const task = loop.createTask(async () => {
      task.cancel();
      await done(loop);
      reached = true;
      await loop.createFuture();
    });
    await assert.rejects(task, { code: 'ERR_CANCELLED' });
    assert.ok(reached);
  });
});
