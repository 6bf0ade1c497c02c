import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeldLoop } from '../../src/loop/meter.ts';
import { LoopMeter } from '../../src/loop/meter.ts';

function crunch(): void {}

const callback = { _callback: crunch, _args: [] };
const inTask = { _task: { name: 'a' } };

function reporting(): { meter: LoopMeter; reports: string[] } {
  const meter = new LoopMeter();
  meter.reportFrom = meter.limit;
  const reports: string[] = [];
  meter.report = ({ by, seconds }: HeldLoop) => void reports.push(`${by} ${seconds}`);
  return { meter, reports };
}

test('a stretch of one entry that is too long is named, by its task or its callback', () => {
  const { meter, reports } = reporting();
  meter.stretch(0.09, 1, 1, callback, 10);
  meter.stretch(0.2, 1, 1, callback, 20);
  meter.stretch(0.3, 1, 1, inTask, 30);
  meter.stretch(0.4, 1, 1, null, 40);
  meter.stretch(0.5, 1, 1, { _callback: crunch, _args: [{ _scope: {}, name: 'b' }] }, 50);
  assert.deepEqual(reports, ['callback crunch 0.2', "task 'a' 0.3", 'code of no task 0.4', "task 'b' 0.5"]);
  assert.equal(meter.heldCount, 4);
  assert.equal(meter.longest?.by, "task 'b'");
});

test('a long stretch of several entries names none, and then each entry is timed for a while', () => {
  const { meter, reports } = reporting();
  assert.ok(meter.timesUntil < 0);
  meter.stretch(0.2, 2, 3, callback, 10);
  assert.equal(meter.timesUntil, 20);
  // Now the entries tell, and the stretch around them does not tell again.
  meter.entry(0.01, callback, 12);
  meter.entry(0.3, inTask, 12);
  meter.stretch(0.31, 1, 2, inTask, 12);
  meter.stretch(0.4, 1, 2, inTask, 21);
  assert.deepEqual(reports, [
    'one of 3 entries of a turn 0.2',
    "task 'a' 0.3",
    'one of 2 entries of a turn 0.4',
  ]);
});

test('at most one report comes in a second, and every held stretch is counted', () => {
  const { meter, reports } = reporting();
  for (const now of [10, 10.5, 10.99, 11, 11.5, 12]) meter.stretch(0.2, 1, 1, callback, now);
  assert.equal(reports.length, 3);
  assert.equal(meter.heldCount, 6);
});

test('a shorter hold than the one from which reports begin is counted, and delays no report', () => {
  const { meter, reports } = reporting();
  meter.reportFrom = 1;
  meter.stretch(0.9, 1, 1, callback, 10);
  meter.stretch(1.1, 1, 1, inTask, 10.5);
  assert.deepEqual(reports, ["task 'a' 1.1"]);
  assert.equal(meter.heldCount, 2);
});

test('turns without a reading of the clock between them count with their mean', () => {
  const meter = new LoopMeter();
  meter.stretch(0.008, 8, 8, null, 1);
  const { count, mean } = meter.turn.facts();
  assert.deepEqual([count, Math.round(mean * 1000)], [8, 1]);
});
