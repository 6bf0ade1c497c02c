/** The shared parts of the adapters: the checks of loop and transport, and the end of both. */

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

/** Returns the given loop, or the running one. */
export function loopFor(loop: unknown): Loop {
  if (loop === undefined) return runningLoop();
  checkLoop('options.loop', loop);
  const named = loop as Loop;
  if (named.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
  return named;
}

/**
 * Checks that `transport` has a transport's methods, belongs to this loop, and is open in both directions. It
 * may be of any implementation. A closing transport would never tell the adapter of its end.
 */
export function checkOpenTransport(loop: Loop, transport: Transport): void {
  const methods = transport as unknown as Record<string, unknown> | null;
  if (typeof methods !== 'object' || methods === null) {
    throw invalidArgType('transport', transport, 'a Transport');
  }
  for (const method of TRANSPORT_METHODS) {
    if (typeof methods[method] === 'function') continue;
    throw invalidArgType('transport', transport, `a Transport with a method ${method}()`);
  }
  checkOwn('transport', transport, loop);
  if (transport.isClosing()) {
    throw new LoopError(
      'ERR_TRANSPORT_CLOSED',
      'the transport is closing or closed: a stream needs an open one',
    );
  }
}

/** Checks the bytes that an earlier protocol has received. */
export function checkReceived(received: unknown): void {
  if (received === undefined || received instanceof Uint8Array) return;
  throw invalidArgType('options.received', received, 'a Uint8Array');
}

/**
 * Calls `callback` when the loop is closed. A closed loop drops its transports without calling their
 * protocols, but code of the host that waits must learn of it. Returns a function that cancels the request.
 */
export function whenLoopCloses(loop: Loop, callback: () => void): () => void {
  const ending: Unreported = { _forceClose: callback };
  loop._owned.unreported.add(ending);
  return () => {
    loop._owned.unreported.delete(ending);
  };
}

/**
 * Calls code of Node that may call listeners synchronously. If a listener throws, rethrows the exception to
 * the host (`uncaughtException`), as Node does for its own sockets. The loop would treat the exception as an
 * error of the protocol, but only where Node happens to call the listener synchronously.
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
    'the connection was closed on this side before both of its directions had ended',
  );
}
