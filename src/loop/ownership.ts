/**
 * What a loop owns, so that `close()` can end it and name it.
 *
 * Each thing is named with its owner, the task that made it, and its age; in debug mode with the stack of its
 * creation. What a server has accepted is named with the server, and has the server's owner and stack. For
 * tasks, which are made by the million, owner and age are known in debug mode only; and only then is it known
 * who holds a lock.
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

/** Something that holds a resource of the host: a transport, a server, a connection attempt. */
export interface Resource {
  /** In words, for the leak report. @internal */
  _describe(): string;
  /** Ends it at once, without calling user code. @internal */
  _forceClose(): void;
  /**
   * `child` for a process: a transport of a subprocess says so until it was reaped. Default: `handle`.
   * @internal
   */
  readonly _kind?: 'child' | 'handle';
}

/**
 * A failed future whose exception nobody has looked at. Must not refer to the future: it would never be
 * collected.
 */
export interface Unretrieved {
  readonly context: ExceptionContext;
  /** On the loop's clock; null: when the future is collected. */
  tellAt: number | null;
}

/** Seconds, after which the exception of a task that was not retrieved is reported. */
const RETRIEVAL_SECONDS = 1;

/** Scopes without a task whose code awaits something. */
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

  /** Calls back once no such code awaits anything, behind all that its end brings about. Null: no more. */
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

/** Something that ends with its loop and is no leak then. */
export interface Unreported {
  /** As of {@link Resource}. */
  _forceClose(): void;
}

/** A pending task: as the loop's layer sees it when it closes. */
export interface OwnedTask extends TaskLike, Resource, Linked {}

/** Something that a loop still owns: what `leaks()` of `gyre/testing` answers. */
export interface Leak {
  /**
   * `task`: not done. `handle`: a connection, a server, a lookup under way. `child`: a process that was not
   * reaped. `lock`: held, known in debug mode only. `exception`: one that nobody has looked at.
   */
  kind: 'task' | 'handle' | 'child' | 'lock' | 'exception';
  /** In words: `a server was still listening on 127.0.0.1:80`. */
  description: string;
  /**
   * The task that made it; null: none, or not known (of tasks: outside debug mode). Of what a server has
   * accepted, the one that made the server.
   */
  owner: string | null;
  /** Seconds since it was made, on the loop's clock; null: not known. */
  ageSeconds: number | null;
  /** Where it was made, or the server that has accepted it, and where its owner was: in debug mode. */
  stack: string | null;
}

/** Things of a loop's, in order of addition, each with when and by whom it was added. */
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

  /** Whether it was there. */
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
  /** One timer for all exceptions that are to be told. */
  #retrievalCheck: Handle | null = null;
  readonly resources: Registry;
  /** Strong references: no task is collected while it is pending. */
  readonly tasks: LinkedList<OwnedTask> = new LinkedList();
  /** Debug mode: those that are held. */
  readonly locks: Set<Resource> = new Set();
  readonly unretrieved: Set<Unretrieved> = new Set();
  /**
   * Code outside of every task that awaits a future of the loop, and its tasks' helpers that outlived them.
   */
  readonly loose: LooseCode;
  /** What ends with the loop without being a leak: its executor, its signal handlers. */
  readonly unreported: Set<Unreported> = new Set();

  constructor(loop: Loop) {
    this.#loop = loop;
    this.resources = new Registry(loop);
    this.loose = new LooseCode(loop);
  }

  /**
   * Debug mode: from now on `lock` is held, until it is taken off {@link locks}. Its origin is the call that
   * took it.
   *
   * @param asked the wait by which it was got; null: it was free, and `method` is what was called
   */
  hold(lock: Resource, asked: object | null, method: (...args: never[]) => unknown): void {
    if (asked === null) rememberOrigin(lock, method);
    else copyOrigin(asked, lock);
    renewCreation(lock, this.#loop);
    this.locks.add(lock);
  }

  /** Reports the exception of a task when it was not retrieved within a second of the loop's time. */
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

  /** What is left, kind by kind, in order of creation. */
  leaks(): Leak[] {
    return [
      ...Array.from(this.#things(), ([kind, owned]) => this.#leak(kind, owned)),
      ...Array.from(this.unretrieved, ({ context }) => lostException(context)),
    ];
  }

  /** As {@link leaks}, in words. */
  lines(): string[] {
    return this.leaks().map(leakLine);
  }

  /** Ends everything and answers one report for each leak, in the order of {@link leaks}. */
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
 * Held against who hands a transport or a socket to a loop that is not its own: nobody would ever be told of
 * its end. What no loop has made (a descriptor, an object of the host's or of the user's) is of none.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE`
 */
export function checkOwn(name: string, thing: unknown, loop: Loop): void {
  const creation = typeof thing === 'object' && thing !== null ? creationOf(thing) : null;
  if (creation !== null && creation.loop !== loop) {
    throw outOfRange(name, thing, 'of this loop, not of another one');
  }
}

/** In one line; the stack of the creation follows on lines of its own. */
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

/** What is not known is not there. */
function report({ kind, description, owner, ageSeconds, stack }: Leak, owned: Resource): ExceptionContext {
  return {
    message: `the event loop was closed, but ${description}`,
    [kind === 'task' ? 'task' : 'resource']: owned,
    ...(owner === null ? {} : { owner }),
    ...(ageSeconds === null ? {} : { ageSeconds }),
    ...(stack === null ? {} : { sourceTraceback: stack }),
  };
}
