/** The descriptors of a child, in cases where their numbers conflict. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SubprocessTransport } from '../../src/index.ts';
import { DEVNULL, PIPE, STDOUT } from '../../src/index.ts';
import { onNode, Recorder } from '../helpers/pairs.ts';
import { tsArguments } from '../helpers/typescript.ts';
import { inDirectory, pipeEnds } from '../helpers/unix-pairs.ts';
import { ChildRecorder, leavingNothing, runShell, skipNotLinux } from './children.ts';

test('a program without standard streams, in a removed directory, starts children with pipes and without', {
  skip: skipNotLinux,
}, async () => {
  const program = fileURLToPath(new URL('./closed.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const directory = mkdtempSync(join(tmpdir(), 'gyre-test-'));
  const running = spawn(process.execPath, tsArguments(program, directory), {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const chunks: Buffer[] = [];
  (running.stdio[3] as Readable).on('data', (data) => chunks.push(data));
  const [code] = await once(running, 'close');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(String(Buffer.concat(chunks))), [
    'word',
    ['out word\n', 'err word\n', 0],
    ['out word\nerr word\n', '', 0],
    // As every program that Node starts, a child has the null device instead of a closed stream.
    ['/dev/null\n/dev/null\n', '', 0],
    ['/dev/null\n/dev/null\n', '', 0],
    0,
  ]);
});

/** Opens two files with their names as content. */
function openFiles(directory: string, ...names: string[]): number[] {
  return names.map((name) => {
    writeFileSync(join(directory, name), name);
    return openSync(join(directory, name), 'r');
  });
}

test(
  'one descriptor may be a standard stream of a child and passed as well, or be several standard streams',
  { skip: skipNotLinux },
  onNode((loop) =>
    inDirectory(async (directory) => {
      const [first, second] = openFiles(directory, 'first', 'second') as [number, number];
      const path = join(directory, 'output');
      const output = openSync(path, 'w');
      const command = `cat; cat /proc/self/fd/${first} /proc/self/fd/${second}; echo out; echo err >&2`;
      await runShell(loop, command, {
        stdin: first,
        stdout: output,
        stderr: output,
        passFds: [second, first, output],
      });
      assert.equal(readFileSync(path, 'utf8'), 'firstfirstsecondout\nerr\n');
      for (const fd of [first, second, output]) closeSync(fd);
    }),
  ),
);

test(
  'the standard streams of a child may be those of the parent in any other order',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const linkOf = (pid: number, fd: number): string => readlinkSync(`/proc/${pid}/fd/${fd}`);
    const orders = [
      [0, 1, 2],
      [2, 0, 1],
      [1, 0, 2],
      [2, 2, 0],
    ];
    for (const [stdin, stdout, stderr] of orders as [number, number, number][]) {
      const recorder = new ChildRecorder();
      const options = { stdin, stdout, stderr };
      const [child] = await loop.subprocessExec(() => recorder, 'sleep', ['100'], options);
      const theirs = [0, 1, 2].map((fd) => linkOf(child.getPid(), fd));
      const ours = [stdin, stdout, stderr].map((fd) => linkOf(process.pid, fd));
      assert.deepEqual(theirs, ours);
      child.close();
      await recorder.untilTold('lost');
    }
  }),
);

test(
  'passing a descriptor that is not open fails with EBADF, even if its number is reused meanwhile',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      for (const stderr of [PIPE, STDOUT, DEVNULL]) {
        // Takes the next free numbers.
        const next = Array.from({ length: 12 }, () => openSync('/dev/null', 'r'));
        for (const fd of next) closeSync(fd);
        for (const fd of next) {
          const starting = loop.subprocessExec(() => ({}), 'true', [], { stderr, passFds: [fd] });
          await assert.rejects(starting, { code: 'EBADF', path: 'true' }, `descriptor ${fd}`);
        }
      }
    });
  }),
);

test(
  'passed descriptors may have wide gaps between their numbers',
  { skip: skipNotLinux },
  onNode((loop) =>
    inDirectory(async (directory) => {
      const [low] = openFiles(directory, 'low') as [number];
      const between = Array.from({ length: 300 }, () => openSync('/dev/null', 'r'));
      const [high] = openFiles(directory, 'high') as [number];
      for (const fd of between) closeSync(fd);
      const command = `cat /proc/self/fd/${high} /proc/self/fd/${low}; ls /proc/$$/fd >&2`;
      const recorder = await runShell(loop, command, { passFds: [high, low] });
      assert.equal(recorder.text(1), 'highlow');
      const had = recorder.text(2).split('\n').map(Number);
      assert.deepEqual(
        between.filter((fd) => had.includes(fd)),
        [],
      );
      for (const fd of [low, high]) closeSync(fd);
    }),
  ),
);

test(
  'two children that write to one pipe at once keep lines whole, and the pipe ends with the last of them',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const { read, write } = pipeEnds();
    const near = new Recorder();
    await loop.connectReadPipe(() => near, read);
    const command = (word: string): string =>
      `i=0; while [ $i -lt 500 ]; do echo ${word} $i; i=$((i+1)); done`;
    const children = ['left', 'right'].map((word) =>
      runShell(loop, command(word), { stdout: write, stderr: write }),
    );
    // The parent's copy closes once the children have theirs.
    const started = await Promise.all(children);
    closeSync(write);
    await near.untilLost();
    const lines = near.text.trimEnd().split('\n').sort();
    const expected = ['left', 'right'].flatMap((word) =>
      Array.from({ length: 500 }, (_, i) => `${word} ${i}`),
    );
    assert.deepEqual(lines, expected.sort());
    assert.deepEqual(
      started.map((child) => child.transport.getReturncode()),
      [0, 0],
    );
  }),
);

test(
  'an environment beyond the system’s limit fails with E2BIG',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const one = { BIG: 'x'.repeat(256 * 1024) };
      const many = Object.fromEntries(
        Array.from({ length: 200 }, (_, i) => [`BIG_${i}`, 'x'.repeat(100_000)]),
      );
      for (const env of [one, many]) {
        await assert.rejects(
          loop.subprocessExec(() => ({}), '/bin/true', [], { env }),
          { code: 'E2BIG', path: '/bin/true' },
        );
      }
    });
  }),
);

test(
  'a child that is killed in connectionMade(), or right after it, ends by the signal',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      for (const kills of [true, false]) {
        class Killer extends ChildRecorder {
          override connectionMade(transport: SubprocessTransport): void {
            super.connectionMade(transport);
            if (kills) transport.kill();
          }
        }
        const [child, recorder] = await loop.subprocessExec(() => new Killer(), 'cat');
        if (!kills) child.kill();
        await recorder.untilTold('lost');
        assert.equal(child.getReturncode(), -9);
      }
    });
  }),
);
