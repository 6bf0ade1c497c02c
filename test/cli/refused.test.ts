/** `gyre` on processes that it can reach in another way only, or not at all. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Problem } from '../../src/cli/problem.ts';
import { gyre, start, stuckProgram } from './programs.ts';

const onLinux = process.platform !== 'linux' && 'the command reads /proc';

/** The reason to skip a test that needs a flag of Node. */
const without = (flag: string): string | false =>
  onLinux || (!process.allowedNodeEnvironmentFlags.has(flag) && `this Node has no ${flag}`);

/** Checks that the command refuses, and names the way that is left. */
async function refuses(pid: number, expected: RegExp): Promise<void> {
  await assert.rejects(gyre('ps', String(pid)), (error: Error) => {
    assert.ok(error instanceof Problem, error.stack);
    assert.match(error.message, expected);
    return true;
  });
}

test('gyre sends no signal to a process with --disable-sigusr1, and names gyre/inspect', {
  skip: without('--disable-sigusr1'),
}, async () => {
  await using program = await start('idle', { flags: ['--disable-sigusr1'] });
  await refuses(program.pid, /has no handler for SIGUSR1[\s\S]*--disable-sigusr1[\s\S]*gyre\/inspect/);
  assert.equal(program.child.exitCode ?? program.child.signalCode, null);
});

test('gyre looks into a process with --permission, or names gyre/inspect', {
  skip: without('--permission'),
}, async () => {
  const flags = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--inspect-port=0'];
  // The loader of the tests needs the rest.
  await using program = await start('idle', { flags: [...flags, '--allow-worker', '--allow-addons'] });
  await gyre('ps', String(program.pid)).then(
    ({ text }) => assert.match(text, /fetch-a/),
    (error) => assert.match(String(error), /SIGUSR1[\s\S]*--permission[\s\S]*gyre\/inspect/),
  );
  assert.equal(program.child.exitCode ?? program.child.signalCode, null);
});

/** The reason why this user can start no process with process numbers of its own. */
const noNamespaces =
  onLinux ||
  (spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status !== 0 &&
    'this user may not make namespaces of processes');

test('gyre reaches a process with process numbers of its own by the number outside', {
  skip: noNamespaces,
}, async () => {
  const flags = process.execArgv.filter(
    (flag, i, all) => /^--import/.test(flag) || all[i - 1] === '--import',
  );
  const outer = spawn(
    'unshare',
    ['--pid', '--fork', '--mount-proc', process.execPath, ...flags, '--inspect-port=0', stuckProgram, 'idle'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await once(outer.stdout, 'data');
  const inner = Number(readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8'));
  try {
    assert.match(readFileSync(`/proc/${inner}/status`, 'utf8'), /^NSpid:\t\d+\t1$/m);
    const { text } = await gyre('ps', String(inner));
    assert.match(text, new RegExp(`^process ${inner} [\\s\\S]*fetch-a`));
  } finally {
    process.kill(inner, 'SIGKILL');
    await once(outer, 'exit');
  }
});

test('gyre names the container as the place for the command if a process has a network of its own', {
  skip:
    onLinux ||
    (spawnSync('unshare', ['--net', 'true']).status !== 0 && 'this user may not make network namespaces'),
}, async () => {
  const child = spawn('unshare', [
    '--net',
    process.execPath,
    '-e',
    'setInterval(() => {}, 1000); console.log()',
  ]);
  await once(child.stdout, 'data');
  try {
    await refuses(child.pid ?? 0, /runs in another network.*\nRun `npx gyre` in that container/);
  } finally {
    child.kill('SIGKILL');
  }
});

test('gyre of another user says that a process of root belongs to another user', {
  skip: onLinux || (process.getuid?.() !== 0 && 'only root can become another user'),
}, async () => {
  await using program = await start('idle');
  process.seteuid?.(65_534);
  try {
    await refuses(program.pid, /belongs to another user\nRun the command as that user, or as root\.$/);
  } finally {
    process.seteuid?.(0);
  }
});
