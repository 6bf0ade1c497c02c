import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loaderOptions } from '../helpers/typescript.ts';
import { eventuallyWithoutLoop, skipNotLinux, stateOf } from '../process/children.ts';

const program = fileURLToPath(new URL('../../examples/supervisor.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Supervisor {
  process: ChildProcess;
  lines: string[];
  /** Waits until a line matches. */
  until(pattern: RegExp): Promise<void>;
  /** Sends a signal, waits for the end, and returns the exit code. */
  end(signal: NodeJS.Signals): Promise<number>;
}

function supervise(...args: string[]): Supervisor {
  const child = spawn(process.execPath, [...loaderOptions, program, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    for (const resolve of waiting.splice(0)) resolve();
  });
  void closed.then(() => {
    for (const resolve of waiting.splice(0)) resolve();
  });
  return {
    process: child,
    lines,
    until: async (pattern) => {
      while (!lines.some((line) => pattern.test(line))) {
        assert.equal(child.exitCode, null, `it ended without saying ${pattern}:\n${lines.join('\n')}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    end: async (signal) => {
      child.kill(signal);
      const [code] = (await closed) as [number];
      return code;
    },
  };
}

/** Returns the processes that it has reported to start. */
function pidsIn(lines: readonly string[]): number[] {
  return lines.flatMap((line) => line.match(/runs as (\d+)/)?.slice(1) ?? []).map(Number);
}

test('examples/supervisor.ts restarts a program that exits, with growing pauses', {
  skip: skipNotLinux,
}, async () => {
  const supervisor = supervise('echo word; echo failed >&2; exit 3', 'exec sleep 100');
  await supervisor.until(/starts again in 0.4 s/);
  const first = supervisor.lines
    .filter((line) => line.startsWith('[1]'))
    .map((line) => line.replace(/\d{2,}/, 'N'));
  const round = ['[1] runs as N', '[1] word', '[1] failed', '[1] ended with 3'];
  assert.deepEqual(first.slice(0, 10), [
    ...round,
    '[1] starts again in 0.1 s',
    ...round,
    '[1] starts again in 0.2 s',
  ]);
  assert.equal(supervisor.lines.filter((line) => /^\[2\] runs as/.test(line)).length, 1);
  assert.equal(await supervisor.end('SIGTERM'), 0);
  assert.equal(supervisor.lines.at(-1), 'all ended');
  await eventuallyWithoutLoop(() => pidsIn(supervisor.lines).every((pid) => stateOf(pid) === null));
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`examples/supervisor.ts passes ${signal} on to its programs`, { skip: skipNotLinux }, async () => {
    const polite = 'trap "echo goodbye; exit 0" TERM; echo ready; while :; do sleep 0.01; done';
    const supervisor = supervise(polite, polite);
    await supervisor.until(/^\[1\] ready/);
    await supervisor.until(/^\[2\] ready/);
    assert.equal(await supervisor.end(signal), 0);
    assert.ok(supervisor.lines.includes(`${signal}: ends all`));
    assert.equal(supervisor.lines.at(-1), 'all ended');
    assert.ok(pidsIn(supervisor.lines).every((pid) => stateOf(pid) === null));
  });
}

test('examples/supervisor.ts kills a program that does not end, and its children', {
  skip: skipNotLinux,
}, async () => {
  const stubborn = 'trap "" TERM; sleep 100 & echo "child $!"; wait; wait';
  const supervisor = supervise('--grace', '0.05', stubborn);
  await supervisor.until(/child \d+/);
  assert.equal(await supervisor.end('SIGTERM'), 0);
  assert.ok(supervisor.lines.includes('[1] does not end: killed'));
  const child = Number(supervisor.lines.find((line) => line.includes('child'))?.match(/\d+$/)?.[0]);
  await eventuallyWithoutLoop(() =>
    [...pidsIn(supervisor.lines), child].every((pid) => (stateOf(pid) ?? 'Z') === 'Z'),
  );
});

test('examples/supervisor.ts passes SIGHUP on', { skip: skipNotLinux }, async () => {
  const supervisor = supervise('trap "echo again" HUP; echo ready; while :; do sleep 0.01; done');
  await supervisor.until(/ready/);
  supervisor.process.kill('SIGHUP');
  await supervisor.until(/\[1\] again/);
  assert.equal(await supervisor.end('SIGTERM'), 0);
});
