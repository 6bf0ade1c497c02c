import assert from 'node:assert/strict';
import { getRunningLoop, sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function stoppingSuite(target: Target): void {
  section('Stopping', target, (test) => {
    test('stop() lets every callback run that was scheduled before it, and run_forever() runs the later ones when it is called again', async ({
      loop,
    }) => {
      const log: string[] = [];
      const say = (word: string): void => {
        log.push(word);
      };
      loop.callSoon(say, 'before');
      loop.callSoon(() => {
        say('stops');
        loop.stop();
        loop.callSoon(say, 'after');
      });
      loop.callSoon(say, 'scheduled before, in the queue behind');
      await loop.runForever();
      assert.deepEqual(log, ['before', 'stops', 'scheduled before, in the queue behind']);
      loop.callSoon(say, 'later');
      loop.callSoon(() => loop.stop());
      await loop.runForever();
      assert.deepEqual(log.slice(3), ['after', 'later']);
    });

    test('stop() lets callbacks run that already wait for the next turn', async ({ loop }) => {
      const log: string[] = [];
      loop.callSoon(() => {
        loop.callSoon(() => {
          log.push('next turn');
          loop.callSoon(() => log.push('scheduled after'));
        });
        loop.stop();
      });
      await loop.runForever();
      assert.deepEqual(log, ['next turn']);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, ['next turn', 'scheduled after']);
    });

    test('stop() before run_forever() ends it after the callbacks that were scheduled before', async ({
      loop,
    }) => {
      const log: string[] = [];
      loop.callSoon(() => log.push('before'));
      loop.stop();
      loop.callSoon(() => log.push('after'));
      await loop.runForever();
      assert.deepEqual(log, ['before']);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, ['before', 'after']);
    });

    test('stop() called twice stops once', async ({ loop }) => {
      loop.callSoon(() => {
        loop.stop();
        loop.stop();
      });
      await loop.runForever();
      const answer = await loop.runUntilComplete(async () => {
        await sleep(0.001);
        return 'ran on';
      });
      assert.equal(answer, 'ran on');
    });

    test('stop() leaves timers that are not due for the next run', async ({ loop }) => {
      const log: string[] = [];
      const timer = loop.callLater(0.05, () => {
        log.push('timer');
        loop.stop();
      });
      loop.callSoon(() => loop.stop());
      await loop.runForever();
      // A machine that is so busy that timers are 50 ms late proves nothing here.
      if (loop.time() < timer.when()) assert.deepEqual(log, []);
      else loop.stop();
      await loop.runForever();
      assert.deepEqual(log, ['timer']);
    });

    test('stop() lets the code that the last callbacks resumed reach its next await while the loop still runs', async ({
      loop,
    }) => {
      const log: string[] = [];
      const task = loop.createTask(async () => {
        await sleep(0);
        log.push(getRunningLoop() === loop ? 'resumed' : 'lost');
        await sleep(0.001);
        log.push('next run');
      });
      // In the queue: the task's first step, then the mark. The step puts its wake-up behind the mark.
      loop.callSoon(() => loop.stop());
      await loop.runForever();
      assert.deepEqual(log, ['resumed']);
      assert.equal(task.done(), false);
      await loop.runUntilComplete(task);
      assert.deepEqual(log, ['resumed', 'next run']);
    });

    test('stop() from code of the host ends an idle loop', async ({ loop }) => {
      const running = loop.runForever();
      setImmediate(() => setImmediate(() => loop.stop()));
      await running;
      assert.equal(loop.isRunning(), false);
    });

    test('stop() in one of many turns loses no callback and repeats none', async ({ loop }) => {
      const log: number[] = [];
      for (let i = 0; i < 100; i++) {
        loop.callSoon(() => {
          log.push(i);
          if (i % 7 === 0) loop.stop();
          loop.callSoon(() => log.push(i + 100));
        });
      }
      let runs = 0;
      while (log.length < 200) {
        if (runs++ > 0) loop.stop();
        await loop.runForever();
      }
      assert.deepEqual(
        log,
        Array.from({ length: 200 }, (_, i) => i),
      );
    });
  });
}
