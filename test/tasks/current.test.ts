import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loop } from '../../src/index.ts';
import { allTasks, currentTask, sleep, waitFor } from '../../src/index.ts';
import { simulate, turns } from '../helpers/simulation.ts';

test('currentTask() returns the task of the running code, across awaits and in helpers', () =>
  simulate(async (loop) => {
    const helper = async (): Promise<unknown[]> => {
      const before = currentTask();
      await sleep(1);
      return [before, currentTask()];
    };
    const task = loop.createTask(async () => [currentTask(), ...(await helper()), currentTask()]);
    assert.deepEqual(await task, [task, task, task, task]);
  }));

test('currentTask() is null in a callback, also in one that a task scheduled', () =>
  simulate(async (loop) => {
    const seen: unknown[] = [];
    loop.callSoon(() => seen.push(currentTask()));
    loop.callLater(1, () => seen.push(currentTask()));
    loop.createFuture().addDoneCallback(() => seen.push('never'));
    await sleep(2);
    assert.deepEqual(seen, [null, null]);
  }));

test('currentTask() is null outside of a loop, and when the task is done', async () => {
  assert.equal(currentTask(), null);
  let late: unknown = 'not seen';
  await simulate(async (loop) => {
    await loop.createTask(async () => {
      void turns(2).then(() => {
        late = currentTask();
      });
    });
    await sleep(1);
  });
  assert.equal(late, null);
});

test('allTasks() returns the pending tasks of a loop, started or not', () =>
  simulate(async (loop) => {
    const main = currentTask();
    const task = loop.createTask(() => sleep(1));
    assert.deepEqual(allTasks(), new Set([main, task]));
    assert.deepEqual(allTasks(loop), new Set([main, task]));
    await task;
    assert.deepEqual(allTasks(), new Set([main]));
  }));

test('allTasks() leaves out the operations of the library', () =>
  simulate(async () => {
    const limited = waitFor(sleep(1), 5);
    assert.deepEqual(allTasks(), new Set([currentTask()]));
    await limited;
  }));

test('allTasks() needs a loop', () => {
  assert.throws(() => allTasks(), { code: 'ERR_NO_RUNNING_LOOP' });
  const wrong = { code: 'ERR_INVALID_ARG_TYPE', message: /"loop" argument must be an event loop; got "x"/ };
  assert.throws(() => allTasks('x' as unknown as Loop), wrong);
});
