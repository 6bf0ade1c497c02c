/** The least that a pool can be: workers that take turns, and a map of the calls that wait for an answer. */
import type { Answer } from './bare-worker.ts';

export class BarePool {
  readonly #send: readonly ((message: Answer) => void)[];
  readonly #waiting: Map<number, (value: number) => void> = new Map();
  #calls: number = 0;

  /** @param send a function for each worker, which sends it a message */
  constructor(send: readonly ((message: Answer) => void)[]) {
    this.#send = send;
  }

  call(value: number): Promise<number> {
    const id = this.#calls++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#send[id % this.#send.length]!({ id, value });
    });
  }

  answer({ id, value }: Answer): void {
    this.#waiting.get(id)?.(value);
    this.#waiting.delete(id);
  }
}
