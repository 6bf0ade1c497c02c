import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { SubprocessOptions } from '../../src/index.ts';
import { DEVNULL, NodeEventLoop, PIPE, STDOUT } from '../../src/index.ts';
import { bareLoop } from '../helpers/bare-loop.ts';
import { onNode } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import {
  ChildRecorder,
  eventually,
  leavingNothing,
  runShell,
  skipNotLinux,
  startShell,
  stateOf,
  stdinOf,
} from './children.ts';

const INVALID_TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const OUT_OF_RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

/** Runs `body` with a directory of its own. */
async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'gyre-test-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// --- arguments ---

test(
  'subprocessExec() rejects wrong arguments at the call, and starts no child',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const factory = (): object => ({});
      const exec =
        (...args: unknown[]) =>
        () =>
          (loop.subprocessExec as (...args: unknown[]) => unknown)(factory, ...args);
      const withOption = (options: unknown) => exec('true', [], options);
      assert.throws(() => loop.subprocessExec(null as never, 'true'), INVALID_TYPE);
      assert.throws(exec(1), INVALID_TYPE);
      assert.throws(exec(''), OUT_OF_RANGE);
      assert.throws(exec('tr\0ue'), OUT_OF_RANGE);
      assert.throws(exec('true', 'args'), INVALID_TYPE);
      assert.throws(exec('true', [1]), { ...INVALID_TYPE, message: /"args\[0\]"/ });
      assert.throws(exec('true', ['a', 'b\0']), { ...OUT_OF_RANGE, message: /"args\[1\]"/ });
      assert.throws(withOption({ timeout: 1 }), { ...INVALID_TYPE, message: /options\.timeout/ });
      assert.throws(withOption({ cwd: 1 }), INVALID_TYPE);
      assert.throws(withOption({ cwd: '/\0' }), OUT_OF_RANGE);
      for (const cwd of ['', new URL('http://example.org/')]) {
        assert.throws(withOption({ cwd }), { ...OUT_OF_RANGE, message: /options\.cwd/ });
      }
      assert.throws(withOption({ env: 'A=1' }), INVALID_TYPE);
      assert.throws(withOption({ env: ['A=1'] }), INVALID_TYPE);
      assert.throws(withOption({ env: { A: 1 } }), { ...INVALID_TYPE, message: /options\.env\.A/ });
      assert.throws(withOption({ env: { A: '\0' } }), OUT_OF_RANGE);
      for (const name of ['', 'A=B', 'A\0'])
        assert.throws(withOption({ env: { [name]: 'x' } }), OUT_OF_RANGE);
      assert.throws(withOption({ uid: 'root' }), INVALID_TYPE);
      assert.throws(withOption({ uid: -1 }), OUT_OF_RANGE);
      assert.throws(withOption({ gid: 0.5 }), OUT_OF_RANGE);
      assert.throws(withOption({ detached: 1 }), INVALID_TYPE);
      assert.throws(withOption({ argv0: 1 }), INVALID_TYPE);
      assert.throws(withOption({ argv0: '\0' }), OUT_OF_RANGE);
      assert.throws(withOption({ passFds: 3 }), INVALID_TYPE);
      assert.throws(withOption({ passFds: ['3'] }), INVALID_TYPE);
      for (const fd of [2, -1, 3.5, 2 ** 31]) assert.throws(withOption({ passFds: [fd] }), OUT_OF_RANGE);
      assert.throws(withOption({ signal: 'x' }), INVALID_TYPE);
      assert.throws(() => loop.subprocessShell(factory, 1 as never), INVALID_TYPE);
      assert.throws(() => loop.subprocessShell(factory, 'true\0'), OUT_OF_RANGE);
    });
  }),
);

