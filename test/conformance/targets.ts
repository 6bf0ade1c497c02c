/** The backends that the suites are applied to. */

import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { NodeEventLoop, UvEventLoop } from '../../src/index.ts';
import { whyNoNativeBackend } from '../../src/loops/uv-event-loop.ts';
import type { Target } from './section.ts';

/** The reason why the native backend is not tested here; null if it is. */
export const withoutNative: string | null = whyNoNativeBackend()?.reason ?? null;

const native: Target = { backend: 'uv', makeLoop: () => new UvEventLoop(), exact: false, skip: [] };

export const targets: readonly Target[] = [
  { backend: 'node', makeLoop: () => new NodeEventLoop(), exact: false, skip: [] },
  ...(withoutNative === null ? [native] : []),
  { backend: 'sim', makeLoop: () => new SimulatedEventLoop(), exact: true, skip: [] },
];
