/**
 * Node's timers inside a host: `setTimeout`, `setInterval`, `setImmediate`, their promises,
 * `AbortSignal.timeout`, and those that Node's modules set themselves, for example for `socket.setTimeout()`.
 *
 * All of them are objects of two classes, `Timeout` and `Immediate`, and async hooks show each object when it
 * is made. So nothing is replaced. Instead, a timer of a host is adopted:
 *
 *   made by Node ──▶ its deadline goes to the world ──▶ microtask: it leaves Node's own list
 *                              │
 *                              ▼
 *                    the world calls it at its deadline, in the async context in which it was set
 *
 * It stays the same object for the program: `clearTimeout()` sets its `_onTimeout` to null, and `refresh()`
 * is a method of it. So a library that stored `setTimeout` long ago has virtual timers, too.
 */
import { AsyncResource } from 'node:async_hooks';
import { clearImmediate, clearTimeout } from 'node:timers';
import type { Timeline } from '../../backend/sim/timeline.ts';
import { hostQueueMicrotask } from '../../base/host.ts';
import type { Place } from '../place.ts';
import { currentPlace, runIn } from '../place.ts';

const realClearTimeout: (timer: unknown) => void = clearTimeout as never;
const realClearImmediate: (immediate: unknown) => void = clearImmediate as never;

/** A fixed trigger id, because looking it up is slow and nothing uses it. */
const ROOT_TRIGGER = 1;
/** Immediates of one moment of the world. A program that waits for time to pass by immediates needs more. */
const IMMEDIATES_A_MOMENT = 100;
/** Seconds between two immediates from then on. */
const IMMEDIATE_SECONDS = 1e-5;

type Callback = (...args: unknown[]) => void;

/** The fields of Node's `Timeout`. */
export interface NodeTimeout {
  _idleTimeout: number;
  _onTimeout: Callback | null | undefined;
  _timerArgs: unknown[] | undefined;
  _repeat: number | null;
  _destroyed: boolean;
  /** null if it is in none of Node's lists. */
  readonly _idleNext: unknown;
  hasRef(): boolean | null;
  refresh(): this;
}

/** The fields of Node's `Immediate`. */
export interface NodeImmediate {
  _onImmediate: Callback | null | undefined;
  _argv: unknown[] | undefined;
  _destroyed: boolean;
}

const ADOPTION: unique symbol = Symbol('gyre.adoption');
type Adopted = NodeTimeout & { [ADOPTION]?: AdoptedTimeout };

/** Timers that must leave Node's lists as soon as Node has put them in. */
let leaving: (() => void)[] = [];

function leaveSoon(leave: () => void): void {
  leaving.push(leave);
  if (leaving.length === 1) hostQueueMicrotask(leaveNow);
}

function leaveNow(): void {
  const timers = leaving;
  leaving = [];
  for (const leave of timers) leave();
}

/** Called with each new `Timeout` of a host, and when Node puts an old one into its lists again. */
export function adoptTimeout(timer: Adopted, place: Place): void {
  const adoption = timer[ADOPTION];
  if (adoption !== undefined) adoption.start(place);
  else if (typeof timer._onTimeout !== 'function') return;
  else if (timer._onTimeout.name === CONNECTION_CHECK) new Unneeded(timer, place);
  else if (isSharedTick(timer)) new SharedTick(timer, tickPlace(place));
  else new AdoptedTimeout(timer, place);
}

class AdoptedTimeout extends AsyncResource {
  readonly #timer: Adopted;
  #place: Place;
  #callback: Callback | null | undefined;
  /** On the clock of the host, in seconds. */
  #due: number = 0;
  /** The time for which the world has the timer; it may be earlier than the deadline after a refresh. */
  #armed: number = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | null = null;
  #referenced: boolean;
  #letGo: (() => void) | null = null;
  /** Node removes the timer from its list at this moment, so the changes of its fields count for nothing. */
  #leaving: boolean = false;
  /** Node has taken the timer out of its lists. */
  #removed: boolean = false;

