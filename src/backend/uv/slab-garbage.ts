/**
 * Collects young garbage after each 6 MiB of slabs.
 *
 * V8 counts each slab as external memory, whoever allocated it. In a small heap it marks the whole heap once
 * this memory has grown by 8 MiB since the last marking. Marking costs more than the messages themselves. On
 * its own, V8 collects young garbage far later: after 32 MiB of array buffers, and after 64 MiB on Node 26. A
 * collection of young objects takes 0.3 ms, and frees the same slabs.
 */
import { node } from '../../platform/node-modules.ts';

/**
 * Bytes. Keep this well below 8 MiB: V8 compares at the end of each collection, when it still counts the
 * slabs that the collection has freed. The rest is for the slabs of one poll phase.
 */
const STEP_BYTES = 6 * 1024 * 1024;

type Collect = (options: { type: 'minor' }) => void;

let collect: Collect | null = null;
/** The bytes of slabs since the last collection. */
let bytes: number = 0;

/** Counts a slab that is given to receivers. */
export function countSlab(length: number): void {
  bytes += length;
}

/** Collects if enough slabs were counted. Call this when as few slabs as possible are in use. */
export function collectIfDue(): void {
  if (bytes < STEP_BYTES) return;
  bytes = 0;
  collect ??= hostCollect();
  collect({ type: 'minor' });
}

/**
 * Returns the host's function that collects. A context has it if it was created under the flag `--expose-gc`.
 * The flag is reset at once, so contexts that the program creates don't have it.
 */
function hostCollect(): Collect {
  let found = gcOfNewContext();
  if (found === undefined) {
    node.v8.setFlagsFromString('--expose-gc');
    found = gcOfNewContext();
    node.v8.setFlagsFromString('--no-expose-gc');
  }
  // The option `--expose-gc-as` gives the function another name. Then V8 alone decides when to collect.
  return found ?? (() => {});
}

function gcOfNewContext(): Collect | undefined {
  return node.vm.runInNewContext('globalThis.gc') as Collect | undefined;
}
