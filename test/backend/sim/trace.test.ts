import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceEntry } from '../../../src/entry/sim.ts';
import { checkDeterminism, compareTraces, SimulatedEventLoop } from '../../../src/entry/sim.ts';
import { Queue, sleep } from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

const makeTracingLoop = (): SimulatedEventLoop => new SimulatedEventLoop({ trace: true });

function linesOf(trace: readonly TraceEntry[]): string[] {
  return trace.map(({ time, kind, label }) => `${time} ${kind} ${label}`);
}

test('a trace has callbacks, timers, wake-ups and the stop, each with its time and its name', () =>
  withLoop(makeTracingLoop, async (loop) => {
    const future = loop.createFuture();
    loop.callSoon(function first() {});
    loop.callSoon(() => {}).cancel();
    loop.callSoon(() => {});
    loop.callLater(1.5, function tick() {
      future.setResult(1);
    });
    loop.createTask(
      async () => {
        await future;
        loop.stop();
      },
      { name: 'worker' },
    );
    await loop.runForever();
    assert.deepEqual(linesOf(loop.trace), [
      '0 callback first',
      '0 callback (cancelled)',
      '0 callback (anonymous)',
      '0 callback runFirstStep of worker',
      '1.5 timer tick',
      '1.5 wake-up Future 1',
      '1.5 stop stop',
    ]);
  }));

test('a trace is empty unless it is requested', () =>
  withLoop(
    () => new SimulatedEventLoop(),
    async (loop) => {
      await loop.runUntilComplete(() => sleep(1));
      assert.deepEqual(loop.trace, []);
    },
  ));

test('unnamed tasks and futures in a trace have numbers that depend on the run alone', async () => {
  const trace = async (): Promise<string[]> => {
    const loop = makeTracingLoop();
    await loop.runUntilComplete(async () => {
      const task = loop.createTask(async () => sleep(1));
      await task;
    });
    loop.close();
    return linesOf(loop.trace);
  };
  const first = await trace();
  assert.deepEqual(await trace(), first);
  assert.ok(first.includes('0 callback runFirstStep of Task 2'), first.join('\n'));
});

test('compareTraces() returns the first difference with both lines, or null', () => {
  const entry = (time: number, label: string): TraceEntry => ({ time, kind: 'timer', label });
  const trace = [entry(0, 'a'), entry(1, 'b')];
  assert.equal(compareTraces(trace, [entry(0, 'a'), entry(1, 'b')]), null);
  assert.equal(compareTraces([], []), null);
  assert.deepEqual(compareTraces(trace, [entry(0, 'a'), entry(1, 'c')]), {
    index: 1,
    first: '1 s: timer b',
    second: '1 s: timer c',
  });
  assert.deepEqual(compareTraces(trace, [entry(0, 'a'), entry(1.5, 'b')]), {
    index: 1,
    first: '1 s: timer b',
    second: '1.5 s: timer b',
  });
  assert.deepEqual(compareTraces(trace, [entry(0, 'a'), { time: 1, kind: 'callback', label: 'b' }]), {
    index: 1,
    first: '1 s: timer b',
    second: '1 s: callback b',
  });
  assert.deepEqual(compareTraces(trace.slice(0, 1), trace), {
    index: 1,
    first: null,
    second: '1 s: timer b',
  });
  assert.deepEqual(compareTraces(trace, trace.slice(0, 1)), {
    index: 1,
    first: '1 s: timer b',
    second: null,
  });
});

/**
 * A shop with producers, consumers, timeouts and cancellations over hours of virtual time, driven by a seeded
 * generator.
 */
async function shop(loop: SimulatedEventLoop, random: () => number): Promise<number> {
  const queue = new Queue<number>(3);
  let eaten = 0;
  const consumers = Array.from({ length: 4 }, () =>
    loop.createTask(async () => {
      for (;;) {
        eaten += await queue.get();
        await sleep(random() * 60);
      }
    }),
  );
  for (let i = 0; i < 100; i++) {
    await queue.put(i);
    await sleep(random() * 30);
    if (i === 50) consumers[0]?.cancel();
  }
  await sleep(3600);
  for (const consumer of consumers) consumer.cancel();
  for (const consumer of consumers) await consumer.catch(() => {});
  return eaten;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('checkDeterminism() returns the trace of a scenario whose two runs are equal', async () => {
  const trace = await checkDeterminism((loop) => shop(loop, seeded(42)));
  assert.ok(trace.length > 400, `${trace.length} entries`);
  assert.ok((trace.at(-1)?.time ?? 0) > 3600);
});

test('checkDeterminism() fails at the first difference of two runs, with both lines', async () => {
  let run = 0;
  await assert.rejects(
    checkDeterminism(async (loop) => {
      run++;
      loop.callLater(run, function tick() {});
      await sleep(1.5);
      await sleep(1.5);
    }),
    {
      message:
        'two runs of one scenario differ at entry 1:\n' +
        '  first run:  1 s: timer tick\n' +
        '  second run: 1.5 s: timer wake',
    },
  );
});

test('checkDeterminism() fails when one run is longer', async () => {
  let run = 0;
  await assert.rejects(
    checkDeterminism(async () => {
      for (let i = 0; i < 2 + run; i++) await sleep(1);
      run++;
    }),
    /two runs of one scenario differ at entry \d+:\n {2}first run: {2}.*\n {2}second run: /,
  );
});

test('checkDeterminism() throws the error of its scenario', async () => {
  await assert.rejects(
    checkDeterminism(async () => {
      await sleep(1);
      throw new Error('bug');
    }),
    /bug/,
  );
});
