import type { Runnable } from '../loop/handle.ts';
import type { Future } from './future.ts';

/** An internal callback for the end of a future. It can be removed, and does not capture an async context. */
export class DoneCallback implements Runnable {
  readonly #future: Future<unknown>;
  readonly #callback: (future: Future<unknown>) => void;

  constructor(future: Future<unknown>, callback: (future: Future<unknown>) => void) {
    this.#future = future;
    this.#callback = callback;
    future._addWaiter(this);
  }

  remove(): void {
    this.#future._removeWaiter(this);
  }

  _run(): void {
    this.#callback(this.#future);
  }
}
