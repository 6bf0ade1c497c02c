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

const simulated: RunnerOptions = { loopFactory: () => new SimulatedEventLoop() };

/** Keeps the loop in reach, and what it reported. */
class Watched {
  readonly loop: SimulatedEventLoop = new SimulatedEventLoop();
  readonly reports: string[] = [];
  readonly options: RunnerOptions = { loopFactory: () => this.loop };

  constructor() {
    this.loop.setExceptionHandler((_loop, { message }) => this.reports.push(message));
  }
}

test('run() answers what main returns, and rejects with what it throws', async () => {
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

test('run() runs main as a task of the name main', async () => {
  assert.equal(await run(async () => currentTask()?.name, simulated), 'main');
});

test('run() cancels what main left behind, waits for its cleanup, and closes the loop', async () => {
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

test('run() cleans up also when main fails, and main’s error is what comes out', async () => {
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

test('run() names tasks that were made while the others were cancelled', async () => {
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

test('run() rejects when main stops the loop under itself, and main is cancelled', async () => {
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

test('run() from the code of a running loop is refused at the call', async () => {
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

test('Runner takes a promise and a task of its loop, too', async () => {
  const runner = new Runner(simulated);
  assert.equal(await runner.run(Promise.resolve(1)), 1);
  const task = runner.getLoop().createTask(async () => 2);
  assert.equal(await runner.run(task), 2);
  await runner.close();
});

test('Runner makes its loop when it is first needed, and none when it is closed before', async () => {
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

test('Runner refuses a second run and a close while it runs, and the run goes on', async () => {
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

test('Runner and run() refuse wrong options and a wrong main at the call, and leave nothing behind', async () => {
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
    message: /^The "options.loopFactory" argument must be a function that answers an event loop; got /,
  });
});

test('run() refuses a future of another loop at the call, and closes the loop that it made', async () => {
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

test('run() refuses a loop that is closed or running, and leaves it alone', async () => {
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

test('a cancelled main rejects with its CancelledError', async () => {
  await assert.rejects(
    run(async () => {
      currentTask()?.cancel('by itself');
      await sleep(1);
    }, simulated),
    new CancelledError('by itself'),
  );
});

test('run() leaves no listener for SIGINT behind', async () => {
  const before = process.listenerCount('SIGINT');
  await run(
    async () => {
      assert.equal(process.listenerCount('SIGINT'), before + 1);
    },
    { loopFactory: () => new NodeEventLoop() },
  );
  assert.equal(process.listenerCount('SIGINT'), before);
});

/** Runs the child; at each of its lines of `signals`, sends a SIGINT. */
async function interrupt(
  scenario: string,
  signals: string[],
): Promise<{ lines: string[]; code: number | null; signal: string | null }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('runner.child.ts', import.meta.url)), scenario],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines: string[] = [];
  let buffer = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    buffer += text;
    for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
      const line = buffer.slice(0, end);
      buffer = buffer.slice(end + 1);
      lines.push(line);
      if (signals.includes(line)) child.kill('SIGINT');
    }
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { lines, code, signal };
}

const noSignals = process.platform === 'win32' ? 'Windows has no SIGINT to send' : false;

test('the first SIGINT cancels main, whose cleanup runs', { skip: noSignals }, async () => {
  const { lines, code } = await interrupt('plain', ['ready']);
  assert.deepEqual(lines, [
    'ready',
    'cleaning up',
    'cleaned up',
    'CancelledError, SIGINT',
    '0 listeners left',
  ]);
  assert.equal(code, 0);
});

test('the second SIGINT kills the process', { skip: noSignals }, async () => {
  const { lines, signal } = await interrupt('slow cleanup', ['ready', 'cleaning up']);
  assert.deepEqual(lines, ['ready', 'cleaning up']);
  assert.equal(signal, 'SIGINT');
});

test('SIGINT stays with a program that listens for it itself', { skip: noSignals }, async () => {
  const { lines, code } = await interrupt('own listener', ['ready']);
  assert.deepEqual(lines, ['ready', 'my own listener']);
  assert.equal(code, 3);
});
