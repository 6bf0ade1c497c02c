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
import { loader } from '../helpers/typescript.ts';
import { eventually, leavingNothing, skipNotLinux, stateOf } from '../process/children.ts';

const PIPES = { stdin: PIPE, stdout: PIPE, stderr: PIPE } as const;
const QUIET = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL } as const;
const MEBIBYTE = 1024 * 1024;

test(
  'a program with a writer and two readers',
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
  'a command of the shell',
  onNode(async () => {
    const child = await createSubprocessShell('echo "$A" | tr a-z A-Z', {
      stdout: PIPE,
      env: { ...process.env, A: 'word' },
    });
    assert.equal(String((await child.communicate())[0]), 'WORD\n');
  }),
);

test(
  'what is no pipe is null',
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

test("by default a child has our own stdin, stdout and stderr, as asyncio's has", async () => {
  const program = fileURLToPath(new URL('./inherit.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const running = spawn(process.execPath, ['--import', loader, program], {
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
  'options are checked: unknown ones, the limit, and those of the layer below',
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

test('outside of a loop there is none to run it', () => {
  assert.throws(() => createSubprocessExec('true'), { code: 'ERR_NO_RUNNING_LOOP' });
});

test(
  'limit is that of both readers',
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
  'wait() resolves at the exit, whatever a grandchild has still; any number may wait; a cancelled wait harms nobody',
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
    // Of both, and only then is nothing left: the system closes one after the other, and a host that polls
    // between them sees one end.
    assert.equal((await child.stdout?.read())?.length, 0);
    assert.equal((await child.stderr?.read())?.length, 0);
    await child.stdin?.waitClosed();
  }),
);

test(
  'a task that waits is cancelled, and the process goes on',
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
  'communicate() writes, closes stdin, reads both, waits',
  onNode(async () => {
    const child = await createSubprocessShell('cat; echo err >&2; exit 2', PIPES);
    const [stdout, stderr] = await child.communicate(Buffer.from('bytes'));
    assert.ok(Buffer.isBuffer(stdout) && Buffer.isBuffer(stderr));
    assert.deepEqual([String(stdout), String(stderr), child.returncode], ['bytes', 'err\n', 2]);
    assert.equal(child.stdin?.isClosing(), true);
  }),
);

test(
  'communicate() without input closes stdin, too: who reads it need not wait for ever',
  onNode(async () => {
    for (const input of [undefined, null, '']) {
      const child = await createSubprocessExec('cat', [], PIPES);
      const [stdout] = await child.communicate(input);
      assert.deepEqual([stdout?.length, child.returncode], [0, 0]);
    }
  }),
);

test(
  'communicate() with much in all three directions at once',
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
  'communicate() with a child that does not want its input',
  onNode(async () => {
    const input = Buffer.alloc(8 * MEBIBYTE, 'x');
    for (const command of ['exit 0', 'exec <&-; sleep 0.05; echo out', 'head -c 3', 'kill -9 $$']) {
      const child = await createSubprocessShell(command, PIPES);
      const [stdout] = await child.communicate(input);
      const expected = { 'head -c 3': 'xxx', 'exec <&-; sleep 0.05; echo out': 'out\n' }[command] ?? '';
      assert.equal(String(stdout), expected);
      assert.equal(child.returncode, command.startsWith('kill') ? -9 : 0);
    }
    // It has gone before anything is written.
    const gone = await createSubprocessExec('true', [], PIPES);
    await gone.wait();
    assert.deepEqual((await gone.communicate(input)).map(String), ['', '']);
  }),
);

test(
  'communicate() waits for a grandchild that has the pipes',
  onNode(async () => {
    const child = await createSubprocessShell('(sleep 0.1; echo late) & exit 4', PIPES);
    const [stdout] = await child.communicate();
    assert.deepEqual([String(stdout), child.returncode], ['late\n', 4]);
  }),
);

test(
  'communicate() that is cancelled leaves the process, and what it wrote',
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
  'communicate() says what it cannot do',
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
    // The reading of stderr goes on where that of stdout has failed, and may end a turn after the child.
    await eventually(() => loop._owned.tasks.size === tasks);
  }),
);

test(
  'communicate() a second time finds nothing more',
  onNode(async () => {
    const child = await createSubprocessExec('cat', [], PIPES);
    assert.equal(String((await child.communicate('once'))[0]), 'once');
    assert.deepEqual((await child.communicate('twice')).map(String), ['', '']);
  }),
);

// --- streams ---

test(
  'drain() waits while the child reads nothing, and fails when it has gone',
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
  'a stdin that is closed is told of: waitClosed()',
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
  'a reader that nobody reads pauses the pipe above twice its limit',
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
  'the stdin that a grandchild has is closed when all else has ended, as asyncio does',
  onNode(async () => {
    const command = 'exec 3<&0; sleep 100 <&3 3<&- >/dev/null 2>&1 & echo $!; exit 0';
    const child = await createSubprocessShell(command, PIPES);
    const pid = Number(await child.stdout?.read());
    await child.stderr?.read();
    await child.wait();
    await child.stdin?.waitClosed();
    process.kill(pid);
  }),
);

// --- ending it ---

test(
  'terminate(), kill(), sendSignal(); after the end they do nothing',
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
  'await using kills one that runs, and waits until nothing is left of it',
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

test('a process that is forgotten is named when the loop is closed', async () => {
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
  'two children in a row: the output of one is the input of the other',
  onNode(async () => {
    const loop = getRunningLoop();
    const count = 'BEGIN { for (i = 1; i <= 100000; i++) print i }';
    const numbers = await createSubprocessExec('awk', [count], { stdout: PIPE });
    // POSIX leaves open how awk prints a number that is no int.
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