  constructor(timer: Adopted, place: Place) {
    super('GYRE', ROOT_TRIGGER);
    this.#timer = timer;
    this.#place = place;
    this.#callback = timer._onTimeout;
    this.#referenced = timer.hasRef() === true;
    Object.defineProperty(timer, '_onTimeout', {
      configurable: true,
      enumerable: true,
      get: () => this.#callback,
      set: (callback: Callback | null | undefined) => {
        if (this.#leaving) return;
        this.#callback = callback;
        if (typeof callback !== 'function') this.#stop();
      },
    });
    Object.defineProperty(timer, '_destroyed', {
      configurable: true,
      enumerable: true,
      get: () => this.#removed && (timer._idleNext !== null || !this.pending),
      set: (removed: boolean) => {
        this.#removed = removed;
      },
    });
    Object.defineProperty(timer, ADOPTION, { configurable: true, value: this });
    Object.setPrototypeOf(timer, facesOf(timer));
    this.start(place);
  }

  /** Counts the time from now on. */
  start(place: Place | null): void {
    if (place === null) {
      this.#giveBack();
      return;
    }
    if (place !== this.#place) this.#stop();
    this.#place = place;
    this.arm(this.#timer._idleTimeout);
    if (!this.#removed) leaveSoon(() => this.#leave());
  }

  refresh(): void {
    if (typeof this.#callback === 'function') this.start(this.placeFor(currentPlace()));
  }

  /** Returns the program to which the timer belongs if code of `place` refreshes it. */
  protected placeFor(place: Place | null): Place | null {
    return place;
  }

  protected invoke(_place: Place, run: () => void): void {
    this.runInAsyncScope(run);
  }

  protected get pending(): boolean {
    return this.#disarm !== null;
  }

  /** Fires now, whatever the time is. */
  protected fire(): void {
    this.#disarm?.();
    this.#disarmed();
    this.invoke(this.#place, this.#run);
  }

  get referenced(): boolean {
    return this.#referenced;
  }

  set referenced(on: boolean) {
    this.#referenced = on;
    this.#hold();
  }

  protected arm(milliseconds: number): void {
    const { host } = this.#place.kernel;
    this.#due = host.time() + Math.trunc(milliseconds) / 1000;
    if (this.#due < this.#armed) {
      this.#disarm?.();
      this.#wait();
    }
    this.#hold();
  }

  #wait(): void {
    this.#armed = this.#due;
    this.#disarm = this.#place.at(this.#due, this.#arrived);
  }

  /** A pending timer with a reference keeps the program alive. */
  #hold(): void {
    const holds = this.#referenced && this.#disarm !== null;
    if (holds) this.#letGo ??= this.#place.keepAlive();
    else {
      this.#letGo?.();
      this.#letGo = null;
    }
  }

  #stop(): void {
    this.#disarm?.();
    this.#disarmed();
    this.#hold();
  }

  #disarmed(): void {
    this.#disarm = null;
    this.#armed = Number.POSITIVE_INFINITY;
  }

  #arrived = (): void => {
    this.#disarmed();
    if (this.#place.kernel.host.time() < this.#due) this.#wait();
    else this.invoke(this.#place, this.#run);
  };

  #run = (): void => {
    const timer = this.#timer;
    try {
      const args = timer._timerArgs;
      if (args === undefined) this.#callback?.call(timer);
      else this.#callback?.apply(timer, args);
    } finally {
      // The callback may have stopped or refreshed it.
      const again = timer._repeat !== null && typeof this.#callback === 'function' && this.#disarm === null;
      if (again) this.arm(timer._repeat as number);
      else this.#hold();
    }
  };

  /** Takes the timer out of Node's list. Node clears its fields then, and the program must not see that. */
  #leave(): void {
    const timer = this.#timer;
    if (this.#removed) return;
    const { _idleTimeout, _timerArgs } = timer;
    this.#leaving = true;
    realClearTimeout(timer);
    this.#leaving = false;
    timer._idleTimeout = _idleTimeout;
    timer._timerArgs = _timerArgs;
  }

  /** Makes it one of Node's own timers again, because code outside of every host has refreshed it. */
  #giveBack(): void {
    this.#stop();
    const timer = this.#timer;
    const referenced = this.#referenced;
    Object.setPrototypeOf(timer, Object.getPrototypeOf(Object.getPrototypeOf(timer) as object) as object);
    delete timer[ADOPTION];
    Object.defineProperty(timer, '_onTimeout', {
      configurable: true,
      enumerable: true,
      writable: true,
      value: this.#callback,
    });
    Object.defineProperty(timer, '_destroyed', {
      configurable: true,
      enumerable: true,
      writable: true,
      value: true,
    });
    const real = timer as NodeTimeout & { ref(): void };
    if (referenced) real.ref();
    real.refresh();
  }
}

/**
 * An HTTP server looks every 30 seconds for slow requests, with a native clock that nothing can replace. In a
 * world it would find none, and a world that waits for nothing else could not be seen as dead.
 */
const CONNECTION_CHECK = 'bound checkConnections';

class Unneeded extends AdoptedTimeout {
  protected override arm(): void {}
}

// --- the tick of undici ---

/** undici has one timer of this length for all its timeouts, of all programs. */
const TICK_MS = 499;
/** More than the ticks of any timeout that undici sets by itself. */
const MOST_TICKS = 10_000;

function isSharedTick({ _onTimeout, _idleTimeout }: NodeTimeout): boolean {
  return _idleTimeout === TICK_MS && _onTimeout?.name === 'onTick';
}

/** The ticks of a world, by its timeline. They belong to no program, so that none takes them to its grave. */
const ticks: WeakMap<Timeline, { place: Place; pending: Set<SharedTick> }> = new WeakMap();

function ticksOf(place: Place): { place: Place; pending: Set<SharedTick> } {
  const { timeline } = place.kernel.host;
  let found = ticks.get(timeline);
  if (found === undefined) {
    const own = Object.create(place, {
      alive: { value: true },
      soon: { value: (callback: () => void) => timeline.soon(() => runIn(own, callback)) },
      at: {
        value: (when: number, callback: () => void) => {
          const event = timeline.at(when, () => runIn(own, callback), true);
          return () => event.cancel();
        },
      },
      keepAlive: { value: () => () => {} },
      onEnd: { value: () => () => {} },
    }) as Place;
    found = { place: own, pending: new Set() };
    ticks.set(timeline, found);
  }
  return found;
}

function tickPlace(place: Place): Place {
  return ticksOf(place).place;
}

class SharedTick extends AdoptedTimeout {
  override start(place: Place | null): void {
    super.start(place);
    if (place !== null) ticksOf(place).pending.add(this);
  }

