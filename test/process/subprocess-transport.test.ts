import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type {
  ProcessEvents,
  Processes,
  RawProcess,
  Signals,
  SpawnTarget,
} from '../../src/backend/backend.ts';
import { SimBackend } from '../../src/backend/sim/index.ts';
import { loneKernel } from '../../src/backend/sim/kernel.ts';
import { BaseEventLoop, NodeEventLoop, STDOUT, SubprocessProtocol, sleep } from '../../src/index.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import {
  ChildRecorder,
  childrenOfOurs,
  eventually,
  eventuallyWithoutLoop,
  leavingNothing,
  runShell,
  skipNotLinux,
  startShell,
  stateOf,
  stdinOf,
} from './children.ts';

// --- properties ---

test(
  'SubprocessTransport knows its process',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec cat');
    const { transport } = recorder;
    assert.equal(transport.getProtocol(), recorder);
    assert.equal(transport.getReturncode(), null);
    const { pid, stdin, stdout, stderr, stdio } = transport.getExtraInfo('subprocess') as ChildProcess;
    assert.equal(pid, transport.getPid());
    // The pipes belong to gyre: Node would drain them when the child ends. The native backend has no
    // ChildProcess.
    if (loop._backend.name === 'node') {
      assert.deepEqual([stdin, stdout, stderr, stdio], [null, null, null, []]);
    }
    assert.equal(transport.getExtraInfo('peername'), null);
    assert.equal(transport.getExtraInfo('peername', 'none'), 'none');
    assert.throws(() => transport.getExtraInfo(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(transport.isClosing(), false);
    assert.ok(stdinOf(recorder).canWriteEof());
    assert.notEqual(stdinOf(recorder).getExtraInfo('pipe'), null);
    stdinOf(recorder).writeEof();
    await recorder.untilTold('lost');
    assert.equal(transport.isClosing(), true);
    assert.equal(transport.getReturncode(), 0);
  }),
);

test(
  'SubprocessProtocol has every method',
  onNode(async (loop) => {
    const ended = loop.createFuture<void>();
    class Quiet extends SubprocessProtocol {
      override connectionLost(exception: Error | null): void {
        super.connectionLost(exception);
        ended.setResult(undefined);
      }
    }
    const [transport, protocol] = await loop.subprocessShell(() => new Quiet(), 'echo out; echo err >&2');
    assert.ok(protocol instanceof SubprocessProtocol);
    await ended;
    assert.equal(transport.getReturncode(), 0);
  }),
);

test(
  'SubprocessTransport.setProtocol() gives the events to another protocol',
  onNode(async (loop) => {
    const first = await startShell(loop, 'exec cat');
    const second = new ChildRecorder();
    assert.throws(() => first.transport.setProtocol({ processExited: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
    first.transport.setProtocol(second);
    stdinOf(first).write('to the second');
    stdinOf(first).writeEof();
    await second.untilTold('lost');
    assert.deepEqual(first.log, ['made']);
    assert.equal(second.text(1), 'to the second');
  }),
);

// --- order of events ---

test(
  'SubprocessProtocol gets connectionMade first, and connectionLost last and once, after exit and the end of all pipes',
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'echo out; echo err >&2; exit 3');
    assert.equal(recorder.log[0], 'made');
    assert.equal(recorder.log.at(-1), 'lost');
    assert.deepEqual([...recorder.log].sort(), [
      'data 1',
      'data 2',
      'exited',
      'lost',
      'lost 0',
      'lost 1',
      'lost 2',
      'made',
    ]);
    for (const fd of [1, 2]) {
      assert.ok(recorder.log.indexOf(`data ${fd}`) < recorder.log.indexOf(`lost ${fd}`));
    }
    assert.equal(recorder.exception, null);
    assert.deepEqual([...recorder.pipeExceptions.values()], [null, null, null]);
    assert.equal(recorder.transport.getReturncode(), 3);
  }),
);

test(
  'SubprocessProtocol gets the end of a pipe that a child closes long before its exit',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec <&- >&- 2>&-; exec sleep 100');
    await recorder.until(() => recorder.pipeExceptions.size === 3);
    assert.equal(recorder.transport.getReturncode(), null);
    recorder.transport.kill();
    await recorder.untilTold('lost');
    assert.deepEqual(recorder.log.slice(-2), ['exited', 'lost']);
    assert.deepEqual([...recorder.pipeExceptions.values()], [null, null, null]);
  }),
);

