/**
 * A future of an operation that the host performs: a lookup, a connect, a listening socket, a call in an
 * executor.
 *
 * The host may answer at any time. The answer waits in the ready queue, and is delivered in one step. A
 * cancel before that step cancels the host's operation, or disposes of a value that has already arrived. So
 * an opened resource always has an owner.
 */
import { CancelledError, LoopError } from '../base/errors.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { CallSite } from './call-site.ts';
import { addCallSite, callSite, siteText } from './call-site.ts';
import { OwnedFuture } from './owned-future.ts';

/** Cancels the operation at the host. */
type CancelHost = (error: unknown) => void;

export class HostOperation<T> extends OwnedFuture<T> implements Runnable {
  readonly #description: string;
  readonly #dispose: (value: T) => void;
  #cancelHost: CancelHost | null = null;
  #site: CallSite | null = null;
  #answer: { value: T } | { error: unknown } | null = null;

  /** Use {@link HostOperation.begin}. */
  constructor(loop: Loop, description: string, dispose: (value: T) => void) {
    super(loop);
    this.#description = description;
    this.#dispose = dispose;
  }

  /**
   * Begins an operation. If `start` throws, nothing is left behind.
   *
   * @param description for the leak report: `looking up localhost`
   * @param dispose closes a value that arrives after a cancel
   * @param start starts the host's operation, which calls `succeed()` or `fail()`. Returns a function that
   *   cancels it
   * @param site the code that asks for the operation, for its error; null if that is not to be told
   * @throws LoopError (`ERR_LOOP_CLOSED`) if the loop is closed: a resource that is opened then would have no
   *   owner
   */
  static begin<T>(
    loop: Loop,
    description: string,
    dispose: (value: T) => void,
    start: (operation: HostOperation<T>) => CancelHost,
    site: CallSite | null = callSite(HostOperation.begin),
  ): HostOperation<T> {
    if (loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
    const operation = new HostOperation(loop, description, dispose);
    operation.#site = site;
    operation.#cancelHost = start(operation);
    loop._owned.resources.add(operation);
    return operation;
  }

  succeed(value: T): void {
    if (this.#answer === null && this._state === 'pending') this.#answered({ value });
    else this.#dispose(value);
  }

  fail(error: unknown): void {
    if (this.#answer === null && this._state === 'pending') this.#answered({ error });
  }

  /** Runs in the ready queue, and delivers the answer. */
  _run(): void {
    const answer = this.#answer;
    if (this._state !== 'pending' || answer === null) return;
    this._loop._owned.resources.delete(this);
    if ('value' in answer) {
      this._deliver('result', answer.value);
    } else if (answer.error instanceof CancelledError) {
      this._deliver('cancelled', answer.error);
    } else {
      addCallSite(answer.error, this.#site);
      this._watchRetrieval(answer.error);
      this._deliver('exception', answer.error);
    }
  }

  /** @internal */
  override _begunAt(): string | null {
    return siteText(this.#site) ?? super._begunAt();
  }

  /** @internal */
  override _asWait(): string {
    return this.#description;
  }

  _describe(): string {
    return `${this.#description} was still under way`;
  }

  #answered(answer: { value: T } | { error: unknown }): void {
    this.#answer = answer;
    this._loop._scheduler.push(this);
  }

  protected _abandon(): void {
    const answer = this.#answer;
    if (answer !== null && 'value' in answer) this.#dispose(answer.value);
    else this.#cancelHost?.(this._failure());
  }
}
