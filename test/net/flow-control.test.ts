import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowControl } from '../../src/net/flow-control.ts';

test('FlowControl has limits of 64 KiB and a quarter of it by default', () => {
  const flow = new FlowControl();
  assert.deepEqual([flow.high, flow.low, flow.paused], [65_536, 16_384, false]);
});

test('FlowControl.setLimits() with one limit derives the other: a quarter below, four times above', () => {
  const flow = new FlowControl();
  const limits = (given?: { high?: number; low?: number }): number[] => {
    flow.setLimits(given);
    return [flow.high, flow.low];
  };
  assert.deepEqual(limits({ high: 1000 }), [1000, 250]);
  assert.deepEqual(limits({ high: 1001 }), [1001, 250]);
  assert.deepEqual(limits({ high: 3 }), [3, 0]);
  assert.deepEqual(limits({ high: 0 }), [0, 0]);
  assert.deepEqual(limits({ low: 100 }), [400, 100]);
  assert.deepEqual(limits({ low: 0 }), [0, 0]);
  assert.deepEqual(limits({ high: 10, low: 10 }), [10, 10]);
  assert.deepEqual(limits({ high: 10, low: 0 }), [10, 0]);
  assert.deepEqual(limits(), [65_536, 16_384]);
  assert.deepEqual(limits({}), [65_536, 16_384]);
});

test('FlowControl.setLimits() names the wrong argument, and changes nothing then', () => {
  const flow = new FlowControl();
  const refused: [unknown, RegExp, string][] = [
    [{ high: -1 }, /"limits\.high".*from 0 .*got -1/, 'ERR_OUT_OF_RANGE'],
    [{ low: -1 }, /"limits\.low".*from 0 .*got -1/, 'ERR_OUT_OF_RANGE'],
    [{ high: Number.NaN }, /"limits\.high".*got NaN/, 'ERR_OUT_OF_RANGE'],
    [{ high: 1.5 }, /"limits\.high".*integer.*got 1\.5/, 'ERR_OUT_OF_RANGE'],
    [{ high: Number.POSITIVE_INFINITY }, /"limits\.high".*got Infinity/, 'ERR_OUT_OF_RANGE'],
    [{ high: '1' }, /"limits\.high".*integer.*got "1"/, 'ERR_INVALID_ARG_TYPE'],
    [{ low: null }, /"limits\.low".*integer.*got null/, 'ERR_INVALID_ARG_TYPE'],
    [{ high: 10, low: 11 }, /"limits\.low".*at most limits\.high \(10\).*got 11/, 'ERR_OUT_OF_RANGE'],
    [{ hi: 10 }, /"limits\.hi".*known options: high, low/, 'ERR_INVALID_ARG_TYPE'],
    [null, /"limits".*object.*got null/, 'ERR_INVALID_ARG_TYPE'],
    [10, /"limits".*object.*got 10/, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [limits, message, code] of refused) {
    assert.throws(() => flow.setLimits(limits as never), { message, code });
  }
  assert.deepEqual([flow.high, flow.low], [65_536, 16_384]);
});

test('FlowControl.update() pauses above the high-water mark and resumes at or below the low one, exact to the byte', () => {
  const flow = new FlowControl();
  flow.setLimits({ high: 100, low: 20 });
  const told = [100, 101, 101, 21, 20, 20, 21, 100, 101].map((bytes) => flow.update(bytes));
  assert.deepEqual(told, [null, 'pause', null, null, 'resume', null, null, null, 'pause']);
});

test('FlowControl.update() with both limits zero pauses for any byte and resumes when there is none', () => {
  const flow = new FlowControl();
  flow.setLimits({ high: 0 });
  assert.deepEqual(
    [0, 1, 5, 0, 0].map((bytes) => flow.update(bytes)),
    [null, 'pause', null, 'resume', null],
  );
});

test('FlowControl pauses and resumes alternately, each only beyond its mark, for any sizes and limits', () => {
  const limits = fc
    .tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 }))
    .map(([a, b]) => ({ high: Math.max(a, b), low: Math.min(a, b) }));
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.nat({ max: 400 }).map((bytes) => ({ bytes })) },
    { weight: 1, arbitrary: limits.map((marks) => ({ marks })) },
  );
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 60 }), (first, steps) => {
      const flow = new FlowControl();
      flow.setLimits(first);
      let paused = false;
      for (const one of steps) {
        if ('marks' in one) {
          flow.setLimits(one.marks);
          continue;
        }
        const told = flow.update(one.bytes);
        if (told === 'pause') assert.ok(!paused && one.bytes > flow.high);
        else if (told === 'resume') assert.ok(paused && one.bytes <= flow.low);
        else assert.ok(paused ? one.bytes > flow.low : one.bytes <= flow.high);
        if (told !== null) paused = told === 'pause';
        assert.equal(flow.paused, paused);
      }
    }),
  );
});