test(
  'SubprocessProtocol gets the exit at once and connectionLost with the last pipe if a grandchild has the pipes',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'sleep 100 & echo $!; exit 7');
    await recorder.untilTold('exited');
    await recorder.untilTold('lost 0');
    assert.equal(recorder.transport.getReturncode(), 7);
    assert.equal(recorder.transport.isClosing(), false);
    await recorder.untilTold('data 1');
    assert.equal(recorder.log.includes('lost'), false);
    process.kill(Number(recorder.text(1)));
    await recorder.untilTold('lost');
    assert.equal(recorder.transport.getReturncode(), 7);
  }),
);

test(
  'a grandchild may read data that is written after the exit of the child, and answer',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec 3<&0; cat <&3 & exit 0');
    await recorder.untilTold('exited');
    stdinOf(recorder).write('to the grandchild');
    stdinOf(recorder).writeEof();
    await recorder.untilTold('lost');
    assert.equal(recorder.text(1), 'to the grandchild');
  }),
);

test(
  'SubprocessTransport.close() closes its ends of pipes that a grandchild has',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'sleep 100 & echo $!; exit 0');
    await recorder.untilTold('exited');
    await recorder.untilTold('data 1');
    recorder.transport.close();
    assert.equal(recorder.log.includes('lost'), false, 'never from within close()');
    await recorder.untilTold('lost');
    process.kill(Number(recorder.text(1)));
  }),
);

test(
  'SubprocessTransport.close() kills a running child, drops written data, and calls connectionLost(null)',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    await leavingNothing(async () => {
      const recorder = await startShell(loop, 'exec sleep 100');
      const pid = recorder.transport.getPid();
      stdinOf(recorder).write(Buffer.alloc(8 * 1024 * 1024));
      recorder.transport.close();
      recorder.transport.close();
      assert.equal(recorder.transport.isClosing(), true);
      assert.deepEqual(
        recorder.log.filter((word) => word.startsWith('lost')),
        [],
      );
      await recorder.untilTold('lost');
      assert.equal(recorder.transport.getReturncode(), -9);
      assert.equal(recorder.exception, null);
      assert.equal(stateOf(pid), null);
      recorder.transport.close();
    });
  }),
);

test(
  'SubprocessTransport.close() kills a child that the end of its stdin would end, too',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    for (let i = 0; i < 30; i++) {
      const recorder = await startShell(loop, 'echo ready; read line; exit 0');
      await recorder.untilTold('data 1');
      recorder.transport.close();
      await recorder.untilTold('lost');
      assert.equal(recorder.transport.getReturncode(), -9);
    }
  }),
);

test(
  'SubprocessTransport.close() ends a child that ignores every signal it can',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'trap "" HUP INT TERM PIPE; echo ready; exec sleep 100');
    await recorder.untilTold('data 1');
    await recorder.transport[Symbol.asyncDispose]();
    assert.equal(recorder.log.at(-1), 'lost');
    assert.equal(recorder.transport.getReturncode(), -9);
  }),
);

test(
  'await using closes a SubprocessTransport, also after the exit of its child',
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'true');
    await recorder.transport[Symbol.asyncDispose]();
    assert.equal(recorder.transport.getReturncode(), 0);
    let pid: number;
    {
      const [transport] = await loop.subprocessExec(() => ({}), 'sleep', ['100']);
      await using _ = transport;
      pid = transport.getPid();
    }
    await eventually(() => stateOf(pid) === null);
  }),
);

test(
  'two waits for the end of one SubprocessTransport both end',
  onNode(async (loop) => {
    const { transport } = await startShell(loop, 'exec sleep 100');
    await Promise.all([transport[Symbol.asyncDispose](), transport[Symbol.asyncDispose]()]);
    assert.equal(transport.getReturncode(), -9);
  }),
);

// --- stdin ---

test(
  'pipeConnectionLost() reports a child that closes its stdin at once, although nothing is written',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec <&-; exec sleep 100');
    await recorder.untilTold('lost 0');
    assert.equal(recorder.pipeExceptions.get(0), null);
    assert.equal(stdinOf(recorder).isClosing(), true);
    await recorder.transport[Symbol.asyncDispose]();
  }),
);

