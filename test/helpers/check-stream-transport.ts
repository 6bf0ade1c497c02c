/** The checks of `gyre/testing`, for pairs of recorders: see pairs.ts. */
import type { MakeStreamPair } from '../../src/entry/testing.ts';
import { streamTransportChecks as checksOf } from '../../src/entry/testing.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import type { Recorder } from './pairs.ts';

/** Connects two transports and tells the recorders. */
export type MakePair = (loop: BaseEventLoop) => Promise<{ near: Recorder; far: Recorder }>;

/** Each check with its name, to be run as code of the loop. Afterwards the loop owns nothing. */
export function streamTransportChecks(makePair: MakePair): ReturnType<typeof checksOf> {
  return checksOf(transportsOf(makePair));
}

/** The recorders are not told of anything that follows. */
export function transportsOf(makePair: MakePair): MakeStreamPair {
  return async (loop) => {
    const { near, far } = await makePair(loop);
    return [near.transport, far.transport];
  };
}
