/** What travels between an executor and its workers. Types only. */
import type { MessagePort } from 'node:worker_threads';
import type { CopiedThrow } from './error-copy.ts';

/** A function, as it crosses to a worker: by module and name, or as its own source. */
export type ShippedFunction =
  | { readonly name: string; readonly module: string }
  | { readonly name: string; readonly source: string };

/**
 * The arguments, already copied. A thread gets them in a port, where the system's own copying has put them; a
 * process, which takes no ports, gets bytes.
 */
export type PackedArgs = MessagePort | Uint8Array;

export interface JobRequest {
  id: number;
  fn: ShippedFunction;
  args: PackedArgs;
  /** 1 once the job is cancelled. Null for a process: it shares no memory. */
  flag: Int32Array | null;
}

/** By what a worker's message is known as ours, and as that of a job. */
export interface JobMark {
  /** The id of the request. */
  readonly gyreJob: number;
}

/** From the worker, in this order: progress as often as the job likes, then one of the others. */
export type JobMessage = JobMark & JobContent;

export type JobContent =
  | { kind: 'progress'; value: unknown }
  | { kind: 'result'; value: unknown }
  | { kind: 'error'; error: CopiedThrow }
  /** Something else than the job failed in the worker, which dies of it. */
  | { kind: 'crash'; error: CopiedThrow };