test(
  'a child that exits without reading accepted data causes no error',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'sleep 0.05; exit 0');
    stdinOf(recorder).write('a few bytes');
    await recorder.untilTold('lost');
    assert.equal(recorder.pipeExceptions.get(0), null);
  }),
);

test(
  'a child that exits during a large write fails the pipe, and not the process',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'head -c 1; exit 0');
    stdinOf(recorder).write(Buffer.alloc(8 * 1024 * 1024, 'x'));
    await recorder.untilTold('lost');
    const { code } = recorder.pipeExceptions.get(0) as NodeJS.ErrnoException;
    assert.match(String(code), /^(EPIPE|ECONNRESET)$/);
    assert.equal(recorder.exception, null);
    assert.equal(recorder.text(1), 'x');
  }),
);

test(
  'the stdin of a child has water marks, which call pauseWriting() and resumeWriting() of the protocol',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec cat >/dev/null');
    const stdin = stdinOf(recorder);
    recorder.transport.sendSignal('SIGSTOP');
    const megabyte = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 8; i++) stdin.write(megabyte);
    await recorder.untilTold('pause');
    assert.ok(stdin.getWriteBufferSize() > 0);
    assert.equal(recorder.log.includes('resume'), false);
    recorder.transport.sendSignal('SIGCONT');
    await recorder.untilTold('resume');
    stdin.writeEof();
    await recorder.untilTold('lost');
    assert.equal(recorder.transport.getReturncode(), 0);
    assert.deepEqual(
      recorder.log.filter((word) => word === 'pause' || word === 'resume'),
      ['pause', 'resume'],
    );
  }),
);

// --- signals ---

test(
  'sendSignal() accepts names and numbers, and the return code is negative',
  onNode(async (loop) => {
    for (const [signal, code] of [
      ['SIGTERM', -15],
      ['SIGINT', -2],
      [1, -1],
      [9, -9],
    ] as const) {
      const { transport } = await startShell(loop, 'exec sleep 100');
      transport.sendSignal(signal);
      await (transport.getProtocol() as ChildRecorder).untilTold('lost');
      assert.equal(transport.getReturncode(), code);
    }
  }),
);

test(
  'a child may ignore terminate(), but not kill()',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'trap "" TERM; echo ready; exec cat');
    await recorder.untilTold('data 1');
    recorder.transport.terminate();
    stdinOf(recorder).write('still here');
    await recorder.until(() => recorder.text(1).endsWith('still here'));
    recorder.transport.kill();
    recorder.transport.kill();
    await recorder.untilTold('lost');
    assert.equal(recorder.transport.getReturncode(), -9);
  }),
);

test(
  'terminate() ends a child that does not ignore it',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec sleep 100');
    recorder.transport.terminate();
    await recorder.untilTold('lost');
    assert.equal(recorder.transport.getReturncode(), -15);
  }),
);

test(
  'SIGSTOP and SIGCONT suspend and resume a child, which does not count as ended',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec cat');
    const pid = recorder.transport.getPid();
    recorder.transport.sendSignal('SIGSTOP');
    await eventually(() => stateOf(pid) === 'T');
    stdinOf(recorder).write('held');
    assert.equal(recorder.transport.getReturncode(), null);
    recorder.transport.sendSignal('SIGCONT');
    await recorder.untilTold('data 1');
    stdinOf(recorder).writeEof();
    await recorder.untilTold('lost');
    assert.deepEqual([recorder.text(1), recorder.transport.getReturncode()], ['held', 0]);
  }),
);

test(
  'sendSignal() accepts a real-time signal by number only',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const command = 'trap "echo got; exit 4" 40; echo ready; while :; do sleep 0.01; done';
    const recorder = await startShell(loop, command);
    await recorder.untilTold('data 1');
    recorder.transport.sendSignal(40);
    await recorder.untilTold('lost');
    assert.deepEqual([recorder.text(1), recorder.transport.getReturncode()], ['ready\ngot\n', 4]);
  }),
);

test(
  'sendSignal() rejects values that are no signal, also after the exit',
  onNode(async (loop) => {
    const recorder = await startShell(loop, 'exec cat');
    const check = (): void => {
      for (const signal of ['SIGNOTHING', 'term', '', 0, -9, 1.5, 10_000]) {
        assert.throws(() => recorder.transport.sendSignal(signal), {
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
        });
      }
      for (const signal of [null, undefined, {}]) {
        assert.throws(() => recorder.transport.sendSignal(signal as never), { name: 'TypeError' });
      }
    };
    check();
    stdinOf(recorder).writeEof();
    await recorder.untilTold('lost');
    check();
  }),
);

