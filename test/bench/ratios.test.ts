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
  assert.equal(speedRatio(result('memory', { 'gyre-uv': [3], node: [6] }), 'gyre-uv', 'node'), 2);
});

test('a ratio above 1 for the server’s CPU says that gyre needs less', () => {
  assert.equal(cpuRatio(result('echo-100', { 'gyre-uv': [400], node: [200] }), 'gyre-uv', 'node'), 2);
});

test('a verdict uses the medians, and tells the spread of the rounds', () => {
  const target = { gyre: 'gyre-uv', peer: 'node', node20: 1.5, node26: 1.7 };
  const measured = result('echo-100', { 'gyre-uv': [100, 160, 200], node: [100, 100, 100] });
  const verdict = verdictOf(measured, target, 20);
  assert.deepEqual([verdict.ratio, verdict.range, verdict.reached], [1.6, [1, 2], true]);
  assert.equal(verdictOf(measured, target, 26).reached, false);
});

test('a side without a measurement has no verdict', () => {
  const target = { gyre: 'gyre-uv', peer: 'node', node20: 1.5, node26: 1.5 };
  const verdict = verdictOf(result('echo-100', { 'gyre-uv': [100] }), target, 20);
  assert.deepEqual([verdict.ratio, verdict.range, verdict.reached], [null, null, null]);
});
