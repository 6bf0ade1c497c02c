/** `gyre ps`, `pstree` and `doctor` on programs that were started without a flag for them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { interruptedFrames } from '../../src/cli/attach/inspector-probe.ts';
import { listeningSockets } from '../../src/cli/attach/process-facts.ts';
import { Problem } from '../../src/cli/problem.ts';
import { gyre, start, startGyre } from './programs.ts';

const onLinux = process.platform !== 'linux' && 'the command reads /proc';

test('gyre ps shows loops and tasks of a running process, and leaves it as it was', {
  skip: onLinux,
}, async () => {
  await using program = await start('idle');
  const { code, text } = await gyre('ps', String(program.pid));
  assert.equal(code, 0);
  assert.match(text, /^process \d+ \(.*\), Node [\d.]+, up/);
  assert.match(text, /loop 1: \w+EventLoop, .*running, 3 tasks/);
  assert.match(text, /fetch-a +[\d.]+ m?s +waiting +sleep\(60\)/);
  while (listeningSockets(program.pid).length > 0) await new Promise((resolve) => setImmediate(resolve));
  // The second command opens the inspector again.
  assert.match((await gyre('ps', String(program.pid))).text, /fetch-b/);
});

test('the inspector closes when the command that has opened it is killed', { skip: onLinux }, async () => {
  await using program = await start('idle');
  const top = startGyre('top', String(program.pid));
  await once(top.stdout, 'data');
  assert.equal(listeningSockets(program.pid).length, 1);
  top.kill('SIGKILL');
  while (listeningSockets(program.pid).length > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('gyre ps shows the loops of worker threads', { skip: onLinux }, async () => {
  await using program = await start('idle', { args: ['worker'] });
  for (;;) {
    const { text } = await gyre('ps', String(program.pid));
    if (!text.includes('in worker thread')) continue;
    assert.match(text, /loop 1 in worker thread \d+: \w+EventLoop/);
    break;
  }
});

test('the timer by which gyre closes the inspector does not count as code of the program', () => {
  const stack = (...below: string[]) =>
    ['Error', ...['<anonymous>:4:15', '<anonymous>:5:3', ...below].map((frame) => `    at ${frame}`)].join(
      '\n',
    );
  const work = ['reindex (file:///srv/shop.ts:12:5)', 'listOnTimeout (node:internal/timers:581:17)'];
  assert.deepEqual(interruptedFrames(stack(...work)), work);
  const own = ['readFileSync (node:fs:480:44)', 'Timeout.close [as _onTimeout] (gyre:close-when-alone:7:16)'];
  assert.deepEqual(interruptedFrames(stack(...own)), []);
  assert.deepEqual(interruptedFrames(stack()), []);
});

test('gyre ps --json writes the snapshots as JSON', { skip: onLinux }, async () => {
  await using program = await start('idle');
  const { text } = await gyre('ps', String(program.pid), '--json');
  const { pid, threads } = JSON.parse(text);
  assert.equal(pid, program.pid);
  assert.deepEqual(threads[0].loops[0].tasks.map(({ name }: { name: string }) => name).slice(1), [
    'fetch-a',
    'fetch-b',
  ]);
});

test('gyre pstree finds the tasks that wait for each other', { skip: onLinux }, async () => {
  await using program = await start('deadlock');
  const { text } = await gyre('pstree', String(program.pid));
  assert.match(text, /── .*left/);
  assert.match(text, /held by right/);
  assert.match(text, /deadlock: (left|right) waits at Lock.*for (left|right), (left|right) waits at Lock/);
  const { code, text: found } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
  assert.equal(code, 1);
  assert.match(found, /tasks wait for each other/);
});

test('gyre ps shows the stack of a callback that holds the loop, and doctor names it', {
  skip: onLinux,
}, async () => {
  // The loop can't close the inspector while it is held, so the second command finds it open.
  await using program = await start('held', { flags: [`--inspect-port=${await freePort()}`] });
  const { text } = await gyre('ps', String(program.pid));
  assert.match(text, /its main thread runs\n +reindex \(.*stuck\.child\.ts/);
  const { code, text: found } = await gyre('doctor', String(program.pid), '--seconds', '0.2');
  assert.equal(code, 1);
  assert.match(found, /a callback holds the loop: it ran in 5 of 5 looks\n +reindex/);
});

test('gyre doctor names a full write queue, a task that ignores its cancel, and a busy pool', {
  skip: onLinux,
}, async () => {
  for (const [way, expected] of [
    ['clogged', /1 write queue stayed above the high-water mark\n +StreamTransport|tcp/],
    ['deaf', /1 cancelled task did not end\n +deaf/],
    ['pool', /2 jobs wait for a pool whose 1 worker all run\n +forever for/],
  ] as const) {
    await using program = await start(way);
    const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
    assert.match(text, expected);
    assert.equal(code, 1);
  }
});

test('gyre doctor names a limit that expires always, and the code in it', { skip: onLinux }, async () => {
  await using program = await start('short');
  const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
  assert.match(text, /a limit expires always: \d+ times in a row, the last one [\d.]+ [mµ]?s ago/);
  assert.match(text, /timeout\(\) of 1.0 ms around \(\) => sleep\(60\), in task main/);
  assert.equal(code, 1);
});

test('gyre doctor hints at a task that no code awaits, and exits with 0', { skip: onLinux }, async () => {
  await using program = await start('forgotten');
  const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
  assert.match(
    text,
    /^nothing is wrong.*\nhint: 1 task that no code awaits\n +heartbeat, .* old, at sleep\(60\)/,
  );
  assert.equal(code, 0);
});

test('gyre doctor finds nothing in a program that is well', { skip: onLinux }, async () => {
  await using program = await start('idle');
  const { code, text } = await gyre('doctor', String(program.pid), '--seconds', '0.1');
  assert.deepEqual([code, text], [0, 'nothing is wrong that this command knows of\n']);
});

test('gyre says why it can not look into a process', { skip: onLinux }, async () => {
  const refused = (pid: number, expected: RegExp) =>
    assert.rejects(gyre('ps', String(pid)), (error: Error) => {
      assert.ok(error instanceof Problem, error.stack);
      assert.match(error.message, expected);
      return true;
    });
  await refused(2 ** 22 + 1, /^there is no process 4194305$/);
  await refused(1, /^process 1 .*is not Node|belongs to another user/);
  await using program = await start('idle');
  program.child.kill('SIGSTOP');
  await stateIs(program.pid, 'T');
  await refused(program.pid, /is stopped by a signal.*\n.*kill -CONT/);
});

test('gyre says that a program has no loop of gyre', { skip: onLinux }, async () => {
  const child = spawn(process.execPath, [
    '--inspect-port=0',
    '-e',
    'console.log("up"); setInterval(() => {}, 1000)',
  ]);
  await once(child.stdout, 'data');
  await assert.rejects(gyre('ps', String(child.pid)), /has no loop of gyre/);
  child.kill();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Waits until the kernel reports a state of the process. */
async function stateIs(pid: number, state: string): Promise<void> {
  while (!new RegExp(`^State:\\s*${state}`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
