import { BrokenBarrierError } from '../base/errors.ts';
import { checkInteger } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, failed, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * - filling: waits for its parties. The last one to come trips it.
 * - draining: tripped, and its parties leave, each in its own turn. Newcomers stay outside.
 * - resetting: its parties leave with an error. Newcomers stay outside.
 * - broken: for good, until `reset()`.
 *
 * When the last party has left, draining and resetting become filling, and those outside come in.
 */
type State = 'filling' | 'draining' | 'resetting' | 'broken';

/**
 * Lets tasks wait for each other: as soon as so many have come, all go on. Then it serves the next round.
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
   * @param parties how many have to come
   * @throws TypeError, RangeError when it is not an integer of at least 1
   */
  constructor(parties: number) {
    checkInteger('parties', parties, 1, Number.MAX_SAFE_INTEGER);
    this.#parties = parties;
  }

  /** How many have to come. */
  get parties(): number {
    return this.#parties;
  }

  /** How many have come and wait for the others; 0 while the barrier is not filling. */
  get nWaiting(): number {
    return this.#state === 'filling' ? this.#inside.length : 0;
  }

  /** Whether `abort()` was called, and `reset()` not since. */
  get broken(): boolean {
    return this.#state === 'broken';
  }

  /**
   * Waits until all parties have come. Costs the last one no turn of the loop. Who comes while an earlier
   * round is still leaving takes part in the next.
   *
   * @param options `signal` to cancel the wait
   * @returns which one this was, from 0 to `parties - 1`, in order of arrival: no two of a round are alike
   * @throws BrokenBarrierError (through the future) when the barrier is broken, or is reset or aborted
   *   meanwhile; LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another
   *   loop wait
   *
   * **Cancellation** before the last one has come: it counts as not having come. Afterwards the others go on
   * all the same.
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
   * Back to the beginning: who waits, or was let go and has not run yet, gets a {@link BrokenBarrierError}.
   * Mends a broken barrier.
   *
   * @returns done at once
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
   * Breaks the barrier: who waits, and who comes until `reset()`, gets a {@link BrokenBarrierError}.
   *
   * @returns done at once
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
  _gaveUp(party: Party): void {
    this.#leave(party);
  }

  /** All parties are there. Indices go by order of arrival among those who stayed. */
  #trip(): void {
    let index = 0;
    for (let party = this.#inside.first; party !== null; party = party.next as Party | null)
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

  /** At once, so that nobody who comes now gets ahead of those outside. */
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

class Party extends QueuedWaiter<number> {
  index: number = 0;
}
