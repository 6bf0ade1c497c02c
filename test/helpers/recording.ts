import { PATIENCE_SECONDS } from './patience.ts';

/** The log of a protocol's events, in order, and a test's ways to wait for them. */
export class Recording {
  readonly log: string[] = [];
  readonly #waiting: Set<() => void> = new Set();

  /** Waits until `condition` holds, which is checked after each event. Fails if it takes too long. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    let late = false;
    // biome-ignore lint/style/noRestrictedGlobals: it only ends a wait that would never end
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, PATIENCE_SECONDS * 1000).unref();
    try {
      while (!condition()) {
        if (late) throw new Error(`waited in vain for ${condition}; the log is: ${this.log.join(', ')}`);
        await new Promise<void>((resolve) => {
          this.#waiting.add(resolve);
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the log has `word` at least `times` times. */
  async untilTold(word: string, times: number = 1): Promise<void> {
    await this.until(() => this.log.filter((told) => told === word).length >= times);
  }

  /** Appends an event to the log. Call it when the effects of the event can be seen. */
  note(word: string): void {
    this.log.push(word);
    this.#wake();
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