test(
  'subprocessExec() rejects stdin, stdout and stderr values that no child can have',
  onNode(async (loop) => {
    const exec = (options: unknown) => () =>
      loop.subprocessExec(() => ({}), 'true', [], options as SubprocessOptions);
    for (const name of ['stdin', 'stdout', 'stderr']) {
      for (const value of [null, 'pipe', true]) {
        assert.throws(exec({ [name]: value }), { ...INVALID_TYPE, message: new RegExp(`options\\.${name}`) });
      }
      for (const value of [-4, 1.5, Number.NaN]) assert.throws(exec({ [name]: value }), OUT_OF_RANGE);
      for (const value of [{}, { fd: null }, { fd: -1 }, new Socket()]) {
        assert.throws(exec({ [name]: value }), { ...INVALID_TYPE, message: new RegExp(`options\\.${name}`) });
      }
    }
    assert.throws(exec({ stdin: STDOUT }), OUT_OF_RANGE);
    assert.throws(exec({ stdout: STDOUT }), OUT_OF_RANGE);
  }),
);

test(
  'subprocessExec() rejects the options that asyncio rejects, and accepts their defaults',
  onNode(async (loop) => {
    const exec = (options: SubprocessOptions) => () => loop.subprocessExec(() => ({}), 'true', [], options);
    const shell = (options: SubprocessOptions) => () => loop.subprocessShell(() => ({}), 'true', options);
    for (const start of [exec, shell]) {
      assert.throws(start({ universalNewlines: true }), OUT_OF_RANGE);
      assert.throws(start({ universalNewlines: 0 as never }), INVALID_TYPE);
      assert.throws(start({ bufsize: 1 }), OUT_OF_RANGE);
      assert.throws(start({ shell: 'sh' as never }), INVALID_TYPE);
    }
    assert.throws(exec({ shell: true }), OUT_OF_RANGE);
    assert.throws(shell({ shell: false }), OUT_OF_RANGE);
    for (const start of [exec({ shell: false }), shell({ shell: true })]) {
      const [transport] = await start();
      await transport[Symbol.asyncDispose]();
    }
    const said = await runShell(loop, 'exit 5', { universalNewlines: false, bufsize: 0 });
    assert.equal(said.transport.getReturncode(), 5);
  }),
);

test(
  'subprocessShell() of an empty command does nothing, and is no error',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    assert.equal((await runShell(loop, '')).transport.getReturncode(), 0);
  }),
);

test('subprocessExec() of a loop without subprocesses throws at the call', () => {
  using loop = bareLoop();
  assert.throws(() => loop.subprocessExec(() => ({}), 'true'), {
    code: 'ERR_UNSUPPORTED',
    message: /subprocesses/,
  });
});

test('subprocessExec() of a closed loop starts nothing', () => {
  const loop = new NodeEventLoop();
  loop.close();
  assert.throws(() => loop.subprocessExec(() => ({}), 'true'), { code: 'ERR_LOOP_CLOSED' });
  assert.throws(() => loop.subprocessShell(() => ({}), 'true'), { code: 'ERR_LOOP_CLOSED' });
});

// --- the child's arguments and environment ---

test(
  'subprocessExec() passes arguments without a shell',
  onNode(async (loop) => {
    const args = ['%s|', '', 'a b', '$HOME', '"', "'", '*', 'ä€😀', '-x'];
    const [, recorder] = await loop.subprocessExec(() => new ChildRecorder(), 'printf', args);
    await recorder.untilTold('lost');
    assert.equal(
      recorder.text(1),
      args
        .slice(1)
        .map((arg) => `${arg}|`)
        .join(''),
    );
  }),
);

test(
  'env is the whole environment of the child, without undefined values, and defaults to that of the parent',
  onNode(async (loop) => {
    const own = await runShell(loop, '/usr/bin/env', { env: { A: '1', B: undefined, C: '' } });
    const lines = own
      .text(1)
      .split('\n')
      .filter((line) => !/^(PWD|SHLVL|_|OLDPWD|NODE_V8_COVERAGE)=/.test(line));
    assert.deepEqual(lines.sort(), ['', 'A=1', 'C=']);
    process.env.GYRE_TEST_CHILD = 'ours';
    const ours = await runShell(loop, 'echo "$GYRE_TEST_CHILD"');
    delete process.env.GYRE_TEST_CHILD;
    assert.equal(ours.text(1), 'ours\n');
  }),
);

