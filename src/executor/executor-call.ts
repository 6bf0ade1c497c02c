/** The future of `runInExecutor`: what the executor answers waits in the ready queue and is handed over in one step. */
import { CancelledError } from '../base/errors.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Owned } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelWay } from '../tasks/cancellation.ts';
import { Future } from '../tasks/future.ts';

export class ExecutorCall<T> extends Future<T> implements Runnable, Owned {
  readonly #name: string;
  /** Cancelling gives the job up; the executor may take its time. */
  readonly #controller: AbortController = new AbortController();
  #answer: { value: T } | { error: unknown } | null = null;

  /** Use {@link ExecutorCall.begin}. */
  constructor(loop: Loop, name: string) {
    super(loop);
    this.#name = name;
  }

  /** If `submit` throws, nothing is left. */
  static begin<T>(
    loop: Loop,
    name: string,
    submit: (signal: AbortSignal) => PromiseLike<T>,
  ): ExecutorCall<T> {
    const call = new ExecutorCall<T>(loop, name);
    const promise = submit(call.#controller.signal);
    loop._owned.resources.add(call);
    Promise.resolve(promise).then(
      (value) => call.#answered({ value }),
      (error) => call.#answered({ error }),
    );
    return call;
  }

  /** Its turn in the ready queue. */
  _run(): void {
    const answer = this.#answer;
    if (this._state !== 'pending' || answer === null) return;
    this._loop._owned.resources.delete(this);
    if ('value' in answer) {
      this._deliver('result', answer.value);
    } else if (answer.error instanceof CancelledError) {
      this._deliver('cancelled', answer.error);
    } else {
      this._watchRetrieval(answer.error);
      this._deliver('exception', answer.error);
    }
  }

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (!super._cancel(reason, way)) return false;
    this._loop._owned.resources.delete(this);
    this.#controller.abort(this._failure());
    return true;
  }

  _describe(): string {
    return `${this.#name} was still running in an executor`;
  }

  _abandon(): void {
    if (this._state !== 'pending') return;
    this._end('cancelled', 'the event loop was closed');
    this.#controller.abort(this._failure());
  }

  #answered(answer: { value: T } | { error: unknown }): void {
    if (this._state !== 'pending') return;
    this.#answer = answer;
    this._loop._scheduler.push(this);
  }
}
