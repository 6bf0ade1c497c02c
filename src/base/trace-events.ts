/**
 * Makes the events of a recorder into a trace in Chrome's format, which Perfetto and chrome://tracing open.
 *
 * The recorder knows the time at some places only (recorder.ts in loop/). The events between two of them
 * share the time between: each that runs code gets an equal part.
 */

/**
 * The kinds of events, with the meaning of subject, value and label. Times are seconds on the clock of
 * `loop.time()`.
 *
 * - `call`: the host has called a loop (subject) at a time (value).
 * - `turns`: some turns (subject) have ended at a time (value). The task whose code ran last is the label; 0:
 *   none.
 * - `time`: it is a time (value).
 * - `late`: the next callback is a timer, and is late by some seconds (value).
 * - `callback`: a callback (label) runs.
 * - `created`, `step`, `ended`: a task (subject) was created, runs its first step, has ended: label is its
 *   name, or the number of an unnamed task.
 * - `wake`: a task (subject; 0: code of no task) runs again behind a wait (label) other than `sleep(0)`.
 * - `open`, `lost`: a transport (subject) was opened, was lost: label is its name.
 * - `protocol`: a method (label) of the protocol of a transport (subject) is called, with a number of bytes
 *   (value).
 */
export const RECORDED = [
  'call',
  'turns',
  'time',
  'late',
  'callback',
  'created',
  'step',
  'ended',
  'wake',
  'open',
  'lost',
  'protocol',
] as const;

export type RecordedKind = (typeof RECORDED)[number];

export type RecordedEvent = readonly [
  kind: RecordedKind,
  subject: number,
  value: number,
  label: string | number,
];

/** The events of a recorder from a place on. */
export interface Recording {
  /** Tells recorders apart. */
  readonly id: number;
  /** The place behind the last event, from which the next recording continues. */
  readonly next: number;
  /** The number of events that were overwritten before they were read. */
  readonly lost: number;
  readonly events: readonly RecordedEvent[];
}

/** A recording, with the facts of its thread. */
export interface ThreadRecording extends Recording {
  readonly pid: number;
  /** 0 for the main thread. */
  readonly thread: number;
  /** The time at which the clock of the thread was 0, in milliseconds since 1970. */
  readonly origin: number;
  /** The names of tasks and transports that have not ended, by their numbers. */
  readonly names: Readonly<Record<number, string>>;
}

/** An event of Chrome's trace format. Times are microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly ph: 'X' | 'b' | 'e' | 'n' | 'i' | 'C' | 'M';
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly dur?: number;
  readonly id?: number;
  readonly s?: 't';
  readonly args?: Readonly<Record<string, unknown>>;
}

const RUNS: ReadonlySet<RecordedKind> = new Set(['callback', 'step', 'wake', 'protocol']);
const WITH_BYTES: ReadonlySet<string | number> = new Set([
  'dataReceived',
  'bufferUpdated',
  'datagramReceived',
]);

/** Makes the recordings of one thread into events. */
export class TraceMaker {
  readonly #pid: number;
  readonly #tid: number;
  /** Microseconds, to add to the times of the thread. */
  readonly #shift: number;
  readonly #names: Map<number, string> = new Map();
  /** When each task ran last. */
  readonly #ranAt: Map<number, number> = new Map();
  /** The events since the last time that is known. */
  #untimed: RecordedEvent[] = [];
  #time: number = Number.NaN;
  #late: number | null = null;
  #made: TraceEvent[] = [];

  /** @param start the beginning of the trace, in milliseconds since 1970 */
  constructor({ pid, thread, origin }: ThreadRecording, start: number) {
    this.#pid = pid;
    this.#tid = thread;
    this.#shift = (origin - start) * 1000;
    const name = thread === 0 ? 'main thread' : `worker thread ${thread}`;
    this.#add({ name: 'thread_name', ph: 'M', ts: 0, args: { name } });
  }

