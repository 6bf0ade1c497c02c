import assert from 'node:assert/strict';
import type { BaseEventLoop, TimerHandle } from '../../src/index.ts';
import { heapUsed } from '../helpers/gc.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Runs the loop until `callback` was called as often as expected. */
function countdown(loop: BaseEventLoop, calls: number): () => void {
  let left = calls;
  return () => {
    left--;
    if (left === 0) loop.stop();
  };
}

export function delayedCallsSuite(target: Target): void {
  section('Delayed calls', target, (test) => {
    test('time() returns a monotonic number of seconds with a resolution below a millisecond', async ({
      loop,
    }) => {
      assert.equal(typeof loop.time(), 'number');
      assert.ok(loop.clockResolution > 0 && loop.clockResolution < 1e-3);
      let last = loop.time();
      for (let i = 0; i < 1000; i++) {
        const now = loop.time();
        assert.ok(now >= last);
        last = now;
      }
      const before = loop.time();
      loop.callLater(0.0004, () => loop.stop());
      await loop.runForever();
      const passed = loop.time() - before;
      assert.ok(passed >= 0.0004 && passed < 5, `${passed} seconds`);
    });

    test('call_later() never calls back early, and on a virtual clock exactly at the deadline', async ({
      loop,
      exact,
    }) => {
      const delays = [0, 0.0001, 0.0005, 0.001, 0.0015, 0.002, 0.0033, 0.005, 0.008, 0.01];
      const late: number[] = [];
      const done = countdown(loop, delays.length);
      for (const delay of delays) {
        const due = loop.time() + delay;
        loop.callLater(delay, () => {
          late.push(loop.time() - due);
          done();
        });
      }
      await loop.runForever();
      assert.equal(late.length, delays.length);
      assert.ok(
        late.every((seconds) => seconds >= 0),
        `early: ${late}`,
      );
      if (exact) assert.ok(late.every((seconds) => seconds === 0));
    });

    test('call_later() and call_at() call back in order of deadline, and equal deadlines in order of scheduling', async ({
      loop,
    }) => {
      const log: string[] = [];
      const base = loop.time() + 0.001;
      const done = countdown(loop, 6);
      const say = (word: string): void => {
        log.push(word);
        done();
      };
      loop.callAt(base + 0.004, say, 'fifth');
      loop.callAt(base + 0.002, say, 'second');
      loop.callAt(base + 0.002, say, 'third');
      loop.callAt(base, say, 'first');
      loop.callAt(base + 0.002, say, 'fourth');
      loop.callLater(0.02, say, 'last');
      await loop.runForever();
      assert.deepEqual(log, ['first', 'second', 'third', 'fourth', 'fifth', 'last']);
    });

    test('call_later() calls back exactly once, with its arguments', async ({ loop }) => {
      const log: unknown[][] = [];
      const say = (...args: unknown[]): void => {
        log.push(args);
      };
      loop.callLater(0, say);
      loop.callLater(0.001, say, 1, 'two');
      loop.callLater(0.003, () => loop.stop());
      await loop.runForever();
      loop.callLater(0.002, () => loop.stop());
      await loop.runForever();
      assert.deepEqual(log, [[], [1, 'two']]);
    });

    test('call_later() with a negative delay and call_at() with a past time call back behind ready callbacks, in order of deadline', async ({
      loop,
    }) => {
      const log: string[] = [];
      const done = countdown(loop, 4);
      const say = (word: string): void => {
        log.push(word);
        done();
      };
      loop.callAt(loop.time() - 5, say, 'long ago');
      loop.callLater(-3600, say, 'an hour ago');
      loop.callLater(Number.NEGATIVE_INFINITY, say, 'always due');
      loop.callSoon(say, 'ready');
      await loop.runForever();
      assert.deepEqual(log, ['ready', 'always due', 'an hour ago', 'long ago']);
    });

    test('call_at() returns a handle with its deadline, and call_later() the same on the clock of time()', ({
      loop,
    }) => {
      const when = loop.time() + 3600;
      assert.equal(loop.callAt(when, () => {}).when(), when);
      const before = loop.time();
      const handle = loop.callLater(3600, () => {});
      assert.ok(handle.when() >= before + 3600 && handle.when() <= loop.time() + 3600);
      handle.cancel();
      assert.equal(handle.cancelled(), true);
      assert.ok(handle.when() >= before + 3600);
    });

    test('call_later() can be cancelled until it calls back, also by a callback of the same deadline', async ({
      loop,
    }) => {
      const log: string[] = [];
      const when = loop.time() + 0.002;
      loop.callAt(when - 0.001, () => early.cancel());
      loop.callAt(when, () => same.cancel());
      const early = loop.callAt(when, () => log.push('never'));
      const same = loop.callAt(when, () => log.push('never'));
      loop.callAt(when, () => log.push('called'));
      loop.callAt(when + 0.001, () => loop.stop());
      await loop.runForever();
      early.cancel();
      assert.deepEqual(log, ['called']);
    });

    test('call_later() with a new earliest deadline calls back in time while the loop idles until a later one', async ({
      loop,
    }) => {
      const log: string[] = [];
      // With a virtual clock a deadline is due as soon as nothing else is, so there the loop idles without a
      // deadline.
      if (!target.exact) loop.callLater(3600, () => log.push('late'));
      const running = loop.runForever();
      setImmediate(() =>
        setImmediate(() => {
          loop.callLater(0.002, () => {
            log.push('early');
            loop.stop();
          });
        }),
      );
      await running;
      assert.deepEqual(log, ['early']);
    });

    test('call_later() has no upper limit: nothing overflows beyond 2^31 milliseconds, up to infinity', async ({
      loop,
      exact,
    }) => {
      const log: string[] = [];
      const begin = loop.time();
      for (const delay of [2 ** 31 / 1000, 2 ** 32 / 1000 + 1, 1e9, 1e300, Number.POSITIVE_INFINITY]) {
        loop.callLater(delay, () => log.push(String(delay)));
      }
      loop.callLater(0.005, () => loop.stop());
      await loop.runForever();
      assert.deepEqual(log, []);
      if (!exact) return;
      loop.callLater(1e9, () => loop.stop());
      await loop.runForever();
      assert.deepEqual(log, [String(2 ** 31 / 1000), String(2 ** 32 / 1000 + 1), '1000000000']);
      assert.ok(loop.time() - begin >= 1e9);
    });

    test('call_later() leaves nothing behind: the heap stays flat over timers that are created and cancelled', async ({
      loop,
    }) => {
      const round = async (): Promise<void> => {
        for (let i = 0; i < 10_000; i++) loop.callLater(3600 + (i % 100), () => {}).cancel();
        loop.stop();
        await loop.runForever();
      };
      await round();
      const used = [await heapUsed()];
      for (let i = 0; i < 3; i++) {
        await round();
        used.push(await heapUsed());
      }
      // A leak grows each time: by 400 kB and more, if an object is left for each timer. Memory that the host
      // keeps for its own use after the first rounds grows once.
      const grown = used.slice(1).map((bytes, i) => bytes - (used[i] as number));
      assert.ok(Math.min(...grown) < 200_000, `grew by ${grown.join(', ')} bytes`);
      assert.equal(loop._scheduler.timers.size, 0);
    });

    test('call_later() runs callbacks that are overdue together in order of deadline', async ({ loop }) => {
      const log: number[] = [];
      const begin = loop.time();
      const hold = (): void => {
        // With a real clock this blocks the thread until all are overdue.
        while (!target.exact && loop.time() < begin + 0.004);
      };
      loop.callSoon(hold);
      // A machine that stops between two of these calls changes the order of the deadlines.
      const timers = [0.003, 0.001, 0.002].map((delay) => {
        const timer: TimerHandle = loop.callLater(delay, () => log.push(timer.when()));
        return timer;
      });
      loop.callLater(0.005, () => loop.stop());
      await loop.runForever();
      const deadlines = timers.map((timer) => timer.when());
      assert.deepEqual(
        log,
        deadlines.sort((a, b) => a - b),
      );
    });

    test('call_later() works in its own callback, for a regular Hello World', async ({ loop, exact }) => {
      const began = loop.time();
      const times: number[] = [];
      const every = exact ? 2 : 0.002;
      const printAndRepeat = (on: BaseEventLoop): void => {
        times.push(loop.time() - began);
        if (times.length === 4) on.stop();
        else on.callLater(every, printAndRepeat, on);
      };
      loop.callSoon(printAndRepeat, loop);
      await loop.runForever();
      assert.equal(times.length, 4);
      if (exact) assert.deepEqual(times, [0, 2, 4, 6]);
      else assert.ok(times.every((time, i) => time >= i * every));
    });
  });
}
