/** The backends that the suites are applied to. */

import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import { NodeEventLoop, UvEventLoop } from '../../src/index.ts';
import { whyNoNativeBackend } from '../../src/loops/uv-event-loop.ts';
import { realMachine } from './machine.ts';
import type { Target } from './section.ts';
import { simulatedMachine } from './simulated-machine.ts';

/** The reason why the native backend is not tested here; null if it is. */
export const withoutNative: string | null = whyNoNativeBackend()?.reason ?? null;

function real(backend: string, makeLoop: () => BaseEventLoop): Target {
  return { backend, makeLoop, begin: () => ({ makeLoop, machine: realMachine }), exact: false, skip: [] };
}

export const targets: readonly Target[] = [
  real('node', () => new NodeEventLoop()),
  ...(withoutNative === null ? [real('uv', () => new UvEventLoop())] : []),
  {
    backend: 'sim',
    makeLoop: () => new SimulatedEventLoop(),
    begin: simulatedMachine,
    exact: true,
    skip: [
      {
        reason: 'the backend has no threads',
        tests: [
          'run_in_executor() calls a function with its arguments in a thread, and returns a future with the result',
        ],
      },
      // They would connect through the real network.
      {
        reason: 'the backend has no peers of node:tls',
        tests: ['create_connection() and create_server() with ssl talk to peers that do not use gyre'],
      },
    ],
  },
];
