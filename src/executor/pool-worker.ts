/**
 * One worker of a pool: the jobs that it has, and its messages.
 *
 * A worker runs one job at a time and may have others ahead, so that it need not wait for the pool between
 * short jobs. The pool can take back a job that has not begun. A thread shares the states of its jobs, so the
 * pool does that by itself. A process must be asked, and answers when its job awaits or ends.
 */
import type { MessagePort } from 'node:worker_threads';
import { BrokenExecutorError } from '../base/errors.ts';
import { hostQueueMicrotask } from '../base/host.ts';
import type { Linked } from '../base/linked-list.ts';
import { LinkedList } from '../base/linked-list.ts';
import { runningLoopOrNull } from '../loop/context.ts';
import { afterSeconds } from './after-seconds.ts';
import { restoreError } from './error-copy.ts';
import type { Answer, FunctionNumber, ShippedFunction } from './job-messages.ts';
import {
  BACK,
  BEGUN,
  CANCEL,
  CANCELLED,
  CRASH,
  GIVE_BACK,
  JOBS,
  MOST_FUNCTIONS,
  PROGRESS,
  SENT,
  SLOTS,
  STOP,
  TAKEN,
} from './job-messages.ts';
import type { PoolJob } from './pool-job.ts';
import { ProcessLink } from './process-link.ts';
import { ThreadLink } from './thread-link.ts';
import type { LinkEvents, WorkerLink } from './worker-link.ts';

export type WorkerKind = 'thread' | 'process';

/** The most jobs that a worker has at a time. A process has fewer, because it gives them back late. */
const MOST_JOBS = { thread: 32, process: 8 };

/** Words are multiples of 4, because the states 0 to 3 are added to them. */
const LAST_WORD = 0x7ffffffc;

/** Seconds for which an idle worker may run the exit handlers of the modules that it has loaded. */
const EXIT_SECONDS = 1;

export interface PoolWorkerEvents {
  /** Whether the worker keeps the process alive when it starts. */
  isKeptAlive(): boolean;
  /** A job has ended, or will never begin. The worker no longer has it. */
  onEnded(job: PoolJob, answer: Answer): void;
  /** The answers that have arrived were passed on. */
  onRead(): void;
  /** The worker has exited. The last event, exactly once. */
  onExit(error: BrokenExecutorError): void;
}

export class PoolWorker implements Linked {
  /** The jobs that the worker has, oldest first. It runs the first one. */
  readonly jobs: LinkedList<PoolJob> = new LinkedList();
  /** No job has ended since the pool set this. */
  quiet: boolean = false;
  _previous: Linked | null = null;
  _next: Linked | null = null;
  readonly #kind: WorkerKind;
  readonly #events: PoolWorkerEvents;
  /** null before the first job. */
  #link: WorkerLink | null = null;
  #gone: boolean = false;
  /** The number of jobs that this worker may have. It grows while jobs are short. */
  #depth: number = 1;
  /**
   * The worker gets jobs until it has `#depth` of them, and then no more until half of these have ended. So
   * several jobs leave in one message: a write to a process costs more than everything else about a job.
   */
  #filling: boolean = true;
  readonly #bySlot: (PoolJob | null)[] = [];
  readonly #freeSlots: number[] = [];
  #lastWord: number = 0;
  readonly #functions: Map<ShippedFunction, number> = new Map();
  #message: unknown[] = [JOBS];
  #ports: MessagePort[] = [];
  /** The pool has asked for jobs, and no answer has come since. */
  #asked: boolean = false;
  #everAnswered: boolean = false;
  /** The name of the last function, for messages. */
  #name: string = '';
  /** The cause of its death, if more is known than an exit code. */
  #cause: unknown = undefined;

  constructor(kind: WorkerKind, events: PoolWorkerEvents) {
    this.#kind = kind;
    this.#events = events;
    for (let slot = SLOTS - 1; slot >= 0; slot--) this.#freeSlots.push(slot);
  }

  /** Whether the worker should get one more job. */
  get hasRoom(): boolean {
    return this.#filling && this.jobs.size < this.#depth;
  }

