/** A small generator of numbers: a run can be repeated by its seed, as far as the system repeats itself. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
    // Seeds in a row would begin alike.
    for (let i = 0; i < 3; i++) this.of(2);
  }

  /** Returns a number from 0 to `below - 1`. */
  of(below: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (this.#state >> 8) % below;
  }

  /** Is true once in so many times. */
  once(times: number): boolean {
    return this.of(times) === 0;
  }

  one<T>(list: readonly T[]): T {
    return list[this.of(list.length)] as T;
  }
}
