/**
 * Recognizes gyre's messages on the channel of a worker process, and reports others. Other code in the worker
 * may post to its channel, because it takes the thread or process for its own. Code in this process that has
 * access to the worker may post to it, too. (A thread has a port of its own for gyre.)
 */
import type { ProcessMessage } from './job-messages.ts';

/** Returns the content of a message of gyre, or null for another message. */
export function contentOf(message: unknown): readonly unknown[] | null {
  const { gyre } = fieldsOf<ProcessMessage>(message);
  return Array.isArray(gyre) ? gyre : null;
}

/** Returns an object to read fields from, also for values that have none. */
export function fieldsOf<T extends object>(value: unknown): Partial<T> {
  return typeof value === 'object' && value !== null ? (value as Partial<T>) : {};
}

/** Returns a function that reports foreign messages: a warning for the first one. */
export function foreignMessageReporter(to: string): (message: unknown) => void {
  let warned = false;
  return (message) => {
    if (warned) return;
    warned = true;
    const kind = message === null ? 'null' : typeof message;
    process.emitWarning(
      `${to} received a message (${kind}) that gyre did not send, and dropped it: other code uses the channel between pool and worker. ` +
        'Further messages of this kind are dropped silently',
      { code: 'GYRE_FOREIGN_MESSAGE' },
    );
  };
}
