import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tsArguments } from '../../helpers/typescript.ts';

test('the trace of a world with clients of Node is the same in two processes', async () => {
  const program = fileURLToPath(new URL('trace.child.ts', import.meta.url));
  const run = async (): Promise<string[]> => {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    return (await promisify(execFile)(process.execPath, tsArguments(program), options)).stdout.split('\n');
  };
  const [first, second] = await Promise.all([run(), run()]);
  assert.ok(first.length > 300);
  assert.deepEqual(second, first);
});
