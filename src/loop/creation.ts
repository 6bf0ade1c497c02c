/**
 * Where, when and by whom a handle, future, task or transport was made. Kept beside the objects and not in
 * them: one field more in each handle makes scheduling a quarter slower.
 *
 * The stack is for debug mode. Of what holds something of the host, which is rare, time and task are known in
 * any mode.
 */
import type { Linked } from '../base/linked-list.ts';
import { currentEntry, runningLoopOrNull } from './context.ts';
import type { ExceptionContext, Loop } from './types.ts';

/**
 * When something was made, by whom, and for which loop. In a list of its loop's while it holds something of
 * the host.
 */
export class CreationRecord implements Linked {
  readonly thing: object;
  readonly loop: Loop;
  /** On the clock of its loop. */
  at: number;
  /** The name of the task of that loop in whose code it was made; null: in none. */
  owner: string | null;
  /** The stack of that task's creation, in debug mode: an operation of the library was called there. */
  ownerOrigin: string | null;
  /** The server that has accepted it, whose owner is then its owner; null: none has. */
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
  /** In words: `the server on 127.0.0.1:80`. @internal */
  _name(): string;
}

/**
 * Of what is made and gone by the thousand in a second: it keeps its creation itself. Each entry of a WeakMap
 * is work for every collection of young objects.
 */
export interface KeepsCreationRecord {
  /** @internal */
  _creation: CreationRecord | null;
}

const origins: WeakMap<object, string> = new WeakMap();
const creations: WeakMap<object, CreationRecord> = new WeakMap();

/**
 * Remembers the stack of the call that creates `object`, and its {@link CreationRecord}.
 *
 * @param below the function or constructor above whose caller the stack begins
 */
export function rememberOrigin(
  object: object,
  below: ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown),
): void {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, below as () => void);
  // A program's `Error.prepareStackTrace` may answer anything.
  origins.set(object, String(holder.stack ?? '').replace(/^[^\n]*\n/, ''));
  const { _loop: loop = runningLoopOrNull() } = object as { _loop?: Loop };
  if (loop !== null) rememberCreation(object, loop);
}

/** Remembers when, and by which task of the loop, `object` was made: now. */
export function rememberCreation(object: object, loop: Loop): CreationRecord {
  const current = currentEntry()?._flow ?? null;
  const task = current?._loop === loop ? current : null;
  const owner = task === null ? null : pathOf(task);
  const ownerOrigin = task === null ? null : originOf(task);
  return born(object, loop, owner, ownerOrigin);
}

/** The one that it has is kept: it may be in a list. */
function born(object: object, loop: Loop, owner: string | null, ownerOrigin: string | null): CreationRecord {
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
 * A server has accepted `object`. No task did, and no call of the user's: owner and stack are the server's.
 */
export function rememberAccepted(object: object, server: Acceptor, loop: Loop): void {
  const creation = creationOf(object);
  if (creation !== null) creation.acceptedBy = server;
  if (!loop.debug) return;
  const origin = origins.get(server);
  if (origin !== undefined) origins.set(object, origin);
}

/** The handle of a task's first step was created where the task was. */
export function copyOrigin(from: object, to: object): void {
  const origin = origins.get(from);
  if (origin !== undefined) origins.set(to, origin);
  const creation = creationOf(from);
  if (creation !== null) born(to, creation.loop, creation.owner, creation.ownerOrigin).at = creation.at;
}

/** What was asked for then is there from now on. */
export function renewCreation(object: object, loop: Loop): void {
  const { owner = null, ownerOrigin = null } = creationOf(object) ?? {};
  born(object, loop, owner, ownerOrigin);
}

/** The stack, or null outside of debug mode. */
export function originOf(object: object | null): string | null {
  return object === null ? null : (origins.get(object) ?? null);
}

/** Null where nobody has remembered it. */
export function creationOf(object: object | KeepsCreationRecord): CreationRecord | null {
  return '_creation' in object ? object._creation : (creations.get(object) ?? null);
}

/** Adds to a report where `object` was created, if that is known. */
export function withOrigin(context: ExceptionContext, object: object | null): ExceptionContext {
  const origin = originOf(object);
  return origin === null ? context : { ...context, sourceTraceback: origin };
}

/**
 * Its name; of an operation of the library also whom it was called by: what it opens is opened for somebody.
 * One step only, or the names of tasks that make each other would grow for ever.
 */
function pathOf(task: object): string {
  const { name = 'unnamed', _caller = null } = task as { name?: string; _caller?: string | null };
  return _caller === null ? name : `${name}${OF}${_caller}`;
}

const OF = ' of task ';
