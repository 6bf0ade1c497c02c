/**
 * Everything that a loop owns, so that `close()` can end it and report it.
 *
 * Each report has the owner (the task that created the object) and the age, and in debug mode the stack of
 * the creation. A connection that a server accepted is reported with the server's name, owner and stack. For
 * tasks, which are created by the million, owner and age are known in debug mode only. The holder of a lock
 * is known in debug mode only, too.
 */
import type { Linked } from '../base/linked-list.ts';
import { LinkedList } from '../base/linked-list.ts';
import { outOfRange } from '../base/validate.ts';
import type { CreationRecord } from './creation.ts';
import {
  copyOrigin,
  creationOf,
  originOf,
  rememberCreation,
  rememberOrigin,
  renewCreation,
} from './creation.ts';
import type { Handle } from './handle.ts';
import type { ExceptionContext, Loop, TaskLike } from './types.ts';

/** An object that holds a resource of the host: a transport, a server, a connection attempt. */
export interface Resource {
  /** Returns a description for the leak report. @internal */
  _describe(): string;
  /** Ends the object at once, without calling user code. @internal */
  _forceClose(): void;
  /** Returns the facts for a snapshot. Default: the description alone. @internal */
  _resourceFacts?(): ResourceFacts;
  /** The number of a transport, for the recorder. @internal */
  readonly _number?: number;
  /** `child` for the transport of a subprocess that was not reaped. Default: `handle`. @internal */
  readonly _kind?: 'child' | 'handle';
}

/** The facts of a resource in a snapshot (inspect/snapshot.ts). */
export interface ResourceFacts {
  /** `tcp`, `tls`, `unix`, `pipe`, `udp`, `server`, `child`. */
  readonly kind: string;
  /** `open`, `closing`, `listening`, `running`, … */
  readonly state: string;
  /** The address of this side; null: it has none. */
  readonly local?: string | null;
  readonly peer?: string | null;
  /** Whether a server of this loop has accepted the connection. */
  readonly accepted?: boolean;
  readonly readingPaused?: boolean;
  /** Bytes that wait to be written. */
  readonly queuedBytes?: number;
  /** The size of the write queue above which the protocol must pause. */
  readonly highWaterBytes?: number;
  /** The number of connections of a server. */
  readonly connections?: number;
  /** The process of a child. */
  readonly pid?: number;
  readonly program?: string;
  readonly returncode?: number | null;
}

/**
 * The exception of a failed future that was not retrieved. Don't refer to the future here: it would never be
 * garbage-collected.
 */
export interface Unretrieved {
  readonly context: ExceptionContext;
  /** The time of the report, on the loop's clock. null: when the future is garbage-collected. */
  tellAt: number | null;
}

/** Seconds until the exception of a task is reported, if it was not retrieved. */
const RETRIEVAL_SECONDS = 1;

/** Scopes without a task that have a pending await. */
export class LooseCode {
  readonly #loop: Loop;
  readonly #scopes: LinkedList<Linked> = new LinkedList();
  #onIdle: (() => void) | null = null;

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  get size(): number {
    return this.#scopes.size;
  }

  add(scope: Linked): void {
    this.#scopes.add(scope);
  }

  delete(scope: Linked): void {
    this.#scopes.delete(scope);
    if (this.#onIdle !== null && this.size === 0) this.#loop._scheduler.behindDrain(() => this.#check());
  }

  [Symbol.iterator](): IterableIterator<Linked> {
    return this.#scopes[Symbol.iterator]();
  }

  /**
   * Calls `callback` after the drain in which the last of these awaits has ended. Null removes the callback.
   */
  onIdle(callback: (() => void) | null): void {
    this.#onIdle = callback;
    this.#check();
  }

  #check(): void {
    const callback = this.#onIdle;
    if (callback === null || this.size > 0) return;
    this.#onIdle = null;
    callback();
  }
}

/** An object that ends with its loop, and is not a leak then. */
export interface Unreported {
  /** As in {@link Resource}. */
  _forceClose(): void;
}

/** A pending task, as the loop's layer sees it. */
export interface OwnedTask extends TaskLike, Resource, Linked {}

