/** The messages between an executor and its workers. Types only. */
import type { MessagePort } from 'node:worker_threads';
import type { CopiedThrow } from './error-copy.ts';

/** A function as it is sent to a worker: by module and name, or as its source. */
export type ShippedFunction =
  | { readonly name: string; readonly module: string }
  | { readonly name: string; readonly source: string };

/**
 * The arguments, already copied. A thread receives a port in whose queue the host has put the copy. A process
 * cannot receive ports, so it gets bytes.
 */
export type PackedArgs = MessagePort | Uint8Array;

export interface JobRequest {
  id: number;
  fn: ShippedFunction;
  args: PackedArgs;
  /** Becomes 1 when the job is cancelled. null for a process, which shares no memory. */
  flag: Int32Array | null;
}

/** Marks a worker's message as a message of gyre, and names its job. */
export interface JobMark {
  /** The id of the request. */
  readonly gyreJob: number;
}

/** The messages of a worker, in this order: any number of `progress`, then one of the other kinds. */
export type JobMessage = JobMark & JobContent;

export type JobContent =
  | { kind: 'progress'; value: unknown }
  | { kind: 'result'; value: unknown }
  | { kind: 'error'; error: CopiedThrow }
  /** Other code than the job failed in the worker, and the worker dies. */
  | { kind: 'crash'; error: CopiedThrow };
