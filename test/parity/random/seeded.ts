/** Random numbers that a seed decides: mulberry32. */
import type { Family } from './program.ts';
import { FAMILIES } from './program.ts';

export class Random {
  #state: number;

  /** @param family stirred in, so that the same seed gives each family another program */
  constructor(seed: number, family: Family) {
    this.#state = Math.imul(seed, 0x9e3779b1) ^ Math.imul(FAMILIES.indexOf(family) + 1, 0x85ebca6b);
  }

  /** From 0 up to 1, exclusively. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to `end`, exclusively. */
  upTo(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  one<T>(from: readonly T[]): T {
    return from[this.upTo(from.length)] as T;
  }
}
