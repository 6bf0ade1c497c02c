/** A job on the worker's side. */
import { deserialize, serialize } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import { Transfer, workerEmit } from 'workerpool';
import { CancelledError } from '../base/errors.ts';
import { describeValue } from '../base/validate.ts';
import type { Job } from './current-job.ts';
import { copyError } from './error-copy.ts';
import type { JobContent, JobMessage, JobRequest } from './job-messages.ts';
import { findUncloneable } from './uncloneable.ts';

/** Copies a value as this worker's messages are copied: a process can copy fewer values than a thread. */
const copy: (value: unknown) => unknown = isMainThread
  ? (value) => deserialize(serialize(value))
  : structuredClone;

export class WorkerJob implements Job {
  readonly id: number;
  readonly #name: string;
  readonly #flag: Int32Array | null;
  readonly #controller: AbortController = new AbortController();
  /** The objects to transfer with the result, if the result is `value`. */
  #handedOver: { value: unknown; list: readonly unknown[] } | null = null;
  #ended: boolean = false;

  constructor(request: JobRequest) {
    this.id = request.id;
    this.#name = request.fn.name;
    this.#flag = request.flag;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancelled(): boolean {
    if (this.#flag !== null && Atomics.load(this.#flag, 0) !== 0) return true;
    return this.signal.aborted;
  }

  reportProgress(value: unknown, transfer: readonly unknown[] = []): void {
    // Code that the job has left running may still report, but no caller listens any more.
    if (!this.#ended) this.#tell({ kind: 'progress', value }, transfer, 'the value');
  }

  transfer<T>(value: T, list: readonly unknown[]): T {
    this.#handedOver = { value, list };
    return value;
  }

  abort(): void {
    this.#controller.abort(new CancelledError('the job was cancelled'));
  }

  succeed(value: unknown): void {
    const list = this.#handedOver?.value === value ? (this.#handedOver?.list ?? []) : [];
    this.#tell({ kind: 'result', value }, list, 'the result');
  }

  fail(kind: 'error' | 'crash', thrown: unknown): void {
    this.#emit({ kind, error: copyError(thrown, copy) }, []);
  }

  end(): void {
    this.#ended = true;
  }

  #tell(content: JobContent & { value: unknown }, transfer: readonly unknown[], subject: string): void {
    try {
      this.#emit(content, transfer);
    } catch (cause) {
      throw this.#uncopied(content.value, transfer, subject, cause);
    }
  }

  #emit(content: JobContent, transfer: readonly unknown[]): void {
    const message: JobMessage = { gyreJob: this.id, ...content };
    workerEmit(transfer.length === 0 ? message : new Transfer(message, transfer as object[]));
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
