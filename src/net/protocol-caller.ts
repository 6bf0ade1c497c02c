/**
 * Calls a protocol as code of the loop, in the async context of its connection and outside of any task. If
 * the method throws, or returns a promise that is rejected, the owner of the caller gets the error.
 */

import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { runInLoop } from '../loop/context.ts';
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

export class ProtocolCaller<P extends object> {
  protocol: P;
  /** The result of the last call. */
  result: unknown = undefined;
  readonly loop: Loop;
  readonly #context: CapturedContext;
  readonly #owner: CallerOwner;
  /** The current call. These are fields and not a closure, because there is a call for each piece of data. */
  #method: ProtocolCall<P, never, never> | null = null;
  #first: unknown = undefined;
  #second: unknown = undefined;

  constructor(loop: Loop, context: CapturedContext, protocol: P, owner: CallerOwner) {
    this.loop = loop;
    this.#context = context;
    this.protocol = protocol;
    this.#owner = owner;
  }

  /** Calls a method. Returns false if it threw; the owner has then been told. */
  call<A, B>(method: ProtocolCall<P, A, B>, first: A, second?: B): boolean {
    this.#method = method;
    this.#first = first;
    this.#second = second;
    try {
      runInLoop(this.loop, ProtocolCaller.#enterContext, this as unknown as ProtocolCaller<object>);
      return true;
    } catch (error) {
      this.#owner._protocolFailed(error, method.name);
      return false;
    }
  }

  static #enterContext(caller: ProtocolCaller<object>): void {
    caller.#context.runInAsyncScope(ProtocolCaller.#callProtocol, undefined, caller);
  }

  static #callProtocol(caller: ProtocolCaller<object>): void {
    const method = caller.#method as ProtocolCall<object, unknown, unknown>;
    const first = caller.#first;
    const second = caller.#second;
    // Release the arguments now: the caller lives as long as its connection, and would keep the last data.
    caller.#first = undefined;
    caller.#second = undefined;
    const result = method(caller.protocol, first, second);
    caller.result = result;
    // Without this, the rejection of an async method would be an unhandled rejection of the process.
    if (result instanceof Promise) {
      result.then(undefined, (error) => caller.#owner._protocolFailed(error, method.name));
    }
  }
}

/**
 * Calls the factory as code of the loop, in the connection's context and outside of any task. Checks that it
 * returns a protocol.
 */
export function makeProtocol<P extends object>(
  loop: Loop,
  context: CapturedContext,
  factory: ProtocolFactory<P>,
  methods: readonly string[],
): P {
  checkFunction('protocolFactory', factory);
  const protocol = runInLoop(
    loop,
    () => context.runInAsyncScope(() => made(factory), undefined, undefined),
    undefined,
  );
  if (protocol instanceof Promise) {
    throw invalidArgType('protocolFactory()', protocol, 'a protocol, not a promise of one');
  }
  checkProtocol('protocolFactory()', protocol, methods);
  return protocol;
}

function made<P>(factory: ProtocolFactory<P>): P {
  return isClass(factory) ? new factory() : factory();
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
