/**
 * The channel between a pool and a worker: which messages on it are ours. Other code in the worker may post
 * to it, as it may think the thread or process its own, and so may code here that got hold of the worker.
 *
 *   pool ── run, cancel, terminate ──▶ worker
 *   pool ◀── ready, events, answers ── worker     events and answers name their job
 */
import type { JobMessage } from './job-messages.ts';

/** The pool library's own words. */
const READY = 'ready';
const TERMINATE = '__workerpool-terminate__';

/** Whether a worker should do what this message says. */
export function isOfPool(message: unknown): boolean {
  if (message === TERMINATE) return true;
  const { method, params } = fieldsOf(message);
  return (method === 'run' || method === 'cancel') && Array.isArray(params);
}

/**
 * The message of job `id` that a worker has sent as an event of the pool library's; null: it is no such
 * thing.
 */
export function messageOfJob(message: unknown, id: number): JobMessage | null {
  const { isEvent, payload } = fieldsOf(message);
  return isEvent === true && fieldsOf(payload).gyreJob === id ? (payload as JobMessage) : null;
}

/** Whether the pool library should hear of it: the worker is ready, or has done what it was asked for. */
export function isOfWorker(message: unknown): boolean {
  return message === READY || typeof fieldsOf(fieldsOf(message).result).gyreJob === 'number';
}

/** @param to who got it, and does not know it */
export function warnOfForeignMessage(to: string, message: unknown): void {
  const kind = message === null ? 'null' : typeof message;
  process.emitWarning(
    `${to} received a message (${kind}) that is none of gyre's, and dropped it: other code uses the channel between them. ` +
      'Further ones are dropped silently',
    { code: 'GYRE_FOREIGN_MESSAGE' },
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
