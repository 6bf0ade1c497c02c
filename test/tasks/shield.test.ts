import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shield, sleep } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

test('shield settles as its inner future does', () =>
  simulate(async (loop) => {
    assert.equal(await shield(sleep(1, 'slept')), 'slept');
    assert.equal(await outcome(shield(loop.createTask(() => Promise.reject(new Error('no'))))), 'error no');
    const cancelled = sleep(100);
    const shielded = shield(cancelled);
    cancelled.cancel('by itself');
    await assert.rejects(shielded, { name: 'CancelledError', message: 'by itself' });
    assert.equal(shielded.cancelled(), true);
  }));

test('a cancel of shield ends the await, and leaves the inner future alone', () =>
  simulate(async (loop) => {
    const inner = loop.createTask(() => sleep(10, 'went on'));
    const outer = loop.createTask(async () => {
      await shield(inner);
    });
    await sleep(1);
    outer.cancel();
    assert.equal(await outcome(outer), 'CancelledError');
    assert.equal(loop.time(), 1);
    assert.equal(inner.cancelling(), 0);
    assert.equal(waitersOf(inner), 0);
    assert.equal(await inner, 'went on');
  }));

test('shield reports the failure of its inner future when it was cancelled before', () =>
  simulate(async (loop, reports) => {
    const error = new Error('lost');
    (() => {
      const shielded = shield(
        loop.createTask(async () => {
          await sleep(1);
          throw error;
        }),
      );
      shielded.cancel();
    })();
    await sleep(2);
    await collectGarbage();
    assert.deepEqual(
      reports.take().map((context) => context.exception),
      [error],
    );
  }));

test('shield of a done future returns that future', () =>
  simulate(async (loop) => {
    const done = loop.createFuture<number>();
    done.setResult(1);
    assert.equal(shield(done), done);
  }));

test('shield of a promise can be cancelled', () =>
  simulate(async () => {
    assert.equal(await shield(Promise.resolve(1)), 1);
    const shielded = shield(new Promise<void>(() => {}));
    shielded.cancel();
    assert.equal(await outcome(shielded), 'CancelledError');
  }));

test('shield rejects wrong arguments at the call', () =>
  simulate(async () => {
    const other = new SimulatedEventLoop();
    for (const aw of [undefined, 5, {}, async () => {}]) {
      assert.throws(() => shield(aw as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"aw"/ });
    }
    assert.throws(() => shield(other.createFuture()), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => shield(sleep(0), { sig: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    other.close();
  }));
