import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NodeEventLoop, sleep, timeout } from '../../src/index.ts';
import { signalNumber } from '../../src/process/signal-number.ts';
import { bareLoop } from '../helpers/bare-loop.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import { PATIENCE_SECONDS } from '../helpers/patience.ts';
import { loaderOptions, tsWorker } from '../helpers/typescript.ts';

const skip = process.platform === 'win32' ? 'Windows has no signals to send' : false;
const linuxOnly = process.platform === 'linux' ? false : 'real-time signals are Linux’s';
const makeLoop = (): NodeEventLoop => new NodeEventLoop();
const send = (signal: string): true => process.kill(process.pid, signal);

/** Sends a signal, and waits until it has come. Nothing else would keep the process alive so long. */
async function sent(signal: NodeJS.Signals): Promise<void> {
  let come = false;
  process.once(signal, () => {
    come = true;
  });
  send(signal);
  while (!come) await new Promise((resolve) => setImmediate(resolve));
}

/** Signals without any other listener in this process, so that a listener that is left would show. */
function listening(signal: string): number {
  return process.listenerCount(signal);
}

test('addSignalHandler() treats the name and the number of a signal alike', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    const log: string[] = [];
    loop.addSignalHandler(constants.signals.SIGALRM, () => log.push('number'));
    loop.addSignalHandler('SIGALRM', () => {
      log.push('name');
      loop.stop();
    });
    assert.equal(listening('SIGALRM'), 1);
    send('SIGALRM');
    await loop.runForever();
    assert.deepEqual(log, ['name']);
    assert.equal(loop.removeSignalHandler(constants.signals.SIGALRM), true);
    assert.equal(loop.removeSignalHandler('SIGALRM'), false);
    assert.equal(listening('SIGALRM'), 0);
  }),
);

test('addSignalHandler() treats two names of one number as one signal', { skip }, () =>
  withLoop(makeLoop, (loop) => {
    loop.addSignalHandler('SIGIOT', () => {});
    assert.equal(loop.removeSignalHandler('SIGABRT'), true);
    assert.equal(loop.removeSignalHandler('SIGIOT'), false);
    assert.deepEqual([listening('SIGIOT'), listening('SIGABRT')], [0, 0]);
  }),
);

test('addSignalHandler() rejects wrong arguments at the call, and leaves no listener', () =>
  withLoop(makeLoop, (loop) => {
    const outOfRange = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    const wrongType = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const callback = (): void => assert.fail();
    for (const signum of [
      0,
      65,
      -1,
      1.5,
      32,
      33,
      Number.NaN,
      Infinity,
      '',
      'INT',
      'sigint',
      'toString',
      '2',
    ]) {
      assert.throws(() => loop.addSignalHandler(signum, callback), outOfRange, String(signum));
      assert.throws(() => loop.removeSignalHandler(signum), outOfRange, String(signum));
    }
    for (const signum of [undefined, null, true, {}, 2n, Symbol('SIGINT')] as never[]) {
      assert.throws(() => loop.addSignalHandler(signum, callback), wrongType);
      assert.throws(() => loop.removeSignalHandler(signum), wrongType);
    }
    for (const wrong of [undefined, null, 5, 'callback', {}] as never[]) {
      assert.throws(() => loop.addSignalHandler('SIGTERM', wrong), wrongType);
    }
    assert.throws(
      () => loop.addSignalHandler('SIGNONE', callback),
      /The "signum" argument must be the name of a/,
    );
    assert.equal(loop._owned.unreported.size, 0);
  }));

test(
  'addSignalHandler() rejects SIGKILL and SIGSTOP, and removeSignalHandler() of them returns false',
  { skip },
  () =>
    withLoop(makeLoop, (loop) => {
      for (const signum of ['SIGKILL', 'SIGSTOP', constants.signals.SIGKILL, constants.signals.SIGSTOP]) {
        assert.throws(() => loop.addSignalHandler(signum, () => {}), {
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
          message: /^The "signum" argument must be a signal that can be handled; got "SIG(KILL|STOP)"$/,
        });
        assert.equal(loop.removeSignalHandler(signum), false);
      }
      assert.equal(loop._owned.unreported.size, 0);
    }),
);

