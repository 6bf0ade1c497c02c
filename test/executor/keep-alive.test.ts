import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loader } from '../helpers/typescript.ts';

const child = fileURLToPath(new URL('./keep-alive.child.ts', import.meta.url));

/** Runs one of the programs to its end: what it printed, and how it ended. */
async function runProgram(name: string): Promise<{ lines: string[]; code: number | null; errors: string }> {
  const program = spawn(process.execPath, ['--import', loader, child, name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // One that does not end is the failure that is looked for: it must not stay.
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

describe('a program comes to its end', () => {
  test('with idle pools that nobody shut down', () => ends('idle', ['5 6', '5 6']));

  test('and not before the job that it waits for outside of any loop', () => ends('outside', ['done']));

  test('and not before one that has to wait for the worker', () => ends('queued', ['done']));

  test('with a worker that has died', () => ends('crashed', ['ERR_BROKEN_EXECUTOR', 'ERR_BROKEN_EXECUTOR']));

  test('after run() with toThread()', () => ends('run', ['5']));

  test('with ports of a loop that is open', () => ends('remote', ['function']));

  test('when a loop was closed with its default executor at work', () =>
    ends('closed', [
      '5',
      'the event loop was closed, but the call of spin in an executor was still under way',
      'closed',
    ]));

  test('when jobs are left that never end; their processes end with it', async () => {
    const { lines, code, errors } = await runProgram('left');
    assert.equal(code, 0, errors);
    assert.equal(lines.at(-1), 'end');
    const pid = Number(lines[1]);
    assert.equal(pid > 0, true);
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  });
});

/** A process that was killed stays in the table until its new parent has looked at it. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
