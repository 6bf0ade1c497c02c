import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SimulatedEventLoop } from '../src/entry/sim.ts';
import type { BaseEventLoop, RunnerOptions } from '../src/index.ts';
import {
  CancelledError,
  currentTask,
  getRunningLoop,
  NodeEventLoop,
  newEventLoop,
  Runner,
  run,
  sleep,
} from '../src/index.ts';
import { loaderOptions, tsWorker } from './helpers/typescript.ts';

const simulated: RunnerOptions = { loopFactory: () => new SimulatedEventLoop() };

/** Keeps the loop, and its reports. */
class Watched {
  readonly loop: SimulatedEventLoop = new SimulatedEventLoop();
  readonly reports: string[] = [];
  readonly options: RunnerOptions = { loopFactory: () => this.loop };

  constructor() {
    this.loop.setExceptionHandler((_loop, { message }) => this.reports.push(message));
  }
}

test('run() returns the result of main, and rejects with its error', async () => {
  assert.equal(await run(async () => 42, simulated), 42);
  const bug = new Error('bug');
  await assert.rejects(
    run(async () => {
      await sleep(1);
      throw bug;
    }, simulated),
    bug,
  );
});

test('run() makes its loop by newEventLoop() unless told otherwise', async () => {
  const loop = await run(async () => getRunningLoop());
  assert.equal(loop.constructor, newEventLoop().constructor);
  assert.equal(loop.isClosed(), true);
});

test('run() runs main as a task with the name main', async () => {
  assert.equal(await run(async () => currentTask()?.name, simulated), 'main');
});

test('run() cancels the tasks that main left behind, waits for their cleanup, and closes the loop', async () => {
  const { loop, options, reports } = new Watched();
  const log: string[] = [];
  await run(async () => {
    for (const name of ['a', 'b']) {
      loop.createTask(async () => {
        try {
          await sleep(3600);
        } catch (error) {
          log.push(`${name} ${(error as Error).name}`);
          throw error;
        } finally {
          await sleep(5);
          log.push(`${name} cleaned up at ${loop.time()}`);
        }
      });
    }
    await sleep(1);
  }, options);
  assert.deepEqual(log, ['a CancelledError', 'b CancelledError', 'a cleaned up at 6', 'b cleaned up at 6']);
  assert.equal(loop.isClosed(), true);
  assert.deepEqual(reports, []);
});

test('run() cleans up also when main fails, and throws main’s error', async () => {
  const { loop, options } = new Watched();
  let cleaned = false;
  await assert.rejects(
    run(async () => {
      loop.createTask(async () => {
        try {
          await sleep(3600);
        } finally {
          cleaned = true;
        }
      });
      await sleep(0);
      throw new Error('bug');
    }, options),
    /bug/,
  );
  assert.deepEqual([cleaned, loop.isClosed()], [true, true]);
});

test('run() reports a task that fails while it is cancelled', async () => {
  const { loop, options, reports } = new Watched();
  await run(async () => {
    loop.createTask(
      async () => {
        try {
          await sleep(3600);
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: a cleanup that fails is the subject
          throw new Error('cleanup failed');
        }
      },
      { name: 'clumsy' },
    );
    await sleep(0);
  }, options);
  assert.deepEqual(reports, ['exception in task clumsy while the loop was shut down']);
});

test('run() names tasks that were created while the others were cancelled', async () => {
  const { loop, options, reports } = new Watched();
  await run(async () => {
    loop.createTask(async () => {
      try {
        await sleep(3600);
      } finally {
        loop.createTask(() => sleep(3600), { name: 'late' });
      }
    });
    await sleep(0);
  }, options);
  assert.deepEqual(reports, ['the event loop was closed, but task late was still pending']);
});

test('run() rejects when main stops its own loop, and cancels main', async () => {
  const { loop, options, reports } = new Watched();
  const log: string[] = [];
  await assert.rejects(
    run(async () => {
      loop.stop();
      loop.stop();
      try {
        await sleep(3600);
      } catch (error) {
        log.push((error as Error).name);
        throw error;
      }
    }, options),
    { name: 'LoopError', code: 'ERR_LOOP_STOPPED' },
  );
  assert.deepEqual(log, ['CancelledError']);
  assert.equal(loop.isClosed(), true);
  assert.deepEqual(reports, []);
});

test('run() sets the debug mode of its loop', async () => {
  for (const debug of [true, false]) {
    assert.equal(await run(async () => getRunningLoop().debug, { ...simulated, debug }), debug);
  }
});