test(
  'addSignalHandler() of a real-time signal fails, because Node cannot handle it',
  { skip: linuxOnly },
  () =>
    withLoop(makeLoop, (loop) => {
      for (const signum of [34, 50, 64, 'SIGRTMIN', 'SIGRTMAX']) {
        assert.throws(() => loop.addSignalHandler(signum, () => {}), {
          name: 'LoopError',
          code: 'ERR_UNSUPPORTED',
          message: /^signal \d+ is a real-time signal: Node/,
        });
        assert.equal(loop.removeSignalHandler(signum), false);
      }
      assert.deepEqual([signalNumber(loop, 'x', 'SIGRTMIN'), signalNumber(loop, 'x', 63)], [34, 63]);
    }),
);

test('addSignalHandler() of a loop without signals fails', () =>
  withLoop(bareLoop, (loop) => {
    const unsupported = { name: 'LoopError', code: 'ERR_UNSUPPORTED' };
    assert.throws(() => loop.addSignalHandler('SIGTERM', () => {}), unsupported);
    assert.throws(() => loop.removeSignalHandler('SIGTERM'), unsupported);
  }));

test('addSignalHandler() on a worker thread throws', async () => {
  const worker = tsWorker(new URL('./signals.worker.child.ts', import.meta.url));
  const [answer] = await once(worker, 'message');
  await worker.terminate();
  assert.deepEqual(answer, {
    codes: ['ERR_SIGNAL_SETUP', 'ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE'],
    removed: false,
    left: 0,
  });
});

test(
  'addSignalHandler() and removeSignalHandler() work for every signal that Node can handle',
  { skip },
  () =>
    withLoop(makeLoop, (loop) => {
      // Node keeps two of them ignored: see the children below.
      for (const name of Object.keys(constants.signals)) {
        if (['SIGKILL', 'SIGSTOP', 'SIGPIPE', 'SIGXFSZ'].includes(name)) continue;
        const before = listening(name);
        loop.addSignalHandler(name, () => {});
        assert.equal(loop.removeSignalHandler(name), true, name);
        assert.equal(listening(name), before, name);
      }
    }),
);

for (const name of ['SIGHUP', 'SIGUSR1', 'SIGWINCH', 'SIGCHLD', 'SIGCONT']) {
  test(`a handler for ${name} is called`, { skip }, () =>
    withLoop(makeLoop, async (loop) => {
      let calls = 0;
      loop.addSignalHandler(name, () => {
        calls++;
        loop.stop();
      });
      const limit = loop.callLater(PATIENCE_SECONDS, () => loop.stop());
      send(name);
      await loop.runForever();
      limit.cancel();
      loop.removeSignalHandler(name);
      assert.ok(calls > 0, `${name} was not handled`);
    }),
  );
}

test('a SIGCHLD handler is called when a child ends, and Node still gets the child’s exit', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    loop.addSignalHandler('SIGCHLD', () => loop.stop());
    const child = spawn('sh', ['-c', 'exit 7']);
    const ended = once(child, 'exit');
    await loop.runForever();
    assert.deepEqual(await ended, [7, null]);
    loop.removeSignalHandler('SIGCHLD');
  }),
);

test('a signal handler gets its arguments, in the async context of addSignalHandler(), outside of any task', {
  skip,
}, async () => {
  const storage = new AsyncLocalStorage<string>();
  await withLoop(makeLoop, async (loop) => {
    const told = loop.createFuture<unknown[]>();
    storage.run('of the add', () =>
      loop.addSignalHandler(
        'SIGALRM',
        (a: number, b: string) => told.setResult([a, b, storage.getStore()]),
        1,
        'b',
      ),
    );
    await storage.run('of the run', () =>
      loop.runUntilComplete(async () => {
        send('SIGALRM');
        assert.deepEqual(await told, [1, 'b', 'of the add']);
      }),
    );
    loop.removeSignalHandler('SIGALRM');
  });
});

