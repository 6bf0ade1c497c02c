/** The type of a scenario, and the making of its log. A Python file next to it has the same scenario. */
import { SimulatedEventLoop } from '../../src/entry/sim.ts';

export type Log = (text: string) => void;

/** Drives the loop itself, as its twin does. */
export type Scenario = (loop: SimulatedEventLoop, log: Log) => Promise<void>;

/** The intended differences of gyre. */
export interface Difference {
  reason: string;
  /** The text of the recorded log, in one piece, and gyre's instead. */
  recorded: readonly string[];
  gyre: readonly string[];
}

export interface ScenarioModule {
  scenario: Scenario;
  differences?: readonly Difference[];
}

/** Runs a scenario on a fresh loop; each line begins with the time in seconds, as in the recorded logs. */
export async function logOf(
  scenario: Scenario,
  loop: SimulatedEventLoop = new SimulatedEventLoop(),
): Promise<string[]> {
  const lines: string[] = [];
  const log = (text: string): void => {
    lines.push(`${loop.time().toFixed(3)} ${text}`);
  };
  loop.setExceptionHandler((_loop, { exception }) => log(`reported: ${(exception as Error).message}`));
  await scenario(loop, log);
  loop.close();
  return lines;
}

/** Returns the recorded log with the differences applied. Each must occur exactly once. */
export function withDifferences(recorded: readonly string[], differences: readonly Difference[]): string[] {
  let text = recorded.join('\n');
  for (const difference of differences) {
    const was = difference.recorded.join('\n');
    const parts = text.split(was);
    if (was === '' || parts.length !== 2) {
      throw new Error(`the recorded log has this ${parts.length - 1} times, not once:\n${was}`);
    }
    text = parts.join(difference.gyre.join('\n'));
  }
  return text.split('\n').filter((line) => line !== '');
}

/** Returns a value in Python's words. */
export function words(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(words).join(', ')}]`;
  return value instanceof Error ? value.message : String(value);
}

/** In Python a CancelledError has the message of cancel() or none. */
export function cancelledError(error: Error): string {
  const own =
    /^the operation was cancelled$|^(the task|task '.*'|a future|[^ ]*\(.*\)) was cancelled( by task '.*')?$/;
  return `CancelledError(${own.test(error.message) ? '' : error.message})`;
}
