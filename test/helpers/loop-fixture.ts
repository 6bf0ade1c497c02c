/**
 * A loop for one test, and the proof that the test left nothing behind: what `gyre/testing` has for
 * everybody's tests.
 */
import type { Reports } from '../../src/entry/testing.ts';
import { withLoop as withTestLoop } from '../../src/entry/testing.ts';
import type { BaseEventLoop } from '../../src/index.ts';

export type { Reports } from '../../src/entry/testing.ts';

/** See `withLoop` of `gyre/testing`. What the body answers is of no interest. */
export async function withLoop<L extends BaseEventLoop>(
  makeLoop: () => L,
  body: (loop: L, reports: Reports) => unknown,
): Promise<void> {
  await withTestLoop(makeLoop, body);
}
