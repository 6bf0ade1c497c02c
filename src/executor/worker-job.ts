/** A job on the worker's side. */
import { deserialize, serialize } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import { CancelledError } from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';
import type { Job } from './current-job.ts';
import { copyError } from './error-copy.ts';
import type { Answer } from './job-messages.ts';
import { BEGUN, CANCELLED, CRASH, ENDED, ERROR, PROGRESS, RESULT } from './job-messages.ts';
import { findUncloneable } from './uncloneable.ts';

/** Copies a value as this worker's messages are copied: a process can copy fewer values than a thread. */
const copy: (value: unknown) => unknown = isMainThread
  ? (value) => deserialize(serialize(value))
  : structuredClone;

/** Sends an answer to the pool. */
export type Send = (answer: Answer, transfer: readonly unknown[]) => void;

export class WorkerJob implements Job {
  readonly slot: number;
  readonly #word: number;
  readonly #name: string;
  readonly #states: Int32Array;
  readonly #send: Send;
  /** null until the job asks for its signal. */
  #controller: AbortController | null = null;
  /** The objects to transfer with the result, if the result is `value`. */
  #handedOver: { value: unknown; list: readonly unknown[] } | null = null;
  #ended: boolean = false;
  #cancelledAtEnd: boolean = false;

  constructor(slot: number, word: number, name: string, states: Int32Array, send: Send) {
    this.slot = slot;
    this.#word = word;
    this.#name = name;
    this.#states = states;
    this.#send = send;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.cancelled()) this.abort();
    }
    return this.#controller.signal;
  }

  cancelled(): boolean {
    if (this.#ended) return this.#cancelledAtEnd;
    return Atomics.load(this.#states, this.slot) === this.#word + CANCELLED;
  }

  reportProgress(value: unknown, transfer: readonly unknown[] = []): void {
    // Code that the job has left running may still report, but no caller listens any more.
    if (!this.#ended) this.#tell(PROGRESS, value, transfer, 'the value', false);
  }

  transfer<T>(value: T, list: readonly unknown[]): T {
    this.#handedOver = { value, list };
    return value;
  }

  /** The pool has cancelled the job. */
  abort(): void {
    Atomics.compareExchange(this.#states, this.slot, this.#word + BEGUN, this.#word + CANCELLED);
    this.#controller?.abort(new CancelledError('the job was cancelled'));
  }

  // --- the end ---

  succeed(value: unknown, long: boolean): void {
    const list = this.#handedOver?.value === value ? (this.#handedOver?.list ?? []) : [];
    this.#tell(RESULT, value, list, 'the result', long);
  }

  fail(thrown: unknown, long: boolean): void {
    this.#send([this.slot, ERROR, copyError(thrown, copy), long], []);
  }

  crash(thrown: unknown): void {
    this.#send([this.slot, CRASH, copyError(thrown, copy), false], []);
  }

  /** Must come before the answer: a job that has ended needs no end of its worker. */
  end(): void {
    this.#cancelledAtEnd = this.cancelled();
    this.#ended = true;
    Atomics.store(this.#states, this.slot, this.#word + ENDED);
  }

  #tell(kind: number, value: unknown, transfer: readonly unknown[], subject: string, long: boolean): void {
    try {
      this.#send([this.slot, kind, value, long], transfer);
    } catch (cause) {
      throw this.#uncopied(value, transfer, subject, cause);
    }
  }

  #uncopied(value: unknown, transfer: readonly unknown[], subject: string, cause: unknown): Error {
    const found = findUncloneable(value, 'it', copy, transfer);
    const part = found === null ? '' : `: ${found.path} is ${describeValue(found.value)}`;
    const error = new TypeError(`${subject} of ${this.#name} cannot be copied out of its worker${part}`, {
      cause,
    });
    return Object.assign(error, { code: 'ERR_INVALID_RETURN_VALUE' });
  }
}
