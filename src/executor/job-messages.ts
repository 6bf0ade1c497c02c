/**
 * The messages between a pool and its workers, and the states of a job in a worker.
 *
 *   pool ── [JOBS, record…] [CANCEL, slot] [GIVE_BACK, slot…] [STOP] ──▶ worker
 *   pool ◀── [slot, PROGRESS | RESULT | ERROR | CRASH | BACK, value, long] ── worker
 *
 * A record has four elements: slot, word, function, arguments. A worker numbers its jobs by *slot*, which is
 * free again when the job has left the worker. The *word* is another number for each job in a slot.
 */
import type { MessagePort } from 'node:worker_threads';

/** A function as it is sent to a worker: by module and name, or as its source. */
export type ShippedFunction =
  | { readonly name: string; readonly module: string }
  | { readonly name: string; readonly source: string };

/** A worker gets a function once, with a number. Later records have the number only. */
export type FunctionNumber = number | readonly [number: number, fn: ShippedFunction];

/**
 * The arguments, already copied: values that the channel copies once more, the bytes of such values (for a
 * process), or a port in whose queue the host has put the copy.
 */
export type PackedArgs = readonly unknown[] | Uint8Array | MessagePort;

/** The number of slots of a worker. */
export const SLOTS = 64;

/** The number of functions that a worker knows by number. */
export const MOST_FUNCTIONS = 1024;

// --- to a worker ---

export const JOBS = 0;
export const CANCEL = 1;
/** Asks for jobs that have not begun. The worker answers `BACK` for each that it has not begun. */
export const GIVE_BACK = 2;
export const STOP = 3;

/** The first message to a thread, on its public channel. Everything else uses this port. */
export interface ThreadGreeting {
  readonly gyrePort: MessagePort;
  readonly states: Int32Array;
}

/** Marks gyre's messages on the channel of a process, which other code may use, too. */
export interface ProcessMessage {
  readonly gyre: readonly unknown[];
}

// --- from a worker: any number of PROGRESS, then one of the other kinds ---

export const PROGRESS = 0;
export const RESULT = 1;
export const ERROR = 2;
/** Code in the worker failed outside of the job, and the worker dies. */
export const CRASH = 3;
/** The job has not begun and never will. */
export const BACK = 4;

/** `long`: the job took so long that the pool should send no jobs ahead. */
export type Answer = readonly [slot: number, kind: number, value: unknown, long: boolean];

// --- the states of a job, added to its word; in memory that a pool shares with its threads ---

export const SENT = 0;
export const BEGUN = 1;
export const CANCELLED = 2;
export const ENDED = 3;
/** The pool has taken the job back. No word has this value. */
export const TAKEN = -1;