/** An object that a loop still owns. `leaks()` of `gyre/testing` returns it. */
export interface Leak {
  /**
   * `task`: a pending task. `handle`: a connection, a server, a pending lookup. `child`: a process that was
   * not reaped. `lock`: a held lock, known in debug mode only. `exception`: an exception that was never
   * retrieved.
   */
  kind: 'task' | 'handle' | 'child' | 'lock' | 'exception';
  /** A sentence: `a server was still listening on 127.0.0.1:80`. */
  description: string;
  /**
   * The name of the task that created the object. For an accepted connection: the task that created the
   * server. null: no task, or unknown (for tasks: unknown outside of debug mode).
   */
  owner: string | null;
  /** Seconds since the creation, on the loop's clock; null: unknown. */
  ageSeconds: number | null;
  /**
   * In debug mode: the stack of the creation (of the server, for an accepted connection), and of the owner's
   * creation. Otherwise null.
   */
  stack: string | null;
}

/** Resources of a loop in the order in which they were added, each with its creation record. */
class Registry {
  readonly #loop: Loop;
  readonly #creations: LinkedList<CreationRecord> = new LinkedList();

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  get size(): number {
    return this.#creations.size;
  }

  add(thing: Resource): void {
    this.#creations.add(rememberCreation(thing, this.#loop));
  }

  has(thing: Resource): boolean {
    const creation = creationOf(thing);
    return creation !== null && creation.loop === this.#loop && this.#creations.has(creation);
  }

  /** Returns true if the resource was in the registry. */
  delete(thing: Resource): boolean {
    const creation = creationOf(thing);
    return creation !== null && creation.loop === this.#loop && this.#creations.delete(creation);
  }

  clear(): void {
    this.#creations.clear();
  }

  *[Symbol.iterator](): IterableIterator<Resource> {
    for (const { thing } of this.#creations) yield thing as Resource;
  }
}

export class Ownership {
  readonly #loop: Loop;
  /** One timer for all exceptions that must be reported. */
  #retrievalCheck: Handle | null = null;
  readonly resources: Registry;
  /** Strong references, so that a pending task is never garbage-collected. */
  readonly tasks: LinkedList<OwnedTask> = new LinkedList();
  /** The held locks, in debug mode. */
  readonly locks: Set<Resource> = new Set();
  readonly unretrieved: Set<Unretrieved> = new Set();
  /** Code outside of tasks that awaits a future of the loop; also the helpers of tasks that have ended. */
  readonly loose: LooseCode;
  /** The program of the loop was killed: its code never runs again, so no waiter is told of an end. */
  killed: boolean = false;
  /** Objects that end with the loop and are not leaks: its executor, its signal handlers. */
  readonly unreported: Set<Unreported> = new Set();

  constructor(loop: Loop) {
    this.#loop = loop;
    this.resources = new Registry(loop);
    this.loose = new LooseCode(loop);
  }

  /**
   * Records in debug mode that `lock` is held, until it is deleted from {@link locks}. Its origin is the call
   * that acquired it.
   *
   * @param asked the wait that acquired the lock. null: the lock was free, and `method` acquired it
   */
  hold(lock: Resource, asked: object | null, method: (...args: never[]) => unknown): void {
    if (asked === null) rememberOrigin(lock, method);
    else copyOrigin(asked, lock);
    renewCreation(lock, this.#loop);
    this.locks.add(lock);
  }

  /** Reports the exception of a task if it is not retrieved within a second of the loop's time. */
  tellSoon(unretrieved: Unretrieved): void {
    unretrieved.tellAt = this.#loop._backend.time() + RETRIEVAL_SECONDS;
    this.#retrievalCheck ??= this.#loop._scheduler.callAt(
      unretrieved.tellAt,
      () => this.#tellUnretrieved(),
      [],
    );
  }

