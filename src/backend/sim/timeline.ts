/**
 * The time of a world, and all that happens in it.
 *
 *   now ──┬─ callbacks of this moment, in order of request (`soon`): turns of loops, events of sockets
 *         │      each is followed by all microtasks and ticks that it causes
 *         └─ nothing is left: time jumps to the next event (`at`): a packet arrives, a timer is due
 *
 * One callback of the host runs many of these steps. Time does not jump while real work is in flight
 * (`hold`). Before a jump to a timer, the host gets the thread once, for a pass through its check phase: so
 * signals, and real work that a task awaits, are handled before time moves. Packets alone need no pass, which
 * makes them cheap. Nothing here depends on the speed of the machine.
 *
 * Two limits keep a world from hanging. After very many rounds of callbacks at one moment time moves a little
 * all the same, because a program that spins until a packet comes would spin for ever. And a world in which
 * only kernels are busy, with keep-alive for example, counts as idle after a week.
 */

import type { DeadlineEntry } from '../../base/deadline-queue.ts';
import { DeadlineQueue } from '../../base/deadline-queue.ts';
import { drain, drainNow } from '../../base/drain.ts';
import { checkHost, hostClearInterval, hostNow, hostSetImmediate, hostSetInterval } from '../../base/host.ts';
import { RingQueue } from '../../base/ring-queue.ts';
import type { Choices } from './choices.ts';
import { firstByChoice } from './events-by-choice.ts';

const HOUR_MS = 3_600_000;
/**
 * Milliseconds of the real clock after which the host gets the thread, so that its signals and a test
 * runner's own time limit work.
 */
const REAL_MS_A_CALL = 10;
/** Steps after which it gets the thread in any case. */
const STEPS_A_CALL = 64;
/** Steps between two looks at the real clock. */
const STEPS_A_LOOK = 8;
/**
 * Rounds of callbacks at one moment after which time moves although callbacks are left. A round is all that
 * the round before it has requested: many programs at once make it wide, and only one that spins makes many
 * of them. A loop that is busy has 64 turns in each.
 */
const ROUNDS_A_MOMENT = 8192;
/** Seconds by which time then moves at most, about as many as a real machine needs for the rounds. */
const CROWDED_SECONDS = 0.01;
/** Seconds without code of a program, and without a timer of one, after which the world is idle. */
const QUIET_SECONDS = 604_800;

/** The kernel of a host gets what the timeline delivers. */
export interface Receiver<T> {
  /** For choices: the name of the host. */
  readonly name: string;
  receive(thing: T): void;
}

/** Something on its way to a kernel: no object for a callback is needed. */
class Delivery<T> implements DeadlineEntry<Entry> {
  readonly _when: number;
  readonly _seq: number;
  _next: Entry | null = null;
  readonly _pass: boolean = false;
  readonly #receiver: Receiver<T>;
  readonly #thing: T;

  constructor(when: number, seq: number, receiver: Receiver<T>, thing: T) {
    this._when = when;
    this._seq = seq;
    this.#receiver = receiver;
    this.#thing = thing;
  }

  /** Packets of one receiver and one time keep their order. @internal */
  get _lane(): unknown {
    return this.#receiver;
  }

  /** @internal */
  get _owner(): string {
    return `a packet to ${this.#receiver.name}`;
  }

  /** Calls the kernel. @internal */
  _happen(): void {
    this.#receiver.receive(this.#thing);
  }

  cancelled(): boolean {
    return false;
  }
}

/** A callback at a time of the world. */
export class TimelineEvent implements DeadlineEntry<Entry> {
  /** @internal */ readonly _when: number;
  /** @internal */ readonly _seq: number;
  /** @internal */ _next: Entry | null = null;
  /** @internal */ readonly _pass: boolean;
  /** null after it was called or cancelled. @internal */
  _callback: (() => void) | null;
  /** For choices: `a timer of server`. @internal */
  readonly _owner: string;
  readonly #pending: PendingEvents;

  /** @internal */
  constructor(
    when: number,
    seq: number,
    pass: boolean,
    callback: () => void,
    owner: string,
    pending: PendingEvents,
  ) {
    this._when = when;
    this._seq = seq;
    this._pass = pass;
    this._callback = callback;
    this._owner = owner;
    this.#pending = pending;
    if (pass) pending.timers++;
  }

  /** No other event must keep its order with this one. @internal */
  get _lane(): unknown {
    return this;
  }

  /** Does nothing if the event has happened. */
  cancel(): void {
    if (this._callback === null) return;
    this._callback = null;
    this.#pending.events.cancelled();
    if (this._pass) this.#pending.timers--;
  }

  cancelled(): boolean {
    return this._callback === null;
  }

