import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tsArguments } from '../../helpers/typescript.ts';

type Seen = [number, number, string, [number, number], string];

test('functions that a library stored after gyre/sim/register belong to the world inside of a host only', async () => {
  const program = fileURLToPath(new URL('register.child.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, tsArguments(program));
  const { before, worlds, after } = JSON.parse(stdout) as { before: Seen; worlds: Seen[]; after: Seen };
  assert.deepEqual(worlds[0], worlds[1]);
  assert.equal(worlds[0]?.[0], Date.UTC(2025, 0, 1));
  assert.deepEqual(worlds[0]?.[3], [0, 0]);
  assert.ok(before[0] > Date.UTC(2025, 0, 1) && after[0] >= before[0]);
  assert.notEqual(before[1], after[1]);
  assert.notEqual(before[2], after[2]);
});
