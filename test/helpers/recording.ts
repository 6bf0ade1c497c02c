/** What a protocol was told, in order, and how a test waits for it. */
export class Recording {
  readonly log: string[] = [];
  readonly #waiting: Set<() => void> = new Set();

  /** Once `condition` holds. It is looked at whenever something was told. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  /** Once the log has `word` as often as this. */
  untilTold(word: string, times: number = 1): Promise<void> {
    return this.until(() => this.log.filter((told) => told === word).length >= times);
  }

  /** To be called once what the word stands for can be seen. */
  note(word: string): void {
    this.log.push(word);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
