/** What a backend cannot do is said at the call, with the reason and with where it can be done. */
import type { BackendFeatures } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Loop } from './types.ts';

/** What only the native backend has: Node's API has neither readiness nor sockets of one's own. */
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

/** @throws LoopError `ERR_UNSUPPORTED` where the loop's backend lacks `feature` */
export function checkSupports(loop: Loop, feature: keyof BackendFeatures): void {
  const { name, features } = loop._backend;
  if (features[feature]) return;
  const where = NATIVE.has(feature) ? 'UvEventLoop' : 'NodeEventLoop';
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `the ${name} backend has no ${NAMES[feature] ?? feature}; ${where} has it`,
  );
}
