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
    // The last turns are measured when the clock is read next.
    await sleep(0.001);
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

/** Collects the warnings about held loops while `body` runs. */
async function warningsOf(body: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const listener = (warning: Error & { code?: string }): void => {
    if (warning.code === 'GYRE_SLOW_CALLBACK') warnings.push(warning.message);
  };
  process.on('warning', listener);
  try {
    await body();
    await sleep(0.001);
  } finally {
    process.off('warning', listener);
  }
  return warnings;
}

async function crunch(): Promise<void> {
  await sleep(0.001);
  hold(BUDGET * 2);
  await sleep(0.001);
}

test(
  'a program that has set slowCallbackDuration is warned with the name of the task, without debug mode',
  onNode(async (loop) => {
    loop.slowCallbackDuration = BUDGET;
    // On a busy machine other code may be slow as well, and be the one that is named in this second.
    const named = /^task 'crunching' held the event loop for \d+\.\d{3} seconds$/;
    for (let found = false; !found; ) {
      const warnings = await warningsOf(() => loop.createTask(crunch, { name: 'crunching' }));
      found = warnings.some((warning) => named.test(warning));
      if (!found) await sleep(1);
    }
    const { count, seconds, longest } = loop.metrics()['gyre.loop.held'];
    assert.ok(count >= 1 && seconds >= BUDGET * 2 && (longest?.seconds ?? 0) >= BUDGET * 2);
  }),
);

/** Holds the loop in a task, without use of the processor. */
const blocking = (seconds: number) => async (): Promise<void> => {
  await sleep(0.001);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
};

test(
  'a program that has not set slowCallbackDuration is warned of code that holds the loop for a second',
  onNode(async (loop) => {
    const warnings = await warningsOf(() => loop.createTask(blocking(1.05), { name: 'indexing' }));
    // On a busy machine other code may be slow as well, and be the one that is named in this second.
    assert.match(warnings[0] ?? '', /^.* held the event loop for \d+\.\d{3} seconds$/);
  }),
);

test(
  'a program that has not set slowCallbackDuration is not warned of a tenth of a second, but it is counted',
  onNode(async (loop) => {
    const warnings = await warningsOf(() => loop.createTask(blocking(0.11)));
    // On a busy machine the thread may rest for longer.
    for (const warning of warnings) assert.ok(Number(/ ([\d.]+) seconds/.exec(warning)?.[1]) >= 1, warning);
    assert.ok(loop.metrics()['gyre.loop.held'].count >= 1);
  }),
);

test('a simulated loop warns of no held loop unless the program asks for it', async () => {
  const loop = new SimulatedEventLoop();
  assert.equal(loop._scheduler.meter.report, null);
  loop.slowCallbackDuration = 0.5;
  assert.notEqual(loop._scheduler.meter.report, null);
  loop.close();
});

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
