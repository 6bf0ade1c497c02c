/** Where the text of a command goes. */
export interface Output {
  write(text: string): void;
  /** Whether it is a terminal, which shows the newest figures in place of the older ones. */
  readonly isTTY?: boolean;
}

/** The characters with which a text commands a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to remove
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/**
 * Writes lines, and returns the exit code of a command that went well. Names come from the other program, so
 * control characters in them do not reach the terminal.
 */
export function print(output: Output, lines: readonly string[]): 0 {
  output.write(`${lines.map((line) => line.replace(CONTROL, '?')).join('\n')}\n`);
  return 0;
}
