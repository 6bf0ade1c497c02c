/** Where the text of a command goes. */
export interface Output {
  write(text: string): void;
  /** Whether it is a terminal, which shows the newest figures in place of the older ones. */
  readonly isTTY?: boolean;
}

/** Writes lines, and returns the exit code of a command that went well. */
export function print(output: Output, lines: readonly string[]): 0 {
  output.write(`${lines.join('\n')}\n`);
  return 0;
}
