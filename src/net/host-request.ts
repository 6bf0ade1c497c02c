/**
 * A future of something that the host is asked for: a name, a connection, a listening socket.
 *
 * The host answers at any time; the answer waits in the ready queue and is handed over in one step. Until then a cancel gives
 * the request up, or puts away what has come already: nothing that was opened is ever without an owner.
 */
import type { CancelledError } from '../base/errors.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Owned } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { Future } from '../tasks/future.ts';

export class HostRequest<T> extends Future<T> implements Runnable, Owned {
  readonly #what: string;
  readonly #putAway: (value: T) => void;
  #giveUp: (() => void) | null = null;
  #answer: { value: T } | { error: unknown } | null = null;

  /**
   * @param what in words, for the leak report
   * @param putAway ends a value that came too late
   */
  constructor(loop: Loop, what: string, putAway: (value: T) => void) {
    super(loop);
    this.#what = what;
    this.#putAway = putAway;
    loop._owned.resources.add(this);
  }

  /** What cancels the request at the host. */
  onGiveUp(giveUp: () => void): void {
    this.#giveUp = giveUp;
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

  override _cancel(reason: string | CancelledError | undefined): boolean {
    if (!super._cancel(reason)) return false;
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
