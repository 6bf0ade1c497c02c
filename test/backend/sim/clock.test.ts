import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline } from '../../../src/backend/sim/timeline.ts';
import { SimulatedEventLoop } from '../../../src/entry/sim.ts';
import { sleep } from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

const makeLoop = (): SimulatedEventLoop => new SimulatedEventLoop();

test('virtual time begins at zero, or at the given time', async () => {
  assert.equal(new SimulatedEventLoop().time(), 0);
  const loop = new SimulatedEventLoop({ startTime: 1_000.5 });
  await loop.runUntilComplete(() => sleep(0.25));
  assert.equal(loop.time(), 1_000.75);
});

test('virtual time stands still while anything is ready, for any real time', () =>
  withLoop(makeLoop, async (loop) => {
    const times = new Set<number>();
    await loop.runUntilComplete(async () => {
      for (let i = 0; i < 100; i++) {
        await sleep(0);
        times.add(loop.time());
      }
      const until = performance.now() + 3;
      while (performance.now() < until);
      times.add(loop.time());
    });
    assert.deepEqual(times, new Set([0]));
  }));

test('virtual time jumps to each deadline, and stops there exactly', () =>
  withLoop(makeLoop, async (loop) => {
    const times: number[] = [];
    for (const delay of [0.1, 0.2, 0.30000000000000004, 1e-9, 86_400]) {
      loop.callLater(delay, () => times.push(loop.time()));
    }
    loop.callLater(86_400, () => loop.stop());
    await loop.runForever();
    assert.deepEqual(times, [1e-9, 0.1, 0.2, 0.30000000000000004, 86_400]);
  }));

test('a day of work in virtual time takes milliseconds', () =>
  withLoop(makeLoop, async (loop) => {
    const began = performance.now();
    let beats = 0;
    await loop.runUntilComplete(async () => {
      for (let hour = 0; hour < 24; hour++) {
        await sleep(3600);
        beats++;
      }
    });
    assert.equal(beats, 24);
    assert.equal(loop.time(), 86_400);
    assert.ok(performance.now() - began < 2_000);
  }));

test('virtual time does not go back for a deadline that has passed', () =>
  withLoop(makeLoop, async (loop) => {
    await loop.runUntilComplete(() => sleep(10));
    const times: number[] = [];
    loop.callAt(3, () => {
      times.push(loop.time());
      loop.stop();
    });
    await loop.runForever();
    assert.deepEqual(times, [10]);
  }));

test('virtual time stands still while the loop does not run', () =>
  withLoop(makeLoop, async (loop) => {
    loop.callLater(10, () => {});
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(loop.time(), 0);
    await loop.runUntilComplete(() => sleep(1));
    assert.equal(loop.time(), 1);
  }));

test('virtual time passes over the deadline of a timer that was cancelled', () =>
  withLoop(makeLoop, async (loop) => {
    await loop.runUntilComplete(async () => {
      const timer = loop.callLater(3600, () => {});
      await sleep(1);
      timer.cancel();
      // An operation of the host that the loop cannot see: while it is pending, nothing is due.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      await sleep(1);
    });
    assert.equal(loop.time(), 2);
  }));

test('a busy task holds virtual time, so a deadline comes only when it pauses', () =>
  withLoop(makeLoop, async (loop) => {
    const log: string[] = [];
    loop.callLater(1, () => log.push('timer'));
    await loop.runUntilComplete(async () => {
      for (let i = 0; i < 1000; i++) await sleep(0);
      log.push('busy until now');
      await sleep(1);
    });
    assert.deepEqual(log, ['busy until now', 'timer']);
  }));

test('time stands still while thousands of callbacks of one moment run', async () => {
  const timeline = new Timeline(0);
  timeline.enter();
  timeline.at(3600, () => {});
  const times: number[] = [];
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 5000; i++) timeline.soon(() => timeline.soon(() => times.push(timeline.time())));
    timeline.soon(() => timeline.soon(resolve));
  });
  timeline.leave();
  assert.equal(times.length, 5000);
  assert.deepEqual(new Set(times), new Set([0]));
});

test('time moves by little while a callback requests itself without end, and timers come when they are due', async () => {
  const timeline = new Timeline(0);
  timeline.enter();
  const times: number[] = [];
  for (const when of [0.015, 0.05, 3600]) timeline.at(when, () => times.push(timeline.time()));
  await new Promise<void>((resolve) => {
    const spin = (): void => (times.length < 2 ? timeline.soon(spin) : resolve());
    spin();
  });
  timeline.leave();
  assert.deepEqual(times, [0.015, 0.05]);
});

test('SimulatedEventLoop rejects unknown options and wrong values', () => {
  assert.throws(() => new SimulatedEventLoop({ startTime: Number.NaN }), {
    name: 'RangeError',
    code: 'ERR_OUT_OF_RANGE',
  });
  for (const options of [{ startTime: '0' }, { seed: '1' }, { trace: 1 }, null, 5]) {
    assert.throws(() => new SimulatedEventLoop(options as never), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});