test('run() in code of a running loop throws at the call', async () => {
  await run(async () => {
    const refused = { name: 'LoopError', code: 'ERR_LOOP_RUNNING' };
    assert.throws(() => run(async () => {}), refused);
    assert.throws(() => new Runner().run(async () => {}), refused);
  }, simulated);
});

test('Runner runs several main functions on one loop, one after the other', async () => {
  const runner = new Runner(simulated);
  const loop = runner.getLoop();
  const times: number[] = [];
  let background = 0;
  for (let i = 0; i < 3; i++) {
    await runner.run(async () => {
      assert.equal(getRunningLoop(), loop);
      if (i === 0) {
        loop.createTask(async () => {
          for (;;) {
            await sleep(1);
            background++;
          }
        });
      }
      await sleep(10);
      times.push(loop.time());
    });
  }
  assert.deepEqual(times, [10, 20, 30]);
  assert.ok(background >= 29, 'a task that main left behind goes on in the next run');
  await runner.close();
  await runner.close();
  assert.equal(loop.isClosed(), true);
});

test('Runner accepts a promise and a task of its loop', async () => {
  const runner = new Runner(simulated);
  assert.equal(await runner.run(Promise.resolve(1)), 1);
  const task = runner.getLoop().createTask(async () => 2);
  assert.equal(await runner.run(task), 2);
  await runner.close();
});

test('Runner makes its loop on first use, and none when it is closed before', async () => {
  let made = 0;
  const loopFactory = (): BaseEventLoop => {
    made++;
    return new SimulatedEventLoop();
  };
  const unused = new Runner({ loopFactory });
  await unused.close();
  assert.equal(made, 0);
  assert.throws(() => unused.getLoop(), { name: 'LoopError', code: 'ERR_LOOP_CLOSED' });
  assert.throws(() => unused.run(async () => {}), { name: 'LoopError', code: 'ERR_LOOP_CLOSED' });
  const used = new Runner({ loopFactory });
  assert.equal(used.getLoop(), used.getLoop());
  assert.equal(made, 1);
  await used.close();
});

test('Runner rejects a second run and a close while it runs, and the run continues', async () => {
  const runner = new Runner(simulated);
  const running = runner.run(async () => {
    await sleep(1);
    return 'whole';
  });
  const refused = { name: 'LoopError', code: 'ERR_LOOP_RUNNING' };
  assert.throws(() => runner.run(async () => {}), refused);
  await assert.rejects(runner.close(), refused);
  assert.equal(await running, 'whole');
  await runner.close();
});

test('Runner is closed by `await using`', async () => {
  let loop: BaseEventLoop | null = null;
  {
    await using runner = new Runner(simulated);
    loop = runner.getLoop();
    await runner.run(async () => {});
  }
  assert.equal(loop.isClosed(), true);
});

test('Runner and run() reject wrong options and a wrong main at the call, and leave nothing behind', async () => {
  const wrongType = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const options of [
    null,
    5,
    [],
    { debug: 1 },
    { loopFactory: 5 },
    { loop_factory: () => newEventLoop() },
  ]) {
    assert.throws(() => new Runner(options as never), wrongType);
    assert.throws(() => run(async () => {}, options as never), wrongType);
  }
  for (const main of [undefined, null, 5, 'main', {}]) {
    assert.throws(() => run(main as never, { loopFactory: () => assert.fail() }), {
      ...wrongType,
      message: /^The "main" argument must be an async function or a promise; got /,
    });
  }
  const notALoop = { loopFactory: () => ({}) as never };
  assert.throws(() => run(async () => {}, notALoop), {
    ...wrongType,
    message: /^The "options.loopFactory" argument must be a function that returns an event loop; got /,
  });
});

test('run() rejects a future of another loop at the call, and closes the loop that it made', async () => {
  const other = new SimulatedEventLoop();
  const foreign = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  const { loop, options } = new Watched();
  assert.throws(() => run(other.createFuture() as never, options), foreign);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(loop.isClosed(), true);
  const runner = new Runner(simulated);
  const task = other.createTask(async () => 1);
  assert.throws(() => runner.run(task), foreign);
  await runner.close();
  assert.equal(await other.runUntilComplete(task), 1);
  other.close();
});

test('run() rejects a loop that is closed or running, and leaves it alone', async () => {
  const closed = new SimulatedEventLoop();
  closed.close();
  assert.throws(() => run(async () => {}, { loopFactory: () => closed }), {
    name: 'LoopError',
    code: 'ERR_LOOP_CLOSED',
  });
  const running = new SimulatedEventLoop();
  const main = running.createTask(async () => {
    await sleep(1);
    return 'untouched';
  });
  const result = running.runUntilComplete(main);
  assert.throws(() => run(async () => {}, { loopFactory: () => running }), {
    name: 'LoopError',
    code: 'ERR_LOOP_RUNNING',
  });
  assert.equal(await result, 'untouched');
  running.close();
});

