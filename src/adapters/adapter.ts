/** What the adapters share: their loop, their transport, and the end of both. */

import { LoopError } from '../base/errors.ts';
import { hostQueueMicrotask } from '../base/host.ts';
import { invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Unreported } from '../loop/ownership.ts';
import { checkOwn } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { Transport } from '../net/transport.ts';
import { checkLoop } from '../tasks/current.ts';

const TRANSPORT_METHODS = [
  'abort',
  'canWriteEof',
  'close',
  'getExtraInfo',
  'getWriteBufferSize',
  'isClosing',
  'pauseReading',
  'resumeReading',
  'setProtocol',
  'setWriteBufferLimits',
  'write',
  'writeEof',
  'writelines',
] as const;

/** The loop that was named, or the one whose code this is. */
export function loopFor(loop: unknown): Loop {
  if (loop === undefined) return runningLoop();
  checkLoop('options.loop', loop);
  const named = loop as Loop;
  if (named.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
  return named;
}

/**
 * A transport of anybody's make, of which both directions are open: whoever joins one that ends would never
 * hear of it.
 */
export function checkOpenTransport(loop: Loop, transport: Transport): void {
  const methods = transport as unknown as Record<string, unknown> | null;
  if (typeof methods !== 'object' || methods === null) {
    throw invalidArgType('transport', transport, 'a Transport');
  }
  for (const method of TRANSPORT_METHODS) {
    if (typeof methods[method] === 'function') continue;
    throw invalidArgType('transport', transport, `a Transport: it has no ${method}()`);
  }
  checkOwn('transport', transport, loop);
  if (transport.isClosing()) {
    throw new LoopError(
      'ERR_TRANSPORT_CLOSED',
      'the transport is closing or closed: nothing can be joined to it',
    );
  }
}

/** Bytes that the protocol before us has received and that are ours. */
export function checkReceived(received: unknown): void {
  if (received === undefined || received instanceof Uint8Array) return;
  throw invalidArgType('options.received', received, 'a Uint8Array');
}

/**
 * A loop that is closed drops its transports without a word to their protocols. Those who wait in the host's
 * world have to be told all the same. Answers how to take the request back.
 */
export function whenLoopCloses(loop: Loop, callback: () => void): () => void {
  const ending: Unreported = { _forceClose: callback };
  loop._owned.unreported.add(ending);
  return () => {
    loop._owned.unreported.delete(ending);
  };
}

/**
 * Calls code of Node's that may call listeners at once. An exception of theirs goes to the host
 * (`uncaughtException`), as it does with a socket of the host's own: caught by the loop it would be an error
 * of the protocol, but only where Node happens to call at once.
 */
export function callListeners(call: () => void): void {
  try {
    call();
  } catch (error) {
    hostQueueMicrotask(() => {
      throw error;
    });
  }
}

export function closedError(): LoopError {
  return new LoopError(
    'ERR_TRANSPORT_CLOSED',
    'the connection was closed here before both of its directions had ended',
  );
}
