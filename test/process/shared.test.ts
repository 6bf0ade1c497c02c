/**
 * A child that shares a pipe or socket with a transport cannot stop the loop. It may have cleared O_NONBLOCK
 * for both of them, because programs expect their standard streams to block.
 */
import assert from 'node:assert/strict';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noNative, pipe } from '../helpers/descriptors.ts';
import { isNative } from '../helpers/pairs.ts';
import { tsArguments } from '../helpers/typescript.ts';
import { pipeEnds } from '../helpers/unix-pairs.ts';
import { skipNotLinux } from './children.ts';

const PROGRAM = fileURLToPath(new URL('./shared.child.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WHOLE_READ = Buffer.alloc(65_536);
/** Milliseconds. Longer than any machine takes. */
const PATIENCE = 60_000;

/** Starts the program. If it stops, it is killed. */
function start(scenarios: readonly string[], stdio: StdioOptions = 'pipe'): ChildProcess {
  return spawn(process.execPath, tsArguments(PROGRAM, ...scenarios), {
    cwd: ROOT,
    stdio,
    timeout: PATIENCE,
    killSignal: 'SIGKILL',
  });
}

/** What it reports, and how it ended. */
async function reportsOf(
  program: ChildProcess,
  onReport: (report: string) => void = () => {},
): Promise<unknown[]> {
  const ended = once(program, 'exit');
  const reports: string[] = [];
  for await (const line of createInterface(program.stderr as Readable)) {
    reports.push(line);
    onReport(line);
  }
  const [code, signal] = await ended;
  return [...reports, signal ?? code];
}

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

/** What a standard stream may be. Null: what Node makes of `'pipe'`. */
const KINDS: Record<string, [skip: string | false, make: () => { read: number; write: number } | null]> = {
  'a socket': [skipNotLinux, () => null],
  'a FIFO': [skipNotLinux, pipeEnds],
  'a pipe': [
    noNative,
    () => {
      const { from, to } = pipe();
      return { read: from, write: to };
    },
  ],
};

for (const [kind, [skip, make]] of Object.entries(KINDS)) {
  test(`a program reads all from ${kind} as its stdin, which its child shares, and goes on`, {
    skip,
  }, async () => {
    const ends = make();
    const program = start(['stdin'], [ends?.read ?? 'pipe', 'ignore', 'pipe']);
    const reports = await reportsOf(program, () => {
      if (ends === null) program.stdin?.write(WHOLE_READ);
      else writeSync(ends.write, WHOLE_READ);
    });
    assert.deepEqual(reports, [...times(4, 'ready'), 0]);
    for (const fd of ends === null ? [] : [ends.read, ends.write]) closeSync(fd);
  });

  test(`a program fills ${kind} as its stdout, which its children share, and goes on`, { skip }, async () => {
    const ends = make();
    const program = start(['stdout'], ['ignore', ends?.write ?? 'pipe', 'pipe']);
    assert.deepEqual(await reportsOf(program), [...times(12, 'went on'), 0]);
    for (const fd of ends === null ? [] : [ends.read, ends.write]) closeSync(fd);
  });
}

test('a program hands pipes, connections and listeners of its transports and servers to children, and goes on', {
  skip: skipNotLinux,
}, async () => {
  const program = start([
    'pipe to write to',
    'pipe to read from',
    'pipe of another child',
    'connection of Node',
    'listener',
    ...(isNative ? ['listening socket'] : []),
  ]);
  assert.deepEqual(await reportsOf(program), [...times(isNative ? 10 : 8, 'went on'), 0]);
});

test('a child finds a pipe blocking that it inherits, and its parent finds the pipe as it was', {
  skip: noNative,
}, async () => {
  const [input, output] = [pipe(), pipe()];
  const program = start(['flags'], [input.from, output.to, 'pipe']);
  assert.deepEqual(await reportsOf(program), [...times(2, 'true,true unchanged'), 0]);
  input.close();
  output.close();
});
