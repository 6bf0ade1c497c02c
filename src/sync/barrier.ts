import { BrokenBarrierError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkInteger } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, failed, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * - filling: waits for its parties. The last party to arrive trips it.
 * - draining: tripped. Its parties leave, each in its own turn. Newcomers wait outside.
 * - resetting: its parties leave with an error. Newcomers wait outside.
 * - broken: until `reset()` is called.
 *
 * When the last party has left, draining and resetting become filling, and the parties outside enter.
 */
type State = 'filling' | 'draining' | 'resetting' | 'broken';

/**
 * Makes tasks wait for each other: when the given number of tasks has arrived, all continue. Then the barrier
 * serves the next round.
 *
 * @example
 * ```ts
 * import { Barrier, gather, run } from 'gyre';
 *
 * await run(async () => {
 *   const start = new Barrier(2);
 *   const runner = async (): Promise<number> => await start.wait();
 *   console.log((await gather(runner(), runner())).sort()); // [ 0, 1 ]
 * });
 * ```
 */
export class Barrier {
  readonly #parties: number;
  #state: State = 'filling';
  readonly #inside: WaitQueue<Party> = new WaitQueue();
  readonly #outside: WaitQueue<Party> = new WaitQueue();

  /**
   * @param parties the number of tasks that must arrive
   * @throws TypeError, RangeError if it is not an integer of at least 1
   */
  constructor(parties: number) {
    checkInteger('parties', parties, 1, Number.MAX_SAFE_INTEGER);
    this.#parties = parties;
  }

  /** The number of tasks that must arrive. */
  get parties(): number {
    return this.#parties;
  }

  /** The number of tasks that have arrived and wait; 0 while the barrier is not filling. */
  get nWaiting(): number {
    return this.#state === 'filling' ? this.#inside.length : 0;
  }

  /** True if `abort()` was called, and `reset()` was not called since. */
  get broken(): boolean {
    return this.#state === 'broken';
  }

  /**
   * Waits until all parties have arrived. The last one continues without a turn of the loop. A task that
   * arrives while an earlier round is still leaving belongs to the next round.
   *
   * @param options `signal` to cancel the wait
   * @returns the index of this task, from 0 to `parties - 1`, in order of arrival. Each index occurs once in
   *   a round
   * @throws BrokenBarrierError (as a rejection) if the barrier is broken, or is reset or aborted meanwhile;
   *   LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop wait
   *
   * **Cancellation** before the last party has arrived removes this task, as if it had not arrived. After
   * that, the other parties continue anyway.
   */
  wait(options?: SignalOptions): Future<number> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    this.#checkLoop(loop);
    if (this.#state === 'broken')
      return failed(loop, new BrokenBarrierError('the barrier is broken: it was aborted'));
    if (this.#state === 'filling' && this.#inside.length + 1 === this.#parties) {
      this.#trip();
      return succeeded(loop, this.#parties - 1);
    }
    const party = new Party(loop, this);
    if (this.#state === 'filling') this.#inside.push(party);
    else this.#outside.push(party);
    return cancelOnAbort(party, signal);
  }

  /**
   * Resets the barrier. Tasks that wait, or that were released but have not run yet, get a
   * {@link BrokenBarrierError}. A broken barrier works again.
   *
   * @returns a completed future
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop
   */
  reset(): Future<void> {
    const loop = runningLoop();
    this.#state = this.#inside.length > 0 ? 'resetting' : 'filling';
    this.#inside.wakeAll();
    this.#admit();
    return succeeded<void>(loop, undefined);
  }

  /**
   * Breaks the barrier. Tasks that wait, and tasks that arrive before `reset()`, get a
   * {@link BrokenBarrierError}.
   *
   * @returns a completed future
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop
   */
  abort(): Future<void> {
    const loop = runningLoop();
    this.#state = 'broken';
    this.#inside.wakeAll();
    this.#outside.wakeAll();
    return succeeded<void>(loop, undefined);
  }

  /** @internal */
  _turnOf(party: Party): void {
    const inside = party.line === this.#inside;
    if (this.#state === 'broken' || (inside && this.#state === 'resetting')) {
      this.#leave(party);
      party.fail(new BrokenBarrierError(`the barrier was ${this.#state === 'broken' ? 'aborted' : 'reset'}`));
    } else if (inside && this.#state === 'draining') {
      this.#leave(party);
      party.grant(party.index);
    }
  }

  /** @internal */
  _nameOf(_party: Party): string {
    return 'Barrier.wait()';
  }

  /** @internal */
  _facts(): string {
    return this.broken
      ? 'broken'
      : `${this.nWaiting} of ${this.#parties} have arrived${this.#inside.facts()}`;
  }

  /** @internal */
  _gaveUp(party: Party): void {
    this.#leave(party);
  }

  /**
   * Releases all parties. Their indices follow the order of arrival, without the parties that were cancelled.
   */
  #trip(): void {
    let index = 0;
    for (let party = this.#inside.first; party !== null; party = this.#inside.after(party))
      party.index = index++;
    if (index === 0) return;
    this.#state = 'draining';
    this.#inside.wakeAll();
  }

  #leave(party: Party): void {
    party.line?.remove(party);
    if (this.#inside.length === 0 && (this.#state === 'draining' || this.#state === 'resetting')) {
      this.#state = 'filling';
      this.#admit();
    }
  }

  /** Admits waiting parties at once, so that no newcomer overtakes them. */
  #admit(): void {
    while (this.#state === 'filling') {
      const party = this.#outside.first;
      if (party === null) return;
      this.#outside.remove(party);
      this.#inside.push(party);
      if (this.#inside.length === this.#parties) this.#trip();
    }
  }

  #checkLoop(loop: Loop): void {
    this.#outside.checkLoop('Barrier', loop);
    this.#inside.checkLoop('Barrier', loop);
    if (this.#inside.length === 0 && (this.#state === 'draining' || this.#state === 'resetting')) {
      this.#state = 'filling';
    }
  }
}

showInOneLine(Barrier);

class Party extends QueuedWaiter<number> {
  index: number = 0;
}
