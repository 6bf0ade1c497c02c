import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome } from './helpers.ts';

test('sleep takes the given time and returns its value', () =>
  simulate(async (loop) => {
    assert.equal(await sleep(2.5, 'slept'), 'slept');
    assert.equal(loop.time(), 2.5);
    assert.equal(await sleep(1), undefined);
    assert.equal(loop.time(), 3.5);
  }));

test('sleep(0), and a negative sleep, lets every other task run for exactly one turn', () =>
  simulate(async (loop) => {
    for (const seconds of [0, -0, -1, Number.NEGATIVE_INFINITY]) {
      const log: string[] = [];
      loop.callSoon(() => {
        log.push('this turn');
        loop.callSoon(() => log.push('next turn'));
      });
      assert.equal(await sleep(seconds, 'value'), 'value');
      assert.deepEqual(log, ['this turn']);
      await sleep(0);
    }
    assert.equal(loop.time(), 0);
  }));

test('sleeps end in the order of their deadlines, then of their calls', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const nap = (seconds: number, name: string) =>
      loop.createTask(async () => {
        log.push(await sleep(seconds, name));
      });
    for (const task of [nap(2, 'late'), nap(1, 'first'), nap(1, 'second')]) await task;
    assert.deepEqual(log, ['first', 'second', 'late']);
  }));

test('sleep(Infinity) ends only by a cancel, and has no timer', () =>
  simulate(async (loop) => {
    const forever = sleep(Number.POSITIVE_INFINITY);
    await sleep(1e9);
    assert.equal(forever.done(), false);
    assert.equal(loop._scheduler.timers.size, 0);
    forever.cancel();
    assert.equal(await outcome(forever), 'CancelledError');
  }));

test('a cancelled sleep removes its timer', () =>
  simulate(async (loop) => {
    const naps = [sleep(100), sleep(0)];
    for (const nap of naps) nap.cancel();
    assert.equal(loop._scheduler.timers.size, 0);
    for (const nap of naps) assert.equal(await outcome(nap), 'CancelledError');
    assert.equal(loop.time(), 0);
  }));

test('an aborted signal ends sleep, with its reason as cause', () =>
  simulate(async (loop) => {
    const controller = new AbortController();
    loop.callLater(1, () => controller.abort('enough'));
    await assert.rejects(sleep(100, null, { signal: controller.signal }), {
      name: 'CancelledError',
      cause: 'enough',
    });
    assert.equal(loop.time(), 1);
    for (const seconds of [100, 0]) {
      await assert.rejects(sleep(seconds, null, { signal: controller.signal }), { name: 'CancelledError' });
    }
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('sleep rejects anything but a number of seconds, and leaves nothing half-started', () =>
  simulate(async (loop) => {
    assert.throws(() => sleep(Number.NaN), { code: 'ERR_OUT_OF_RANGE', message: /"seconds".*NaN/ });
    assert.throws(() => sleep('1' as unknown as number), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"seconds" argument must be a number of seconds; got "1"/,
    });
    const wrong: unknown[] = [{ signal: 'x' }, { signal: null }, { sginal: undefined }, null, 5];
    for (const options of wrong) {
      for (const seconds of [5, 0]) {
        const call = (): unknown => sleep(seconds, null, options as { signal: AbortSignal });
        assert.throws(call, { code: 'ERR_INVALID_ARG_TYPE' }, String(options));
      }
    }
    assert.equal(loop._scheduler.timers.size, 0);
    assert.equal(loop._scheduler.ready.length, 0);
  }));

test('sleep needs a running loop', () => {
  assert.throws(() => sleep(1), { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' });
});