test(
  'subprocessExec() looks the program up in the PATH of the child',
  onNode((loop) =>
    inDirectory(async (directory) => {
      writeFileSync(join(directory, 'gyre-test-program'), '#!/bin/sh\necho found\n', { mode: 0o755 });
      const env = { PATH: directory };
      const [, recorder] = await loop.subprocessExec(() => new ChildRecorder(), 'gyre-test-program', [], {
        env,
      });
      await recorder.untilTold('lost');
      assert.equal(recorder.text(1), 'found\n');
    }),
  ),
);

test(
  'cwd of a child is a path or a file URL',
  onNode((loop) =>
    inDirectory(async (directory) => {
      for (const cwd of [directory, pathToFileURL(directory)]) {
        const recorder = await runShell(loop, 'pwd -P', { cwd });
        assert.equal(recorder.text(1).trim().split('/').at(-1), directory.split('/').at(-1));
      }
    }),
  ),
);

test(
  'argv0 is the name that the child sees as its own',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const read = async (options: SubprocessOptions): Promise<string> => {
      const [, recorder] = await loop.subprocessExec(
        () => new ChildRecorder(),
        'cat',
        ['/proc/self/cmdline'],
        options,
      );
      await recorder.untilTold('lost');
      return recorder.text(1);
    };
    assert.equal(await read({ argv0: 'another' }), 'another\0/proc/self/cmdline\0');
    assert.equal(await read({}), 'cat\0/proc/self/cmdline\0');
  }),
);

test(
  'detached makes the child lead a process group, which can be killed as a whole',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const groupOf = (pid: number): number =>
      Number(
        readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[2],
      );
    const here = await startShell(loop, 'exec cat');
    assert.notEqual(groupOf(here.transport.getPid()), here.transport.getPid());
    here.transport.close();
    await here.untilTold('lost');

    const apart = await startShell(loop, 'sleep 100 & echo $!; wait', { detached: true });
    await apart.untilTold('data 1');
    const pid = apart.transport.getPid();
    assert.equal(groupOf(pid), pid);
    process.kill(-pid, 'SIGKILL');
    await apart.untilTold('lost');
    assert.equal(apart.transport.getReturncode(), -9);
    const grandchild = Number(apart.text(1));
    await eventually(() => stateOf(grandchild) === null || stateOf(grandchild) === 'Z');
  }),
);

const isRoot = process.getuid?.() === 0;

test(
  'uid and gid set those of the child',
  { skip: isRoot ? false : 'only root may become somebody else' },
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'id -u; id -g', { uid: 65534, gid: 65533 });
    assert.equal(recorder.text(1), '65534\n65533\n');
  }),
);

test(
  'a uid without permission fails with EPERM',
  { skip: isRoot ? 'root may become anybody' : false },
  onNode(async (loop) => {
    await assert.rejects(
      loop.subprocessExec(() => ({}), 'true', [], { uid: 0 }),
      { code: 'EPERM' },
    );
  }),
);

// --- its descriptors ---

test(
  'stdin, stdout and stderr of a child are pipes by default',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'read line; echo "out $line"; echo "err $line" >&2');
    stdinOf(recorder).write('hello\n');
    await recorder.untilTold('lost');
    assert.deepEqual([recorder.text(1), recorder.text(2)], ['out hello\n', 'err hello\n']);
    assert.equal(recorder.transport.getPipeTransport(3), null);
    assert.equal(recorder.transport.getPipeTransport(-1), null);
  }),
);

test(
  'DEVNULL gives the child no input, and drops its output',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'cat; x=$(ls -l /proc/$$/fd/0 /proc/$$/fd/1); echo "$x" >&2', {
      stdin: DEVNULL,
      stdout: DEVNULL,
    });
    assert.equal(recorder.text(2).match(/-> \/dev\/null/g)?.length, 2);
    assert.deepEqual(
      [0, 1].map((fd) => recorder.transport.getPipeTransport(fd)),
      [null, null],
    );
    assert.deepEqual(recorder.log, ['made', 'data 2', ...recorder.log.slice(2)]);
  }),
);

test(
  'STDOUT for stderr sends both outputs to the pipe of stdout, in the order of the writes',
  onNode(async (loop) => {
    const command = 'i=0; while [ $i -lt 200 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done';
    const recorder = await runShell(loop, command, { stderr: STDOUT });
    const expected = Array.from({ length: 200 }, (_, i) => `out ${i}\nerr ${i}\n`).join('');
    assert.equal(recorder.text(1), expected);
    assert.equal(recorder.transport.getPipeTransport(2), null);
    assert.equal(recorder.transport.getReturncode(), 0);
  }),
);

