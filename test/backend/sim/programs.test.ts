import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import { loneKernel } from '../../../src/backend/sim/kernel.ts';
import type { ProgramMain } from '../../../src/backend/sim/machine/program.ts';
import { programOf } from '../../../src/backend/sim/machine/program.ts';
import type { SubprocessOptions } from '../../../src/index.ts';
import {
  BaseEventLoop,
  createSubprocessExec,
  createSubprocessShell,
  DEVNULL,
  PIPE,
  STDOUT,
} from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';

class TestLoop extends BaseEventLoop {
  constructor(readonlyKernel: Kernel) {
    super(new SimBackend(readonlyKernel));
  }
}

/** Runs `body` on a host that has the programs installed. */
function withPrograms(
  programs: Readonly<Record<string, ProgramMain>>,
  body: (kernel: Kernel, loop: TestLoop) => Promise<void>,
): Promise<void> {
  const kernel = loneKernel(0);
  for (const [name, main] of Object.entries(programs)) kernel.machine.programs.install(name, programOf(main));
  return withLoop(
    () => new TestLoop(kernel),
    (loop) => loop.runUntilComplete(() => body(kernel, loop)),
  );
}

/** Runs a program to its end. Returns its code, its output and its errors. */
async function outcome(
  name: string,
  args: readonly string[] = [],
  options: SubprocessOptions = {},
): Promise<[number, string, string]> {
  const process = await createSubprocessExec(name, args, {
    stdin: PIPE,
    stdout: PIPE,
    stderr: PIPE,
    ...options,
  });
  const [out, err] = await process.communicate();
  return [await process.wait(), String(out ?? ''), String(err ?? '')];
}

test('an installed program gets arguments, environment and working directory, and its pid is always the same', () =>
  withPrograms(
    {
      show: ({ argv, env, cwd, pid, stdout }) =>
        stdout.write(JSON.stringify([argv, env, cwd, pid])).then(() => 3),
    },
    async () => {
      const options = { env: { A: 'b' }, cwd: '/tmp' };
      const expected = [['show', 'a b', ''], { A: 'b' }, '/tmp', 100];
      assert.deepEqual(await outcome('show', ['a b', ''], options), [3, JSON.stringify(expected), '']);
      const [, second] = await outcome('/usr/bin/show', [], { argv0: 'other' });
      assert.deepEqual(JSON.parse(second), [['other'], { PATH: '/usr/local/bin:/usr/bin:/bin' }, '/', 101]);
    },
  ));

test('a program reads its stdin to the end, with back-pressure in both directions', () =>
  withPrograms(
    {
      copy: async ({ stdin, stdout }) => {
        for await (const chunk of stdin) await stdout.write(chunk);
      },
    },
    async () => {
      const process = await createSubprocessExec('copy', [], { stdin: PIPE, stdout: PIPE });
      const [out] = await process.communicate(Buffer.alloc(1_000_000, 'x'));
      assert.deepEqual([out?.length, await process.wait()], [1_000_000, 0]);
    },
  ));

test('output that a program has not waited for is still delivered at its return', () =>
  withPrograms(
    {
      talk: ({ stdout }) => {
        for (let i = 0; i < 100; i++) stdout.write('x'.repeat(10_000)).catch(() => {});
      },
    },
    async () => {
      const [code, out] = await outcome('talk');
      assert.deepEqual([code, out.length], [0, 1_000_000]);
    },
  ));

test('a program that throws prints the error to stderr, and its code is 1', () =>
  withPrograms(
    {
      fails: () => {
        throw new RangeError('not so');
      },
      rejects: async () => Promise.reject(new Error('later')),
      strange: () => 1.5,
    },
    async () => {
      assert.deepEqual(await outcome('fails'), [1, '', 'RangeError: not so\n']);
      assert.deepEqual(await outcome('rejects'), [1, '', 'Error: later\n']);
      assert.match((await outcome('strange'))[2], /"exit code" argument must be an integer/);
    },
  ));