test(
  'sendSignal() sends nothing after the exit',
  onNode(async (loop) => {
    const recorder = await runShell(loop, 'exit 3');
    const { transport } = recorder;
    transport.sendSignal('SIGTERM');
    transport.terminate();
    transport.kill();
    assert.equal(transport.getReturncode(), 3);
  }),
);

// --- protocols that fail ---

for (const method of ['pipeDataReceived', 'pipeConnectionLost', 'processExited', 'pauseWriting'] as const) {
  test(
    `a protocol that throws in ${method}() is reported, its child is killed, and connectionLost() gets the error`,
    { skip: skipNotLinux },
    onNode(async (loop, reports) => {
      await leavingNothing(async () => {
        const recorder = new ChildRecorder();
        const failure = new Error('the protocol failed');
        (recorder as unknown as Record<string, unknown>)[method] = () => {
          recorder.note(method);
          throw failure;
        };
        const command = method === 'processExited' ? 'exit 0' : 'exec 0<&- 2>&-; echo word; exec sleep 100';
        const starting = loop.subprocessShell(
          () => recorder,
          method === 'pauseWriting' ? 'exec sleep 100' : command,
        );
        const [transport] = await starting;
        if (method === 'pauseWriting') transport.getPipeTransport(0)?.write(Buffer.alloc(8 * 1024 * 1024));
        await recorder.untilTold('lost');
        assert.equal(recorder.exception, failure);
        const contexts = reports.take();
        assert.ok(contexts.length >= 1);
        assert.match(contexts[0]?.message as string, new RegExp(`protocol\\.${method}\\(\\)`));
        assert.deepEqual([contexts[0]?.exception, contexts[0]?.transport], [failure, transport]);
        assert.equal(transport.getReturncode(), method === 'processExited' ? 0 : -9);
      });
    }),
  );
}

test(
  'a protocol that throws in connectionMade() fails the start, and its child is killed',
  { skip: skipNotLinux },
  onNode(async (loop, reports) => {
    await leavingNothing(async () => {
      const recorder = new ChildRecorder();
      recorder.connectionMade = () => {
        throw new Error('no thanks');
      };
      await assert.rejects(
        loop.subprocessExec(() => recorder, 'sleep', ['100']),
        /no thanks/,
      );
      await recorder.untilTold('lost');
      assert.match(String(recorder.exception), /no thanks/);
      assert.equal(reports.takeMessages().length, 1);
    });
  }),
);

test(
  'a protocol that throws in connectionLost() is reported',
  onNode(async (loop, reports) => {
    const lost = loop.createFuture<void>();
    const protocol = {
      connectionLost: () => {
        lost.setResult(undefined);
        throw new Error('at last');
      },
    };
    await loop.subprocessShell(() => protocol, 'true');
    await lost;
    assert.equal(reports.takeMessages().length, 1);
  }),
);

test(
  'an async protocol method that rejects counts as one that throws',
  onNode(async (loop, reports) => {
    const recorder = new ChildRecorder();
    (recorder as unknown as Record<string, unknown>).pipeDataReceived = async () => {
      await sleep(0);
      throw new Error('asynchronously');
    };
    await loop.subprocessShell(() => recorder, 'echo word; exec sleep 100');
    await recorder.untilTold('lost');
    assert.match(String(recorder.exception), /asynchronously/);
    assert.equal(reports.takeMessages().length, 1);
  }),
);

test(
  'SubprocessTransport.close() works in each method of the protocol',
  { skip: skipNotLinux },
  onNode(async (loop) => {
    const methods = [
      'connectionMade',
      'pipeDataReceived',
      'pipeConnectionLost',
      'processExited',
      'connectionLost',
    ] as const;
    for (const method of methods) {
      await leavingNothing(async () => {
        const recorder = new ChildRecorder();
        const original = (recorder[method] as (...args: unknown[]) => void).bind(recorder);
        (recorder as unknown as Record<string, unknown>)[method] = (...args: unknown[]) => {
          original(...args);
          recorder.transport.close();
        };
        await loop.subprocessShell(() => recorder, 'echo word; exec 0<&-; exit 0');
        await recorder.untilTold('lost');
        assert.equal(recorder.log.filter((word) => word === 'lost').length, 1);
        assert.equal(recorder.log.at(-1), 'lost');
        assert.equal(recorder.log.filter((word) => word === 'exited').length, 1);
      });
    }
  }),
);