test(
  'a signal handler runs in the ready queue, behind earlier entries and ahead of later ones',
  {
    skip,
  },
  () =>
    withLoop(makeLoop, async (loop) => {
      const log: string[] = [];
      loop.addSignalHandler('SIGALRM', () => {
        log.push('handler');
        loop.callSoon(() => {
          log.push('scheduled by it');
          loop.stop();
        });
        void Promise.resolve().then(() => log.push('microtask of it'));
      });
      loop.callSoon(() => log.push('before'));
      await sent('SIGALRM');
      loop.callSoon(() => log.push('after'));
      await loop.runForever();
      assert.deepEqual(log, ['before', 'handler', 'microtask of it', 'after', 'scheduled by it']);
      loop.removeSignalHandler('SIGALRM');
    }),
);

test(
  'a signal handler that throws or rejects is reported, in debug mode with its place of creation, and stays',
  {
    skip,
  },
  () =>
    withLoop(makeLoop, async (loop, reports) => {
      loop.debug = true;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      const bug = new Error('bug');
      let count = 0;
      function addIt(): void {
        loop.addSignalHandler('SIGALRM', () => {
          loop.stop();
          if (++count === 1) throw bug;
          return Promise.reject(bug);
        });
      }
      addIt();
      for (let i = 0; i < 2; i++) {
        send('SIGALRM');
        await loop.runForever();
      }
      const told = reports.take();
      assert.deepEqual(
        told.map(({ message, exception }) => [message, exception]),
        Array(2).fill(['exception in a callback', bug]),
      );
      for (const { sourceTraceback } of told)
        assert.match(String(sourceTraceback), /^ +at addIt .*signals\.test\.ts/);
      loop.removeSignalHandler('SIGALRM');
    }),
);

test('signals that come while the loop is stopped wait until it runs, each of them', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    const log: string[] = [];
    loop.addSignalHandler('SIGALRM', () => log.push('handler'));
    for (let i = 0; i < 3; i++) {
      await sent('SIGALRM');
    }
    assert.deepEqual(log, []);
    loop.callSoon(() => loop.stop());
    await loop.runForever();
    assert.deepEqual(log, ['handler', 'handler', 'handler']);
    loop.removeSignalHandler('SIGALRM');
  }),
);

test('a pending signal is dropped when its handler is removed', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    loop.addSignalHandler('SIGALRM', () => assert.fail());
    await sent('SIGALRM');
    loop.removeSignalHandler('SIGALRM');
    await loop.runUntilComplete(() => sleep(0));
  }),
);

test(
  'a pending signal goes to the handler that was there when it came, also after another addSignalHandler()',
  { skip },
  () =>
    withLoop(makeLoop, async (loop) => {
      const log: string[] = [];
      loop.addSignalHandler('SIGALRM', () => log.push('first'));
      await sent('SIGALRM');
      loop.addSignalHandler('SIGALRM', () => {
        log.push('second');
        loop.stop();
      });
      send('SIGALRM');
      await loop.runForever();
      assert.deepEqual(log, ['first', 'second']);
      loop.removeSignalHandler('SIGALRM');
    }),
);

test('a signal handler may remove itself, and may be removed twice', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    const removed: boolean[] = [];
    loop.addSignalHandler('SIGALRM', () => {
      removed.push(loop.removeSignalHandler('SIGALRM'), loop.removeSignalHandler('SIGALRM'));
      loop.stop();
    });
    send('SIGALRM');
    await loop.runForever();
    assert.deepEqual(removed, [true, false]);
    assert.equal(listening('SIGALRM'), 0);
  }),
);

test('twenty loops with a handler for one signal all get it, through one listener of Node’s', {
  skip,
}, async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): number => warnings.push(warning);
  process.on('warning', warned);
  const loops = Array.from({ length: 20 }, makeLoop);
  for (const loop of loops) loop.addSignalHandler('SIGALRM', () => loop.stop());
  assert.equal(listening('SIGALRM'), 1);
  const running = Promise.all(loops.map((loop) => loop.runForever()));
  send('SIGALRM');
  await running;
  for (const loop of loops) loop.close();
  assert.equal(listening('SIGALRM'), 0);
  process.off('warning', warned);
  assert.deepEqual(warnings, []);
});

