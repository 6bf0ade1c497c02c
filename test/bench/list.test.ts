import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WORKLOADS } from '../../bench/list.ts';
import { commandOf } from '../../bench/peers.ts';
import type { Runtimes } from '../../bench/runtimes.ts';

const bench = fileURLToPath(new URL('../../bench', import.meta.url));

/** Claims that every program exists; the test looks for the programs in the sources. */
const runtimes: Runtimes = {
  node: 'node',
  nodeVersion: 'v20.0.0',
  native: true,
  asyncio: 'python3',
  uvloop: 'python3',
  bun: 'bun',
  libuv: path.join(bench, 'libuv'),
  missing: [],
};

/** Returns the file of the last path in a command line. */
function sourceOf({ file, args }: { file: string; args: readonly string[] }): string {
  const program = [file, ...args].findLast((each) => path.isAbsolute(each)) as string;
  const [folder, name] = program.split(path.sep).slice(-2) as [string, string];
  return path.join(bench, folder, folder === 'libuv' ? `${name}.c` : name.replace(/\.js$/, '.ts'));
}

test('every workload has a name of its own', () => {
  const names = WORKLOADS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('every peer of every workload has its program', () => {
  for (const workload of WORKLOADS) {
    for (const peer of workload.peers) {
      const source = sourceOf(commandOf(workload, peer, [], runtimes));
      assert.ok(existsSync(source), `${workload.name}: ${peer} has no ${source}`);
    }
  }
});

test('every target names peers of its workload, the first of them gyre', () => {
  for (const { name, peers, targets = [] } of WORKLOADS) {
    for (const { gyre, peer } of targets) {
      assert.ok(peers.includes(gyre), `${name}: ${gyre}`);
      assert.ok(peer === null || peers.includes(peer), `${name}: ${peer}`);
      assert.match(gyre, /^gyre/);
    }
  }
});

test('the environment of its program selects the backend of gyre', () => {
  const workload = WORKLOADS.find(({ name }) => name === 'echo-100')!;
  assert.deepEqual(commandOf(workload, 'gyre-uv', [], runtimes).env, { GYRE_BACKEND: 'uv' });
  assert.deepEqual(commandOf(workload, 'gyre-node', [], runtimes).env, { GYRE_BACKEND: 'node' });
});
