/**
 * A body with a deadline: what `timeout()`, `timeoutAt()` and `waitFor()` run.
 *
 * At the deadline the body is cancelled, and the limit ends when the body has ended. Where the body stands at
 * a promise of the host's, and nothing took the cancel, the limit gives it up: `TimeoutError` comes in time,
 * and the body goes on alone to its next await of ours, where it is cancelled.
 */
import { CancelledError, TimeoutError } from '../base/errors.ts';
import type { Handle, Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import { Body } from './body.ts';
import type { CancelReason } from './cancellation.ts';

export class Limit<T> extends Body<T> {
  #when: number | null = null;
  #timer: Handle | null = null;
  #expired: boolean = false;
  #aborted: CancelledError | null = null;
  #givenUp: boolean = false;

  constructor(loop: Loop, body: () => PromiseLike<T>, name: string) {
    super(loop, body, name);
  }

  get when(): number | null {
    return this.#when;
  }

  get expired(): boolean {
    return this.#expired;
  }

  /** Sets the deadline, or moves it. Null: none. */
  expireAt(when: number | null): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#when = when;
    if (when === null || when === Number.POSITIVE_INFINITY) return;
    const loop = this._loop;
    const expire = (): void => this.#expire();
    this.#timer = when <= loop.time() ? loop.callSoon(expire) : loop.callAt(when, expire);
  }

  /** There is no time at all: the caller cancels what the body awaits. */
  expireNow(reason: CancelReason): void {
    this.#expired = true;
    this.hasCancelled(reason);
  }

  /** A signal ends the body: the limit then throws `error`. */
  abort(error: CancelledError): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#expired) return;
    this.#aborted = error;
    this.cancelBody(error);
  }

  #expire(): void {
    this.#timer = null;
    this.#expired = true;
    this.cancelBody('the deadline has passed');
  }

  /** @internal */
  override _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this.#timer?.cancel();
    if (state !== 'cancelled' || !this.ownDoing) super._finish(state, value);
    else if (this.#aborted !== null) super._finish('cancelled', this.#aborted);
    else super._finish('exception', timeoutError(value));
  }

  /** Nothing took the cancel: at the end of this turn it is known whether nothing will. @internal */
  override _cancelStuck(): void {
    if (!this.hasCancelledBody) super._cancelStuck();
    else this._loop._scheduler.push(new GiveUp(() => this.#giveUp()));
  }

  /** @internal */
  override _returned(value: T): void {
    if (this.#givenUp) this._codeEnded();
    else super._returned(value);
  }

  /** @internal */
  override _failed(error: unknown): void {
    if (!this.#givenUp) {
      super._failed(error);
      return;
    }
    this._codeEnded();
    if (error instanceof CancelledError) return;
    const message = `the body of ${this.name}() failed after its deadline, at which it could not be interrupted`;
    this._loop.callExceptionHandler({ message, exception: error, task: this });
  }

  /** @internal */
  override _describe(): string {
    if (!this.#givenUp) return super._describe();
    return `the body of ${this._path()} still awaited a promise that is not of this loop: nothing could interrupt it at its deadline`;
  }

  #giveUp(): void {
    if (this.done() || !this._scope.mustCancel) return;
    this.#givenUp = true;
    const { reason } = this._scope;
    if (!this.ownDoing) {
      this._deliver('cancelled', reason);
    } else if (this.#aborted !== null) {
      this._deliver('cancelled', this.#aborted);
    } else {
      const error = timeoutError(reason);
      this._watchRetrieval(error);
      this._deliver('exception', error);
    }
  }
}

class GiveUp implements Runnable {
  readonly #giveUp: () => void;

  constructor(giveUp: () => void) {
    this.#giveUp = giveUp;
  }

  _run(): void {
    this.#giveUp();
  }
}

function timeoutError(cause: unknown): TimeoutError {
  return new TimeoutError('timed out: the deadline passed first', { cause });
}
