import assert from 'node:assert/strict';
import type { Task } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { collectGarbage } from '../helpers/gc.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

const SLOW = 0.02;

/** Blocks the thread, in real time even if the loop's clock is virtual. */
function hold(seconds: number): void {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until);
}

export function debugModeSuite(target: Target): void {
  section('Debug mode', target, (test) => {
    test('set_debug() is off unless the environment turns it on', ({ loop, makeLoop }) => {
      assert.equal(loop.debug, false);
      process.env.GYRE_DEBUG = '1';
      try {
        const other = makeLoop();
        assert.equal(other.debug, true);
        other.close();
      } finally {
        delete process.env.GYRE_DEBUG;
      }
    });

    test('set_debug() makes the default limit of a slow callback a tenth of a second', ({ loop }) => {
      assert.equal(loop.slowCallbackDuration, 0.1);
    });

    test('set_debug() reports a slow callback with the place where it was scheduled', async ({
      loop,
      reports,
    }) => {
      loop.debug = true;
      loop.slowCallbackDuration = SLOW;
      function scheduleSlowOne(): void {
        loop.callSoon(() => hold(SLOW * 1.2));
      }
      function scheduleSlowTimer(): void {
        loop.callLater(0.001, () => hold(SLOW * 1.2));
      }
      scheduleSlowOne();
      scheduleSlowTimer();
      loop.callSoon(() => {});
      loop.callLater(0.03, () => loop.stop());
      await loop.runForever();
      // On a busy machine other callbacks may be slow as well. These two certainly are.
      const origins = reports.take().map(({ message, sourceTraceback }) => {
        assert.match(message, /^a callback held the loop for \d+\.\d{3} seconds$/);
        return String(sourceTraceback);
      });
      for (const origin of [
        /^ +at scheduleSlowOne .*debug-mode\.suite\.ts/,
        /^ +at scheduleSlowTimer .*debug-mode\.suite\.ts/,
      ]) {
        assert.equal(origins.filter((stack) => origin.test(stack)).length, 1, origins.join('\n'));
      }
    });

    test('set_debug() reports a task that runs for long between two awaits', async ({ loop, reports }) => {
      loop.debug = true;
      loop.slowCallbackDuration = SLOW;
      const task = loop.createTask(
        async () => {
          await sleep(0);
          hold(SLOW * 1.2);
          await sleep(0);
        },
        { name: 'crunching' },
      );
      await loop.runUntilComplete(task);
      const report = reports.take().find((one) => one.task === task);
      assert.match(
        String(report?.message),
        /^task crunching held the loop for \d+\.\d{3} seconds between two awaits$/,
      );
      assert.match(String(report?.sourceTraceback), /debug-mode\.suite\.ts/);
    });

    test('set_debug() reports a slow first step of a task with the place where the task was created', async ({
      loop,
      reports,
    }) => {
      loop.debug = true;
      loop.slowCallbackDuration = SLOW;
      function makeSlowTask(): Task {
        return loop.createTask(async () => hold(SLOW * 1.2));
      }
      await loop.runUntilComplete(makeSlowTask());
      const origins = reports.take().map(({ sourceTraceback }) => String(sourceTraceback));
      assert.ok(
        origins.some((stack) => /at makeSlowTask .*debug-mode\.suite\.ts/.test(stack)),
        origins.join('\n'),
      );
    });

    test('set_debug() can be turned off again, and then no callback is reported as slow', async ({
      loop,
      reports,
    }) => {
      loop.slowCallbackDuration = SLOW;
      const slow = async (): Promise<void> => {
        hold(SLOW * 1.2);
        await sleep(0);
        hold(SLOW * 1.2);
      };
      await loop.runUntilComplete(slow);
      loop.debug = true;
      loop.debug = false;
      await loop.runUntilComplete(slow);
      assert.deepEqual(reports.takeMessages(), []);
    });

    test('set_debug() makes call_soon(), call_later() and call_at() throw in code that the running loop does not run', async ({
      loop,
    }) => {
      const log: string[] = [];
      loop.debug = true;
      // The speed of the machine is not the subject of this test.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      const running = loop.runForever();
      const wrongPlace = { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' };
      assert.throws(() => loop.callSoon(() => log.push('never')), wrongPlace);
      assert.throws(() => loop.callLater(0, () => log.push('never')), wrongPlace);
      assert.throws(() => loop.callAt(0, () => log.push('never')), wrongPlace);
      await new Promise((resolve) => setImmediate(resolve));
      loop.callSoonThreadsafe(() => {
        loop.callSoon(() => {
          log.push('from a callback');
          loop.createTask(async () => {
            await sleep(0);
            loop.callSoon(() => {
              log.push('from a task');
              loop.stop();
            });
          });
        });
      });
      await running;
      assert.deepEqual(log, ['from a callback', 'from a task']);
    });

    test('create_future() reports an exception that was never retrieved when the future is collected, in debug mode with the place of creation', async ({
      loop,
      reports,
    }) => {
      loop.debug = true;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      const bug = new Error('bug');
      function forget(): void {
        loop.createFuture().setException(bug);
      }
      forget();
      for (let i = 0; i < 50 && loop._owned.unretrieved.size > 0; i++) await collectGarbage();
      const seen = reports.take();
      assert.deepEqual(
        seen.map(({ message, exception }) => [message, exception]),
        [['the exception of a future was never retrieved', bug]],
      );
      assert.match(String(seen[0]?.sourceTraceback), /forget .*debug-mode\.suite\.ts/);
    });

    test('create_task() reports the exception of a task that was never awaited with its name, not as an unhandled rejection', async ({
      loop,
      reports,
    }) => {
      const bug = new Error('bug');
      loop.createTask(
        async () => {
          throw bug;
        },
        { name: 'forgotten' },
      );
      await loop.runUntilComplete(() => sleep(0));
      for (let i = 0; i < 50 && loop._owned.unretrieved.size > 0; i++) await collectGarbage();
      // Deno's collector keeps the task. The report then comes after a second of the loop's time.
      if (loop._owned.unretrieved.size > 0) await loop.runUntilComplete(() => sleep(1.1));
      assert.deepEqual(reports.take(), [
        { message: 'the exception of task forgotten was never retrieved', exception: bug },
      ]);
    });

    test('set_debug() reports an exception in a callback with the place where the callback was scheduled', async ({
      loop,
      reports,
    }) => {
      loop.debug = true;
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      loop.callSoon(() => {
        throw new Error('bug');
      });
      loop.callSoonThreadsafe(() => {
        throw new Error('bug');
      });
      loop.stop();
      await loop.runForever();
      for (const { sourceTraceback } of reports.take()) {
        assert.match(String(sourceTraceback), /^ +at .*debug-mode\.suite\.ts/);
      }
    });
  });
}
