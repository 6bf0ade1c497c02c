/**
 * Recognizes gyre's messages on the channel between a pool and a worker. Other code in the worker may post to
 * this channel, because it takes the thread or process for its own. Code in this process that has access to
 * the worker may post to it, too.
 *   pool ── run, cancel, terminate ──▶ worker
 *   pool ◀── ready, events, answers ── worker     events and answers name their job
 */
import type { JobMessage } from './job-messages.ts';

/** The pool library's own messages. */
const READY = 'ready';
const TERMINATE = '__workerpool-terminate__';

/** Returns true if a worker must obey this message. */
export function isOfPool(message: unknown): boolean {
  if (message === TERMINATE) return true;
  const { method, params } = fieldsOf(message);
  return (method === 'run' || method === 'cancel') && Array.isArray(params);
}

/**
 * Returns the message of job `id` that a worker has sent as an event of the pool library, or null for another
 * message.
 */
export function messageOfJob(message: unknown, id: number): JobMessage | null {
  const { isEvent, payload } = fieldsOf(message);
  return isEvent === true && fieldsOf(payload).gyreJob === id ? (payload as JobMessage) : null;
}

/** Returns true if the pool library must get this message: the worker is ready, or has answered a request. */
export function isOfWorker(message: unknown): boolean {
  return message === READY || typeof fieldsOf(fieldsOf(message).result).gyreJob === 'number';
}

/** @param to the receiver of the message */
export function warnOfForeignMessage(to: string, message: unknown): void {
  const kind = message === null ? 'null' : typeof message;
  process.emitWarning(
    `${to} received a message (${kind}) that gyre did not send, and dropped it: other code uses the channel between pool and worker. ` +
      'Further messages of this kind are dropped silently',
    { code: 'GYRE_FOREIGN_MESSAGE' },
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
