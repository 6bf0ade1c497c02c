import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostClock } from '../../../src/backend/shared/clock.ts';

// The host's own timers are the subject: they fire up to a millisecond early, and overflow after 24.8 days.

/** Returns the time of the call that `wakeAt(when)` causes. */
function calledAt(clock: HostClock, when: number): Promise<number> {
  return new Promise((resolve) => {
    clock.start({
      run: () => {
        const at = clock.time();
        clock.stop();
        resolve(at);
      },
      nextWhen: () => when,
    });
    clock.wakeAt(when);
  });
}

test('HostClock never wakes early, although the host fires its timers up to a millisecond early', async () => {
  const clock = new HostClock();
  const early: number[] = [];
  for (let i = 0; i < 40; i++) {
    const when = clock.time() + 0.0005 + i * 0.0001;
    const at = await calledAt(clock, when);
    if (at < when) early.push(when - at);
  }
  assert.deepEqual(early, []);
});

test('HostClock waits for a deadline beyond the longest timer of the host', async () => {
  const clock = new HostClock();
  const warnings: Error[] = [];
  const warn = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', warn);
  let calls = 0;
  let when = 0;
  clock.start({ run: () => calls++, nextWhen: () => when });
  for (const seconds of [2 ** 31 / 1000, 1e9, 1e300]) {
    when = clock.time() + seconds;
    clock.wakeAt(when);
    const until = performance.now() + 5;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  }
  clock.stop();
  process.off('warning', warn);
  assert.equal(calls, 0);
  assert.deepEqual(warnings, []);
});

test('HostClock reads the deadline when its timer fires, not when the timer was set', async () => {
  const clock = new HostClock();
  const now = clock.time();
  let when = now + 0.002;
  const at = await new Promise<number>((resolve) => {
    clock.start({
      run: () => {
        clock.stop();
        resolve(clock.time());
      },
      nextWhen: () => when,
    });
    clock.wakeAt(when);
    when = now + 0.01;
  });
  assert.ok(at >= when);
});
