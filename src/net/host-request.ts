/**
 * A future of something that the host is asked for: a name, a connection, a listening socket.
 *
 * The host answers at any time; the answer waits in the ready queue and is handed over in one step. Until then a cancel gives
 * the request up, or puts away what has come already: nothing that was opened is ever without an owner.
 */
import { LoopError } from '../base/errors.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Owned } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelWay } from '../tasks/cancellation.ts';
import { Future } from '../tasks/future.ts';

export class HostRequest<T> extends Future<T> implements Runnable, Owned {
  readonly #what: string;
  readonly #putAway: (value: T) => void;
  #giveUp: (() => void) | null = null;
  #answer: { value: T } | { error: unknown } | null = null;

  /** Use {@link HostRequest.ask}. */
  constructor(loop: Loop, what: string, putAway: (value: T) => void) {
    super(loop);
    this.#what = what;
    this.#putAway = putAway;
  }

  /**
   * Asks the host. If asking throws, nothing is left.
   *
   * @param what in words, for the leak report
   * @param putAway ends a value that came too late
   * @param ask asks, and answers how to give up
   */
  static ask<T>(
    loop: Loop,
    what: string,
    putAway: (value: T) => void,
    ask: (request: HostRequest<T>) => () => void,
  ): HostRequest<T> {
    // Code that outlives its loop, between two awaits, must not open anything that nobody will close.
    if (loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
    const request = new HostRequest(loop, what, putAway);
    request.#giveUp = ask(request);
    loop._owned.resources.add(request);
    return request;
  }

  succeed(value: T): void {
    if (this.#answer !== null || this._state !== 'pending') {
      this.#putAway(value);
      return;
    }
    this.#answer = { value };
    this._loop._scheduler.push(this);
  }

  fail(error: unknown): void {
    if (this.#answer !== null || this._state !== 'pending') return;
    this.#answer = { error };
    this._loop._scheduler.push(this);
  }

  /** Its turn in the ready queue. */
  _run(): void {
    const answer = this.#answer;
    if (this._state !== 'pending' || answer === null) return;
    this._loop._owned.resources.delete(this);
    if ('value' in answer) {
      this._deliver('result', answer.value);
    } else {
      this._watchRetrieval(answer.error);
      this._deliver('exception', answer.error);
    }
  }

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (!super._cancel(reason, way)) return false;
    this._loop._owned.resources.delete(this);
    this.#end();
    return true;
  }

  _describe(): string {
    return `${this.#what} was still under way`;
  }

  _abandon(): void {
    if (this._state !== 'pending') return;
    this._end('cancelled', 'the event loop was closed');
    this.#end();
  }

  #end(): void {
    const answer = this.#answer;
    if (answer !== null && 'value' in answer) this.#putAway(answer.value);
    else this.#giveUp?.();
  }
}
