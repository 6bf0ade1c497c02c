/** The checks of `gyre/testing`, for pairs of recorders: see pairs.ts. */
import type { MakeStreamPair } from '../../src/entry/testing.ts';
import { streamTransportChecks as checksOf } from '../../src/entry/testing.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import type { Recorder } from './pairs.ts';

/** Connects two transports, and calls connectionMade() of the recorders. */
export type MakePair = (loop: BaseEventLoop) => Promise<{ near: Recorder; far: Recorder }>;

/** Returns each check with its name. Run it as code of the loop, which owns nothing afterwards. */
export function streamTransportChecks(makePair: MakePair): ReturnType<typeof checksOf> {
  return checksOf(transportsOf(makePair));
}

/** The recorders get no later events. */
export function transportsOf(makePair: MakePair): MakeStreamPair {
  return async (loop) => {
    const { near, far } = await makePair(loop);
    return [near.transport, far.transport];
  };
}
