/**
 * A body with a deadline, for `timeout()`, `timeoutAt()` and `waitFor()`.
 *
 * At the deadline the limit cancels the body, and ends when the body has ended. If the body awaits a host
 * promise, and no code takes the cancel, the limit abandons the body: the caller gets a `TimeoutError` in
 * time, and the body continues alone until it awaits a future, where it is cancelled.
 */
import { CancelledError, TimeoutError } from '../base/errors.ts';
import type { LimitUse } from '../loop/expired-limits.ts';
import type { Handle, Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import { Body } from './body.ts';
import { addOrigin } from './call-site.ts';
import type { CancelReason } from './cancellation.ts';
import { Future } from './future.ts';
import { Operation } from './operation.ts';

export class Limit<T> extends Body<T> implements LimitUse {
  #when: number | null = null;
  #timer: Handle | null = null;
  #expired: boolean = false;
  #aborted: CancelledError | null = null;
  #givenUp: boolean = false;
  readonly seconds: number | null;
  readonly #code: Future<unknown> | ((scope: never) => unknown);

  /**
   * @param seconds of the first deadline, for messages; null: it was given as a time, or there is none
   * @param code the user's function or future, which tells one limit from another
   */
  constructor(
    loop: Loop,
    body: () => PromiseLike<T>,
    name: string,
    seconds: number | null,
    code: Future<unknown> | ((scope: never) => unknown),
  ) {
    super(loop, body, name);
    this.seconds = seconds;
    this.#code = code;
  }

  get when(): number | null {
    return this.#when;
  }

  get expired(): boolean {
    return this.#expired;
  }

  /** Sets or moves the deadline. Null removes it. */
  expireAt(when: number | null): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#when = when;
    if (when === null || when === Number.POSITIVE_INFINITY) return;
    const loop = this._loop;
    const expire = (): void => this.#expire();
    this.#timer = when <= loop.time() ? loop.callSoon(expire) : loop.callAt(when, expire);
  }

  /** Marks the deadline as already passed. The caller itself cancels the future that the body awaits. */
  expireNow(reason: CancelReason): void {
    this.#hasExpired();
    this.hasCancelled(reason);
  }

  /** Ends the body because a signal aborted. The limit then throws `error`. */
  abort(error: CancelledError): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#expired) return;
    this.#aborted = error;
    this.cancelBody(error);
  }

  #expire(): void {
    this.#timer = null;
    this.#hasExpired();
    this.cancelBody(this.#text());
  }

  #hasExpired(): void {
    this.#expired = true;
    this._loop._scheduler.expiredLimits.expired(this, this._loop._backend.time());
  }

  /** Returns the source of the function, or the name of the future without its numbers. */
  limitedCode(): string {
    const code = this.#code;
    if (!(code instanceof Future)) return Function.prototype.toString.call(code);
    return (code instanceof Operation ? `${code.name}()` : code._asWait()).replace(/\d+/g, '#');
  }

  /** @internal */
  override _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this.#timer?.cancel();
    if (!this.#expired && state !== 'cancelled') this._loop._scheduler.expiredLimits.endedInTime(this);
    if (state !== 'cancelled' || !this.ownDoing) super._finish(state, value);
    else if (this.#aborted !== null) super._finish('cancelled', this.#aborted);
    else super._finish('exception', this.#timeoutError(value));
  }

  /**
   * No code has taken the cancel yet. At the end of this turn it is known whether any code will. @internal
   */
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
    const message = `the body of ${this.name}() failed after its deadline, which could not interrupt it`;
    this._loop.callExceptionHandler({ message, exception: error, task: this });
  }

  /** @internal */
  override _describe(): string {
    if (!this.#givenUp) return super._describe();
    return `the body of ${this._path()} still awaited a promise that is not a future of this loop, so its deadline could not interrupt it`;
  }

  #timeoutError(cause: unknown): TimeoutError {
    const error = new TimeoutError(this.#text(), { cause });
    addOrigin(error, this);
    return error;
  }

  #text(): string {
    return `${this.name}() has expired${this.seconds === null ? '' : ` after ${this.seconds} s`}`;
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
      const error = this.#timeoutError(reason);
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
