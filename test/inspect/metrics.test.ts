/** `loop.metrics()`, and code that holds a loop without debug mode. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { gather, getRunningLoop, run, sleep } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

/** Blocks the thread. */
function hold(seconds: number): void {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until);
}

const BUDGET = 0.02;

test(
  'the metrics count turns and timers, and have histograms of durations, lateness and ready entries',
  onNode(async (loop) => {
    for (let i = 0; i < 5; i++) await sleep(0.001);
    await gather(...Array.from({ length: 20 }, () => loop.createTask(() => sleep(0))));
    const metrics = loop.metrics();
    const delay = metrics['nodejs.eventloop.delay'];
    assert.ok(delay.count >= 5 && delay.min >= 0 && delay.max >= delay.p50);
    assert.ok(metrics['gyre.loop.turns'] >= 7);
    assert.ok(metrics['gyre.loop.turn.duration'].count > 0);
    assert.ok(metrics['gyre.loop.ready.length'].max >= 20);
    assert.ok(metrics['gyre.loop.io.duration'].sum >= 0.004);
    assert.equal(metrics['gyre.loop.tasks'], 1);
    assert.deepEqual(JSON.parse(JSON.stringify(metrics)), metrics);
    const time = metrics['nodejs.eventloop.time'];
    assert.ok(time === null || time.active > 0);
  }),
);

test('a simulated loop has the same metrics in every run', async () => {
  const measure = (): Promise<unknown> =>
    run(
      async () => {
        await sleep(5);
        await gather(sleep(1), sleep(2));
        return getRunningLoop().metrics();
      },
      { loopFactory: () => new SimulatedEventLoop() },
    );
  assert.deepEqual(await measure(), await measure());
});

test(
  'a task that holds the loop is counted with its name, without debug mode',
  onNode(async (loop) => {
    loop.slowCallbackDuration = BUDGET;
    const before = loop.metrics()['gyre.loop.held'].count;
    await loop.createTask(
      async () => {
        await sleep(0.001);
        hold(BUDGET * 2);
        await sleep(0.001);
      },
      { name: 'crunching' },
    );
    const { count, longest, seconds } = loop.metrics()['gyre.loop.held'];
    assert.ok(count > before);
    assert.ok(seconds >= BUDGET * 2);
    assert.equal(longest?.by, "task 'crunching'");
    assert.ok(longest.seconds >= BUDGET * 2);
  }),
);

test(
  'of several entries in a turn the first long one is not known, and the next one is named',
  onNode(async (loop) => {
    loop.slowCallbackDuration = BUDGET;
    const names: string[] = [];
    for (let round = 0; round < 2; round++) {
      loop.callSoon(() => {});
      loop.callSoon(function crunches() {
        hold(BUDGET * 2);
      });
      loop.callSoon(() => {});
      await sleep(0.001);
      names.push(String(loop.metrics()['gyre.loop.held'].last?.by));
    }
    assert.match(String(names[0]), /^one of \d+ entries of a turn$/);
    assert.equal(names[1], 'callback crunches');
  }),
);

test(
  'a program that has set slowCallbackDuration gets one warning a second, and one that has not gets none',
  onNode(async (loop) => {
    const warnings: string[] = [];
    const listener = (warning: Error & { code?: string }): void => {
      if (warning.code === 'GYRE_SLOW_CALLBACK') warnings.push(warning.message);
    };
    process.on('warning', listener);
    const crunch = async (): Promise<void> => {
      await sleep(0.001);
      hold(0.11);
      await sleep(0.001);
    };
    await loop.createTask(crunch, { name: 'a' });
    assert.deepEqual(warnings, []);
    loop.slowCallbackDuration = 0.1;
    await loop.createTask(crunch, { name: 'a' });
    await loop.createTask(crunch, { name: 'a' });
    process.off('warning', listener);
    assert.equal(warnings.length, 1);
    assert.match(String(warnings[0]), /^task 'a' held the event loop for 0\.\d{3} seconds$/);
  }),
);

test('slowCallbackDuration takes seconds only', () => {
  const loop = new SimulatedEventLoop();
  assert.throws(() => {
    loop.slowCallbackDuration = Number.NaN;
  }, RangeError);
  assert.throws(() => {
    loop.slowCallbackDuration = '1' as never;
  }, TypeError);
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  assert.equal(loop.slowCallbackDuration, Number.POSITIVE_INFINITY);
  loop.close();
});
