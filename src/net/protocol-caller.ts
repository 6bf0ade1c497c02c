/**
 * Calls a protocol: as code of the loop, in the async context of its connection, outside of any task. What it
 * throws, or what a promise that it returns is rejected with, goes to whoever owns the caller.
 */
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { runInLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';

/** The transport that calls: it reports the failure and ends its connection. */
export interface CallerOwner {
  /** @internal */
  _protocolFailed(error: unknown, method: string): void;
}

/**
 * Calls one method of a protocol, if it has it, and bears its name: see `streamProtocolInvokers` in
 * protocol.ts.
 */
export type ProtocolCall<P, A, B> = (protocol: P, first: A, second: B) => unknown;

export class ProtocolCaller<P extends object> {
  protocol: P;
  /** What the last call returned. */
  result: unknown = undefined;
  readonly #loop: Loop;
  readonly #context: CapturedContext;
  readonly #owner: CallerOwner;
  /** The call that is being made: fields, not closures, because there is one for each piece of data. */
  #method: ProtocolCall<P, never, never> | null = null;
  #first: unknown = undefined;
  #second: unknown = undefined;

  constructor(loop: Loop, context: CapturedContext, protocol: P, owner: CallerOwner) {
    this.#loop = loop;
    this.#context = context;
    this.protocol = protocol;
    this.#owner = owner;
  }

  /** False: it threw, and the owner was told. */
  call<A, B>(method: ProtocolCall<P, A, B>, first: A, second?: B): boolean {
    this.#method = method;
    this.#first = first;
    this.#second = second;
    try {
      runInLoop(this.#loop, ProtocolCaller.#enterContext, this as unknown as ProtocolCaller<object>);
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
    // A caller lives as long as its connection; the last data must not.
    caller.#first = undefined;
    caller.#second = undefined;
    const result = method(caller.protocol, first, second);
    caller.result = result;
    // An async method's failure is the method's failure, and not an unhandled rejection of the process.
    if (result instanceof Promise) {
      result.then(undefined, (error) => caller.#owner._protocolFailed(error, method.name));
    }
  }
}

/**
 * Calls the factory as code of the loop in the connection's context, outside of any task, and looks at what
 * it made.
 */
export function makeProtocol<P extends object>(
  loop: Loop,
  context: CapturedContext,
  factory: () => P,
  methods: readonly string[],
): P {
  checkFunction('protocolFactory', factory);
  const protocol = runInLoop(
    loop,
    () => context.runInAsyncScope(() => factory(), undefined, undefined),
    undefined,
  );
  if (protocol instanceof Promise) {
    throw invalidArgType('protocolFactory()', protocol, 'a protocol, not a promise of one');
  }
  checkProtocol('protocolFactory()', protocol, methods);
  return protocol;
}

/** A protocol is an object whose known methods, where it has them, are functions. */
export function checkProtocol(name: string, protocol: unknown, methods: readonly string[]): void {
  if (typeof protocol !== 'object' || protocol === null)
    throw invalidArgType(name, protocol, 'a protocol object');
  for (const method of methods) {
    const value = (protocol as Record<string, unknown>)[method];
    if (value !== undefined && typeof value !== 'function') {
      throw invalidArgType(`${name}.${method}`, value, 'a function, or absent');
    }
  }
}
