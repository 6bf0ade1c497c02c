import assert from 'node:assert/strict';
import type { Future } from '../../src/index.ts';
import { allTasks, CancelledError, currentTask, sleep, Task } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function futuresAndTasksSuite(target: Target): void {
  section('Futures and tasks', target, (test) => {
    test('create_future() returns a pending future, which accepts one result', ({ loop }) => {
      const future = loop.createFuture<number>();
      assert.deepEqual([future.done(), future.cancelled()], [false, false]);
      assert.throws(() => future.result(), { code: 'ERR_INVALID_STATE' });
      assert.throws(() => future.exception(), { code: 'ERR_INVALID_STATE' });
      future.setResult(5);
      assert.deepEqual(
        [future.done(), future.cancelled(), future.result(), future.exception()],
        [true, false, 5, null],
      );
      assert.throws(() => future.setResult(6), { code: 'ERR_INVALID_STATE' });
      assert.throws(() => future.setException(new Error('no')), { code: 'ERR_INVALID_STATE' });
      assert.equal(future.cancel(), false);
      assert.equal(future.getLoop(), loop);
    });

    test('create_future() returns a future that throws its exception as its result, and returns it as its exception', ({
      loop,
    }) => {
      const bug = new Error('bug');
      const future = loop.createFuture();
      future.setException(bug);
      assert.throws(() => future.result(), bug);
      assert.equal(future.exception(), bug);
    });

    test('create_future() returns a future that throws CancelledError after a cancel, with the message of the cancel', ({
      loop,
    }) => {
      const future = loop.createFuture();
      assert.equal(future.cancel('enough'), true);
      assert.equal(future.cancel(), false);
      assert.deepEqual([future.done(), future.cancelled()], [true, true]);
      assert.throws(() => future.result(), new CancelledError('enough'));
      assert.throws(() => future.exception(), new CancelledError('enough'));
    });

    test('add_done_callback() calls back by call_soon(), in order, and never within set_result', async ({
      loop,
    }) => {
      const log: unknown[] = [];
      const future: Future<number> = loop.createFuture<number>();
      future.addDoneCallback((done) => log.push(['first', done === future, done.result()]));
      const second = (): number => log.push('second');
      future.addDoneCallback(second);
      future.addDoneCallback(second);
      loop.callSoon(() => {
        loop.callSoon(() => log.push('scheduled before'));
        future.setResult(1);
        log.push('set');
        loop.callSoon(() => log.push('scheduled after'));
      });
      await loop.runUntilComplete(() => sleep(0));
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, [
        'set',
        'scheduled before',
        ['first', true, 1],
        'second',
        'second',
        'scheduled after',
      ]);
    });

    test('add_done_callback() on a done future calls back in the next turn, unless the callback was removed', async ({
      loop,
    }) => {
      const log: string[] = [];
      const removed = (): number => log.push('removed');
      const future = loop.createFuture();
      future.addDoneCallback(removed);
      future.addDoneCallback(() => log.push('kept'));
      future.addDoneCallback(removed);
      assert.equal(future.removeDoneCallback(removed), 2);
      assert.equal(future.removeDoneCallback(removed), 0);
      future.setResult(1);
      future.addDoneCallback(() => log.push('late'));
      assert.deepEqual(log, []);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, ['kept', 'late']);
    });

    test('create_task() starts in the next turn, and returns a task with the result of the function', async ({
      loop,
    }) => {
      const log: string[] = [];
      await loop.runUntilComplete(async () => {
        const task = loop.createTask(async () => {
          log.push('runs');
          return 'result';
        });
        assert.ok(task instanceof Task);
        log.push('created');
        assert.equal(await task, 'result');
        assert.equal(task.result(), 'result');
      });
      assert.deepEqual(log, ['created', 'runs']);
    });

    test('create_task() with `eager` runs the first step at once', async ({ loop }) => {
      const log: string[] = [];
      await loop.runUntilComplete(async () => {
        const outer = currentTask();
        const task = loop.createTask(
          async () => {
            log.push('first step');
            assert.notEqual(currentTask(), outer);
            await sleep(0);
            log.push('second step');
          },
          { eager: true },
        );
        log.push('created');
        assert.equal(currentTask(), outer);
        await task;
      });
      assert.deepEqual(log, ['first step', 'created', 'second step']);
    });

    test('create_task() gives a task the given name, or a generated one', async ({ loop }) => {
      const named = loop.createTask(async () => {}, { name: 'mine' });
      const first = loop.createTask(async () => {});
      const second = loop.createTask(async () => {});
      assert.equal(named.name, 'mine');
      assert.match(first.name, /^Task-\d+$/);
      assert.notEqual(first.name, second.name);
      await loop.runUntilComplete(() => sleep(0));
    });

    test('set_task_factory() makes the later tasks of create_task(), and null restores the default', async ({
      loop,
    }) => {
      const made: string[] = [];
      loop.setTaskFactory((on, fn, options) => {
        made.push(options.name ?? '');
        loop.setTaskFactory(null);
        return on.createTask(fn, options);
      });
      const task = loop.createTask(async () => 1, { name: 'by the factory' });
      assert.equal(loop.getTaskFactory(), null);
      const plain = loop.createTask(async () => 2, { name: 'plain' });
      assert.equal(await loop.runUntilComplete(task), 1);
      assert.equal(await loop.runUntilComplete(plain), 2);
      assert.deepEqual(made, ['by the factory']);
    });

    test('cancel() throws at the pending await of the task, and the cleanup may await', async ({ loop }) => {
      const log: string[] = [];
      const task = loop.createTask(async () => {
        try {
          await sleep(3600);
        } catch (error) {
          log.push(`${(error as Error).name}: ${(error as Error).message}`);
          throw error;
        } finally {
          await sleep(0);
          log.push('cleaned up');
        }
      });
      await loop.runUntilComplete(async () => {
        await sleep(0);
        assert.equal(task.cancel('enough'), true);
        assert.equal(task.cancelled(), false);
        await assert.rejects(
          task.then(() => {}),
          { code: 'ERR_CANCELLED', message: 'enough' },
        );
      });
      assert.deepEqual(log, ['CancelledError: enough', 'cleaned up']);
      assert.equal(task.cancelled(), true);
      assert.equal(task.cancel(), false);
    });

    test('cancel() before a task starts keeps it from starting', async ({ loop }) => {
      let ran = false;
      const task = loop.createTask(async () => {
        ran = true;
      });
      task.cancel();
      await assert.rejects(loop.runUntilComplete(task), { code: 'ERR_CANCELLED' });
      assert.equal(ran, false);
    });

    test('all_tasks() returns the tasks of the loop that are not done', async ({ loop }) => {
      await loop.runUntilComplete(async () => {
        const other = loop.createTask(() => sleep(0));
        assert.deepEqual(allTasks(), new Set([currentTask(), other]));
        await other;
        assert.deepEqual(allTasks(loop), new Set([currentTask()]));
      });
      assert.deepEqual(allTasks(loop), new Set());
    });

    test('sleep() never ends early and returns its value, and on a virtual clock takes exactly its time', async ({
      loop,
      exact,
    }) => {
      await loop.runUntilComplete(async () => {
        for (const seconds of exact ? [3600, 0.5, 0] : [0.003, 0.0005, 0]) {
          const began = loop.time();
          assert.equal(await sleep(seconds, 'value'), 'value');
          const passed = loop.time() - began;
          assert.ok(exact ? passed === seconds : passed >= seconds, `${passed} seconds`);
        }
      });
    });
  });
}