test('run() rejects with the CancelledError of a cancelled main', async () => {
  await assert.rejects(
    run(async () => {
      currentTask()?.cancel('by itself');
      await sleep(1);
    }, simulated),
    new CancelledError('by itself'),
  );
});

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const HOOKS = ['newListener', 'removeListener'] as const;
const listeners = (): number[] => [...SIGNALS, ...HOOKS].map((name) => process.listenerCount(name));
const onNode: RunnerOptions = { loopFactory: () => new NodeEventLoop() };

test('run() listens for SIGINT and SIGTERM while main runs, and leaves no listener behind', async () => {
  const before = listeners();
  await run(async () => {
    assert.deepEqual(
      listeners(),
      before.map((count) => count + 1),
    );
  }, onNode);
  assert.deepEqual(listeners(), before);
  await assert.rejects(
    run(async () => {
      throw new Error('bug');
    }, onNode),
    /bug/,
  );
  assert.deepEqual(listeners(), before);
});

test('a dozen runs at once share their signal listeners, without a warning of a leak', async () => {
  const before = listeners();
  const warnings: Error[] = [];
  const warned = (warning: Error): number => warnings.push(warning);
  process.on('warning', warned);
  await Promise.all(Array.from({ length: 12 }, () => run(() => sleep(0.01), onNode)));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warned);
  assert.deepEqual(warnings, []);
  assert.deepEqual(listeners(), before);
});

test('run() on a loop without signals adds no signal listener', async () => {
  const before = listeners();
  await run(async () => assert.deepEqual(listeners(), before), simulated);
});

test('run() on a worker thread adds no signal listener', async () => {
  const worker = tsWorker(new URL('./runner.worker.child.ts', import.meta.url));
  const [answer] = await once(worker, 'message');
  assert.deepEqual(answer, { result: 'done', added: 0 });
  await worker.terminate();
});

interface Ended {
  lines: string[];
  errors: string;
  code: number | null;
  signal: string | null;
}

