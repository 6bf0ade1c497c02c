/**
 * `loop.addReader`, `addWriter`, `removeReader` and `removeWriter`; and the `sock…()` calls that wait for
 * readiness.
 *
 * Readiness is level-triggered: the host reports it again and again until the data is read. A ready watcher
 * is pushed onto the ready queue. If it is reported again before it has run, the loop stops polling for it
 * until it has run. Otherwise a stopped loop would make the host report without end.
 */
import type { RawPoll } from '../../backend/backend.ts';
import { InvalidStateError } from '../../base/errors.ts';
import { checkFunction, checkInteger, invalidArgType } from '../../base/validate.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { AnyCallback, Runnable } from '../../loop/handle.ts';
import { Handle } from '../../loop/handle.ts';
import type { Resource } from '../../loop/ownership.ts';
import { checkOwn } from '../../loop/ownership.ts';
import type { Scheduler } from '../../loop/scheduler.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';

/** A file descriptor, or an object that has one. */
export type Descriptor = number | { fileno(): number };

export type Direction = 'reading' | 'writing';

/** Waits for one direction of a descriptor, and runs in the ready queue each time it is ready. */
export interface Watcher extends Runnable {
  /** Whether it is in the ready queue. */
  _queued: boolean;
  /** Whether polling for it has stopped, because it was reported again while it was queued. */
  _paused: boolean;
  /** Called when the socket was closed, after polling has stopped. */
  _closed(): void;
  _forceClose(): void;
}

const LARGEST_DESCRIPTOR = 0x7fff_ffff;

const watched: WeakMap<Loop, Map<number, Watch>> = new WeakMap();

/** A descriptor that a loop polls, for one reader and one writer. */
export class Watch {
  readonly fd: number;
  readonly #loop: Loop;
  readonly #raw: RawPoll;
  #reader: Watcher | null = null;
  #writer: Watcher | null = null;

  constructor(loop: Loop, fd: number) {
    this.fd = fd;
    this.#loop = loop;
    this.#raw = capability(loop, 'polling').poll(fd, this.#onReady);
  }

  get(direction: Direction): Watcher | null {
    return direction === 'reading' ? this.#reader : this.#writer;
  }

  /**
   * Sets the watcher of a direction, in place of the previous one. If it throws the system's error, nothing
   * has changed.
   */
  set(direction: Direction, watcher: Watcher): void {
    const before = this.get(direction);
    this.#put(direction, watcher);
    try {
      this.#ask();
    } catch (error) {
      this.#put(direction, before);
      throw error;
    }
  }