// --- a loop that stops or is closed ---

test('a child that ends while the loop is stopped is reported when it runs again', async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      // The child ends on request, so not before the loop has stopped on a slow machine.
      const folder = mkdtempSync(join(tmpdir(), 'gyre-child-'));
      const mayEnd = join(folder, 'may-end');
      const recorder = await loop.runUntilComplete(() =>
        startShell(loop, `until [ -e '${mayEnd}' ]; do :; done; echo out; exit 5`),
      );
      writeFileSync(mayEnd, '');
      await eventuallyWithoutLoop(() => recorder.transport.getReturncode() !== null);
      rmSync(folder, { recursive: true });
      await hostPasses();
      assert.deepEqual(recorder.log, ['made']);
      recorder.transport.kill();
      await loop.runUntilComplete(() => recorder.untilTold('lost'));
      assert.equal(recorder.text(1), 'out\n');
      assert.deepEqual([recorder.log.at(-1), recorder.transport.getReturncode()], ['lost', 5]);
      assert.equal(recorder.log.filter((word) => word === 'exited').length, 1);
    },
  );
});

test('loop.close() kills the children of the loop and names them', { skip: skipNotLinux }, async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const recorder = await loop.runUntilComplete(() => startShell(loop, 'exec sleep 100'));
      const { transport } = recorder;
      const pid = transport.getPid();
      loop.close();
      const messages = reports.takeMessages();
      assert.equal(messages.length, 4);
      assert.match(
        messages[0] as string,
        new RegExp(`child process ${pid} \\("exec sleep 100"\\) was not reaped`),
      );
      assert.match(messages[1] as string, new RegExp(`stdin of child process ${pid}`));
      await eventuallyWithoutLoop(() => stateOf(pid) === null && transport.getReturncode() === null);
      assert.deepEqual(recorder.log, ['made']);
      transport.kill();
      transport.close();
    },
  );
});

test('loop.close() closes its ends of pipes that a grandchild has', { skip: skipNotLinux }, async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const recorder = await loop.runUntilComplete(async () => {
        const started = await startShell(loop, 'sleep 100 & echo $!; exit 0');
        await started.untilTold('exited');
        await started.untilTold('data 1');
        await started.untilTold('lost 0');
        return started;
      });
      loop.close();
      const messages = reports.takeMessages();
      assert.match(messages[0] as string, /has exited, but its pipes are still open/);
      assert.equal(messages.length, 3);
      process.kill(Number(recorder.text(1)));
    },
  );
});

test('loop.close() in the middle of a start cancels it and kills the child', {
  skip: skipNotLinux,
}, async () => {
  const children = childrenOfOurs();
  await withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      // Nothing is delivered while the loop does not run.
      const plain = loop.subprocessExec(() => ({}), 'sleep', ['100']);
      const merged = loop.subprocessExec(() => ({}), 'sleep', ['100'], { stderr: STDOUT });
      assert.equal(childrenOfOurs().length, children.length + 1);
      loop.close();
      assert.deepEqual([plain.cancelled(), merged.cancelled()], [true, true]);
      assert.equal(reports.takeMessages().filter((message) => /the start of sleep/.test(message)).length, 2);
      await eventuallyWithoutLoop(() => childrenOfOurs().length === children.length);
    },
  );
});

