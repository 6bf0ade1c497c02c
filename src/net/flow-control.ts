/** Decides when a transport pauses and resumes its protocol. The two always alternate. No I/O. */
import { DEFAULT_HIGH_WATER_BYTES, LOW_WATER_DIVISOR } from '../base/constants.ts';
import { checkInteger, checkOptions, outOfRange } from '../base/validate.ts';

export class FlowControl {
  #high: number = DEFAULT_HIGH_WATER_BYTES;
  #low: number = DEFAULT_HIGH_WATER_BYTES / LOW_WATER_DIVISOR;
  #paused: boolean = false;

  get high(): number {
    return this.#high;
  }

  get low(): number {
    return this.#low;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Sets the water marks in bytes. If one is missing, it follows from the other: low is a quarter of high. If
   * both are missing, they get their defaults.
   */
  setLimits(limits: { high?: number; low?: number } = {}): void {
    checkOptions('limits', limits, ['high', 'low']);
    if (limits.high !== undefined) checkInteger('limits.high', limits.high, 0, Number.MAX_SAFE_INTEGER);
    if (limits.low !== undefined) checkInteger('limits.low', limits.low, 0, Number.MAX_SAFE_INTEGER);
    const fallback = limits.low === undefined ? DEFAULT_HIGH_WATER_BYTES : limits.low * LOW_WATER_DIVISOR;
    const high = limits.high ?? fallback;
    const low = limits.low ?? Math.floor(high / LOW_WATER_DIVISOR);
    if (low > high) throw outOfRange('limits.low', low, `at most limits.high (${high})`);
    this.#high = high;
    this.#low = low;
  }

  /**
   * Takes the new size of the buffer in bytes. Returns what the protocol must do, or null if nothing changes.
   */
  update(bytes: number): 'pause' | 'resume' | null {
    if (this.#paused) {
      if (bytes > this.#low) return null;
      this.#paused = false;
      return 'resume';
    }
    if (bytes <= this.#high) return null;
    this.#paused = true;
    return 'pause';
  }
}
