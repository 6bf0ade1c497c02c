import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WORKLOADS } from '../../bench/list.ts';
import type { PeerResult, WorkloadResult } from '../../bench/ratios.ts';
import { cpuRatio, speedRatio, verdictOf } from '../../bench/ratios.ts';

function result(name: string, values: Record<string, number[]>): WorkloadResult {
  const workload = WORKLOADS.find((each) => each.name === name)!;
  const peers: PeerResult[] = Object.entries(values).map(([peer, all]) => ({
    peer,
    rounds: all.map((value) => ({ value, details: { 'server CPU us': 1000 / value }, runtime: 'test' })),
  }));
  return { workload, peers };
}

test('a rate is better when it is higher, and a cost when it is lower', () => {
  assert.equal(speedRatio(result('echo-100', { 'gyre-uv': [300], node: [200] }), 'gyre-uv', 'node'), 1.5);
  assert.equal(speedRatio(result('memory-protocol', { 'gyre-uv': [3], node: [6] }), 'gyre-uv', 'node'), 2);
});

test('a ratio above 1 for the server’s CPU says that gyre needs less', () => {
  assert.equal(cpuRatio(result('echo-100', { 'gyre-uv': [400], node: [200] }), 'gyre-uv', 'node'), 2);
});

const TIMES = { kind: 'times', gyre: 'gyre-uv', peer: 'node', node20: 1.5, node26: 1.7 } as const;

test('a verdict uses the medians, and tells the spread of the rounds', () => {
  const measured = result('echo-100', { 'gyre-uv': [100, 160, 200], node: [100, 100, 100] });
  const verdict = verdictOf(measured, TIMES, 20)!;
  assert.deepEqual([verdict.value, verdict.range, verdict.reached], [1.6, [1, 2], true]);
  assert.equal(verdictOf(measured, TIMES, 26)!.reached, false);
});

test('a side without a measurement has no verdict', () => {
  const verdict = verdictOf(result('echo-100', { 'gyre-uv': [100] }), TIMES, 20)!;
  assert.deepEqual([verdict.value, verdict.range, verdict.reached], [null, null, null]);
});

test('a target of the kind `more` limits the difference to the peer', () => {
  const target = { ...TIMES, kind: 'more', node20: 20, node26: 20 } as const;
  const verdict = verdictOf(
    result('memory-protocol', { 'gyre-uv': [55, 61, 60], node: [39, 40, 41] }),
    target,
    26,
  )!;
  assert.deepEqual([verdict.value, verdict.range, verdict.reached], [20, [16, 21], true]);
});

test('a target of the kind `figure` is a lower bound of a rate, and an upper bound of a cost', () => {
  const target = { kind: 'figure', gyre: 'gyre-uv', peer: null, node20: 100, node26: 100 } as const;
  const reached = (name: string, value: number): boolean | null =>
    verdictOf(result(name, { 'gyre-uv': [value] }), target, 26)!.reached;
  assert.deepEqual([reached('echo-100', 101), reached('echo-100', 99)], [true, false]);
  assert.deepEqual([reached('memory-protocol', 101), reached('memory-protocol', 99)], [false, true]);
});

test('a target without a number for a Node has no verdict there', () => {
  const measured = result('echo-100', { 'gyre-uv': [100], node: [100] });
  assert.equal(verdictOf(measured, { ...TIMES, node20: null }, 24), null);
});
