/**
 * Remembers where, when and by which task a handle, future, task or transport was created. The data is kept
 * beside the objects and not in them: one more field in each handle makes scheduling a quarter slower.
 *
 * The stack is recorded in debug mode. For objects that hold a resource of the host, which are few, time and
 * task are recorded in every mode.
 */
import type { Linked } from '../base/linked-list.ts';
import { currentEntry, runningLoopOrNull } from './context.ts';
import type { ExceptionContext, Loop } from './types.ts';

/**
 * Records when, by which task and for which loop an object was created. While the object holds a resource of
 * the host, the record is in a list of its loop.
 */
export class CreationRecord implements Linked {
  readonly thing: object;
  readonly loop: Loop;
  /** The time of creation, on the clock of its loop. */
  at: number;
  /** The name of the task whose code created the object, or null outside of a task. */
  owner: string | null;
  /**
   * The stack of that task's creation, in debug mode. It shows where the program called an operation of the
   * library.
   */
  ownerOrigin: string | null;
  /** The server that accepted the object, and whose owner is the object's owner; null otherwise. */
  acceptedBy: Acceptor | null = null;
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;

  constructor(thing: object, loop: Loop, owner: string | null, ownerOrigin: string | null) {
    this.thing = thing;
    this.loop = loop;
    this.at = loop._backend.time();
    this.owner = owner;
    this.ownerOrigin = ownerOrigin;
  }
}

export interface Acceptor {
  /** Returns a description: `the server on 127.0.0.1:80`. @internal */
  _name(): string;
}

/**
 * For objects that are created and dropped thousands of times a second: they store the record themselves,
 * because each entry of a WeakMap costs time in every collection of the young generation.
 */
export interface KeepsCreationRecord {
  /** @internal */
  _creation: CreationRecord | null;
}

const origins: WeakMap<object, string> = new WeakMap();
const creations: WeakMap<object, CreationRecord> = new WeakMap();

/**
 * Records the stack of the call that creates `object`, and its {@link CreationRecord}.
 *
 * @param below the function or constructor whose caller is the first entry of the stack
 */
export function rememberOrigin(
  object: object,
  below: ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown),
): void {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, below as () => void);
  // `Error.prepareStackTrace` of the program may return any value.
  origins.set(object, String(holder.stack ?? '').replace(/^[^\n]*\n/, ''));
  const { _loop: loop = runningLoopOrNull() } = object as { _loop?: Loop };
  if (loop !== null) rememberCreation(object, loop);
}

/** Records the current time and the current task of the loop as the creation of `object`. */
export function rememberCreation(object: object, loop: Loop): CreationRecord {
  const current = currentEntry()?._flow ?? null;
  const task = current?._loop === loop ? current : null;
  const owner = task === null ? null : pathOf(task);
  const ownerOrigin = task === null ? null : originOf(task);
  return recordCreation(object, loop, owner, ownerOrigin);
}

/** Reuses an existing record, because that record may be in a list. */
function recordCreation(
  object: object,
  loop: Loop,
  owner: string | null,
  ownerOrigin: string | null,
): CreationRecord {
  const known = creationOf(object);
  if (known !== null && known.loop === loop) {
    known.at = loop._backend.time();
    known.owner = owner;
    known.ownerOrigin = ownerOrigin;
    known.acceptedBy = null;
    return known;
  }
  const creation = new CreationRecord(object, loop, owner, ownerOrigin);
  if ('_creation' in object) (object as KeepsCreationRecord)._creation = creation;
  else creations.set(object, creation);
  return creation;
}

/**
 * Records that `server` accepted `object`. No task and no user code created it, so owner and stack are the
 * server's.
 */
export function rememberAccepted(object: object, server: Acceptor, loop: Loop): void {
  const creation = creationOf(object);
  if (creation !== null) creation.acceptedBy = server;
  if (!loop.debug) return;
  const origin = origins.get(server);
  if (origin !== undefined) origins.set(object, origin);
}

/** Copies the record from one object to another: the handle of a task's first step gets the task's record. */
export function copyOrigin(from: object, to: object): void {
  const origin = origins.get(from);
  if (origin !== undefined) origins.set(to, origin);
  const creation = creationOf(from);
  if (creation !== null)
    recordCreation(to, creation.loop, creation.owner, creation.ownerOrigin).at = creation.at;
}

/** Sets the time of creation to now. For a lock that was requested earlier and is acquired now. */
export function renewCreation(object: object, loop: Loop): void {
  const { owner = null, ownerOrigin = null } = creationOf(object) ?? {};
  recordCreation(object, loop, owner, ownerOrigin);
}

/** Returns the stack of the creation, or null outside of debug mode. */
export function originOf(object: object | null): string | null {
  return object === null ? null : (origins.get(object) ?? null);
}

/** Returns the record, or null if there is none. */
export function creationOf(object: object | KeepsCreationRecord): CreationRecord | null {
  return '_creation' in object ? object._creation : (creations.get(object) ?? null);
}

/** Adds to a report where `object` was created, if that is known. */
export function withOrigin(context: ExceptionContext, object: object | null): ExceptionContext {
  const origin = originOf(object);
  return origin === null ? context : { ...context, sourceTraceback: origin };
}

/**
 * Returns the task's name; for an operation of the library also the name of its caller, which owns the opened
 * resource. It adds only one level: otherwise the names of tasks that create each other would grow without
 * limit.
 */
function pathOf(task: object): string {
  const { name = 'unnamed', _caller = null } = task as { name?: string; _caller?: string | null };
  return _caller === null ? name : `${name}${OF}${_caller}`;
}

const OF = ' of task ';
