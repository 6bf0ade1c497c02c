#!/usr/bin/env node
/** The program `gyre`: looks into a running process, or runs a program in workers (usage.ts). */
import { spawnSync } from 'node:child_process';
import { CancelledError, run, TimeoutError } from '../index.ts';
import { main } from './main.ts';
import { Problem } from './problem.ts';

/**
 * Node 20 has WebSocket behind a flag. The inspector needs it. Programs that run until a signal must get the
 * signal themselves.
 */
if (typeof WebSocket === 'undefined' && !['diff', 'serve'].includes(process.argv[2] ?? '')) {
  const args = ['--experimental-websocket', '--no-warnings', ...process.execArgv, ...process.argv.slice(1)];
  process.exit(spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1);
}
// A reader such as `head` may close the pipe early.
process.stdout.on('error', () => process.exit(0));
try {
  process.exitCode = await run(() => main(process.argv.slice(2), process.stdout));
} catch (error) {
  if (error instanceof TimeoutError) fail('the process did not answer: its main thread runs no JavaScript');
  else if (error instanceof Problem) fail(error.message);
  else if (error instanceof CancelledError)
    process.exitCode = 130; // by Ctrl-C, as shells expect
  else throw error;
}

function fail(message: string): void {
  process.stderr.write(`gyre: ${message}\n`);
  process.exitCode = 2;
}
