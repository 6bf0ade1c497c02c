/** Looks up the capabilities of a loop's backend, and names the loop class that has a missing one. */
import type { Backend, Capabilities, PlatformFacts } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Loop } from './types.ts';

/** A capability of a backend, or a fact of its platform. */
export type Feature = keyof Capabilities | keyof PlatformFacts;

/** The portable backend lacks these: Node's API has no readiness events and no plain sockets. */
const NATIVE: ReadonlySet<Feature> = new Set<Feature>(['polling', 'sockets']);

const NAMES: Readonly<Record<keyof Capabilities, string>> = {
  tcp: 'TCP',
  unix: 'unix sockets',
  pipes: 'pipes',
  datagrams: 'UDP',
  names: 'name resolution',
  tls: 'TLS',
  processes: 'subprocesses',
  signals: 'signal handlers',
  descriptors: 'descriptors',
  files: 'files to send',
  executors: 'executors',
  polling: 'readiness of descriptors',
  sockets: 'sockets without buffers',
};

export function supports(backend: Backend, feature: Feature): boolean {
  const value = backend[feature];
  return value !== null && value !== false;
}

/**
 * Returns a capability of the loop's backend.
 *
 * @throws LoopError `ERR_UNSUPPORTED` if the backend lacks it
 */
export function capability<K extends keyof Capabilities>(loop: Loop, kind: K): NonNullable<Capabilities[K]> {
  const found = loop._backend[kind];
  if (found !== null) return found as NonNullable<Capabilities[K]>;
  const where = NATIVE.has(kind) ? 'UvEventLoop' : 'NodeEventLoop';
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `the ${loop._backend.name} backend has no ${NAMES[kind]}; ${where} has it`,
  );
}

/** Throws as {@link capability} does, before other work is done. */
export function checkSupports(loop: Loop, kind: keyof Capabilities): void {
  capability(loop, kind);
}