for (const how of ['close', 'run', 'idle'] as const) {
  test(`a program that ends with children running ends cleanly (${how})`, {
    skip: skipNotLinux,
  }, async () => {
    const program = fileURLToPath(new URL('./leave.child.ts', import.meta.url));
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const running = spawn(process.execPath, [...loaderOptions, program, how], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    running.stdout.on('data', (data) => {
      printed += data;
    });
    let complaints = '';
    running.stderr.on('data', (data) => {
      complaints += data;
    });
    const [code] = await once(running, 'close');
    assert.equal(code, 0, complaints);
    const pids = JSON.parse(printed) as number[];
    assert.equal(pids.length, 3);
    if (how === 'idle') {
      // The loop stopped and was not closed: the program ended, and its children are its own responsibility.
      for (const pid of pids) process.kill(pid, 'SIGKILL');
    } else {
      await eventuallyWithoutLoop(() => pids.every((pid) => stateOf(pid) === null || stateOf(pid) === 'Z'));
    }
  });
}

// --- a fake host ---

/** A child that ends when the test calls its events. */
class FakeProcess implements RawProcess {
  readonly pid = 4711;
  readonly pipes = [null, null, null];
  readonly handle = null;
  readonly signals: number[] = [];
  failure: Error | null = null;
  events: ProcessEvents | null = null;

  open(events: ProcessEvents): void {
    this.events = events;
  }

  kill(signum: number): boolean {
    if (this.failure !== null) throw this.failure;
    this.signals.push(signum);
    return true;
  }
}

class FakeProcesses extends SimBackend {
  readonly targets: SpawnTarget[] = [];
  readonly child: FakeProcess = new FakeProcess();
  override readonly signals: Signals = {
    numbers: { SIGKILL: 9, SIGTERM: 15 },
    handle: () => ({ cancel: () => {} }),
    interrupt: () => ({ cancel: () => {} }),
  };
  override readonly processes: Processes = {
    spawn: (target, events) => {
      this.targets.push(target);
      setImmediate(() => events.onSpawn(this.child));
      return { cancel: () => {} };
    },
  };
}

class FakeLoop extends BaseEventLoop {
  declare readonly _backend: FakeProcesses;

  constructor() {
    super(new FakeProcesses(loneKernel(0)));
  }
}

function onFake(body: (loop: FakeLoop) => Promise<void>): () => Promise<void> {
  return () =>
    withLoop(
      () => new FakeLoop(),
      (loop) => loop.runUntilComplete(() => body(loop)),
    );
}

test(
  'SubprocessTransport sends no signal after the exit, and no second kill by close()',
  onFake(async (loop) => {
    const [transport] = await loop.subprocessExec(() => ({}), 'true');
    const { child } = loop._backend;
    transport.terminate();
    transport.sendSignal('SIGKILL');
    assert.deepEqual(child.signals, [15, 9]);
    child.events?.onExit(-9);
    transport.terminate();
    transport.kill();
    transport.sendSignal(15);
    transport.close();
    assert.deepEqual(child.signals, [15, 9]);
  }),
);

test(
  'terminate() throws the system’s error for a signal without permission',
  onFake(async (loop) => {
    const [transport] = await loop.subprocessExec(() => ({}), 'true');
    const { child } = loop._backend;
    child.failure = Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
    assert.throws(() => transport.terminate(), { code: 'EPERM' });
    child.failure = null;
    child.events?.onExit(0);
  }),
);

test(
  'SubprocessTransport.close() closes the pipes of a child that it may not kill, and connectionLost() comes with its exit',
  onFake(async (loop) => {
    const { child } = loop._backend;
    child.failure = Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
    const recorder = new ChildRecorder();
    const [transport] = await loop.subprocessExec(() => recorder, 'true');
    transport.close();
    assert.deepEqual([transport.isClosing(), recorder.log], [true, ['made']]);
    child.events?.onExit(0);
    assert.deepEqual([recorder.log, recorder.exception], [['made', 'exited', 'lost'], null]);
  }),
);

test('loop.close() reports a child that it may not kill, and closes', async () => {
  await withLoop(
    () => new FakeLoop(),
    async (loop, reports) => {
      const { child } = loop._backend;
      await loop.runUntilComplete(() => loop.subprocessExec(() => ({}), 'true'));
      child.failure = Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
      loop.close();
      assert.match(reports.takeMessages().join(), /was not reaped/);
    },
  );
});

test(
  'a start that fails leaves a child that it may not kill',
  onFake(async (loop) => {
    loop._backend.child.failure = Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
    const failing = (): object => {
      throw new Error('no protocol');
    };
    await assert.rejects(loop.subprocessExec(failing, 'true'), /no protocol/);
  }),
);

test(
  'subprocessExec() gives the host copies that the caller cannot change afterwards',
  onFake(async (loop) => {
    const args = ['a'];
    const env: Record<string, string> = { A: '1' };
    const passFds = [7];
    await loop.subprocessExec(() => ({}), 'program', args, { env, passFds });
    args.push('b');
    env.B = '2';
    passFds.push(8);
    const [target] = loop._backend.targets as [SpawnTarget];
    assert.deepEqual([target.args, target.env, target.passFds], [['a'], { A: '1' }, [7]]);
    loop._backend.child.events?.onExit(0);
  }),
);
