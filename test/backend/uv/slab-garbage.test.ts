/** The collections of V8 that received data causes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { loaderOptions } from '../../helpers/typescript.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

/** The start of a program causes one or two. On its own, V8 marks the heap 20 to 30 times for 1 GiB. */
const MOST_MARKED = 3;

interface Counts {
  readonly marked: number;
  readonly gc: string;
}

function receive(): Counts {
  const child = fileURLToPath(new URL('slab-garbage.child.ts', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [...loaderOptions, child], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  assert.equal(stderr, '');
  return JSON.parse(stdout) as Counts;
}

test('a program with a small heap that receives 1 GiB does not have its whole heap marked for it', {
  skip,
}, () => {
  const { marked, gc } = receive();
  assert.equal(gc, 'undefined', 'a new context of the program has no function gc');
  assert.ok(marked <= MOST_MARKED, `the heap was marked ${marked} times`);
});