  /** @internal */
  _happen(): void {
    const callback = this._callback as () => void;
    this._callback = null;
    if (this._pass) this.#pending.timers--;
    callback();
  }
}

type Entry = TimelineEvent | Delivery<never>;

/** The events that have not happened. */
interface PendingEvents {
  readonly events: DeadlineQueue<Entry>;
  /** The number of timers of programs among them. */
  timers: number;
}

export class Timeline {
  /** Called when nothing can happen any more by itself. */
  onIdle: (() => void) | null = null;
  /** Time does not move beyond this, in seconds. */
  limit: number = Number.POSITIVE_INFINITY;
  /** Called in place of a step beyond the limit. */
  onLimit: (() => void) | null = null;
  /** Called after each call of the host. */
  onCall: (() => void) | null = null;
  /** The number of callbacks so far. */
  steps: number = 0;
  /** Milliseconds of the real clock that the callbacks took. A stop in a debugger counts as one second. */
  computedMs: number = 0;
  /**
   * Passes that the host has after each callback, before time jumps. More than 0 if a program uses native
   * code that goes on in the host's check phase, as HTTP/2 and TLS of Node do.
   */
  passesAfterCode: number = 0;
  /** Calls a function that asks the host for a call, outside of every program: the timer is a real one. */
  outside: (ask: () => void) => void = (ask) => ask();
  /** Decides what the world leaves open. null: the usual way everywhere. */
  choices: Choices | null = null;
  #now: number;
  readonly #pending: PendingEvents = { events: new DeadlineQueue(), timers: 0 };
  readonly #soon: RingQueue<() => void> = new RingQueue();
  #seq: number = 0;
  /** Rounds since time has moved, and the callbacks that are left of the current one. */
  #rounds: number = 0;
  #roundLeft: number = 0;
  /** The time of the last step that ran code of a program. */
  #codeAt: number = 0;
  #holds: number = 0;
  /** Loops that run. They keep the host alive. */
  #running: number = 0;
  #keepAlive: NodeJS.Timeout | null = null;
  /** The host will call. */
  #requested: boolean = false;
  /** A call of the host is on the stack. */
  #stepping: boolean = false;
  /** The host has had a pass since the last callback. */
  #passed: boolean = false;
  /** Passes that the host must have before the next jump. */
  #passesWanted: number = 0;
  /** Callbacks whose microtasks the host runs later: see base/drain.ts. */
  #draining: number = 0;

  /**
   * @throws LoopError `ERR_UNSUPPORTED` with fake timers, because a world needs the real host between two
   *   times
   */
  constructor(startTime: number) {
    checkHost();
    this.#now = startTime;
    this.#codeAt = startTime;
  }

  /** Returns the time in seconds. */
  time(): number {
    return this.#now;
  }

  /**
   * Calls back at this moment, behind everything that was requested before.
   *
   * @param owner for choices: `the I/O of server`, if the callback may also wait for what was requested later
   */
  soon(callback: () => void, owner: string | null = null): void {
    this.#soon.push(this.choices === null || owner === null ? callback : this.#step(callback, owner));
    this.#request();
  }

