import { showInOneLine } from '../base/one-line.ts';
import { runningLoop } from '../loop/context.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * A flag that tasks can wait for. It is initially not set.
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

  /** Returns true if the flag is set. */
  isSet(): boolean {
    return this.#set;
  }

  /** Sets the flag and releases all waiting tasks, even if `clear()` is called before they run. */
  set(): void {
    if (this.#set) return;
    this.#set = true;
    this.#waiters.settleAll(true);
  }

  /** Clears the flag: later calls of `wait()` wait again. */
  clear(): void {
    this.#set = false;
  }

  /**
   * Waits until the flag is set. If it is set already, the wait costs no turn of the loop.
   *
   * @param options `signal` to cancel the wait
   * @returns true
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop
   *   wait
   *
   * **Cancellation** does not affect other waiting tasks.
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

  /** Never called: `set()` settles the waiters itself. @internal */
  _turnOf(_waiter: QueuedWaiter<true>): void {}

  /** @internal */
  _nameOf(_waiter: object): string {
    return 'Event.wait()';
  }

  /** @internal */
  _facts(): string {
    return `${this.#set ? 'set' : 'not set'}${this.#waiters.facts()}`;
  }

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<true>): void {
    this.#waiters.remove(waiter);
  }
}

showInOneLine(Event);
