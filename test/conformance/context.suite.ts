import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { currentTask, sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function contextSuite(target: Target): void {
  const storage = new AsyncLocalStorage<string>();

  section('Context', target, (test) => {
    test('call_soon(), call_soon_threadsafe(), call_later() and call_at() call back in the context in which they were called', async ({
      loop,
    }) => {
      const log: (string | undefined)[] = [];
      const say = (): void => {
        log.push(storage.getStore());
      };
      storage.run('soon', () => loop.callSoon(say));
      storage.run('threadsafe', () => loop.callSoonThreadsafe(say));
      storage.run('later', () => loop.callLater(0.001, say));
      storage.run('at', () => loop.callAt(loop.time() + 0.003, say));
      loop.callSoon(say);
      loop.callLater(0.005, () => loop.stop());
      await storage.run('whoever runs the loop', () => loop.runForever());
      assert.deepEqual(log, ['soon', 'threadsafe', undefined, 'later', 'at']);
    });

    test('call_soon() keeps contexts apart: a context that one callback enters does not reach the next', async ({
      loop,
    }) => {
      const log: (string | undefined)[] = [];
      loop.callSoon(() => storage.enterWith('entered'));
      loop.callSoon(() => log.push(storage.getStore()));
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, [undefined]);
      assert.equal(storage.getStore(), undefined);
    });

    test('add_done_callback() calls back in the context in which it was called, not in that of the result', async ({
      loop,
    }) => {
      const log: (string | undefined)[] = [];
      const future = loop.createFuture();
      storage.run('registered', () => future.addDoneCallback(() => log.push(storage.getStore())));
      storage.run('sets', () => loop.callSoon(() => future.setResult(1)));
      await loop.runUntilComplete(future);
      storage.run('when done', () => future.addDoneCallback(() => log.push(storage.getStore())));
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, ['registered', 'when done']);
    });

    test('create_task() runs the task in the context in which it was called, at every await', async ({
      loop,
    }) => {
      const log: (string | undefined)[] = [];
      const main = async (): Promise<void> => {
        log.push(storage.getStore());
        await sleep(0);
        log.push(storage.getStore());
        await sleep(0.001);
        log.push(storage.getStore());
      };
      const first = storage.run('first', () => loop.createTask(main));
      const second = storage.run('second', () => loop.createTask(main, { eager: true }));
      await loop.runUntilComplete(first);
      await loop.runUntilComplete(second);
      assert.deepEqual(new Set(log), new Set(['first', 'second']));
      assert.equal(log.filter((word) => word === 'first').length, 3);
    });

    test('create_task() keeps a context that a task enters inside of the task', async ({ loop }) => {
      const log: (string | undefined)[] = [];
      await loop.runUntilComplete(async () => {
        const task = loop.createTask(async () => {
          storage.enterWith('inner');
          await sleep(0);
          log.push(storage.getStore());
        });
        await task;
        log.push(storage.getStore());
      });
      assert.deepEqual(log, ['inner', undefined]);
    });

    test('current_task() returns the task in its own code and helpers, and null in callbacks that it schedules', async ({
      loop,
    }) => {
      const helper = async (): Promise<unknown[]> => {
        await sleep(0);
        // In an array, because a returned task would be awaited.
        return [currentTask()];
      };
      assert.equal(currentTask(), null);
      await loop.runUntilComplete(async () => {
        const task = currentTask();
        assert.equal(task?.getLoop(), loop);
        assert.deepEqual(await helper(), [task]);
        let seen: unknown = 'nothing';
        loop.callSoon(() => {
          seen = currentTask();
        });
        loop.callLater(0, () => {
          assert.equal(currentTask(), null);
        });
        await sleep(0.001);
        assert.equal(seen, null);
        assert.equal(currentTask(), task);
      });
      assert.equal(currentTask(), null);
    });
  });
}
