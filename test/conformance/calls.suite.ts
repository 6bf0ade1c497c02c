import assert from 'node:assert/strict';
import { getRunningLoop, sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function callsSuite(target: Target): void {
  section('Calls', target, (test) => {
    test('call_soon() calls back in the order in which callbacks were registered, each exactly once', async ({
      loop,
    }) => {
      const log: number[] = [];
      for (let i = 0; i < 10_000; i++) loop.callSoon((n: number) => log.push(n), i);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(
        log,
        Array.from({ length: 10_000 }, (_, i) => i),
      );
      loop.stop();
      await loop.runForever();
      assert.equal(log.length, 10_000);
    });

    test('call_soon() passes its arguments to the callback, however many', async ({ loop }) => {
      const log: unknown[][] = [];
      const say = (...args: unknown[]): void => {
        log.push(args);
      };
      loop.callSoon(say);
      loop.callSoon(say, undefined);
      loop.callSoon(say, 1, 'two', null);
      loop.callSoonThreadsafe(say, [1]);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, [[], [undefined], [1, 'two', null], [[1]]]);
    });

    test('call_soon() does not call back before it returns, nor in the turn in which it was called', async ({
      loop,
    }) => {
      const log: string[] = [];
      loop.callSoon(() => {
        loop.callSoon(() => log.push('scheduled in the first'));
        log.push('first');
      });
      loop.callSoon(() => log.push('second'));
      assert.deepEqual(log, []);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, ['first', 'second', 'scheduled in the first']);
    });

    test('call_soon() callbacks of one turn run before the code that they resume, and that before the next turn', async ({
      loop,
    }) => {
      const log: string[] = [];
      const future = loop.createFuture();
      const task = loop.createTask(async () => {
        await future;
        log.push('resumed');
        await Promise.resolve();
        await Promise.resolve();
        log.push('still before the next turn');
      });
      await loop.runUntilComplete(() => sleep(0));
      loop.callSoon(() => future.setResult(null));
      loop.callSoon(() => {
        // Behind the wake-up of the task, which setResult() has put into the queue.
        loop.callSoon(() => {
          log.push('same turn as the wake-up');
          loop.callSoon(() => log.push('next turn'));
        });
      });
      await loop.runUntilComplete(task);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, [
        'same turn as the wake-up',
        'resumed',
        'still before the next turn',
        'next turn',
      ]);
    });

    test('call_soon() answers a handle, and a cancelled one is never called', async ({ loop }) => {
      const log: string[] = [];
      const handle = loop.callSoon(() => log.push('never'));
      const other = loop.callSoon(() => log.push('called'));
      assert.equal(handle.cancelled(), false);
      handle.cancel();
      handle.cancel();
      loop.stop();
      await loop.runForever();
      other.cancel();
      assert.deepEqual(log, ['called']);
      assert.equal(handle.cancelled(), true);
    });

    test('call_soon() callbacks run without a `this` and as code of the loop', async ({ loop }) => {
      const seen: unknown[] = [];
      loop.callSoon(function (this: unknown) {
        seen.push(this, getRunningLoop() === loop);
      });
      loop.stop();
      await loop.runForever();
      assert.deepEqual(seen, [undefined, true]);
    });

    test('call_soon_threadsafe() wakes a loop that is idle, from code of the host', async ({ loop }) => {
      const log: string[] = [];
      const running = loop.runForever();
      setImmediate(() =>
        setImmediate(() => {
          loop.callSoonThreadsafe((word: string) => {
            log.push(word);
            loop.stop();
          }, 'woken');
        }),
      );
      await running;
      assert.deepEqual(log, ['woken']);
    });

    test('call_soon_threadsafe() keeps the order among the callbacks of call_soon()', async ({ loop }) => {
      const log: number[] = [];
      loop.callSoon(() => log.push(1));
      loop.callSoonThreadsafe(() => log.push(2));
      loop.callSoon(() => log.push(3));
      loop.callSoonThreadsafe(() => log.push(4)).cancel();
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, [1, 2, 3]);
    });
  });
}
