import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CancelledError, currentTask, run, sleep } from '../../src/index.ts';
import { tsArguments } from '../helpers/typescript.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

const child = fileURLToPath(new URL('./keep-alive.child.ts', import.meta.url));

export function runningSuite(target: Target): void {
  section('Run an event loop', target, (test) => {
    test('run_forever() runs until stop() is called', async ({ loop }) => {
      const log: string[] = [];
      loop.callLater(0.002, () => {
        log.push('stops');
        loop.stop();
      });
      await loop.runForever();
      assert.deepEqual(log, ['stops']);
    });

    test('run_forever() runs callbacks that were scheduled before it, and can be called again', async ({
      loop,
    }) => {
      const log: number[] = [];
      for (const round of [1, 2, 3]) {
        loop.callSoon(() => log.push(round));
        loop.stop();
        assert.deepEqual(log.length, round - 1);
        await loop.runForever();
      }
      assert.deepEqual(log, [1, 2, 3]);
    });

    test('run_forever() and run_until_complete() throw while the loop runs', async ({ loop }) => {
      const running = { name: 'LoopError', code: 'ERR_LOOP_RUNNING' };
      await loop.runUntilComplete(async () => {
        assert.throws(() => loop.runForever(), running);
        assert.throws(() => loop.runUntilComplete(async () => 1), running);
        assert.equal(loop._owned.tasks.size, 1);
      });
    });

    test('run_forever() keeps an idle process alive until stop(), and lets it exit afterwards', async () => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        tsArguments(child, target.backend, 'run forever'),
        { timeout: 60_000 },
      );
      assert.equal(stdout, 'idle\nstopped\nexit 0\n');
    });

    test('run_until_complete() keeps an idle process alive, and a closed loop with timers lets it exit', async () => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        tsArguments(child, target.backend, 'leave timers'),
        { timeout: 60_000 },
      );
      assert.equal(stdout, 'idle\nstopped\nexit 0\n');
    });

    test('run_until_complete() returns the result of a future', async ({ loop }) => {
      const future = loop.createFuture<string>();
      loop.callSoon(() => future.setResult('result'));
      assert.equal(await loop.runUntilComplete(future), 'result');
      assert.equal(await loop.runUntilComplete(future), 'result');
    });

    test('run_until_complete() rejects with the exception of the future', async ({ loop }) => {
      const bug = new Error('bug');
      const future = loop.createFuture();
      loop.callSoon(() => future.setException(bug));
      await assert.rejects(loop.runUntilComplete(future), bug);
      await assert.rejects(
        loop.runUntilComplete(async () => {
          throw bug;
        }),
        bug,
      );
      const cancelled = loop.createFuture();
      cancelled.cancel('enough');
      await assert.rejects(loop.runUntilComplete(cancelled), new CancelledError('enough'));
    });

    test('run_until_complete() wraps a coroutine in a task', async ({ loop }) => {
      const answer = await loop.runUntilComplete(async () => {
        assert.ok(currentTask() !== null);
        await sleep(0.001);
        return currentTask()?.getLoop() === loop;
      });
      assert.equal(answer, true);
    });

    test('run_until_complete() waits for a native promise', async ({ loop }) => {
      assert.equal(await loop.runUntilComplete(Promise.resolve('kept')), 'kept');
      await assert.rejects(loop.runUntilComplete(Promise.reject(new Error('broken'))), /broken/);
    });

    test('run_until_complete() leaves other tasks pending, and they continue in the next run', async ({
      loop,
    }) => {
      const log: string[] = [];
      const other = loop.createTask(async () => {
        log.push('began');
        // The stop of the first run lets the turns come that were requested before it.
        for (let turns = 0; turns < 4; turns++) await sleep(0);
        log.push('ended');
      });
      await loop.runUntilComplete(async () => log.push('main'));
      assert.deepEqual(log, ['began', 'main']);
      assert.equal(other.done(), false);
      await loop.runUntilComplete(other);
      assert.deepEqual(log, ['began', 'main', 'ended']);
    });

    test('run_until_complete() rejects when stop() comes before the future is done, and the future can still be completed', async ({
      loop,
    }) => {
      const future = loop.createFuture<number>();
      loop.callSoon(() => loop.stop());
      await assert.rejects(loop.runUntilComplete(future), { name: 'LoopError', code: 'ERR_LOOP_STOPPED' });
      assert.equal(future.done(), false);
      loop.callSoon(() => future.setResult(1));
      assert.equal(await loop.runUntilComplete(future), 1);
    });

    test('run_until_complete() returns the result when the code that completes the future also calls stop(), and the next run is not cut short', async ({
      loop,
    }) => {
      const before = await loop.runUntilComplete(async () => {
        await sleep(0);
        loop.stop();
        return 'stopped by itself';
      });
      assert.equal(before, 'stopped by itself');
      const answer = await loop.runUntilComplete(async () => {
        for (let i = 0; i < 5; i++) await sleep(0);
        return 'whole';
      });
      assert.equal(answer, 'whole');
    });

    test('is_running() is true from the call of run_forever() to its end, in callbacks and in resumed code', async ({
      loop,
    }) => {
      const seen: boolean[] = [];
      const look = (): void => {
        seen.push(loop.isRunning());
      };
      look();
      loop.callSoon(look);
      loop.createTask(async () => {
        await sleep(0);
        look();
        loop.stop();
        await sleep(0);
      });
      const running = loop.runForever();
      look();
      await running;
      look();
      assert.deepEqual(seen, [false, true, true, true, false]);
      await loop.runUntilComplete(() => sleep(0));
    });

    test('run() makes a loop, runs the main function, cancels and awaits the remaining tasks, and closes the loop', async ({
      makeLoop,
    }) => {
      const log: string[] = [];
      const loop = makeLoop();
      const result = await run(
        async () => {
          loop.createTask(async () => {
            try {
              await sleep(3600);
            } finally {
              await sleep(0);
              log.push('cleaned up');
            }
          });
          await sleep(0);
          return 'main is done';
        },
        { loopFactory: () => loop },
      );
      assert.equal(result, 'main is done');
      assert.deepEqual(log, ['cleaned up']);
      assert.equal(loop.isClosed(), true);
    });
  });
}