  /** Removes a watcher. */
  remove(watcher: Watcher): void {
    if (this.#reader === watcher) this.#reader = null;
    else if (this.#writer === watcher) this.#writer = null;
    else return;
    if (this.#reader !== null || this.#writer !== null) this.#askAgain();
    else this.release();
  }

  /** Polls for a watcher again, after it has run. Throws the system's error if the system has no memory. */
  hasRun(watcher: Watcher): void {
    if (!watcher._paused) return;
    watcher._paused = false;
    if (this.#reader === watcher || this.#writer === watcher) this.#askAgain();
  }

  /** Stops polling. Returns the watchers. */
  release(): Watcher[] {
    const watchers = [this.#reader, this.#writer].filter((one) => one !== null);
    this.#reader = null;
    this.#writer = null;
    this.#raw.close();
    watched.get(this.#loop)?.delete(this.fd);
    return watchers;
  }

  #put(direction: Direction, watcher: Watcher | null): void {
    if (direction === 'reading') this.#reader = watcher;
    else this.#writer = watcher;
  }

  #ask(): void {
    this.#raw.want(isWanted(this.#reader), isWanted(this.#writer));
  }

  /**
   * Updates the polling. Ignores a descriptor that the program has closed on its own, even if its number is
   * that of a file by now.
   */
  #askAgain(): void {
    try {
      this.#ask();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== 'EBADF' && code !== 'EPERM') throw error;
    }
  }

  #onReady = (readable: boolean, writable: boolean): void => {
    const told = [readable ? this.#reader : null, writable ? this.#writer : null];
    let again = false;
    for (const watcher of told) {
      if (watcher === null) continue;
      if (watcher._queued) {
        watcher._paused = true;
        again = true;
      } else {
        watcher._queued = true;
        this.#loop._scheduler.push(watcher);
      }
    }
    if (again) this.#askAgain();
  };
}

function isWanted(watcher: Watcher | null): boolean {
  return watcher !== null && !watcher._paused;
}

/** Returns the polled descriptor; null if the loop does not poll it. */
export function watchOf(loop: Loop, fd: number): Watch | null {
  return watched.get(loop)?.get(fd) ?? null;
}

/** Starts polling for a watcher. If it throws the system's error, nothing has changed. */
export function watch(loop: Loop, fd: number, direction: Direction, watcher: Watcher): Watch {
  const present = watchOf(loop, fd);
  const one = present ?? new Watch(loop, fd);
  try {
    one.set(direction, watcher);
  } catch (error) {
    if (present === null) one.release();
    throw error;
  }
  if (present === null) watchesOf(loop).set(fd, one);
  return one;
}

function watchesOf(loop: Loop): Map<number, Watch> {
  const present = watched.get(loop);
  if (present !== undefined) return present;
  const made = new Map<number, Watch>();
  watched.set(loop, made);
  return made;
}

/** The handle that `addReader` and `addWriter` return. */
class WatchHandle extends Handle implements Watcher, Resource {
  _queued: boolean = false;
  _paused: boolean = false;
  readonly #loop: Loop;
  readonly #fd: number;
  readonly #direction: Direction;
  #watch: Watch | null = null;

  constructor(loop: Loop, fd: number, direction: Direction, callback: AnyCallback, args: unknown[]) {
    super(callback, args);
    this.#loop = loop;
    this.#fd = fd;
    this.#direction = direction;
  }

  begin(): void {
    this.#watch = watch(this.#loop, this.#fd, this.#direction, this);
    this.#loop._owned.resources.add(this);
  }

  override cancel(): void {
    this.#watch?.remove(this);
    this._closed();
  }

  override _run(scheduler: Scheduler): void {
    this._queued = false;
    super._run(scheduler);
    try {
      this.#watch?.hasRun(this);
    } catch (error) {
      this._report(scheduler, error);
    }
  }

  /** Ends it after the socket was closed, or after another watcher has replaced it. */
  _closed(): void {
    this.#watch = null;
    this.#loop._owned.resources.delete(this);
    super.cancel();
  }

  _describe(): string {
    return `descriptor ${this.#fd} was still watched for ${this.#direction}`;
  }

  _forceClose(): void {
    this.cancel();
  }
}

/** See `BaseEventLoop.addReader` and `BaseEventLoop.addWriter`. */
export function addWatcher(
  loop: Loop,
  direction: Direction,
  fd: Descriptor,
  callback: AnyCallback,
  args: unknown[],
  caller: (...args: never[]) => unknown,
): Handle {
  checkFunction('callback', callback);
  const number = descriptorOf(loop, fd);
  checkOwn('fd', fd, loop);
  const present = watchOf(loop, number)?.get(direction) ?? null;
  checkFree(loop, number, direction, present);
  const handle = new WatchHandle(loop, number, direction, callback, args);
  if (loop.debug) rememberOrigin(handle, caller);
  handle.begin();
  // `begin()` has already replaced the previous watcher.
  present?._closed();
  return handle;
}

/** See `BaseEventLoop.removeReader` and `BaseEventLoop.removeWriter`. */
export function removeWatcher(loop: Loop, direction: Direction, fd: Descriptor): boolean {
  const watcher = watchOf(loop, descriptorOf(loop, fd))?.get(direction) ?? null;
  if (!(watcher instanceof WatchHandle)) return false;
  watcher.cancel();
  return true;
}

/** Checks that the direction is free, or has a callback, which may be replaced. */
function checkFree(loop: Loop, fd: number, direction: Direction, present: Watcher | null): void {
  if (present instanceof WatchHandle) return;
  if (present !== null)
    throw new InvalidStateError(`socket ${fd}: another call already waits for ${direction}`);
  if (watchOf(loop, fd) !== null || loop._backend.descriptors?.isUsed(fd) !== true) return;
  throw new InvalidStateError(
    `descriptor ${fd} belongs to a transport or server, which alone may wait for ${direction}`,
  );
}

function descriptorOf(loop: Loop, fd: unknown): number {
  const number = hasFileno(fd) ? fd.fileno() : fd;
  if (typeof number !== 'number') throw invalidArgType('fd', fd, 'a descriptor, or an object with fileno()');
  checkInteger('fd', number, 0, LARGEST_DESCRIPTOR);
  checkSupports(loop, 'polling');
  return number;
}

function hasFileno(fd: unknown): fd is { fileno(): unknown } {
  return typeof fd === 'object' && fd !== null && typeof (fd as { fileno?: unknown }).fileno === 'function';
}