/** Runs the child, and sends it a signal at each of its lines for which `signals` has one. */
async function interrupt(
  scenario: string,
  signals: Record<string, NodeJS.Signals | undefined>,
  ...nodeOptions: string[]
): Promise<Ended> {
  const child = spawn(
    process.execPath,
    [...loaderOptions, ...nodeOptions, fileURLToPath(new URL('runner.child.ts', import.meta.url)), scenario],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const lines: string[] = [];
  let buffer = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    buffer += text;
    for (let at = buffer.indexOf('\n'); at >= 0; at = buffer.indexOf('\n')) {
      const line = buffer.slice(0, at);
      buffer = buffer.slice(at + 1);
      lines.push(line);
      const signal = signals[line];
      if (signal !== undefined) child.kill(signal);
    }
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { lines, errors, code, signal };
}

const noSignals = process.platform === 'win32' ? 'Windows has no signals to send' : false;

for (const signal of SIGNALS) {
  test(`the first ${signal} cancels main, whose cleanup runs`, { skip: noSignals }, async () => {
    const { lines, errors, code } = await interrupt('plain', { ready: signal });
    assert.deepEqual(lines, [
      'ready',
      'cleaning up',
      'cleaned up',
      `CancelledError: interrupted by ${signal}, ${signal}`,
      '0 listeners left',
    ]);
    assert.deepEqual([errors, code], ['', 0]);
  });
}

test('a second signal kills the process by its default action, after either first one', {
  skip: noSignals,
}, async () => {
  for (const [first, second] of [
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
  ] as const) {
    const ended = await interrupt('endless cleanup', { ready: first, 'cleaning up': second });
    assert.deepEqual(ended.lines, ['ready', 'cleaning up']);
    assert.deepEqual([ended.signal, ended.code], [second, null]);
  }
});

test('run() reports a cleanup of more than a second once, with the open resources of the loop', {
  skip: noSignals,
}, async () => {
  const { lines, errors, signal } = await interrupt('named cleanup', { ready: 'SIGTERM', enough: 'SIGTERM' });
  assert.deepEqual(lines, ['ready', 'cleaning up', 'enough']);
  assert.equal(signal, 'SIGTERM');
  assert.match(
    errors,
    /^gyre: 1 second after SIGTERM, the cleanup of task main is not done; a second signal kills the process$/m,
  );
  assert.match(errors, /^ {2}tasks: 'main' pending \d+(\.\d)? m?s, at sleep\(\S+\)$/m);
  assert.match(errors, /^ {4}task main was still pending$/m);
  assert.match(errors, /^ {4}task helper was still pending$/m);
  assert.match(
    errors,
    /^ {4}a server was still listening on 127\.0\.0\.1:\d+ \(made by task createServer of task main, \d+\.\d+ seconds old\)$/m,
  );
  assert.equal(errors.match(/is not done/g)?.length, 1);
});

test('run() reports the place of creation of tasks with a slow cleanup in debug mode', {
  skip: noSignals,
}, async () => {
  const { errors, signal } = await interrupt('named cleanup, debug', {
    ready: 'SIGINT',
    enough: 'SIGTERM',
  });
  assert.equal(signal, 'SIGTERM');
  assert.match(
    errors,
    /task helper was still pending \(made by task main, .*created at\n[\s\S]*runner\.child\.ts/,
  );
});

test('run() waits for the cleanup of main’s other tasks and reports it, and a signal does not kill then', {
  skip: noSignals,
}, async () => {
  const { lines, errors, code } = await interrupt('slow rest', { 'rest cleans up': 'SIGINT' });
  assert.deepEqual(lines, ['ready', 'main is done', 'rest cleans up', 'rest cleaned up', 'the end']);
  assert.match(errors, /1 second after SIGINT, the cleanup of task rest is not done/);
  assert.equal(code, 0);
});

test('a second signal kills the process while main’s other tasks clean up', {
  skip: noSignals,
}, async () => {
  const { lines, signal } = await interrupt('endless rest', { ready: 'SIGINT', 'rest cleans up': 'SIGTERM' });
  assert.deepEqual(lines, ['ready', 'main is done', 'rest cleans up']);
  assert.equal(signal, 'SIGTERM');
});

test('run() leaves a signal to a listener of the program, and handles the other signal', {
  skip: noSignals,
}, async () => {
  const own = await interrupt('own listener', { ready: 'SIGINT' });
  assert.deepEqual([own.lines, own.code], [['ready', 'my own listener'], 3]);
  const other = await interrupt('own listener', { ready: 'SIGTERM' });
  assert.equal(other.lines[1], 'cleaning up');
});

test('run() leaves a signal to a listener that main adds, until that is removed', {
  skip: noSignals,
}, async () => {
  const { lines, signal } = await interrupt('listener in main', {
    ready: 'SIGINT',
    'my own listener, one of 1': 'SIGINT',
    'cleaning up': 'SIGINT',
  });
  assert.deepEqual(lines, ['ready', 'my own listener, one of 1', 'cleaning up']);
  assert.equal(signal, 'SIGINT');
});

test('run() leaves a signal to a handler of the loop, and the other signal cancels main', {
  skip: noSignals,
}, async () => {
  const { lines, code } = await interrupt('handler', {
    ready: 'SIGTERM',
    'handler 1': 'SIGTERM',
    'handler 2': 'SIGINT',
  });
  assert.deepEqual(lines.slice(0, 5), ['ready', 'handler 1', 'handler 2', 'cleaning up', 'cleaned up']);
  assert.equal(code, 0);
});

test('run() returns the result of a main that catches the cancel', { skip: noSignals }, async () => {
  const { lines, code } = await interrupt('swallow', { ready: 'SIGTERM' });
  assert.deepEqual(lines, ['ready', 'swallowed', 'result']);
  assert.equal(code, 0);
});

test('a program exits with 1 if it ignores the error of run(), and with the signal’s status if it ends by the signal', {
  skip: noSignals,
}, async () => {
  const alone = await interrupt('left alone', { ready: 'SIGINT' });
  assert.equal(alone.code, 1);
  assert.match(alone.errors, /CancelledError: interrupted by SIGINT/);
  const resent = await interrupt('resent', { ready: 'SIGTERM' });
  assert.deepEqual([resent.code, resent.signal], [null, 'SIGTERM']);
});

test('Runner handles a signal in each of its runs, and between them a signal kills', {
  skip: noSignals,
}, async () => {
  const { lines, signal } = await interrupt('two runs', {
    'ready 1': 'SIGINT',
    'ready 2': 'SIGINT',
    between: 'SIGINT',
  });
  assert.deepEqual(lines, ['ready 1', 'interrupted 1', 'ready 2', 'interrupted 2', 'between']);
  assert.equal(signal, 'SIGINT');
});

test('one signal cancels two runs at once', { skip: noSignals }, async () => {
  const { lines, code } = await interrupt('two at once', { ready: 'SIGINT' });
  // The host interleaves loops: either may end first.
  assert.deepEqual(lines.toSorted(), ['a CancelledError', 'b CancelledError', 'ready']);
  assert.equal(code, 0);
});