  /** Returns the events of a recording that continues the last one. */
  take({ events, names, lost }: ThreadRecording): TraceEvent[] {
    for (const [number, name] of Object.entries(names)) this.#names.set(Number(number), name);
    for (const [kind, subject, , label] of events)
      if (kind === 'ended' || kind === 'lost') this.#names.set(subject, nameOfEnded(label));
    if (lost > 0 && !Number.isNaN(this.#time)) {
      this.#untimed = [];
      this.#add({ name: `${lost} events are lost`, ph: 'i', ts: this.#time, s: 't', cat: 'recorder' });
    }
    for (const event of events) {
      const [kind, subject, value, label] = event;
      if (kind === 'call' || kind === 'time' || kind === 'turns') this.#timed(kind, subject, value, label);
      else this.#untimed.push(event);
    }
    const made = this.#made;
    this.#made = [];
    return made;
  }

  #timed(kind: 'call' | 'time' | 'turns', subject: number, seconds: number, label: string | number): void {
    const now = this.#shift + seconds * 1e6;
    const from = kind === 'call' || Number.isNaN(this.#time) ? now : this.#time;
    const events = this.#untimed;
    const running = events.filter(([kind]) => RUNS.has(kind)).length;
    if (kind === 'turns') {
      const last = Number(label) === 0 ? {} : { lastTask: this.#nameOf('task', Number(label)) };
      this.#add({
        name: 'turn',
        ph: 'X',
        cat: 'turn',
        ts: from,
        dur: now - from,
        args: { turns: subject, entries: running, ...last },
      });
    }
    const part = running === 0 ? 0 : (now - from) / running;
    let at = from;
    for (const event of events) {
      this.#place(event, at, part);
      if (RUNS.has(event[0])) at += part;
    }
    this.#untimed = [];
    this.#time = now;
  }

  #place([kind, subject, value, label]: RecordedEvent, ts: number, dur: number): void {
    switch (kind) {
      case 'late':
        this.#late = value;
        this.#add({ name: 'lateness', ph: 'C', ts, args: { ms: value * 1000 } });
        break;
      case 'callback': {
        const late = this.#late;
        this.#late = null;
        const args = late === null ? {} : { lateSeconds: late };
        const cat = late === null ? 'callback' : 'timer';
        this.#add({ name: String(label) || '(anonymous)', ph: 'X', cat, ts, dur, args });
        break;
      }
      case 'created':
        this.#add({ name: this.#nameOf('task', subject), ph: 'b', cat: 'task', id: subject, ts });
        break;
      case 'ended':
        this.#add({ name: this.#nameOf('task', subject), ph: 'e', cat: 'task', id: subject, ts });
        this.#ranAt.delete(subject);
        this.#names.delete(subject);
        break;
      case 'step':
      case 'wake':
        this.#step(subject, ts, dur, label);
        break;
      case 'open':
        this.#add({ name: this.#nameOf('transport', subject), ph: 'b', cat: 'transport', id: subject, ts });
        break;
      case 'lost':
        this.#add({ name: this.#nameOf('transport', subject), ph: 'e', cat: 'transport', id: subject, ts });
        this.#names.delete(subject);
        break;
      case 'protocol': {
        const transport = this.#nameOf('transport', subject);
        const args = WITH_BYTES.has(label) ? { transport, bytes: value } : { transport };
        this.#add({ name: String(label), ph: 'X', cat: 'protocol', ts, dur, args });
        break;
      }
    }
  }

  /** A task runs. Its wait before is a span. */
  #step(task: number, ts: number, dur: number, wait: string | number): void {
    const name = task === 0 ? 'code of no task' : this.#nameOf('task', task);
    const args = wait === '' ? {} : { behind: wait };
    this.#add({ name, ph: 'X', cat: 'step', ts, dur, args });
    if (task === 0) return;
    const since = this.#ranAt.get(task);
    this.#ranAt.set(task, ts + dur);
    if (since === undefined || wait === '') return;
    this.#add({ name: String(wait), ph: 'b', cat: 'task', id: task, ts: since });
    this.#add({ name: String(wait), ph: 'e', cat: 'task', id: task, ts });
  }

  #nameOf(kind: string, number: number): string {
    return this.#names.get(number) ?? `${kind} ${number}`;
  }

  #add(event: Omit<TraceEvent, 'pid' | 'tid'>): void {
    this.#made.push({ ...event, pid: this.#pid, tid: this.#tid });
  }
}

function nameOfEnded(label: string | number): string {
  return typeof label === 'number' ? `Task-${label}` : label;
}

/** The text of a file before, between and behind the events. */
export const TRACE_FILE = {
  head: '{"displayTimeUnit":"ms","traceEvents":[\n',
  between: ',\n',
  tail: '\n]}\n',
} as const;
