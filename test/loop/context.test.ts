import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { currentTask, getRunningLoop, sleep } from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();
const outside = { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' };

test('getRunningLoop() throws in code that continues after a run, although its context still names the loop', () =>
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

test('currentTask() is null for code that continues after its task is done', () =>
  withLoop(makeLoop, async (loop) => {
    const log: unknown[] = [];
    let release: () => void = () => {};
    await loop.runUntilComplete(async () => {
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      // The task does not await this promise, so it continues after its task is done.
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

test('a host callback that a task started runs as code of that task and its loop', () =>
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

test('the stack of the loop is unchanged after a callback throws', () =>
  withLoop(makeLoop, async (loop, reports) => {
    loop.callSoon(() => {
      throw new Error('bug');
    });
    await loop.runUntilComplete(() => sleep(0));
    assert.throws(() => getRunningLoop(), outside);
    assert.equal(reports.take().length, 1);
  }));

test('an eager task restores the running loop and the current task of its creator', () =>
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