  #tellUnretrieved(): void {
    this.#retrievalCheck = null;
    const now = this.#loop._backend.time();
    for (const unretrieved of this.unretrieved) {
      const { tellAt, context } = unretrieved;
      if (tellAt === null) continue;
      if (tellAt > now) {
        this.#retrievalCheck = this.#loop._scheduler.callAt(tellAt, () => this.#tellUnretrieved(), []);
        return;
      }
      this.unretrieved.delete(unretrieved);
      this.#loop.callExceptionHandler(context);
    }
  }

  /** Returns the remaining objects, grouped by kind, each group in order of creation. */
  leaks(): Leak[] {
    return [
      ...Array.from(this.#things(), ([kind, owned]) => this.#leak(kind, owned)),
      ...Array.from(this.unretrieved, ({ context }) => lostException(context)),
    ];
  }

  /** Returns {@link leaks} as text. */
  lines(): string[] {
    return this.leaks().map(leakLine);
  }

  /** Ends everything, and returns one report for each leak, in the order of {@link leaks}. */
  abandonAll(): ExceptionContext[] {
    const reports: ExceptionContext[] = [];
    for (const [kind, owned] of [...this.#things()]) {
      reports.push(report(this.#leak(kind, owned), owned));
      owned._forceClose();
    }
    for (const { context } of this.unretrieved) reports.push(context);
    for (const owned of [...this.unreported]) owned._forceClose();
    this.unreported.clear();
    this.tasks.clear();
    this.resources.clear();
    this.locks.clear();
    this.unretrieved.clear();
    return reports;
  }

  *#things(): Generator<[Leak['kind'], Resource]> {
    for (const task of this.tasks) yield ['task', task];
    for (const owned of this.resources) yield [owned._kind ?? 'handle', owned];
    for (const lock of this.locks) yield ['lock', lock];
  }

  #leak(kind: Leak['kind'], owned: Resource): Leak {
    const { at = null, acceptedBy = null } = creationOf(owned) ?? {};
    const { owner = null, ownerOrigin = null } = creationOf(acceptedBy ?? owned) ?? {};
    const ageSeconds = at === null ? null : this.#loop._backend.time() - at;
    const own = originOf(owned);
    const stack =
      own === null || ownerOrigin === null ? own : `${own}\n  by task ${owner}, created at\n${ownerOrigin}`;
    const state = owned._describe();
    const description = acceptedBy === null ? state : `${state}, accepted by ${acceptedBy._name()}`;
    return { kind, description, owner, ageSeconds, stack };
  }
}

/**
 * Rejects transports and sockets that belong to another loop: their owner would never learn of their end. A
 * thing that no loop created (a descriptor, an object of the host or of the user) is accepted.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE`
 */
export function checkOwn(name: string, thing: unknown, loop: Loop): void {
  const creation = typeof thing === 'object' && thing !== null ? creationOf(thing) : null;
  if (creation !== null && creation.loop !== loop) {
    throw outOfRange(name, thing, 'of this loop, not of another one');
  }
}

/** Returns the leak as one line. The stack of the creation follows on lines of its own. */
export function leakLine({ description, owner, ageSeconds, stack }: Leak): string {
  const facts = [
    ...(owner === null ? [] : [`made by task ${owner}`]),
    ...(ageSeconds === null ? [] : [`${ageSeconds.toFixed(3)} seconds old`]),
  ];
  const line = facts.length === 0 ? description : `${description} (${facts.join(', ')})`;
  return stack === null ? line : `${line}, created at\n${stack}`;
}

function lostException({ message, exception, sourceTraceback }: ExceptionContext): Leak {
  return {
    kind: 'exception',
    description: `${message}: ${String(exception)}`,
    owner: null,
    ageSeconds: null,
    stack: sourceTraceback ?? null,
  };
}

/** Returns the report for a leak. Unknown facts are left out. */
function report({ kind, description, owner, ageSeconds, stack }: Leak, owned: Resource): ExceptionContext {
  return {
    message: `the event loop was closed, but ${description}`,
    [kind === 'task' ? 'task' : 'resource']: owned,
    ...(owner === null ? {} : { owner }),
    ...(ageSeconds === null ? {} : { ageSeconds }),
    ...(stack === null ? {} : { sourceTraceback: stack }),
  };
}
