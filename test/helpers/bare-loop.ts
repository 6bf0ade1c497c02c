/** A loop whose backend has a clock and nothing else, for tests of capabilities that are missing. */
import type { Capabilities } from '../../src/backend/backend.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';

export const NO_CAPABILITIES: Capabilities = {
  tcp: null,
  unix: null,
  pipes: null,
  datagrams: null,
  names: null,
  tls: null,
  processes: null,
  signals: null,
  descriptors: null,
  polling: null,
  sockets: null,
  files: null,
  executors: null,
};

export function bareLoop(): SimulatedEventLoop {
  const loop = new SimulatedEventLoop();
  Object.assign(loop._backend, NO_CAPABILITIES);
  return loop;
}
