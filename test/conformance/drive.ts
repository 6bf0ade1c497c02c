/**
 * Runs the suites where `node:test` does not run them, one test after the other: `<runtime> drive.ts
 * <backend>`, with the titles of finished tests as a JSON array on standard input.
 *
 * Prints a line before and after each test, for scripts/platforms.mjs. Ends after the first test that fails,
 * because a failed test may leave something behind. The reader of the lines starts the program again for the
 * other tests.
 */
import { readFileSync } from 'node:fs';
import type { Entry } from './section.ts';
import { suites } from './suites.ts';
import { targets } from './targets.ts';

const [, , backend = ''] = process.argv;
const target = targets.find((one) => one.backend === backend);
if (target === undefined) throw new Error(`no backend ${backend}`);
const done = new Set(JSON.parse(readFileSync(0, 'utf8')) as string[]);
const entries: Entry[] = [];
for (const suite of suites) suite({ ...target, record: (entry) => entries.push(entry) });

let current = '';
process.on('uncaughtException', (error) => failed(error));
process.on('unhandledRejection', (error) => failed(error));

for (const { title, unsupported, lacking, run } of entries) {
  if (done.has(title)) continue;
  current = title;
  tell({ title, state: 'begun' });
  const why = unsupported ?? lacking;
  if (why !== false) {
    tell({ title, state: 'skipped', why });
    continue;
  }
  try {
    await run();
    tell({ title, state: 'passed' });
  } catch (error) {
    failed(error);
  }
}
tell({ title: '', state: 'finished' });
process.exit(0);

function failed(error: unknown): never {
  // Some assertions have no message.
  const why = error instanceof Error ? error.message || String(error.stack) : String(error);
  tell({ title: current, state: 'failed', why });
  process.exit(1);
}

function tell(line: { title: string; state: string; why?: string }): void {
  // A line of its own, even if the test prints an incomplete line.
  process.stdout.write(`\n@gyre ${JSON.stringify(line)}\n`);
}
