import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostClock } from '../../../src/backend/node/clock.ts';

// The host's own timers are the subject: they fire up to a millisecond early, and overflow after 24.8 days.

function turnOf(clock: HostClock, ask: () => void): Promise<number> {
  return new Promise((resolve) => {
    let at = 0;
    clock.start(
      () => {
        at = clock.time();
        return true;
      },
      () => {
        clock.stop();
        resolve(at);
      },
    );
    ask();
  });
}

test('HostClock never wakes early, though the host fires its timers up to a millisecond early', async () => {
  const clock = new HostClock();
  const early: number[] = [];
  for (let i = 0; i < 40; i++) {
    const when = clock.time() + 0.0005 + i * 0.0001;
    const at = await turnOf(clock, () => clock.wakeAt(when));
    if (at < when) early.push(when - at);
  }
  assert.deepEqual(early, []);
});

test('HostClock waits for a moment beyond the longest timer of the host instead of waking at once', async () => {
  const clock = new HostClock();
  const warnings: Error[] = [];
  const warn = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', warn);
  let turns = 0;
  clock.start(
    () => {
      turns++;
      return true;
    },
    () => {},
  );
  for (const seconds of [2 ** 31 / 1000, 1e9, 1e300]) {
    clock.wakeAt(clock.time() + seconds);
    const until = performance.now() + 5;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  }
  clock.stop();
  process.off('warning', warn);
  assert.equal(turns, 0);
  assert.deepEqual(warnings, []);
});

test('HostClock polls the host after a number of turns that follow each other', async () => {
  const clock = new HostClock();
  let turns = 0;
  let turnsBeforeImmediate = 0;
  await new Promise<void>((resolve) => {
    clock.start(
      () => {
        turns++;
        if (turns === 1) {
          setImmediate(() => {
            turnsBeforeImmediate = turns;
          });
        }
        if (turns < 200) clock.wake();
        return true;
      },
      () => {
        if (turns < 200) return;
        clock.stop();
        resolve();
      },
    );
    clock.wake();
  });
  assert.ok(turnsBeforeImmediate >= 2, 'several turns share a poll');
  assert.ok(turnsBeforeImmediate <= 64, `${turnsBeforeImmediate} turns without a poll`);
});