  protected override placeFor(place: Place | null): Place | null {
    return place === null ? null : tickPlace(place);
  }

  protected override invoke(place: Place, run: () => void): void {
    runIn(place, run);
  }

  /** Ticks until all timeouts have passed, because undici begins no new tick while it waits for one. */
  runOut(): void {
    for (let count = 0; this.pending && count < MOST_TICKS; count++) this.fire();
  }
}

/** The world ends: what its programs have left in undici must not wait for its time for ever. */
export function endTicks(timeline: Timeline): void {
  for (const tick of ticks.get(timeline)?.pending ?? []) tick.runOut();
  ticks.delete(timeline);
}

let faces: object | null = null;

/** Makes the methods of adopted timers once. Everything else stays that of Node's own class. */
function facesOf(timer: NodeTimeout): object {
  faces ??= Object.create(Object.getPrototypeOf(timer) as object, {
    refresh: method(function (this: Adopted) {
      this[ADOPTION]?.refresh();
      return this;
    }),
    ref: method(function (this: Adopted) {
      (this[ADOPTION] as AdoptedTimeout).referenced = true;
      return this;
    }),
    unref: method(function (this: Adopted) {
      (this[ADOPTION] as AdoptedTimeout).referenced = false;
      return this;
    }),
    hasRef: method(function (this: Adopted) {
      return (this[ADOPTION] as AdoptedTimeout).referenced;
    }),
  }) as object;
  return faces;
}

function method(value: (this: Adopted) => unknown): PropertyDescriptor {
  return { configurable: true, writable: true, value };
}

/** A moment of the world, and the number of immediates in it. */
interface Moment {
  time: number;
  immediates: number;
}

const moments: WeakMap<object, Moment> = new WeakMap();

/** Called with each new `Immediate` of a host. */
export function adoptImmediate(immediate: NodeImmediate, place: Place): void {
  const { _onImmediate: callback, _argv: args } = immediate;
  if (typeof callback !== 'function') return;
  const context = new AsyncResource('GYRE', ROOT_TRIGGER);
  const letGo = place.keepAlive();
  let cleared = false;
  const run = (): void => {
    letGo();
    if (cleared) return;
    cleared = true;
    context.runInAsyncScope(callback, immediate, ...(args ?? []));
  };
  callAtCheck(place, run);
  leaveSoon(() => {
    if (immediate._destroyed) {
      cleared = true;
      return;
    }
    realClearImmediate(immediate);
    immediate._onImmediate = callback;
    immediate._argv = args;
    Object.defineProperty(immediate, '_destroyed', {
      get: () => {
        // `clearImmediate()` reads this field to clear it, and must find that Node need do nothing.
        cleared ||= !isReadByAbort();
        return cleared;
      },
    });
  });
}

/** The function of `timers/promises` that rejects a pending immediate when its signal is aborted. */
const ABORT = 'cancelListenerHandler';
/**
 * The line of a stack that names the reader of a field: behind the message and two functions of this file.
 */
const READER_LINE = 3;

function isReadByAbort(): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = READER_LINE;
  const stack = String(new Error().stack);
  Error.stackTraceLimit = stackTraceLimit;
  return stack.split('\n')[READER_LINE]?.includes(ABORT) === true;
}

/** Calls back behind what happens at this moment, and moves time if a program does nothing else. */
function callAtCheck(place: Place, callback: () => void): void {
  const { host } = place.kernel;
  const now = host.timeline.time();
  let moment = moments.get(host.timeline);
  if (moment?.time !== now) {
    moment = { time: now, immediates: 0 };
    moments.set(host.timeline, moment);
  }
  if (++moment.immediates <= IMMEDIATES_A_MOMENT) {
    place.soon(callback);
    return;
  }
  place.at(host.time() + IMMEDIATE_SECONDS, () => {
    moment.time = host.timeline.time();
    callback();
  });
}
