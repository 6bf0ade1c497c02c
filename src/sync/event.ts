import { runningLoop } from '../loop/context.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * A flag that tasks can wait for. It is not set at first.
 *
 * @example
 * ```ts
 * import { Event, getRunningLoop, run } from 'gyre';
 *
 * await run(async () => {
 *   const ready = new Event();
 *   getRunningLoop().callLater(0.01, () => ready.set());
 *   await ready.wait();
 *   console.log(ready.isSet()); // true
 * });
 * ```
 */
export class Event {
  readonly #waiters: WaitQueue<QueuedWaiter<true>> = new WaitQueue();
  #set: boolean = false;

  /** Whether the flag is set. */
  isSet(): boolean {
    return this.#set;
  }

  /** Sets the flag, and lets everybody pass who waits, even if `clear()` comes before they run. */
  set(): void {
    if (this.#set) return;
    this.#set = true;
    this.#waiters.settleAll(true);
  }

  /** Takes the flag back: who comes now waits. */
  clear(): void {
    this.#set = false;
  }

  /**
   * Waits until the flag is set; costs no turn of the loop when it is.
   *
   * @param options `signal` to cancel the wait
   * @returns true
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop
   *   wait for it
   *
   * **Cancellation** changes nothing for the others.
   */
  wait(options?: SignalOptions): Future<true> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#set) return succeeded<true>(loop, true);
    this.#waiters.checkLoop('Event', loop);
    const waiter = new QueuedWaiter<true>(loop, this);
    this.#waiters.push(waiter);
    return cancelOnAbort(waiter, signal);
  }

  /** Never woken: `set()` ends the places themselves. @internal */
  _turnOf(_place: QueuedWaiter<true>): void {}

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<true>): void {
    this.#waiters.remove(waiter);
  }
}
