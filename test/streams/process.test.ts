import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CreateSubprocessOptions } from '../../src/index.ts';
import {
  CancelledError,
  createSubprocessExec,
  createSubprocessShell,
  DEVNULL,
  gather,
  getRunningLoop,
  NodeEventLoop,
  PIPE,
  Process,
  STDOUT,
  sleep,
  waitFor,
} from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { eventually, leavingNothing, skipNotLinux, stateOf } from '../process/children.ts';

const PIPES = { stdin: PIPE, stdout: PIPE, stderr: PIPE } as const;
const QUIET = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL } as const;
const MEBIBYTE = 1024 * 1024;

test(
  'createSubprocessExec() starts a program with a writer and two readers',
  onNode(async () => {
    const child = await createSubprocessExec(
      'sh',
      ['-c', 'read word; echo "out $word"; echo "err $word" >&2; exit 3'],
      PIPES,
    );
    assert.ok(child instanceof Process);
    assert.equal(child.returncode, null);
    child.stdin?.write('hello\n');
    assert.equal(String(await child.stdout?.readline()), 'out hello\n');
    assert.equal(String(await child.stderr?.readline()), 'err hello\n');
    assert.equal(await child.wait(), 3);
    assert.equal(child.returncode, 3);
    assert.equal(await child.wait(), 3);
  }),
);

test(
  'createSubprocessShell() runs a command of the shell',
  onNode(async () => {
    const child = await createSubprocessShell('echo "$A" | tr a-z A-Z', {
      stdout: PIPE,
      env: { ...process.env, A: 'word' },
    });
    assert.equal(String((await child.communicate())[0]), 'WORD\n');
  }),
);

test(
  'stdin, stdout and stderr of a Process are null unless they are pipes',
  onNode(async () => {
    const child = await createSubprocessExec('true', [], QUIET);
    assert.deepEqual([child.stdin, child.stdout, child.stderr], [null, null, null]);
    assert.deepEqual(await child.communicate(), [null, null]);
    const merged = await createSubprocessShell('echo a; echo b >&2', {
      stdin: DEVNULL,
      stdout: PIPE,
      stderr: STDOUT,
    });
    assert.equal(merged.stderr, null);
    const [stdout, stderr] = await merged.communicate();
    assert.deepEqual([String(stdout), stderr], ['a\nb\n', null]);
  }),
);

