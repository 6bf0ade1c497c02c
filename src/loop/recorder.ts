/**
 * The recorder of a thread: a ring buffer of the last events of its loops, which is always on.
 *
 * To record an event takes a few nanoseconds: it stores into arrays that exist already, and reads no clock.
 * The times come from the pump, which reads the clock anyway, so events between two readings have only their
 * order. An event refers to a task or transport by its number, because a reference would keep it in memory.
 */
import { hostNow, hostOrigin } from '../base/host.ts';
import type { RecordedEvent, RecordedKind, Recording } from '../base/trace-events.ts';
import { RECORDED } from '../base/trace-events.ts';

/** The number of events that the ring buffer holds: a power of two. It takes 330 KiB. */
const SIZE = 1 << 14;
/** The bits of a head that tell the kind of the event. The others are the number of its subject. */
const KIND_BITS = 4;
const KIND_MASK = (1 << KIND_BITS) - 1;
const LARGEST_NUMBER = (1 << (31 - KIND_BITS)) - 1;
/** Longer names are not kept. */
const LONGEST_NAME = 200;
/** Events outside of turns between two readings of the clock. */
const EVENTS_A_READING = 16;

const kindNumber = (kind: RecordedKind): number => RECORDED.indexOf(kind);
const CALL = kindNumber('call');
const TURNS = kindNumber('turns');
const TIME = kindNumber('time');
const LATE = kindNumber('late');
const CALLBACK = kindNumber('callback');
const CREATED = kindNumber('created');
const STEP = kindNumber('step');
const ENDED = kindNumber('ended');
const WAKE = kindNumber('wake');
const OPEN = kindNumber('open');
const LOST = kindNumber('lost');
const PROTOCOL = kindNumber('protocol');

/** The name of something. A function or class of the library stands for its own name. */
export type Label = string | number | { readonly name: string };

let lastNumber = 0;

/** Returns a number for a task or transport. After 134 million the numbers begin again. */
export function nextNumber(): number {
  lastNumber = lastNumber === LARGEST_NUMBER ? 1 : lastNumber + 1;
  return lastNumber;
}

/** A ready entry, or a scope, as far as its task is concerned. */
interface LastRun {
  readonly _task?: { readonly _number?: number } | null;
}

export class Recorder {
  /** The microsecond in which it was made: a reader tells threads and copies of gyre apart by it. */
  readonly #id: number = Math.floor((hostOrigin + hostNow()) * 1000);
  readonly #heads: Int32Array = new Int32Array(SIZE);
  readonly #values: Float64Array = new Float64Array(SIZE);
  readonly #labels: Label[] = new Array<Label>(SIZE).fill('');
  /** The index of the next event. */
  #at: number = 0;
  /** How often the buffer has become full. */
  #laps: number = 0;
  #untimed: number = 0;

  /** The host has called a loop. */
  call(loop: number, now: number): void {
    this.#untimed = 0;
    this.#values[this.#at] = now;
    this.#store((loop << KIND_BITS) | CALL);
  }

  /** @param lastRun the last entry, or the scope that it has resumed */
  turns(count: number, now: number, lastRun: LastRun | null): void {
    this.#values[this.#at] = now;
    this.#labels[this.#at] = lastRun?._task?._number ?? 0;
    this.#store((count << KIND_BITS) | TURNS);
  }

  time(now: number): void {
    this.#values[this.#at] = now;
    this.#store(TIME);
  }

  late(seconds: number): void {
    this.#values[this.#at] = seconds;
    this.#store(LATE);
  }

  callback(callback: { readonly name: string } | null): void {
    this.#labels[this.#at] = nameOf(callback);
    this.#store(CALLBACK);
  }

  created(task: number): void {
    this.#store((task << KIND_BITS) | CREATED);
  }

  step(task: number): void {
    this.#store((task << KIND_BITS) | STEP);
  }

  wake(task: number, wait: Label): void {
    this.#labels[this.#at] = wait;
    this.#store((task << KIND_BITS) | WAKE);
  }

  ended(task: number, name: string | number): void {
    this.#labels[this.#at] = typeof name === 'string' && name.length > LONGEST_NAME ? '' : name;
    this.#store((task << KIND_BITS) | ENDED);
  }

  open(transport: number): void {
    this.#store((transport << KIND_BITS) | OPEN);
  }

  lost(transport: number, name: string): void {
    this.#labels[this.#at] = name;
    this.#store((transport << KIND_BITS) | LOST);
  }

  /** @param inTurn a turn is running, and its end will tell the time */
  protocol(transport: number, method: Label, bytes: number, inTurn: boolean): void {
    if (!inTurn && (this.#untimed++ & (EVENTS_A_READING - 1)) === 0) this.time(hostNow() / 1000);
    this.#labels[this.#at] = method;
    this.#values[this.#at] = bytes;
    this.#store((transport << KIND_BITS) | PROTOCOL);
  }

  #store(head: number): void {
    const at = this.#at;
    this.#heads[at] = head;
    if (at === SIZE - 1) {
      this.#at = 0;
      this.#laps++;
    } else {
      this.#at = at + 1;
    }
  }

  /**
   * Returns the events that the buffer has.
   *
   * @param places for this recorder the place at which the last reading ended
   */
  read(places: Readonly<Record<string, number>> = {}): Recording {
    const since = places[this.#id] ?? 0;
    const next = this.#laps * SIZE + this.#at;
    const oldest = Math.max(0, next - SIZE);
    const from = Math.min(Math.max(since, oldest), next);
    const events = Array.from({ length: next - from }, (_, index) => this.#event((from + index) % SIZE));
    return { id: this.#id, next, lost: from - Math.min(since, from), events };
  }

  #event(at: number): RecordedEvent {
    const head = this.#heads[at] as number;
    const number = head & KIND_MASK;
    const hasValue = number <= LATE || number === PROTOCOL;
    const hasLabel =
      number === TURNS || number === CALLBACK || number === ENDED || number === WAKE || number >= LOST;
    const label = this.#labels[at] as Label;
    return [
      RECORDED[number] as RecordedKind,
      head >>> KIND_BITS,
      hasValue ? (this.#values[at] as number) : 0,
      !hasLabel ? '' : typeof label === 'string' || typeof label === 'number' ? label : label.name,
    ];
  }
}

/** Returns the name of a callback. A program may have replaced it by a getter that throws. */
function nameOf(callback: { readonly name: string } | null): string {
  try {
    const name: unknown = callback?.name;
    return typeof name === 'string' && name.length <= LONGEST_NAME ? name : '';
  } catch {
    return '';
  }
}

let recorder: Recorder | null = null;

/** Returns the recorder of this thread, which the first call makes. */
export function threadRecorder(): Recorder {
  recorder ??= new Recorder();
  return recorder;
}

/** Returns the recorder of this thread, or null if no loop has ever recorded. */
export function existingRecorder(): Recorder | null {
  return recorder;
}
