/**
 * A child that shares a pipe or socket with a transport cannot block the loop. It may have cleared O_NONBLOCK
 * for both, because programs expect their standard streams to block.
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

/** Starts the program, and kills it if it stops. */
function start(scenarios: readonly string[], stdio: StdioOptions = 'pipe'): ChildProcess {
  return spawn(process.execPath, tsArguments(PROGRAM, ...scenarios), {
    cwd: ROOT,
    stdio,
    timeout: PATIENCE,
    killSignal: 'SIGKILL',
  });
}

/** Returns the steps that the program reports, and its exit. */
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

/** The kinds of standard streams. Null: the result of Node's `'pipe'`. */
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
  test(`a program reads all data from ${kind} as its stdin, which its child shares, and continues`, {
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

  test(`a program fills ${kind} as its stdout, which its children share, and continues`, {
    skip,
  }, async () => {
    const ends = make();
    const program = start(['stdout'], ['ignore', ends?.write ?? 'pipe', 'pipe']);
    assert.deepEqual(await reportsOf(program), [...times(12, 'went on'), 0]);
    for (const fd of ends === null ? [] : [ends.read, ends.write]) closeSync(fd);
  });
}

test('a program passes pipes, connections and listeners of its transports to children, and continues', {
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

test('a child gets an inherited pipe in blocking mode, and the pipe of its parent is unchanged', {
  skip: noNative,
}, async () => {
  const [input, output] = [pipe(), pipe()];
  const program = start(['flags'], [input.from, output.to, 'pipe']);
  assert.deepEqual(await reportsOf(program), [...times(2, 'true,true unchanged'), 0]);
  input.close();
  output.close();
});