test('loop.close() removes its signal handlers silently', { skip }, () =>
  withLoop(makeLoop, (loop) => {
    for (const name of ['SIGALRM', 'SIGHUP']) loop.addSignalHandler(name, () => assert.fail());
    loop.close();
    assert.deepEqual([listening('SIGALRM'), listening('SIGHUP')], [0, 0]);
    const closed = { name: 'LoopError', code: 'ERR_LOOP_CLOSED' };
    assert.throws(() => loop.addSignalHandler('SIGALRM', () => {}), closed);
    assert.throws(() => loop.removeSignalHandler('SIGALRM'), closed);
  }),
);

test('loop.close() drops a pending signal', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    loop.addSignalHandler('SIGALRM', () => assert.fail());
    await sent('SIGALRM');
    loop.close();
    await new Promise((resolve) => setImmediate(resolve));
  }),
);

test(
  'addSignalHandler() works after the program removed all listeners of the signal',
  { skip },
  onNode(async (loop) => {
    loop.addSignalHandler('SIGALRM', () => assert.fail());
    process.removeAllListeners('SIGALRM');
    assert.equal(loop.removeSignalHandler('SIGALRM'), true);
    const told = loop.createFuture();
    loop.addSignalHandler('SIGALRM', () => told.setResult(null));
    send('SIGALRM');
    await told;
    loop.removeSignalHandler('SIGALRM');
  }),
);

test('a loop loses none of 500 signals that come one by one', { skip }, () =>
  withLoop(makeLoop, async (loop) => {
    let count = 0;
    loop.addSignalHandler('SIGALRM', () => count++);
    await loop.runUntilComplete(async () => {
      for (let i = 1; i <= 500; i++) {
        send('SIGALRM');
        await timeout(PATIENCE_SECONDS, async () => {
          while (count < i) await sleep(0);
        });
      }
    });
    loop.removeSignalHandler('SIGALRM');
    assert.equal(count, 500);
  }),
);

// --- effects on a process ---

interface Ended {
  lines: string[];
  code: number | null;
  signal: string | null;
}

/** Runs the child, and sends it the signals that it requests. */
async function run(scenario: string, ...args: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL('signals.child.ts', import.meta.url));
  const child = spawn(process.execPath, [...loaderOptions, file, scenario, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  let buffer = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    buffer += text;
    for (let at = buffer.indexOf('\n'); at >= 0; at = buffer.indexOf('\n')) {
      const line = buffer.slice(0, at);
      buffer = buffer.slice(at + 1);
      if (line.startsWith('send ')) child.kill(line.slice(5) as NodeJS.Signals);
      else lines.push(line);
    }
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { lines, code, signal };
}

test('a signal handler does not keep the process alive', { skip }, async () => {
  assert.deepEqual(await run('keeps nobody alive'), { lines: ['the end'], code: 0, signal: null });
});

for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
  test(`${name} kills the process again after its handler was removed`, { skip }, async () => {
    assert.deepEqual(await run('removed', name), { lines: [], code: null, signal: name });
  });
}

test('SIGTERM kills the process again after the loop was closed', { skip }, async () => {
  assert.deepEqual(await run('closed'), { lines: [], code: null, signal: 'SIGTERM' });
});

test('each loop and each listener of the program gets a signal until all are removed, and then it kills', {
  skip,
}, async () => {
  const { lines, signal } = await run('several, one by one');
  assert.deepEqual(lines.slice(0, 3).sort(), ['listener', 'loop', 'other']);
  assert.deepEqual(lines.slice(3), ['listener', 'other', 'other']);
  assert.equal(signal, 'SIGTERM');
});

test('SIGPIPE stays ignored after its handler was removed: a write to a broken pipe fails, and does not kill', {
  skip,
}, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-signals-'));
  try {
    const fifo = path.join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    assert.deepEqual(await run('broken pipe', fifo), {
      lines: ['handler', 'EPIPE', '1 listener stays', 'handler again', 'EPIPE', 'the end'],
      code: 0,
      signal: null,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a signal that comes while a callback blocks the thread is handled after the callback', {
  skip,
}, async () => {
  assert.deepEqual(await run('while the thread is held'), {
    lines: ['handler', 'the end'],
    code: 0,
    signal: null,
  });
});
