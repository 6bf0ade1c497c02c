import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { currentTask, getRunningLoop, sleep } from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();
const outside = { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' };

test('no loop is running in code that follows a run, though its context still names one', () =>
  withLoop(makeLoop, async (loop) => {
    let leftBehind: () => unknown = () => {};
    await loop.runUntilComplete(async () => {
      const { AsyncResource } = await import('node:async_hooks');
      const resource = new AsyncResource('TEST');
      leftBehind = () => resource.runInAsyncScope(() => getRunningLoop());
    });
    assert.throws(() => getRunningLoop(), outside);
    assert.throws(() => leftBehind(), outside);
  }));

test('a done task is nobody’s current task any more', () =>
  withLoop(makeLoop, async (loop) => {
    const log: unknown[] = [];
    let release: () => void = () => {};
    await loop.runUntilComplete(async () => {
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      // Started and not awaited: it goes on after its task is done.
      void (async () => {
        log.push(currentTask() === null);
        await gate;
        log.push(currentTask() === null);
      })();
    });
    release();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(log, [false, true]);
  }));

test('code of the host that a task started is code of the loop, of that task', () =>
  withLoop(makeLoop, async (loop) => {
    await loop.runUntilComplete(async () => {
      const task = currentTask();
      const seen = await new Promise<unknown[]>((resolve) => {
        setImmediate(() => resolve([getRunningLoop(), currentTask()]));
      });
      assert.equal(seen[0], loop);
      assert.equal(seen[1], task);
    });
  }));

test('a callback that throws leaves no trace of the loop on the stack', () =>
  withLoop(makeLoop, async (loop, reports) => {
    loop.callSoon(() => {
      throw new Error('bug');
    });
    await loop.runUntilComplete(() => sleep(0));
    assert.throws(() => getRunningLoop(), outside);
    assert.equal(reports.take().length, 1);
  }));

test('an eager task gives the running loop and the current task back to who made it', () =>
  withLoop(makeLoop, async (loop) => {
    assert.equal(currentTask(), null);
    const early = loop.createTask(async () => currentTask() !== null, { eager: true });
    assert.equal(currentTask(), null);
    assert.throws(() => getRunningLoop(), outside);
    await loop.runUntilComplete(async () => {
      const outer = currentTask();
      const inner = loop.createTask(
        async () => {
          assert.notEqual(currentTask(), outer);
          throw new Error('in the first step');
        },
        { eager: true },
      );
      assert.equal(currentTask(), outer);
      await assert.rejects(
        inner.then(() => {}),
        /in the first step/,
      );
    });
    assert.equal(early.result(), true);
  }));
