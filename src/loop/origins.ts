/**
 * Where, when and by whom a handle, future, task or transport was made. Kept beside the objects and not in them: one field more
 * in each handle makes scheduling a quarter slower.
 *
 * The stack is for debug mode. Of what holds something of the host, which is rare, time and task are known in any mode.
 */
import type { Linked } from '../base/linked-list.ts';
import { currentEntry, runningLoopOrNull } from './context.ts';
import type { ExceptionContext, Loop } from './types.ts';

/** When something was made, by whom, and for which loop. In a list of its loop's while it holds something of the host. */
export class Birth implements Linked {
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
 * Of what is made and gone by the thousand in a second: it keeps its birth itself. Each entry of a WeakMap is work for every collection of
 * young objects.
 */
export interface KeepsBirth {
  /** @internal */
  _birth: Birth | null;
}

const origins: WeakMap<object, string> = new WeakMap();
const births: WeakMap<object, Birth> = new WeakMap();

/**
 * Remembers the stack of the call that creates `object`, and its {@link Birth}.
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
  if (loop !== null) rememberBirth(object, loop);
}

/** Remembers when, and by which task of the loop, `object` was made: now. */
export function rememberBirth(object: object, loop: Loop): Birth {
  const current = currentEntry()?._flow ?? null;
  const task = current?._loop === loop ? current : null;
  const owner = task === null ? null : pathOf(task);
  const ownerOrigin = task === null ? null : originOf(task);
  return born(object, loop, owner, ownerOrigin);
}

/** The one that it has is kept: it may be in a list. */
function born(object: object, loop: Loop, owner: string | null, ownerOrigin: string | null): Birth {
  const known = birthOf(object);
  if (known !== null && known.loop === loop) {
    known.at = loop._backend.time();
    known.owner = owner;
    known.ownerOrigin = ownerOrigin;
    known.acceptedBy = null;
    return known;
  }
  const birth = new Birth(object, loop, owner, ownerOrigin);
  if ('_birth' in object) (object as KeepsBirth)._birth = birth;
  else births.set(object, birth);
  return birth;
}

/** A server has accepted `object`. No task did, and no call of the user's: owner and stack are the server's. */
export function rememberAccepted(object: object, server: Acceptor, loop: Loop): void {
  const birth = birthOf(object);
  if (birth !== null) birth.acceptedBy = server;
  if (!loop.debug) return;
  const origin = origins.get(server);
  if (origin !== undefined) origins.set(object, origin);
}

/** The handle of a task's first step was created where the task was. */
export function copyOrigin(from: object, to: object): void {
  const origin = origins.get(from);
  if (origin !== undefined) origins.set(to, origin);
  const birth = birthOf(from);
  if (birth !== null) born(to, birth.loop, birth.owner, birth.ownerOrigin).at = birth.at;
}

/** What was asked for then is there from now on. */
export function renewBirth(object: object, loop: Loop): void {
  const { owner = null, ownerOrigin = null } = birthOf(object) ?? {};
  born(object, loop, owner, ownerOrigin);
}

/** The stack, or null outside of debug mode. */
export function originOf(object: object | null): string | null {
  return object === null ? null : (origins.get(object) ?? null);
}

/** Null where nobody has remembered it. */
export function birthOf(object: object | KeepsBirth): Birth | null {
  return '_birth' in object ? object._birth : (births.get(object) ?? null);
}

/** Adds to a report where `object` was created, if that is known. */
export function withOrigin(context: ExceptionContext, object: object | null): ExceptionContext {
  const origin = originOf(object);
  return origin === null ? context : { ...context, sourceTraceback: origin };
}

/**
 * Its name; of an operation of the library also whom it was called by: what it opens is opened for somebody. One step only, or the
 * names of tasks that make each other would grow for ever.
 */
function pathOf(task: object): string {
  const { name = 'unnamed', _caller = null } = task as { name?: string; _caller?: string | null };
  return _caller === null ? name : `${name}${OF}${_caller}`;
}

const OF = ' of task ';