  /** Sends a job: at once if the worker has no other, otherwise at the end of the turn. */
  run(job: PoolJob): void {
    if (!this.#start(job)) return;
    job.worker = this;
    job.slot = this.#freeSlots.pop() as number;
    job.word = this.#lastWord = this.#lastWord === LAST_WORD ? 0 : this.#lastWord + 4;
    this.#bySlot[job.slot] = job;
    this.jobs.add(job);
    if (this.jobs.size >= this.#depth) this.#filling = false;
    const { states } = this.#link as WorkerLink;
    if (states !== null) Atomics.store(states, job.slot, job.word + SENT);
    this.#message.push(job.slot, job.word, this.#numberOf(job.fn), job.args);
    if (job.port !== null) this.#ports.push(job.port);
    if (this.jobs.size === 1) {
      this.quiet = false;
      this._flush();
    } else if (this.#message.length === 5) {
      this.#flushLater();
    }
  }

  /** Sends the jobs of this turn. */
  _flush(): void {
    if (this.#message.length === 1) return;
    const message = this.#message;
    const ports = this.#ports;
    this.#message = [JOBS];
    this.#ports = [];
    this.#post(message, ports);
  }

  /** Takes back a job that has not begun. Returns false if it has begun, or if only the worker knows. */
  takeBack(job: PoolJob): boolean {
    const states = this.#link?.states ?? null;
    if (states === null) return false;
    const { slot, word } = job;
    if (Atomics.compareExchange(states, slot, word + SENT, TAKEN) !== word + SENT) return false;
    this.#release(job);
    return true;
  }

  /**
   * Takes back up to `most` of the jobs that the worker has ahead, oldest first, unless they have begun. A
   * process gives them back later. The worker gets no jobs ahead until more short jobs have ended.
   */
  takeBackOldest(most: number): PoolJob[] {
    this.#depth = 1;
    const [, ...ahead] = this.jobs;
    if (this.#link?.states === null) {
      this.#askFor(ahead.slice(0, most));
      return [];
    }
    const taken: PoolJob[] = [];
    for (const job of ahead) if (taken.length < most && this.takeBack(job)) taken.push(job);
    return taken;
  }

  #askFor(jobs: readonly PoolJob[]): void {
    if (this.#asked || jobs.length === 0) return;
    this.#asked = true;
    this.#post([GIVE_BACK, ...jobs.map(({ slot }) => slot)]);
  }

  /** Tells the worker that the caller has cancelled a job. */
  cancel(job: PoolJob): void {
    const states = this.#link?.states ?? null;
    if (states !== null) {
      Atomics.compareExchange(states, job.slot, job.word + BEGUN, job.word + CANCELLED);
    }
    this.#post([CANCEL, job.slot]);
  }

  /** Returns true if the worker runs this job, as far as the pool knows. */
  runs(job: PoolJob): boolean {
    const states = this.#link?.states ?? null;
    if (job.worker !== this) return false;
    if (states === null) return this.jobs.first === job;
    const state = Atomics.load(states, job.slot) - job.word;
    return state === BEGUN || state === CANCELLED;
  }

  /** Returns the jobs of a worker that has exited which can run in another. */
  unbegun(): PoolJob[] {
    const states = this.#link?.states ?? null;
    const { first } = this.jobs;
    return [...this.jobs].filter((job) => {
      if (job.port !== null) return false;
      // A worker that has never answered may be unable to start. Its first job fails, so that a pool does not
      // start workers for ever.
      if (job === first && (states === null || !this.#everAnswered)) return false;
      return states === null || Atomics.load(states, job.slot) === job.word + SENT;
    });
  }

  /** Decides whether this worker keeps the process alive. */
  keepAlive(on: boolean): void {
    if (!this.#gone) this.#link?.keepAlive(on);
  }

  /** Makes an idle worker exit. */
  stop(): void {
    if (this.#gone) return;
    this.#post([STOP]);
    afterSeconds(EXIT_SECONDS, () => this.kill());
  }

  /** Terminates the worker at once, whatever it does. */
  kill(): void {
    if (!this.#gone) this.#link?.kill();
  }

  #start(job: PoolJob): boolean {
    if (this.#link !== null) return true;
    const events: LinkEvents = {
      onAnswer: (answer) => this.#onAnswer(answer),
      onRead: () => {
        this._flush();
        this.#events.onRead();
      },
      onFailure: (cause) => {
        this.#cause ??= cause;
      },
      onExit: (how) => this.#exited(how),
    };
    try {
      this.#link = this.#kind === 'thread' ? new ThreadLink(events) : new ProcessLink(events);
      if (this.#events.isKeptAlive()) this.#link.keepAlive(true);
      return true;
    } catch (error) {
      this.#cause = error;
      this.jobs.add(job);
      this.#exited('could not be started');
      return false;
    }
  }

  #numberOf(fn: ShippedFunction): FunctionNumber {
    const known = this.#functions.get(fn);
    if (known !== undefined) return known;
    if (this.#functions.size === MOST_FUNCTIONS) this.#functions.clear();
    const number = this.#functions.size;
    this.#functions.set(fn, number);
    return [number, fn];
  }

  /**
   * A turn of a loop may submit many jobs, and drains microtasks between them. If the loop stops before its
   * next turn, the jobs leave when the worker answers.
   */
  #flushLater(): void {
    const loop = runningLoopOrNull();
    if (loop !== null) loop._scheduler.flushAtTurnEnd(this);
    else hostQueueMicrotask(() => this._flush());
  }

  #post(message: readonly unknown[], ports: readonly MessagePort[] = []): void {
    if (this.#gone) return;
    this._flush();
    try {
      this.#link?.post(message, ports);
    } catch (error) {
      // The message is lost, so the worker is useless.
      this.#cause ??= error;
      this.kill();
    }
  }

  #onAnswer(answer: Answer): void {
    const [slot, kind, value, long] = answer;
    const job = this.#bySlot[slot];
    if (job == null) return;
    if (kind === CRASH) {
      this.#cause ??= restoreError(value as never);
      return;
    }
    this.#everAnswered = true;
    if (kind === PROGRESS) {
      job.progress(value);
      return;
    }
    this.quiet = false;
    this.#asked = false;
    if (kind !== BACK) this.#depth = long ? 1 : Math.min(2 * this.#depth, MOST_JOBS[this.#kind]);
    this.#release(job);
    this.#events.onEnded(job, answer);
  }

  #release(job: PoolJob): void {
    this.#name = job.fn.name;
    this.#bySlot[job.slot] = null;
    this.#freeSlots.push(job.slot);
    this.jobs.delete(job);
    if (this.jobs.size * 2 <= this.#depth) this.#filling = true;
    job.worker = null;
  }

  #exited(how: string): void {
    if (this.#gone) return;
    this.#gone = true;
    const options = this.#cause === undefined ? {} : { cause: this.#cause };
    const what = `the worker ${this.#kind} that ran ${this.#lastName()} ${how}`;
    this.#events.onExit(new BrokenExecutorError(what, options));
  }

  /** Returns the name of the function that the worker runs, or has run last. */
  #lastName(): string {
    const begun = [...this.jobs].find((job) => this.runs(job)) ?? null;
    const running = begun ?? (this.#everAnswered ? null : this.jobs.first);
    return running?.fn.name ?? this.#name;
  }
}
