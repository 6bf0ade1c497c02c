/**
 * The logs of asyncio for the programs that every `npm test` runs on gyre, as hashes: recorded.json.
 * `random.ts --show` prints the logs themselves, if there is a Python.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { logText, outcomeText } from './compare.ts';
import { generate } from './generate.ts';
import type { Failed, Family, Program, Run } from './program.ts';
import { FAMILIES } from './program.ts';

/** The programs of each family have the seeds from 1 to this. */
const SEEDS = 300;
/** Hexadecimal digits of a hash: two different logs look the same in one case of four billion. */
const DIGITS = 8;

const FILE = new URL('recorded.json', import.meta.url);

export interface Recorded {
  /** The version of CPython. */
  python: string;
  families: Record<Family, RecordedFamily>;
}

interface RecordedFamily {
  /** The hash of all programs: other programs have other logs. */
  programs: string;
  /** The {@link fingerprint} of each program's run. */
  runs: string[];
}

export function recordedPrograms(family: Family): Program[] {
  return Array.from({ length: SEEDS }, (_, index) => generate(index + 1, family));
}

export function hashOfPrograms(programs: readonly Program[]): string {
  return hash(JSON.stringify(programs));
}

/** Two hashes: of the outcomes, and of the log. `apart` where the program cannot be compared. */
export function fingerprint(run: Run | Failed): string {
  if ('failure' in run) throw new Error(`seed ${run.seed}: ${run.failure}`);
  if (run.apart !== undefined && run.apart.length > 0) return 'apart';
  return `${hash(outcomeText(run))} ${hash(logText(run))}`;
}

export function readRecorded(): Recorded {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Recorded;
}

/** @param run runs programs on asyncio */
export async function record(
  python: string,
  run: (programs: readonly Program[]) => Promise<(Run | Failed)[]>,
): Promise<void> {
  const families = {} as Record<Family, RecordedFamily>;
  for (const family of FAMILIES) {
    const programs = recordedPrograms(family);
    families[family] = { programs: hashOfPrograms(programs), runs: (await run(programs)).map(fingerprint) };
  }
  const recorded: Recorded = { python, families };
  writeFileSync(FILE, `${JSON.stringify(recorded, null, 1)}\n`);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGITS);
}
