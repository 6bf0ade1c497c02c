import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { Future, SignalOptions } from '../../src/index.ts';
import {
  asCompleted,
  gather,
  shield,
  sleep,
  taskGroup,
  timeout,
  timeoutAt,
  wait,
  waitFor,
} from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, unexpected, waitersOf } from './helpers.ts';

/** Each operation that takes a signal, on a future that the test completes. */
const operations: Record<string, (future: Future<string>, options: SignalOptions) => PromiseLike<unknown>> = {
  sleep: (_future, options) => sleep(1000, 'slept', options),
  gather: (future, options) => gather(options, future),
  wait: (future, options) => wait([future], options),
  waitFor: (future, options) => waitFor(future, 1000, options),
  shield: (future, options) => shield(future, options),
  asCompleted: (future, options) => asCompleted([future], options).next(),
  timeout: (future, options) => timeout(1000, () => future, options),
  timeoutAt: (future, options) => timeoutAt(1e6, () => future, options),
  taskGroup: (future, options) =>
    taskGroup(async (group) => {
      group.createTask(future);
    }, options),
};

for (const [name, start] of Object.entries(operations)) {
  test(`${name} is cancelled by its signal, with the reason as cause, and leaves no listener`, () =>
    simulate(async (loop) => {
      const future = loop.createFuture<string>();
      const controller = new AbortController();
      const running = start(future, { signal: controller.signal });
      const reason = new Error('enough');
      loop.callLater(5, () => controller.abort(reason));
      const error = await running.then(unexpected, (thrown: Error) => thrown);
      assert.equal(error.name, 'CancelledError');
      assert.equal(error.cause, reason);
      assert.equal(loop.time(), 5);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
      assert.equal(waitersOf(future), 0);
      assert.equal(loop._scheduler.timers.size, 0);
    }));

  test(`${name} starts nothing when its signal is already aborted`, () =>
    simulate(async (loop) => {
      const future = loop.createFuture<string>();
      const signal = AbortSignal.abort('too late');
      const error = await start(future, { signal }).then(unexpected, (thrown: Error) => thrown);
      assert.equal(error.name, 'CancelledError');
      assert.equal(error.cause, 'too late');
      assert.equal(waitersOf(future), 0);
      assert.equal(loop._scheduler.timers.size, 0);
    }));

  test(`${name} leaves no listener when it ends by itself`, () =>
    simulate(async (loop) => {
      const future = loop.createFuture<string>();
      const { signal } = new AbortController();
      const running = start(future, { signal });
      assert.equal(getEventListeners(signal, 'abort').length, 1);
      loop.callLater(5, () => future.setResult('done'));
      await running;
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    }));

  test(`${name} leaves no listener when its task is cancelled`, () =>
    simulate(async (loop) => {
      const future = loop.createFuture<string>();
      const { signal } = new AbortController();
      const task = loop.createTask(async () => {
        await start(future, { signal });
      });
      await sleep(1);
      assert.equal(getEventListeners(signal, 'abort').length, 1);
      task.cancel();
      assert.equal(await outcome(task), 'CancelledError');
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    }));

  test(`${name} rejects at the call a signal that is no AbortSignal`, () =>
    simulate(async (loop) => {
      const future = loop.createFuture<string>();
      for (const signal of ['x', null, {}, new AbortController()]) {
        assert.throws(() => start(future, { signal: signal as AbortSignal }), {
          code: 'ERR_INVALID_ARG_TYPE',
          message: /"options.signal" argument must be an AbortSignal/,
        });
      }
      assert.equal(waitersOf(future), 0);
      assert.equal(loop._scheduler.timers.size, 0);
      assert.equal(loop._scheduler.ready.length, 0);
    }));
}
