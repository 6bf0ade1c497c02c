import type { Runnable } from '../loop/handle.ts';
import type { Future } from './future.ts';

/** Calls back when a future is done, for the library's own use: removable, and without a captured context. */
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
