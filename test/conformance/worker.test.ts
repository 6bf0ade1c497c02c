/** Runs the suites once more in a worker thread: a loop works there as on the main thread. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { tsWorker } from '../helpers/typescript.ts';
import { withoutNative } from './targets.ts';
import type { Outcome } from './worker-suites.child.ts';

/** Tests of signals, and of the loop that only the main thread gets. */
const MOST_NOT_IN_WORKERS = 15;

for (const backend of ['node', 'uv']) {
  test(`the suites pass in a worker thread (${backend})`, {
    skip: backend === 'uv' && withoutNative !== null && withoutNative,
  }, async () => {
    const outcomes: Outcome[] = [];
    const worker = tsWorker(new URL('./worker-suites.child.ts', import.meta.url), { backend });
    worker.on('message', (outcome: Outcome) => outcomes.push(outcome));
    const [exitCode] = await once(worker, 'exit');
    const failed = outcomes.filter(({ failure }) => failure !== null && failure !== 'not in workers');
    assert.deepEqual(failed, []);
    assert.equal(exitCode, 0);
    const left = outcomes.filter(({ failure }) => failure !== null).length;
    assert.ok(
      outcomes.length > 150 && left <= MOST_NOT_IN_WORKERS,
      `${outcomes.length} tests, ${left} not in workers`,
    );
  });
}
