/**
 * Runs random programs on gyre: reads one a line, as JSON, and writes one run a line, as run_on_asyncio.py
 * does. It is a process of its own, so that a program that hangs the loop can be ended, and named.
 */
import { createInterface } from 'node:readline';
import { runOnGyre } from './interpreter.ts';
import type { Program } from './program.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const run = await runOnGyre(JSON.parse(line) as Program);
  process.stdout.write(`${JSON.stringify(run)}\n`);
}
