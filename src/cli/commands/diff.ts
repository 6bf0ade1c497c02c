/** `gyre diff`: the first difference of two trace files. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { TraceEvent } from '../../base/trace-events.ts';
import { count } from '../format.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import { Problem } from '../problem.ts';
import type { DiffArguments } from '../usage.ts';

/** The events before the difference that are shown. */
const BEFORE = 3;

/** @returns the exit code: 1 if the traces differ */
export function diff({ files, json }: DiffArguments, output: Output): number {
  const [first, second] = files.map(eventsOf) as [TraceEvent[], TraceEvent[]];
  const index = firstDifference(first, second);
  const events = [first.length, second.length];
  if (index === null) {
    const text = `Both traces have the same ${count(first.length)} events.`;
    return print(output, [json ? JSON.stringify({ equal: true, events }) : text]);
  }
  const before = first.slice(Math.max(0, index - BEFORE), index);
  if (json) {
    const sides = { first: first[index] ?? null, second: second[index] ?? null };
    print(output, [JSON.stringify({ equal: false, index, events, before, ...sides })]);
    return 1;
  }
  print(output, [
    `The traces differ at event ${count(index + 1)}.`,
    ...[first, second].flatMap((side, i) => [
      `${files[i]} (${count(side.length)} events):`,
      ...before.map((event) => `    ${lineOf(event)}`),
      `  > ${side[index] === undefined ? 'its end' : lineOf(side[index])}`,
    ]),
  ]);
  return 1;
}

function firstDifference(first: readonly TraceEvent[], second: readonly TraceEvent[]): number | null {
  const length = Math.max(first.length, second.length);
  for (let index = 0; index < length; index++)
    if (!isDeepStrictEqual(first[index], second[index])) return index;
  return null;
}

/** All fields are shown, because each may be the one that differs. */
function lineOf({ ts, cat = '', name, ...rest }: TraceEvent): string {
  return `${ts} µs: ${cat === '' ? '' : `${cat} `}${name} ${JSON.stringify(rest)}`;
}

/** @throws Problem if the file can't be read, or is no trace */
function eventsOf(file: string): TraceEvent[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Problem(`can't read ${file}: ${(error as Error).message}`);
  }
  const events = parsed(text)?.traceEvents;
  if (Array.isArray(events) && events.every(isEvent)) return events;
  throw new Problem(`${file} is no trace`, [
    'gyre trace, writeTrace() and the option traceFile of simulate() write traces.',
  ]);
}

function parsed(text: string): { readonly traceEvents?: unknown } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isEvent(value: unknown): value is TraceEvent {
  const { name, ph, ts } = (value ?? {}) as Partial<Record<keyof TraceEvent, unknown>>;
  return typeof name === 'string' && typeof ph === 'string' && typeof ts === 'number';
}