  /** Returns a callback that may go once behind all that is left of this moment. */
  #step(callback: () => void, owner: string): () => void {
    const label = (option: number): string =>
      option === 0 ? 'is first' : 'waits for the rest of the moment';
    return () => {
      const waits = this.#soon.length > 0 && this.choices?.choose('step', owner, 2, label) === 1;
      if (waits) this.#soon.push(callback);
      else callback();
    };
  }

  /**
   * Calls back at `when`, or at this moment if that has passed. Events of the same time happen in order of
   * request.
   *
   * @param pass true for a timer of a program: the host gets a pass before time jumps to it
   * @param owner for choices: `a timer of server`
   */
  at(when: number, callback: () => void, pass: boolean = false, owner: string = 'the world'): TimelineEvent {
    const at = Math.max(when, this.#now);
    const event = new TimelineEvent(at, this.#seq++, pass, callback, owner, this.#pending);
    this.#pending.events.push(event);
    this.#request();
    return event;
  }

  /**
   * Gives `thing` to a kernel at `when`. The receiver resumes no code of a program by itself, so the
   * microtasks need not run behind it.
   */
  deliver<T>(when: number, receiver: Receiver<T>, thing: T): void {
    const delivery = new Delivery(Math.max(when, this.#now), this.#seq++, receiver, thing);
    this.#pending.events.push(delivery as unknown as Delivery<never>);
    this.#request();
  }

  /** Keeps time from jumping until the returned function is called: real work is in flight. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holds === 0) this.#request();
    };
  }

  /** The number of holds. */
  get held(): number {
    return this.#holds;
  }

  /** Gives the host `count` passes before the next jump, for work that needs only its check phase. */
  pass(count: number): void {
    this.#passesWanted = Math.max(this.#passesWanted, count);
    this.#request();
  }

  /** A loop runs from now on: the host is kept alive. */
  enter(): void {
    this.#running++;
    this.outside(this.#askForLife);
    this.#request();
  }

  /** A loop has stopped. Without loops that run, time stands still. */
  leave(): void {
    if (--this.#running > 0) return;
    if (this.#keepAlive !== null) hostClearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  /** Drains as base/drain.ts does. No other callback runs meanwhile. */
  drain(resume: () => void): boolean {
    if (drainNow()) return true;
    const drained = drain(() => {
      this.#draining--;
      resume();
    });
    if (!drained) this.#draining++;
    return drained;
  }

  #request(): void {
    if (this.#requested || this.#stepping || this.#running === 0) return;
    this.#requested = true;
    this.outside(this.#askForCall);
  }

  #askForCall = (): void => {
    hostSetImmediate(this.#call);
  };

  #askForLife = (): void => {
    this.#keepAlive ??= hostSetInterval(() => {}, HOUR_MS);
  };

  #call = (): void => {
    this.#requested = false;
    this.#passed = true;
    if (this.#passesWanted > 0) this.#passesWanted--;
    this.#stepping = true;
    let again = true;
    try {
      again = this.#steps();
    } finally {
      this.#stepping = false;
      this.onCall?.();
      // After an exception, too: it is the host's, and the world goes on.
      if (again) this.#request();
    }
  };

  /** Returns true if the host must call again. */
  #steps(): boolean {
    const begin = hostNow();
    try {
      return this.#stepUntil(begin + REAL_MS_A_CALL);
    } finally {
      this.computedMs += Math.min(hostNow() - begin, 1000);
    }
  }

  #stepUntil(until: number): boolean {
    for (let step = 1; this.#running > 0; step++) {
      if (this.#draining > 0) return true;
      const callback = this.#isEventFirst() ? undefined : this.#nextCallback();
      const event = callback === undefined ? this.#nextEvent() : null;
      if (typeof event === 'boolean') return event;
      this.#passed = false;
      this.steps++;
      if (event === null || event._pass) this.#codeAt = this.#now;
      if (event === null) (callback as () => void)();
      else event._happen();
      const resumes = !(event instanceof Delivery);
      if (resumes && (this.#draining > 0 || !this.drain(nothing))) return true;
      if (resumes && this.passesAfterCode > 0) {
        // At once, so that the order of its callbacks does not depend on the speed of the machine.
        this.#passesWanted = Math.max(this.#passesWanted, this.passesAfterCode);
        return true;
      }
      if (step === STEPS_A_CALL) return true;
      if (step % STEPS_A_LOOK === 0 && hostNow() > until) return true;
    }
    return false;
  }

  #nextCallback(): (() => void) | undefined {
    if (this.#roundLeft === 0 && this.#soon.length > 0) {
      this.#roundLeft = this.#soon.length;
      this.#rounds++;
    }
    if (this.#roundLeft > 0) this.#roundLeft--;
    return this.#soon.shift();
  }

  /**
   * Returns true if the next event must come before the callbacks of this moment, because they do not end. If
   * the event is far away, time moves a part of the way: a timeout must not pass while code can run.
   */
  #isEventFirst(): boolean {
    if (this.#rounds < ROUNDS_A_MOMENT || this.#holds > 0) return false;
    const when = this.#pending.events.nextWhen();
    const near = this.#now + CROWDED_SECONDS;
    if (Math.min(when, near) > this.limit) return false;
    if (when <= near) return true;
    this.#moveTo(near);
    return false;
  }

  #moveTo(when: number): void {
    this.#now = when;
    this.#rounds = 0;
  }

  /** Takes the next event, if time may move to it. Otherwise returns whether the host must call again. */
  #nextEvent(): Entry | boolean {
    const { events, timers } = this.#pending;
    const when = events.nextWhen();
    if (when > this.#now) {
      if (this.#passesWanted > 0) return true;
      if (this.#holds > 0) return false;
      const isQuiet = timers === 0 && when - this.#codeAt > QUIET_SECONDS;
      if (when === Number.POSITIVE_INFINITY || isQuiet) {
        this.onIdle?.();
        return false;
      }
      if (when > this.limit) {
        this.onLimit?.();
        return false;
      }
    }
    const first = events.popDue(when) as Entry;
    const event = this.choices === null ? first : firstByChoice(this.choices, first, events);
    if (when > this.#now && event._pass && !this.#passed) {
      // Put it back, because the host may cancel it.
      events.push(event);
      return true;
    }
    if (when > this.#now) this.#moveTo(when);
    return event;
  }
}

function nothing(): void {}
