/** The report of a failing schedule: its story, the two runs side by side, and the line to run it again. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ComparableEntry } from '../../backend/sim/trace.ts';
import { compareTraces, lineOf } from '../../backend/sim/trace.ts';
import type { Decision } from './decisions.ts';

/** Lines of a run that the report shows before and behind the point where the runs part. */
const LINES_BEFORE = 4;
const LINES_BEHIND = 8;
const COLUMN = 54;

/** Returns one line for each decision: `1. delay tcp client>bank: 0.1 s late`. */
export function story(decisions: readonly Decision[]): string[] {
  return decisions.map((one, index) => `${index + 1}. ${describeDecision(one)}`);
}

/** Returns a decision as text. */
export function describeDecision({ kind, place, number, choice, text }: Decision): string {
  return `${kind} ${place} (number ${number}): ${text === '' ? `option ${choice}` : text}`;
}

/** Returns the two traces side by side, around the point where they part. */
export function sideBySide(fails: readonly ComparableEntry[], passes: readonly ComparableEntry[]): string[] {
  const parting = compareTraces(fails, passes)?.index ?? Math.max(fails.length, passes.length);
  const lines = [`  ${cell('the run that fails')} | the run that passes`];
  for (let index = Math.max(0, parting - LINES_BEFORE); index < parting + LINES_BEHIND; index++) {
    const [left, right] = [fails[index], passes[index]];
    if (left === undefined && right === undefined) break;
    const mark = index === parting ? '>' : ' ';
    lines.push(`${mark} ${cell(textOf(left))} | ${cell(textOf(right)).trimEnd()}`);
  }
  return lines;
}

function textOf(entry: ComparableEntry | undefined): string {
  return entry === undefined ? '(has ended)' : lineOf(entry);
}

function cell(text: string): string {
  return text.length > COLUMN ? `${text.slice(0, COLUMN - 1)}…` : text.padEnd(COLUMN);
}

/** Returns the environment variables that run a schedule again. */
export function replayVariables(seed: number, schedule: string): string {
  return `GYRE_SEED=${seed} GYRE_SCHEDULE=${schedule}`;
}

/** Returns the command that runs a schedule again with the test runner of this process. */
export function replayLine(seed: number, schedule: string, file: string | null): string {
  const variables = replayVariables(seed, schedule);
  if (file === null) return variables;
  const shown = path.relative(process.cwd(), file);
  return `${variables} ${commandOf(file)} ${/^[\w./-]+$/.test(shown) ? shown : JSON.stringify(shown)}`;
}

function commandOf(file: string): string {
  if (process.env.VITEST !== undefined) return 'npx vitest run';
  if (process.env.JEST_WORKER_ID !== undefined) return 'npx jest';
  return /\.[cm]?tsx?$/.test(file) ? 'npx tsx --test' : 'node --test';
}

/**
 * Returns the path of the file that has called `callee`, or null if the caller is no file.
 *
 * @param callee the function that is on the stack
 */
export function callerFile(callee: (...args: never[]) => unknown): string | null {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, callee);
  const frame = String(holder.stack).split('\n')[1] ?? '';
  const place = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:[\\/]).*?):\d+:\d+\)?$/.exec(frame)?.[1];
  if (place === undefined) return null;
  return place.startsWith('file://') ? fileURLToPath(place) : place;
}
