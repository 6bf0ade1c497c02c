/** The messages between the supervisor and a worker. */
import type { CopiedThrow } from '../executor/error-copy.ts';
import type { LoopMetrics } from '../inspect/metrics.ts';
import type { Snapshot } from '../inspect/snapshot-types.ts';

/** How a worker gets connections of the common port. */
export type ListenOn =
  /** From a socket that the supervisor holds. It stays open when the worker ends, with its queue. */
  | { readonly by: 'descriptor'; readonly fd: number }
  /** From a socket of its own that shares the port. */
  | { readonly by: 'reusePort'; readonly host: string; readonly port: number }
  /** From a socket that all workers share, and that the supervisor's process holds (`node:cluster`). */
  | { readonly by: 'cluster'; readonly host: string; readonly port: number };

export interface StartMessage {
  readonly type: 'start';
  /** The URL of the program's module. */
  readonly module: string;
  readonly worker: number;
  readonly generation: number;
  readonly workers: number;
  readonly kind: 'thread' | 'process';
  readonly native: boolean;
  readonly port: number;
  readonly listenOn: ListenOn;
  readonly backlog: number;
}

export interface DrainMessage {
  readonly type: 'drain';
  /** Seconds until the worker cancels its program and aborts its connections. null: no limit. */
  readonly deadline: number | null;
}

export type ToWorker = StartMessage | DrainMessage | { readonly type: 'ask'; readonly id: number };

/** The facts of a worker at one moment. */
export interface WorkerAnswer {
  readonly connections: number;
  readonly heapUsed: number;
  readonly rss: number;
  readonly metrics: LoopMetrics;
  readonly snapshot: Snapshot;
}

export type FromWorker =
  /** Messages that come before are lost in a worker of `node:cluster`. */
  | { readonly type: 'loaded' }
  | { readonly type: 'ready' }
  | { readonly type: 'cancelling'; readonly connections: number }
  | { readonly type: 'failed'; readonly error: CopiedThrow }
  | { readonly type: 'ended' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: WorkerAnswer };

/** The envelope of a message, because other code may post to the same channel. */
export interface Envelope<M> {
  readonly gyreWorkers: M;
}

/** Returns the message in an envelope; null: another program has posted the value. */
export function openEnvelope<M>(value: unknown): M | null {
  if (typeof value !== 'object' || value === null) return null;
  return (value as Partial<Envelope<M>>).gyreWorkers ?? null;
}
