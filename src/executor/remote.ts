/** `loop.remote` and `connectRemote`: calls from worker threads. */
import type { MessagePort } from 'node:worker_threads';
import { LoopError } from '../base/errors.ts';
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { captureContext } from '../loop/context.ts';
import type { AnyCallback } from '../loop/handle.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { node } from '../platform/node-modules.ts';
import { findUncloneable } from './uncloneable.ts';

/**
 * The handlers of `loop.remote()`, which worker threads can call: functions of an object, or methods of an
 * instance.
 */
export type RemoteHandlers = object;

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyHandler = (...args: any[]) => unknown;

/** Rejects a type that has properties but no function among them. */
export type WithHandlers<H extends object> = H &
  ([keyof H] extends [never] ? unknown : [HandlerName<H>] extends [never] ? never : unknown);

/** The names of the functions among the properties of `H`. */
type HandlerName<H> = { [K in keyof H]-?: H[K] extends AnyHandler ? K : never }[keyof H] & string;

declare const handlersOf: unique symbol;

/** The port that `loop.remote()` returns, for one worker thread. */
export type RemotePort<H extends RemoteHandlers = RemoteHandlers> = MessagePort & {
  /** The type of the handlers, for the compiler only. */
  readonly [handlersOf]?: H;
};

/** A loop as seen from a worker thread: see {@link connectRemote}. */
export interface RemoteLoop<H extends RemoteHandlers> extends Disposable {
  /**
   * Calls the handler `name` with copies of `args`, with `callSoon` on the handler's loop. The calls keep
   * their order, and wake an idle loop.
   *
   * @throws TypeError for an unknown name, and for arguments that cannot be copied; LoopError
   *   `ERR_LOOP_CLOSED` if the loop or this port is closed. (A call that is sent while the loop closes may be
   *   dropped.)
   */
  callSoonThreadsafe<K extends HandlerName<H>>(name: K, ...args: Parameters<Extract<H[K], AnyHandler>>): void;
  /** Closes the connection. Earlier calls still arrive. A second call does nothing. */
  close(): void;
}

/** The first message on a port. */
interface Greeting {
  readonly gyreRemote: 1;
  readonly names: readonly string[];
  /** Becomes 1 when the loop accepts no more calls. A thread sees it at once, even if it never awaits. */
  readonly closed: Int32Array;
}

type Call = [name: string, args: unknown[]];

/** See `BaseEventLoop.remote`. */
export function remote<H extends RemoteHandlers>(loop: Loop, handlers: H): RemotePort<H> {
  const byName = handlersByName(handlers);
  checkSupports(loop, 'executors');
  const { port1, port2 } = new node.worker_threads.MessageChannel();
  const inbox = new Inbox(loop, byName, port1);
  port1.postMessage({ gyreRemote: 1, names: [...byName.keys()], closed: inbox.closed } satisfies Greeting);
  return port2 as RemotePort<H>;
}

/** The loop's side of a port. */
class Inbox {
  readonly closed: Int32Array = new Int32Array(new SharedArrayBuffer(4));
  readonly #loop: Loop;
  readonly #handlers: ReadonlyMap<string, AnyCallback>;
  readonly #port: MessagePort;
  readonly #context: CapturedContext;

  constructor(loop: Loop, handlers: ReadonlyMap<string, AnyCallback>, port: MessagePort) {
    this.#loop = loop;
    this.#handlers = handlers;
    this.#port = port;
    this.#context = captureContext(loop);
    port.on('message', (call: unknown) => this.#context.runInAsyncScope(this.#take, undefined, call));
    port.on('messageerror', (exception) => this.#refuse(exception));
    port.on('close', () => loop._owned.unreported.delete(this));
    // The listener made the port keep the process alive, but only a running loop must do that.
    port.unref();
    loop._owned.unreported.add(this);
  }

  /** The loop was closed. */
  _forceClose(): void {
    Atomics.store(this.closed, 0, 1);
    this.#port.close();
  }

  readonly #take = (call: unknown): void => {
    const [name, args] = (Array.isArray(call) ? call : []) as Partial<Call>;
    const handler = this.#handlers.get(name as string);
    if (handler === undefined || !Array.isArray(args)) {
      this.#refuse(invalidArgType('message', call, 'a call of connectRemote()'));
    } else {
      this.#loop._scheduler.callSoon(handler, args);
    }
  };

  /** Reports a message that is not a call: a thread can post any value to a `MessagePort`. */
  #refuse(exception: unknown): void {
    this.#loop.callExceptionHandler({
      message: 'a port of remote() received a message that is not a call',
      exception,
    });
  }
}