test(
  'STDOUT for stderr also follows stdout to a file or to DEVNULL',
  onNode((loop) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const fd = openSync(path, 'w');
      await runShell(loop, 'echo out; echo err >&2', { stdout: fd, stderr: STDOUT });
      closeSync(fd);
      assert.equal(readFileSync(path, 'utf8'), 'out\nerr\n');
      const dropped = await runShell(loop, 'echo out; echo err >&2', { stdout: DEVNULL, stderr: STDOUT });
      assert.equal(dropped.log.includes('data 1'), false);
    }),
  ),
);

test(
  'stdin, stdout and stderr of a child may be descriptors, streams and FileHandles',
  onNode((loop) =>
    inDirectory(async (directory) => {
      const source = join(directory, 'source');
      const target = join(directory, 'target');
      writeFileSync(source, 'from a file');

      const fd = openSync(source, 'r');
      assert.equal((await runShell(loop, 'cat', { stdin: fd })).text(1), 'from a file');
      closeSync(fd);

      const handle = await open(source);
      assert.equal((await runShell(loop, 'cat', { stdin: handle })).text(1), 'from a file');
      await handle.close();

      const reading = createReadStream(source);
      const writing = createWriteStream(target);
      await Promise.all([once(reading, 'open'), once(writing, 'open')]);
      await runShell(loop, 'cat', { stdin: reading, stdout: writing });
      assert.equal(readFileSync(target, 'utf8'), 'from a file');
      reading.destroy();
      writing.destroy();
      await Promise.all([once(reading, 'close'), once(writing, 'close')]);
    }),
  ),
);

