/** A loop for one test, and the check that the test left nothing behind, by `gyre/testing`. */
import type { Reports } from '../../src/entry/testing.ts';
import { withLoop as withTestLoop } from '../../src/entry/testing.ts';
import type { BaseEventLoop } from '../../src/index.ts';

export type { Reports } from '../../src/entry/testing.ts';

/** See `withLoop` of `gyre/testing`. Ignores the result of the body. */
export async function withLoop<L extends BaseEventLoop>(
  makeLoop: () => L,
  body: (loop: L, reports: Reports) => unknown,
): Promise<void> {
  await withTestLoop(makeLoop, body);
}
