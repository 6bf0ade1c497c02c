/** The backends that the suites are applied to. */

import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { NodeEventLoop } from '../../src/index.ts';
import type { Target } from './section.ts';

export const targets: readonly Target[] = [
  { backend: 'node', makeLoop: () => new NodeEventLoop(), exact: false, skip: [] },
  { backend: 'sim', makeLoop: () => new SimulatedEventLoop(), exact: true, skip: [] },
];
