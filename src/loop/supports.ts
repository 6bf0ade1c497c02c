/** Throws for a feature that the backend does not have, and names the loop class that has it. */
import type { BackendFeatures } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Loop } from './types.ts';

/** Only the native backend has these: Node's API has no readiness events and no plain sockets. */
const NATIVE: ReadonlySet<keyof BackendFeatures> = new Set<keyof BackendFeatures>(['polling', 'sockets']);

const NAMES: Readonly<Partial<Record<keyof BackendFeatures, string>>> = {
  tcp: 'TCP',
  unix: 'unix sockets',
  pipes: 'pipes',
  datagrams: 'UDP',
  names: 'name resolution',
  tls: 'TLS',
  subprocesses: 'subprocesses',
  signals: 'signal handlers',
  files: 'files to send',
  executors: 'executors',
  polling: 'readiness of descriptors',
  sockets: 'sockets without buffers',
};

/** @throws LoopError `ERR_UNSUPPORTED` if the loop's backend does not have `feature` */
export function checkSupports(loop: Loop, feature: keyof BackendFeatures): void {
  const { name, features } = loop._backend;
  if (features[feature]) return;
  const where = NATIVE.has(feature) ? 'UvEventLoop' : 'NodeEventLoop';
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `the ${name} backend has no ${NAMES[feature] ?? feature}; ${where} has it`,
  );
}
