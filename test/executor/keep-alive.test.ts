import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { eventuallyWithoutLoop } from '../process/children.ts';

const child = fileURLToPath(new URL('./keep-alive.child.ts', import.meta.url));

/** Runs one of the programs to its end, and returns its output and its exit code. */
async function runProgram(
  name: string,
  options: readonly string[] = [],
): Promise<{ lines: string[]; code: number | null; errors: string }> {
  const program = spawn(process.execPath, [...options, ...loaderOptions, child, name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A program that does not end is the fault that this test looks for, so it must not stay.
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
  const exit = new Promise<number | null>((resolve) => program.once('close', resolve));
  const [out, errors] = await Promise.all([text(program.stdout), text(program.stderr)]);
  return { lines: out.trim().split('\n'), code: await exit, errors };
}

async function ends(name: string, expected: string[]): Promise<void> {
  const { lines, code, errors } = await runProgram(name);
  assert.equal(code, 0, errors);
  assert.deepEqual(lines, expected);
}

describe('the end of a program', () => {
  test('a program ends while it has idle pools without a shutdown', () => ends('idle', ['5 6', '5 6']));

  test('a program does not end before the job that it waits for outside of any loop', () =>
    ends('outside', ['done']));

  test('a program does not end before a job that is queued for a worker', () => ends('queued', ['done']));

  test('a program ends after a worker of its pool died', () =>
    ends('crashed', ['ERR_BROKEN_EXECUTOR', 'ERR_BROKEN_EXECUTOR']));

  test('a program ends after run() with toThread()', () => ends('run', ['5']));

  test('a program ends while a loop with ports is open', () => ends('remote', ['function']));

  test('a program ends when its loop was closed with its default executor at work', () =>
    ends('closed', [
      '5',
      'the event loop was closed, but the call of spin in an executor was still under way',
      'closed',
    ]));

  test('a program ends with jobs left that never end, and their processes end with it', async () => {
    const { lines, code, errors } = await runProgram('left');
    assert.equal(code, 0, errors);
    assert.equal(lines.at(-1), 'end');
    const pid = Number(lines[1]);
    assert.equal(pid > 0, true);
    await eventuallyWithoutLoop(() => !isAlive(pid));
  });
});

test('the processes of a pool end when their parent is killed by SIGKILL', async () => {
  const program = spawn(process.execPath, [...loaderOptions, child, 'waiting'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pids: number[] = [];
  program.stdout.setEncoding('utf8').on('data', (line: string) => {
    pids.push(...line.split(' ').map(Number));
    program.kill('SIGKILL');
  });
  await new Promise((resolve) => program.once('exit', resolve));
  assert.equal(pids.length, 3);
  await eventuallyWithoutLoop(() => !pids.some(isAlive));
});

test('the processes of a pool listen for a debugger at ports of their own if their parent listens', async () => {
  const port = String(await freePort());
  const { lines, code, errors } = await runProgram('inspected', [`--inspect=127.0.0.1:${port}`]);
  assert.equal(code, 0, errors);
  const ports = new Set(lines.map((url) => new URL(url).port));
  assert.equal(ports.size, 3, errors);
  assert.equal(ports.has(port), true);
});

/**
 * Tells whether a process is there. A killed one stays in the table until its new parent has read its exit
 * status.
 */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
