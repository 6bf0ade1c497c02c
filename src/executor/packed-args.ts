/** Copies the arguments of a job when it is submitted, so that the caller may change them afterwards. */
import type { MessagePort, TransferListItem } from 'node:worker_threads';
import { LoopError } from '../base/errors.ts';
import { node } from '../platform/node-modules.ts';
import { copying } from './copying.ts';
import type { PackedArgs } from './job-messages.ts';
import type { WorkerKind } from './pool-worker.ts';
import { toBytes } from './process-bytes.ts';

/** Bytes. The copy of a larger array is not copied again for the worker. */
const LARGE = 65_536;

/** @throws TypeError if an argument cannot be copied */
export function packArgs(
  kind: WorkerKind,
  args: readonly unknown[],
  transfer: readonly unknown[],
): PackedArgs {
  if (transfer.length === 0 && args.every(isPrimitive)) return args.slice();
  if (kind === 'thread') {
    if (transfer.length > 0 || args.some(isLarge)) return portWith(args, transfer);
    return copying(args, structuredClone, transfer, () => structuredClone(args));
  }
  if (transfer.length === 0) return copying(args, toBytes, transfer, () => toBytes(args));
  throw new LoopError(
    'ERR_UNSUPPORTED',
    'a process cannot receive transferred objects: use ThreadPoolExecutor',
  );
}

/** A symbol cannot be copied. */
function isPrimitive(value: unknown): boolean {
  return (
    (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') || value === null
  );
}

function isLarge(value: unknown): boolean {
  return (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) && value.byteLength >= LARGE;
}

/** Returns a port in whose queue the host puts the arguments, copied or transferred. */
function portWith(args: readonly unknown[], transfer: readonly unknown[]): MessagePort {
  const { port1, port2 } = new node.worker_threads.MessageChannel();
  try {
    copying(args, structuredClone, transfer, () => port1.postMessage(args, transfer as TransferListItem[]));
    return port2;
  } finally {
    // The message stays in the queue of the other port. On Deno it would be lost with this port, so there the
    // port stays open until the worker has closed the other end.
    if (process.versions.deno === undefined) port1.close();
    else port1.unref();
  }
}