/**
 * Connects a worker thread to the other end of a port that `loop.remote(handlers)` returned.
 *
 * @param port the port, received in `workerData` or a message
 * @returns an object whose `callSoonThreadsafe(name, ...args)` calls that handler on the loop. It does not
 *   keep the thread alive
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if it is not such a port, or is already connected
 *
 * @example
 * ```ts
 * import { connectRemote, getRunningLoop, run, ThreadPoolExecutor } from 'gyre';
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const found = loop.createFuture<number>();
 *   const handlers = { found: (n: number) => found.setResult(n) };
 *   const port = loop.remote(handlers);
 *   // Usually in another thread, with `import { connectRemote } from 'gyre'`. Here both ends are in this thread.
 *   using remote = connectRemote<typeof handlers>(port);
 *   remote.callSoonThreadsafe('found', 42);
 *   console.log(await found); // 42
 * });
 * ```
 */
export function connectRemote<H extends RemoteHandlers>(port: RemotePort<H>): RemoteLoop<H> {
  const greeting = greetingOf(port);
  return new Connection(port, greeting);
}

class Connection implements RemoteLoop<RemoteHandlers> {
  readonly #port: MessagePort;
  readonly #names: ReadonlySet<string>;
  readonly #loopClosed: Int32Array;
  #closed: boolean = false;

  constructor(port: MessagePort, greeting: Greeting) {
    this.#port = port;
    this.#names = new Set(greeting.names);
    this.#loopClosed = greeting.closed;
  }

  callSoonThreadsafe(name: string, ...args: unknown[]): void {
    if (typeof name !== 'string') throw invalidArgType('name', name, 'a string');
    if (!this.#names.has(name)) {
      throw invalidArgType('name', name, `a handler of the loop (${[...this.#names].join(', ')})`);
    }
    if (this.#closed) throw new LoopError('ERR_LOOP_CLOSED', 'this remote loop was closed by close()');
    if (Atomics.load(this.#loopClosed, 0) !== 0)
      throw new LoopError('ERR_LOOP_CLOSED', 'the event loop is closed');
    try {
      this.#port.postMessage([name, args] satisfies Call);
    } catch (cause) {
      const found = findUncloneable(args, 'args') ?? { path: 'args', value: args };
      const error = invalidArgType(
        found.path,
        found.value,
        'a value that can be copied to the thread of the loop',
      );
      throw Object.assign(error, { cause });
    }
  }

  close(): void {
    this.#closed = true;
    this.#port.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function handlersByName(handlers: unknown): Map<string, AnyHandler> {
  if (typeof handlers !== 'object' || handlers === null || Array.isArray(handlers)) {
    throw invalidArgType('handlers', handlers, 'an object of functions');
  }
  return isPlain(handlers) ? functionsOf(handlers) : methodsOf(handlers);
}

/** Returns true if the object is not an instance of a class. */
function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Each property of a plain object must be a function. */
function functionsOf(handlers: object): Map<string, AnyHandler> {
  const found = new Map<string, AnyHandler>();
  for (const [name, handler] of Object.entries(handlers)) {
    checkFunction(`handlers.${name}`, handler);
    found.set(name, (handler as AnyHandler).bind(handlers));
  }
  return found;
}

/**
 * Returns the methods of an instance. Other properties are ignored, and getters are not called. If a name
 * occurs several times, the nearest one counts.
 */
function methodsOf(instance: object): Map<string, AnyHandler> {
  const found = new Map<string, AnyHandler>();
  const seen = new Set(['constructor']);
  for (let each = instance; !isPrototypeOfAll(each); each = Object.getPrototypeOf(each) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      if (!seen.has(name) && typeof value === 'function')
        found.set(name, (value as AnyHandler).bind(instance));
      seen.add(name);
    }
  }
  if (found.size === 0)
    throw invalidArgType('handlers', instance, 'an object of functions, or one with methods');
  return found;
}

function isPrototypeOfAll(object: object | null): boolean {
  return object === null || Object.getPrototypeOf(object) === null;
}

function greetingOf(port: unknown): Greeting {
  const accepted = 'a port of loop.remote() that was not connected before';
  if (!(port instanceof node.worker_threads.MessagePort)) throw invalidArgType('port', port, accepted);
  const greeting = node.worker_threads.receiveMessageOnPort(port) as
    | { message: Partial<Greeting> | null }
    | undefined;
  if (greeting?.message?.gyreRemote !== 1) throw invalidArgType('port', port, accepted);
  return greeting.message as Greeting;
}