test(
  'the pipe of a child of Node may be the stdin of a child of gyre',
  onNode(async (loop) => {
    const producer = spawn('sh', ['-c', 'sleep 0.05; echo from the other'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const recorder = await runShell(loop, 'cat', { stdin: producer.stdout });
    assert.equal(recorder.text(1), 'from the other\n');
    const gone = once(producer, 'close');
    producer.stdout.destroy();
    await gone;
  }),
);

test("'inherit' passes the parent’s descriptor of the same number, and STDOUT with it the parent’s stdout", async () => {
  const program = fileURLToPath(new URL('./inherit.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const running = spawn(process.execPath, [...loaderOptions, program], { cwd, stdio: 'pipe' });
  running.stdin.end('word');
  const read = async (stream: AsyncIterable<Buffer>): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const [out, err, [code]] = await Promise.all([
    read(running.stdout),
    read(running.stderr),
    once(running, 'close'),
  ]);
  assert.deepEqual([out, err, code], ['out word\nmerged\n', 'err word\n', 0]);
});

test(
  'passFds gives the child descriptors under the same numbers, and no others between',
  { skip: skipNotLinux },
  onNode((loop) =>
    inDirectory(async (directory) => {
      const fds = ['first', 'second', 'third'].map((name) => {
        writeFileSync(join(directory, name), name);
        return openSync(join(directory, name), 'r');
      }) as [number, number, number];
      const [first, second, third] = fds;
      const command = `cat /proc/self/fd/${third} /proc/self/fd/${first}; ls /proc/$$/fd >&2`;
      const recorder = await runShell(loop, command, { passFds: [third, first, first] });
      assert.equal(recorder.text(1), 'thirdfirst');
      const had = recorder.text(2).split('\n').map(Number);
      assert.ok(had.includes(first) && had.includes(third) && !had.includes(second));
      for (const fd of fds) closeSync(fd);
    }),
  ),
);

// --- failures ---

/** Below the limit of every process, above the descriptors that are open here. */
const NOT_OPEN = 199;

const FAILURES: [title: string, program: string, options: SubprocessOptions, error: object][] = [
  [
    'a program that is missing',
    'gyre-no-such-program',
    {},
    { code: 'ENOENT', path: 'gyre-no-such-program', syscall: 'spawn gyre-no-such-program' },
  ],
  ['a path to nothing', '/gyre/nothing', {}, { code: 'ENOENT', path: '/gyre/nothing' }],
  [
    'a file that is no program',
    '/etc/passwd',
    {},
    { code: 'EACCES', path: '/etc/passwd', syscall: 'spawn /etc/passwd' },
  ],
  ['a directory', '/etc', {}, { code: 'EACCES', path: '/etc' }],
  [
    'a path through a file',
    '/etc/passwd/x',
    {},
    { code: 'ENOTDIR', path: '/etc/passwd/x', syscall: 'spawn /etc/passwd/x' },
  ],
  [
    'a working directory that is missing',
    'true',
    { cwd: '/gyre/nowhere' },
    { code: 'ENOENT', path: '/gyre/nowhere', syscall: 'chdir', message: /\/gyre\/nowhere/ },
  ],
  [
    'a working directory that is a file',
    'true',
    { cwd: '/etc/passwd' },
    { code: 'ENOTDIR', path: '/etc/passwd', syscall: 'chdir' },
  ],
  [
    'a working directory that is there, for a program that is not',
    'gyre-no-such-program',
    { cwd: '/' },
    { code: 'ENOENT', path: 'gyre-no-such-program' },
  ],
  ['a descriptor that is not open, as stdin', 'true', { stdin: NOT_OPEN }, { code: 'EBADF' }],
  ['a descriptor that is not open, to be passed', 'true', { passFds: [NOT_OPEN] }, { code: 'EBADF' }],
];

for (const [title, program, options, expected] of FAILURES) {
  test(
    `${title} fails the start with the system’s error, and leaves nothing behind`,
    { skip: skipNotLinux },
    onNode(async (loop) => {
      let made = 0;
      const factory = (): object => ({ made: made++ });
      for (const stderr of [PIPE, STDOUT]) {
        await leavingNothing(async () => {
          for (let i = 0; i < 5; i++) {
            const starting = loop.subprocessExec(factory, program, [], { ...options, stderr });
            await assert.rejects(starting, (error: NodeJS.ErrnoException) => {
              assert.ok(error instanceof Error && (error.errno as number) < 0);
              const { message, ...fields } = expected as { message?: RegExp };
              for (const [name, value] of Object.entries(fields)) {
                assert.equal((error as unknown as Record<string, unknown>)[name], value, name);
              }
              if (message !== undefined) assert.match(error.message, message);
              return true;
            });
          }
        });
      }
      assert.equal(made, 0);
    }),
  );
}

test(
  'arguments beyond the system’s limit fail the start with E2BIG',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const args = ['x'.repeat(256 * 1024)];
      await assert.rejects(
        loop.subprocessExec(() => ({}), 'true', args),
        { code: 'E2BIG', path: 'true' },
      );
    });
  }),
);

test(
  'a program that the shell does not find fails the shell, not the start',
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'gyre-no-such-program');
    assert.equal(recorder.transport.getReturncode(), 127);
    assert.notEqual(recorder.text(2), '');
  }),
);

test('a start without free descriptors fails with EMFILE, leaves nothing behind, and works again later', {
  skip: skipNotLinux,
}, async () => {
  const program = fileURLToPath(new URL('./emfile.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  // More than Node and the loader need to start.
  const command = `ulimit -n 128; exec "${process.execPath}" ${loaderOptions.join(' ')} "${program}"`;
  const running = spawn('sh', ['-c', command], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  running.stdout.on('data', (data) => {
    printed += data;
  });
  const [code] = await once(running, 'close');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(printed), { codes: ['EMFILE'], again: 'works\n' });
});

test(
  'a protocol factory that throws or returns no protocol gets the child killed, and leaves nothing behind',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const failing = (): object => {
        throw new Error('no protocol');
      };
      await assert.rejects(loop.subprocessExec(failing, 'sleep', ['100']), /no protocol/);
      await assert.rejects(
        loop.subprocessExec(() => null as never, 'sleep', ['100']),
        INVALID_TYPE,
      );
      await assert.rejects(
        loop.subprocessExec(() => ({ processExited: 1 }) as never, 'sleep', ['100']),
        INVALID_TYPE,
      );
    });
  }),
);
