/** A command that can't do its work: the reason, and the advice to the person who typed it. */
export class Problem extends Error {
  /** @param advice sentences that tell how to go on, one a line */
  constructor(message: string, advice: readonly string[] = []) {
    super([message, ...advice].join('\n'));
    this.name = 'Problem';
  }
}
