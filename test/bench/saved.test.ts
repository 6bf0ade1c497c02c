import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { WORKLOADS } from '../../bench/list.ts';
import { filled, missedTable, sectionTable } from '../../bench/page.ts';
import { pictureOf } from '../../bench/pictures.ts';
import type { PeerResult, WorkloadResult } from '../../bench/ratios.ts';
import { merged, readSaved, toResults, writeSaved } from '../../bench/saved.ts';
import { hasRow, SECTIONS } from '../../bench/sections.ts';

function result(name: string, values: Record<string, number[]>): WorkloadResult {
  const workload = WORKLOADS.find((each) => each.name === name)!;
  const peers: PeerResult[] = Object.entries(values).map(([peer, all]) => ({
    peer,
    rounds: all.map((value) => ({ value, details: { 'p99 us': value / 10 }, runtime: `runtime of ${peer}` })),
  }));
  return { workload, peers };
}

test('a run replaces the figures of its own workloads and peers, and keeps the others', () => {
  const first = merged(null, 'a machine', '2026-01-01', [
    result('udp', { 'gyre-uv': [5], node: [4] }),
    result('echo-100', { 'gyre-uv': [3], node: [2] }),
  ]);
  const second = merged(first, 'a machine', '2026-01-02', [result('echo-100', { 'gyre-uv': [7, 9, 8] })]);
  assert.deepEqual(
    toResults(second).map(({ workload, peers }) => [
      workload.name,
      ...peers.map(({ peer, rounds }) => [peer, ...rounds.map(({ value }) => value)]),
    ]),
    [
      ['echo-100', ['gyre-uv', 7, 9, 8], ['node', 2]],
      ['udp', ['gyre-uv', 5], ['node', 4]],
    ],
  );
  assert.equal(second.workloads['echo-100']!['gyre-uv']!.measured, '2026-01-02');
  assert.equal(second.workloads['echo-100']!['gyre-uv']!.details['p99 us'], 0.8);
});

test('a peer that fails loses its older figures', () => {
  const before = merged(null, 'a machine', '2026-01-01', [result('udp', { 'gyre-uv': [5], node: [4] })]);
  const failed = result('udp', { node: [] });
  failed.peers[0]!.failure = 'failed: it ended';
  const after = merged(before, 'a machine', '2026-01-02', [failed]);
  assert.deepEqual(Object.keys(after.workloads.udp!), ['gyre-uv']);
});

test('saved figures read as they were written, with one line for each peer', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-bench-saved-'));
  try {
    const file = path.join(folder, 'figures', 'node-26.json');
    const saved = merged(null, 'a "machine"', '2026-01-01', [
      result('udp', { 'gyre-uv': [5, 6], node: [4] }),
    ]);
    writeSaved(file, saved);
    assert.deepEqual(readSaved(file), saved);
    assert.equal(readFileSync(file, 'utf8').match(/^ {6}"/gm)?.length, 2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the page gets new parts between its marks, and keeps all other words', () => {
  const text = 'a\n<!-- bench: one -->\nold\n<!-- /bench -->\nb\n<!-- bench: two -->\nold\n<!-- /bench -->\n';
  assert.equal(
    filled(text, new Map([['one', 'new $1']])),
    'a\n<!-- bench: one -->\nnew $1\n<!-- /bench -->\nb\n<!-- bench: two -->\nold\n<!-- /bench -->\n',
  );
});

test('every mark of the page has a part, and every section has its marks', () => {
  const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');
  const marks = [...page.matchAll(/<!-- bench: (.+?) -->/g)].map(([, name]) => name!).sort();
  const sections = SECTIONS.flatMap(({ name }) => [`${name} picture`, `${name} table`]);
  const others = ['machine', 'missed', 'portable table', 'machine 24', 'table 24', 'machine 20', 'table 20'];
  assert.deepEqual(marks, [...sections, ...others].sort());
});

test('every workload has its row in one section, but for the simulated world', () => {
  for (const { name } of WORKLOADS.filter((each) => each.name !== 'exchange')) {
    assert.equal(SECTIONS.filter((section) => hasRow(section, name)).length, 1, name);
  }
});

test('every panel of a picture names a workload', () => {
  for (const section of SECTIONS) {
    for (const name of Object.keys(section.panels)) {
      assert.ok(
        WORKLOADS.some((each) => each.name === name),
        name,
      );
    }
  }
});

test('a table has gyre’s figure and its ratio to each measured peer, and marks a missed target', () => {
  const [sockets] = SECTIONS;
  const rows = sectionTable(sockets!, [result('echo-100', { 'gyre-uv': [120_000], node: [100_000] })]);
  assert.equal(rows.split('\n')[0], '|  | gyre | Node |');
  assert.match(rows, /\| 120k \| \*\*1\.20\*\* \(1\.5\) \|$/);
});

test('a missed target is listed with what was asked and measured', () => {
  const missed = missedTable([
    result('echo-100', { 'gyre-uv': [120_000], node: [100_000] }),
    result('import-time', { gyre: [80], node: [50] }),
    result('memory-streams', { 'gyre-uv': [6] }),
  ]);
  assert.match(missed, /gyre: 1\.5 of Node \| 1\.20 \|/);
  assert.match(missed, /at most 25\.0 ms above Node’s modules \| 30\.0 \|/);
  assert.match(missed, /gyre: at most 5\.40 KiB \| 6\.00 \|/);
});

test('a picture shows the peers that were measured, gyre in its own colour', () => {
  const [sockets] = SECTIONS;
  const picture = pictureOf(sockets!, [result('unix', { 'gyre-uv': [3], 'gyre-node': [2], libuv: [4] })]);
  assert.deepEqual(
    picture?.panels.map(({ bars }) => bars.map(({ label, look }) => [label, look])),
    [
      [
        ['gyre', 'gyre'],
        ['gyre, portable', 'quiet'],
        ['C on libuv', 'peer'],
      ],
    ],
  );
});