test('a subprocess inherits stdin, stdout and stderr by default, as in asyncio', async () => {
  const program = fileURLToPath(new URL('./inherit.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const running = spawn(process.execPath, [...loaderOptions, program], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: string[] = [];
  running.stdout.on('data', (data) => chunks.push(`out ${data}`));
  running.stderr.on('data', (data) => chunks.push(`err ${data}`));
  const [code] = await once(running, 'close');
  assert.equal(code, 0);
  assert.deepEqual(chunks.sort(), ['err to stderr\n', 'out to stdout\n']);
});

test(
  'createSubprocessExec() rejects unknown options, a bad limit, and bad options of the layer below',
  onNode(async () => {
    const exec = (options: unknown) => () =>
      createSubprocessExec('true', [], options as CreateSubprocessOptions);
    assert.throws(exec(null), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(exec({ text: true }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(exec({ limit: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(exec({ limit: 'x' }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(exec({ stdin: STDOUT }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(exec({ universalNewlines: true }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => createSubprocessExec('', []), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => createSubprocessShell('true', { shell: false }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(createSubprocessExec('gyre-no-such-program'), { code: 'ENOENT' });
  }),
);

test('createSubprocessExec() and createSubprocessShell() need a running loop', () => {
  assert.throws(() => createSubprocessExec('true'), { code: 'ERR_NO_RUNNING_LOOP' });
});

test(
  'createSubprocessExec() passes its limit to both readers',
  onNode(async () => {
    const child = await createSubprocessShell('printf "%s\\n" aaaaaaaaaaaaaaaaaaaa; echo b', {
      stdout: PIPE,
      limit: 10,
    });
    assert.equal(child.stdout?.limit, 10);
    await assert.rejects((async () => await child.stdout?.readline())(), { code: 'ERR_LIMIT_OVERRUN' });
    assert.equal(String(await child.stdout?.readline()), 'b\n');
    await child.wait();
  }),
);

// --- wait ---

test(
  'Process.wait() resolves at the exit although a grandchild has the pipes, for several waiters, one of them cancelled',
  onNode(async (loop) => {
    const child = await createSubprocessShell('read word; sleep 100 & echo $!; exit 6', PIPES);
    const cancelled = loop.createTask(() => child.wait());
    const aborting = new AbortController();
    const aborted = child.wait({ signal: aborting.signal });
    await assert.rejects(waitFor(child.wait(), 0.001), { code: 'ERR_TIMEOUT' });
    cancelled.cancel();
    aborting.abort('the reason');
    await assert.rejects(cancelled, CancelledError);
    await assert.rejects(aborted, { cause: 'the reason' });
    await assert.rejects(child.wait({ signal: AbortSignal.abort('before') }), { cause: 'before' });
    assert.throws(() => child.wait({ signl: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    const waits = gather(child.wait(), child.wait());
    child.stdin?.write('\n');
    assert.deepEqual(await waits, [6, 6]);
    assert.equal(child.returncode, 6);
    const pid = Number(await child.stdout?.readline());
    assert.equal(child.stdout?.atEof(), false);
    process.kill(pid);
    // Waits for both ends: the system closes one after the other, and a host that polls between them sees
    // only one.
    assert.equal((await child.stdout?.read())?.length, 0);
    assert.equal((await child.stderr?.read())?.length, 0);
    await child.stdin?.waitClosed();
  }),
);

test(
  'cancelling a task in Process.wait() leaves the process running',
  onNode(async (loop) => {
    const child = await createSubprocessExec('cat', [], PIPES);
    const waiting = loop.createTask(async () => child.wait());
    await sleep(0);
    waiting.cancel();
    await assert.rejects(waiting, CancelledError);
    const [stdout] = await child.communicate('still here');
    assert.equal(String(stdout), 'still here');
  }),
);

// --- communicate ---

test(
  'Process.communicate() writes, closes stdin, reads both pipes and waits',
  onNode(async () => {
    const child = await createSubprocessShell('cat; echo err >&2; exit 2', PIPES);
    const [stdout, stderr] = await child.communicate(Buffer.from('bytes'));
    assert.ok(Buffer.isBuffer(stdout) && Buffer.isBuffer(stderr));
    assert.deepEqual([String(stdout), String(stderr), child.returncode], ['bytes', 'err\n', 2]);
    assert.equal(child.stdin?.isClosing(), true);
  }),
);

test(
  'Process.communicate() without input closes stdin, so that the child sees the end of file',
  onNode(async () => {
    for (const input of [undefined, null, '']) {
      const child = await createSubprocessExec('cat', [], PIPES);
      const [stdout] = await child.communicate(input);
      assert.deepEqual([stdout?.length, child.returncode], [0, 0]);
    }
  }),
);

test(
  'Process.communicate() carries much data in all three directions at once',
  onNode(async () => {
    const child = await createSubprocessShell(`tee /dev/fd/3 3>&2 | head -c ${64 * MEBIBYTE}`, PIPES).catch(
      () => null,
    );
    await child?.[Symbol.asyncDispose]();
    const input = Buffer.alloc(16 * MEBIBYTE, 'gyre');
    const both = await createSubprocessShell(`head -c ${16 * MEBIBYTE} /dev/zero >&2 & cat; wait`, PIPES);
    const [stdout, stderr] = await both.communicate(input);
    assert.equal(stdout?.equals(input), true);
    assert.equal(stderr?.length, 16 * MEBIBYTE);
  }),
);

test(
  'Process.communicate() ignores a child that does not read its input',
  onNode(async () => {
    const input = Buffer.alloc(8 * MEBIBYTE, 'x');
    for (const command of ['exit 0', 'exec <&-; sleep 0.05; echo out', 'head -c 3', 'kill -9 $$']) {
      const child = await createSubprocessShell(command, PIPES);
      const [stdout] = await child.communicate(input);
      const expected = { 'head -c 3': 'xxx', 'exec <&-; sleep 0.05; echo out': 'out\n' }[command] ?? '';
      assert.equal(String(stdout), expected);
      assert.equal(child.returncode, command.startsWith('kill') ? -9 : 0);
    }
    // The child has exited before anything is written.
    const gone = await createSubprocessExec('true', [], PIPES);
    await gone.wait();
    assert.deepEqual((await gone.communicate(input)).map(String), ['', '']);
  }),
);

test(
  'Process.communicate() waits for a grandchild that has the pipes',
  onNode(async () => {
    const child = await createSubprocessShell('(sleep 0.1; echo late) & exit 4', PIPES);
    const [stdout] = await child.communicate();
    assert.deepEqual([String(stdout), child.returncode], ['late\n', 4]);
  }),
);

test(
  'Process.communicate() that is cancelled leaves the process running, and its output readable',
  onNode(async (loop) => {
    const child = await createSubprocessExec('cat', [], PIPES);
    child.stdin?.write('before ');
    const task = loop.createTask(async () => child.communicate());
    const aborting = new AbortController();
    await sleep(0);
    task.cancel();
    await assert.rejects(task, CancelledError);
    assert.equal(child.returncode, null);
    assert.equal(String(await child.stdout?.read()), 'before ');
    assert.equal(await child.wait(), 0);

    const other = await createSubprocessExec('sleep', ['100'], PIPES);
    const communicating = other.communicate(null, { signal: aborting.signal });
    aborting.abort('the reason');
    await assert.rejects(communicating, { name: 'CancelledError', cause: 'the reason' });
    await assert.rejects(other.communicate(null, { signal: AbortSignal.abort('before') }), {
      cause: 'before',
    });
    other.kill();
    await other.communicate();
    assert.equal(other.returncode, -9);
  }),
);

test(
  'Process.communicate() rejects input without a stdin, and a second reader of its pipes',
  onNode(async (loop) => {
    const tasks = loop._owned.tasks.size;
    const child = await createSubprocessExec('true', [], QUIET);
    assert.throws(() => child.communicate('input'), { code: 'ERR_INVALID_ARG_TYPE', message: /stdin/ });
    await child.communicate();
    const other = await createSubprocessExec('cat', [], PIPES);
    assert.throws(() => other.communicate(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    const reading = other.stdout?.read();
    await assert.rejects(other.communicate(), { code: 'ERR_INVALID_STATE' });
    assert.equal((await reading)?.length, 0);
    await other.wait();
    // stderr is still read after the read of stdout failed, so it may end a turn after the child.
    await eventually(() => loop._owned.tasks.size === tasks);
  }),
);

test(
  'Process.communicate() called again returns empty outputs',
  onNode(async () => {
    const child = await createSubprocessExec('cat', [], PIPES);
    assert.equal(String((await child.communicate('once'))[0]), 'once');
    assert.deepEqual((await child.communicate('twice')).map(String), ['', '']);
  }),
);

// --- streams ---

test(
  'StreamWriter.drain() waits while the child does not read, and fails when the child has exited',
  onNode(async (loop) => {
    const child = await createSubprocessExec('cat', [], { ...PIPES, stdout: DEVNULL });
    child.sendSignal('SIGSTOP');
    child.stdin?.write(Buffer.alloc(8 * MEBIBYTE));
    const draining = loop.createTask(async () => child.stdin?.drain());
    await sleep(0.02);
    assert.equal(draining.done(), false);
    child.sendSignal('SIGCONT');
    await draining;
    child.sendSignal('SIGSTOP');
    child.stdin?.write(Buffer.alloc(8 * MEBIBYTE));
    const failing = loop.createTask(async () => child.stdin?.drain());
    await sleep(0);
    child.kill();
    await assert.rejects(failing, (error: NodeJS.ErrnoException) =>
      /^(EPIPE|ECONNRESET)$/.test(String(error.code)),
    );
    await assert.rejects((async () => await child.stdin?.waitClosed())());
    assert.equal(await child.wait(), -9);
  }),
);

test(
  'StreamWriter.waitClosed() of a closed stdin resolves',
  onNode(async () => {
    const child = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE });
    child.stdin?.write('word');
    child.stdin?.close();
    await child.stdin?.waitClosed();
    assert.equal(String(await child.stdout?.read()), 'word');
    await child.wait();
    await assert.rejects((async () => await child.stdin?.drain())(), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'a stdout that no task reads is paused above twice its limit',
  { skip: skipNotLinux },
  onNode(async () => {
    const child = await createSubprocessShell(`head -c ${32 * MEBIBYTE} /dev/zero`, {
      stdout: PIPE,
      limit: 1024,
    });
    await eventually(() => stateOf(child.pid) === 'S');
    await sleep(0.05);
    assert.equal(child.returncode, null);
    assert.equal((await child.stdout?.read())?.length, 32 * MEBIBYTE);
    assert.equal(await child.wait(), 0);
  }),
);

test(
  'a stdin that a grandchild inherited is closed when everything else has ended, as in asyncio',
  onNode(async () => {
    const command = 'exec 3<&0; sleep 100 <&3 3<&- >/dev/null 2>&1 & echo $!; exit 0';
    const child = await createSubprocessShell(command, PIPES);
    const pid = Number(await child.stdout?.read());
    await child.stderr?.read();
    assert.equal(await child.wait(), 0);
    await child.stdin?.waitClosed();
    process.kill(pid);
  }),
);

// --- ending it ---

test(
  'terminate(), kill() and sendSignal() of a Process work, and do nothing after its end',
  onNode(async () => {
    for (const [end, code] of [
      [(child: Process) => child.terminate(), -15],
      [(child: Process) => child.kill(), -9],
      [(child: Process) => child.sendSignal('SIGINT'), -2],
      [(child: Process) => child.sendSignal(1), -1],
    ] as const) {
      const child = await createSubprocessExec('sleep', ['100'], QUIET);
      end(child);
      assert.equal(await child.wait(), code);
      end(child);
      assert.throws(() => child.sendSignal('SIGNONE'), { code: 'ERR_OUT_OF_RANGE' });
    }
  }),
);

test(
  'await using kills a running Process, and waits until all its pipes are closed',
  { skip: skipNotLinux },
  onNode(async () => {
    await leavingNothing(async () => {
      let pid: number;
      {
        await using child = await createSubprocessShell('trap "" TERM; echo ready; exec sleep 100', PIPES);
        await child.stdout?.readline();
        pid = child.pid;
      }
      assert.equal(stateOf(pid), null);
      {
        await using child = await createSubprocessExec('true', [], PIPES);
        await child.wait();
      }
      {
        await using child = await createSubprocessShell('sleep 100 & echo $!; exit 0', PIPES);
        pid = Number(await child.stdout?.readline());
        await child.wait();
      }
      process.kill(pid);
    });
  }),
);

test('a loop that closes names a running Process', async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const child = await loop.runUntilComplete(() =>
        createSubprocessExec('sleep', ['100'], { ...QUIET, stdout: PIPE }),
      );
      loop.close();
      const messages = reports.takeMessages();
      assert.equal(messages.length, 2);
      assert.match(
        messages[0] as string,
        new RegExp(`child process ${child.pid} \\(sleep\\) was not reaped`),
      );
      assert.match(messages[1] as string, new RegExp(`stdout of child process ${child.pid}`));
    },
  );
});

test(
  'two subprocesses form a pipeline: the output of one is the input of the other',
  onNode(async () => {
    const loop = getRunningLoop();
    const count = 'BEGIN { for (i = 1; i <= 100000; i++) print i }';
    const numbers = await createSubprocessExec('awk', [count], { stdout: PIPE });
    // POSIX does not define how awk prints a number beyond an int.
    const sum = await createSubprocessExec('awk', ['{ s += $1 } END { printf "%.0f\\n", s }'], {
      stdin: PIPE,
      stdout: PIPE,
    });
    const pumping = loop.createTask(async () => {
      for await (const chunk of numbers.stdout ?? []) {
        sum.stdin?.write(chunk);
        await sum.stdin?.drain();
      }
      sum.stdin?.close();
    });
    assert.equal(String(await sum.stdout?.read()), '5000050000\n');
    await pumping;
    assert.deepEqual([await numbers.wait(), await sum.wait()], [0, 0]);
  }),
);
