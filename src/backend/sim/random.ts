/**
 * The randomness of a world: everything that a simulation leaves to chance comes from its seed.
 *
 * Each user has a stream of its own, made by {@link Random.fork}. So one more number for one host changes
 * nothing for the others.
 */
const TWO_TO_32 = 0x1_0000_0000;
const TWO_TO_53 = 2 ** 53;

/** A generator of the kind sfc32: four words of state, and a period of about 2^128. */
export class Random {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter: number = 1;

  /** @param seed an integer; only its lower 53 bits count */
  constructor(seed: number) {
    this.#seed = seed;
    let state = mix(seed >>> 0, Math.floor(seed / TWO_TO_32) >>> 0);
    this.#a = state;
    state = mix(state, 0x9e3779b9);
    this.#b = state;
    state = mix(state, 0x85ebca6b);
    this.#c = state;
    // The first numbers of similar seeds are similar.
    for (let i = 0; i < 12; i++) this.#word();
  }

  /** Returns an independent generator. The same seed and label give the same generator. */
  fork(label: string): Random {
    let hash = mix(this.#seed >>> 0, Math.floor(this.#seed / TWO_TO_32) >>> 0);
    for (let i = 0; i < label.length; i++) hash = mix(hash, label.charCodeAt(i));
    return new Random(hash * 0x20_0000 + (mix(hash, label.length) >>> 11));
  }

  /** Returns a number from 0 to 1, without 1. */
  next(): number {
    return ((this.#word() >>> 5) * 0x400_0000 + (this.#word() >>> 6)) / TWO_TO_53;
  }

  /** Returns an integer from 0 to `below`, without `below`. */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** Returns true with the given probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** Fills `target` with random bytes. */
  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 4) {
      let word = this.#word();
      for (let j = i; j < i + 4 && j < target.length; j++, word >>>= 8) target[j] = word & 0xff;
    }
  }

  #word(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }
}

/** Mixes two 32-bit words into one, as MurmurHash3 finishes its hash. */
function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ Math.imul(b ^ 0x5bd1e995, 0xcc9e2d51), 0x1b873593);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
