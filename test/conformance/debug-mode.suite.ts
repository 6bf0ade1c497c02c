import assert from 'node:assert/strict';
import type { Task } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { collectGarbage } from '../helpers/gc.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

const SLOW = 0.02;

/** Holds the thread, in real time also where the loop's clock is virtual. */
function hold(seconds: number): void {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until);
}

export function debugModeSuite(target: Target): void {
  section('Debug mode', target, (test) => {
    test('set_debug() is off unless the environment asks for it', ({ loop, makeLoop }) => {
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

    test('set_debug(): what is slow is what holds the loop for a tenth of a second, unless told otherwise', ({
      loop,
    }) => {
      assert.equal(loop.slowCallbackDuration, 0.1);
    });

    test('set_debug(): a slow callback is reported with where it was scheduled', async ({
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
      // A busy machine may hold other callbacks as well; these two are certain.
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

    test('set_debug(): a slow stretch of a task between two awaits is reported, too', async ({
      loop,
      reports,
    }) => {
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

    test('set_debug(): a slow first step of a task is reported with where the task was made', async ({
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

    test('set_debug() can be turned off again, and nothing is reported as slow', async ({ loop }) => {
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
    });

    test('set_debug(): call_soon(), call_later() and call_at() from code that the running loop does not run are refused, and nothing is scheduled', async ({
      loop,
    }) => {
      const log: string[] = [];
      loop.debug = true;
      // How slow the machine is is not the subject.
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

    test('create_future(): an exception that nobody retrieves is reported when the future is collected, in debug mode with where it was made', async ({
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

    test('create_task(): the exception of a task that nobody awaits is reported with its name, and is no unhandled rejection', async ({
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
      assert.deepEqual(reports.take(), [
        { message: 'the exception of task forgotten was never retrieved', exception: bug },
      ]);
    });

    test('set_debug(): an exception in a callback is reported with where the callback was scheduled', async ({
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