test('a program that is not installed fails with ENOENT, and so does a shell command without a shell', () =>
  withPrograms({}, async () => {
    await assert.rejects(createSubprocessExec('nothing', ['x']), {
      code: 'ENOENT',
      syscall: 'spawn nothing',
      path: 'nothing',
      spawnargs: ['x'],
    });
    await assert.rejects(createSubprocessShell('echo'), { code: 'ENOENT', path: '/bin/sh' });
  }));

test('an installed shell gets the command', () =>
  withPrograms({ sh: ({ argv, stdout }) => stdout.write(argv.join('|')) }, async () => {
    const process = await createSubprocessShell('echo "a b"', { stdout: PIPE });
    const [out] = await process.communicate();
    assert.equal(String(out), '/bin/sh|-c|echo "a b"');
  }));

test('a working directory that is none fails, and names itself', () =>
  withPrograms({ true: () => {} }, async (kernel) => {
    kernel.machine.memory.writeFileSync('/tmp/file', '');
    await assert.rejects(createSubprocessExec('true', [], { cwd: '/none' }), {
      code: 'ENOENT',
      path: '/none',
    });
    await assert.rejects(createSubprocessExec('true', [], { cwd: '/tmp/file' }), { code: 'ENOTDIR' });
  }));

test('a signal without a handler ends a program, which then has no output', () =>
  withPrograms({ waits: ({ stdin }) => stdin.text().then(() => {}) }, async () => {
    for (const [signal, code] of [
      ['SIGTERM', -15],
      ['SIGKILL', -9],
      ['SIGUSR1', -10],
    ] as const) {
      const process = await createSubprocessExec('waits', [], { stdin: PIPE });
      process.sendSignal(signal);
      assert.equal(await process.wait(), code);
    }
  }));

test('a program handles a signal, except for SIGKILL, and ignores SIGWINCH', () =>
  withPrograms(
    {
      stubborn: async (process) => {
        process.onSignal('SIGTERM', () => void process.stdout.write('no'));
        process.onSignal('SIGINT', () => process.exit(7));
        await process.stdout.write('ready');
        await process.stdin.text();
      },
    },
    async () => {
      const process = await createSubprocessExec('stubborn', [], { stdin: PIPE, stdout: PIPE });
      const { stdout } = process;
      assert.equal(String(await stdout?.readexactly(5)), 'ready');
      process.sendSignal('SIGWINCH');
      process.terminate();
      assert.equal(String(await stdout?.readexactly(2)), 'no');
      assert.throws(() => process.sendSignal('SIGSTOP'), { code: 'ERR_UNSUPPORTED' });
      process.sendSignal('SIGINT');
      assert.equal(await process.wait(), 7);
      process.kill();
    },
  ));

test('stdout and stderr can be one stream, and a descriptor of the host', () =>
  withPrograms(
    {
      both: async ({ stdin, stdout, stderr }) => {
        await stdout.write(`out ${await stdin.text()}`);
        await stderr.write('err');
      },
    },
    async (kernel) => {
      const [, out] = await outcome('both', [], { stdin: DEVNULL, stderr: STDOUT });
      assert.equal(out, 'out err');
      const written: string[] = [];
      kernel.machine.programs.console = (fd, data) => written.push(`${fd} ${Buffer.from(data)}`);
      const process = await createSubprocessExec('both', [], {
        stdin: 'inherit',
        stdout: 'inherit',
        stderr: 'inherit',
      });
      await process.wait();
      assert.deepEqual(written, ['1 out ', '2 err']);
    },
  ));

test('a child that a crash of its host ends reports nothing', () =>
  withPrograms({ waits: ({ stdin }) => stdin.text().then(() => {}) }, async (kernel, loop) => {
    await createSubprocessExec('waits', [], { stdin: PIPE });
    kernel.machine.programs.crash();
    assert.deepEqual([...kernel.machine.programs.running], []);
    for (const resource of [...loop._owned.resources]) resource._forceClose();
    loop._owned.resources.clear();
  }));
