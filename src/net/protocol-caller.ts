/**
 * Calls a protocol as code of the loop, in the async context of its connection and outside of any task. If
 * the method throws, or returns a promise that is rejected, the owner of the caller gets the error.
 */

import { invalidArgType } from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { runInContext } from '../loop/context.ts';
import { nextNumber } from '../loop/recorder.ts';
import type { Loop } from '../loop/types.ts';
import type { ProtocolFactory } from './protocol.ts';

/** The transport that owns a caller: it reports the error and aborts the connection. */
export interface CallerOwner {
  /** @internal */
  _protocolFailed(error: unknown, method: string): void;
}

/**
 * Reports an exception of a protocol, and returns it as the error by which its transport ends.
 *
 * @param consequence for the message: `: its connection is aborted`
 */
export function reportProtocolFault(
  loop: Loop,
  transport: { getProtocol(): unknown },
  thrown: unknown,
  method: string,
  consequence: string,
): Error {
  loop.callExceptionHandler({
    message: `exception in protocol.${method}()${consequence}`,
    exception: thrown,
    transport,
    protocol: transport.getProtocol(),
  });
  return thrown instanceof Error ? thrown : new Error('the protocol threw', { cause: thrown });
}

/**
 * Calls one method of a protocol if the protocol has it. The function's name is that of the method: see
 * `streamProtocolInvokers` in protocol.ts.
 */
export type ProtocolCall<P, A, B> = (protocol: P, first: A, second: B) => unknown;

/** The result of a call that threw. The owner has been told. */
export const FAILED: unique symbol = Symbol('failed');

export class ProtocolCaller<P extends object, O extends CallerOwner = CallerOwner> {
  protocol: P;
  readonly loop: Loop;
  protected readonly owner: O;
  /** The number of the transport, for the recorder. */
  readonly number: number = nextNumber();
  readonly #context: CapturedContext;

  constructor(loop: Loop, context: CapturedContext, protocol: P, owner: O) {
    this.loop = loop;
    this.#context = context;
    this.protocol = protocol;
    this.owner = owner;
  }

  /** Calls a method. Returns its result, or {@link FAILED}. */
  call<A, B>(method: ProtocolCall<P, A, B>, first: A, second?: B): unknown {
    const { loop, protocol, owner } = this;
    const { recorder, awake } = loop._scheduler;
    if (recorder !== null) recorder.protocol(this.number, method, bytesOf(first), awake);
    try {
      return runInContext(loop, this.#context, invoke, owner, method as AnyCall, protocol, first, second);
    } catch (error) {
      owner._protocolFailed(error, method.name);
      return FAILED;
    }
  }
}

/** Returns the number of bytes of `dataReceived`, `bufferUpdated` and `datagramReceived`, otherwise 0. */
function bytesOf(first: unknown): number {
  if (typeof first === 'number') return first;
  return first instanceof Uint8Array ? first.length : 0;
}

type AnyCall = ProtocolCall<object, unknown, unknown>;

function invoke(
  owner: CallerOwner,
  method: AnyCall,
  protocol: object,
  first: unknown,
  second: unknown,
): unknown {
  const result = method(protocol, first, second);
  if (result instanceof Promise) watch(result, owner, method);
  return result;
}

/** Without this, the rejection of an async method would be an unhandled rejection of the process. */
function watch(result: Promise<unknown>, owner: CallerOwner, method: AnyCall): void {
  result.then(undefined, (error) => owner._protocolFailed(error, method.name));
}

/**
 * Makes a protocol as code of the loop, in the connection's context and outside of any task. Checks that it
 * is one.
 *
 * @param make the result of {@link makerOf}
 */
export function makeProtocol<P extends object>(
  loop: Loop,
  context: CapturedContext,
  make: () => P,
  methods: readonly string[],
): P {
  const protocol = runInContext(loop, context, make);
  if (protocol instanceof Promise) {
    throw invalidArgType('protocolFactory()', protocol, 'a protocol, not a promise of one');
  }
  checkProtocol('protocolFactory()', protocol, methods);
  return protocol;
}

/**
 * Checks, without a call, that a protocol factory can return a protocol. An async function returns a promise
 * at every call, so it is refused here, and not at each connection.
 */
export function checkFactory(factory: unknown): void {
  const accepted = 'a function that returns a protocol, or a class of protocols';
  if (typeof factory !== 'function') throw invalidArgType('protocolFactory', factory, accepted);
  const kind = Object.prototype.toString.call(factory);
  if (kind === '[object Function]') return;
  throw invalidArgType('protocolFactory', factory, `${accepted}, and neither async nor a generator`);
}

/**
 * Returns a function that makes a protocol by the factory. A server keeps it: to tell a class from a function
 * costs a part of a microsecond.
 */
export function makerOf<P>(factory: ProtocolFactory<P>): () => P {
  checkFactory(factory);
  return isClass(factory) ? () => new factory() : (factory as () => P);
}

/** A class throws when it is called without `new`, and its text begins with the keyword. */
function isClass<P>(factory: ProtocolFactory<P>): factory is new () => P {
  return /^class\b/.test(Function.prototype.toString.call(factory));
}

/** Checks that `protocol` is an object, and that each known method that it has is a function. */
export function checkProtocol(name: string, protocol: unknown, methods: readonly string[]): void {
  if (typeof protocol !== 'object' || protocol === null)
    throw invalidArgType(name, protocol, 'a protocol object');
  for (const method of methods) {
    const value = (protocol as Record<string, unknown>)[method];
    if (value !== undefined && typeof value !== 'function') {
      throw invalidArgType(`${name}.${method}`, value, 'a function, or undefined');
    }
  }
}
