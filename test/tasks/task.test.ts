import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { currentTask, getRunningLoop, sleep, Task } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, unexpected } from './helpers.ts';

test('a task starts on the next turn, and returns the result of its function', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      log.push('started');
      return 42;
    });
    assert.ok(task instanceof Task);
    log.push('created');
    await Promise.resolve();
    assert.deepEqual(log, ['created']);
    assert.equal(await task, 42);
    assert.deepEqual(log, ['created', 'started']);
    assert.equal(task.result(), 42);
  }));

test('an eager task runs its first step at once, as a task of its own', () =>
  simulate(async (loop) => {
    const outer = currentTask();
    const log: unknown[] = [];
    const task: Task = loop.createTask(
      async () => {
        log.push('first step', currentTask()?.name);
        await sleep(0);
        log.push('second step');
      },
      { eager: true, name: 'eager' },
    );
    assert.deepEqual(log, ['first step', 'eager']);
    assert.equal(currentTask(), outer);
    await task;
    assert.deepEqual(log.slice(2), ['second step']);
  }));

test('a task fails with what its function throws, also synchronously', () =>
  simulate(async (loop) => {
    const error = new Error('no');
    const task = loop.createTask(async () => {
      await sleep(0);
      throw error;
    });
    await assert.rejects(task, error);
    assert.equal(task.exception(), error);
    const sync = loop.createTask((): Promise<void> => {
      throw error;
    });
    await assert.rejects(sync, error);
    const eager = loop.createTask(
      (): Promise<void> => {
        throw error;
      },
      { eager: true },
    );
    await assert.rejects(eager, error);
  }));

test('a task fails with any value that its function throws, even undefined', () =>
  simulate(async (loop) => {
    for (const thrown of [undefined, null, 'word', 0]) {
      const task = loop.createTask(() => Promise.reject(thrown));
      assert.equal(await task.then(unexpected, (error) => error), thrown);
      assert.equal(task.cancelled(), false);
      assert.equal(task.exception(), thrown);
    }
  }));

test('a task whose function returns a future waits for it', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    const task = loop.createTask(() => future);
    loop.callLater(3, () => future.setResult(3));
    assert.equal(await task, 3);
    const cancelled = loop.createTask(() => sleep(100));
    await sleep(0);
    cancelled.cancel();
    assert.equal(await outcome(cancelled), 'CancelledError');
    assert.equal(loop.time(), 3);
  }));

test('a task whose function returns no promise has the returned value as result', () =>
  simulate(async (loop) => {
    const task = loop.createTask((() => 5) as unknown as () => Promise<number>);
    assert.equal(await task, 5);
  }));

test('a promise as a task can be cancelled, and its own work continues', () =>
  simulate(async (loop) => {
    assert.equal(await loop.createTask(Promise.resolve(1)), 1);
    assert.equal(await outcome(loop.createTask(Promise.reject(new Error('no')))), 'error no');
    let finish: (value: string) => void = unexpected;
    const work = new Promise<string>((resolve) => {
      finish = resolve;
    });
    const task = loop.createTask(work);
    await sleep(0);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    finish('worked');
    assert.equal(await work, 'worked');
  }));

test('a future as a task is cancelled with the task', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const task = loop.createTask(future);
    await sleep(0);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(future.cancelled(), true);
  }));

test('setResult() and setException() of a task throw', () =>
  simulate(async (loop) => {
    const task = loop.createTask(() => sleep(1));
    assert.throws(() => task.setResult(undefined), TypeError);
    assert.throws(() => task.setException(new Error('no')), TypeError);
    await task;
  }));

test('a task has the name that it was given, or a generated one', () =>
  simulate(async (loop) => {
    const named = loop.createTask(() => sleep(0), { name: 'mine' });
    const unnamed = [1, 2].map(() => loop.createTask(() => sleep(0)));
    assert.equal(named.name, 'mine');
    for (const task of unnamed) assert.match(task.name, /^Task-\d+$/);
    assert.notEqual(unnamed[0]?.name, unnamed[1]?.name);
    named.name = 'renamed';
    assert.equal(named.name, 'renamed');
    for (const task of [named, ...unnamed]) await task;
  }));

test('a task runs in the async context of its creation', () =>
  simulate(async (loop) => {
    const storage = new AsyncLocalStorage<string>();
    const body = async (): Promise<unknown[]> => {
      const before = storage.getStore();
      await sleep(1);
      return [before, storage.getStore()];
    };
    const lazy = storage.run('outside', () => loop.createTask(body));
    const eager = storage.run('eagerly', () => loop.createTask(body, { eager: true }));
    assert.deepEqual(await lazy, ['outside', 'outside']);
    assert.deepEqual(await eager, ['eagerly', 'eagerly']);
  }));

test('a pending task without references lives until it is done', () =>
  simulate(async (loop) => {
    let done = false;
    (() => {
      void loop.createTask(async () => {
        await sleep(10);
        done = true;
      });
    })();
    await collectGarbage();
    await sleep(11);
    assert.equal(done, true);
  }));

test('the exception of a task that was never awaited is reported with its name when the task is collected', () =>
  simulate(async (loop, reports) => {
    const error = new Error('lost');
    (() => {
      void loop.createTask(() => Promise.reject(error), { name: 'loser' });
    })();
    await sleep(1);
    await collectGarbage();
    const [report, ...more] = reports.take();
    assert.match(report?.message ?? '', /task loser was never retrieved/);
    assert.equal(report?.exception, error);
    assert.deepEqual(more, []);
  }));

test('the exception of a task that was never awaited is reported once, after a second', async () => {
  const loop = new SimulatedEventLoop();
  const reports: unknown[] = [];
  loop.setExceptionHandler((_loop, context) => reports.push([loop.time(), context.exception]));
  const [first, second] = [new Error('first'), new Error('second')];
  const tasks: Task[] = [];
  await loop.runUntilComplete(async () => {
    tasks.push(loop.createTask(() => Promise.reject(first)));
    await sleep(0.5);
    tasks.push(loop.createTask(() => Promise.reject(second)));
    const looked = loop.createTask(() => Promise.reject(new Error('looked at')));
    await sleep(0.4);
    assert.equal((looked.exception() as Error).message, 'looked at');
    assert.deepEqual(reports, []);
    await sleep(10);
  });
  assert.deepEqual(reports, [
    [1, first],
    [1.5, second],
  ]);
  loop.close();
  assert.equal(reports.length, 2);
  assert.equal(tasks.length, 2);
});

test('the exception of a task that was never awaited is reported when the loop closes within the second', async () => {
  const loop = new SimulatedEventLoop();
  const reports: unknown[] = [];
  loop.setExceptionHandler((_loop, context) => reports.push(context.exception));
  const error = new Error('lost');
  const task = loop.createTask(() => Promise.reject(error));
  await loop.runUntilComplete(() => sleep(0.9));
  assert.deepEqual(reports, []);
  loop.close();
  assert.deepEqual(reports, [error]);
  assert.equal(task.done(), true);
});

test('a loop that closes names the pending tasks, and ends them without running their code', async () => {
  const loop = new SimulatedEventLoop();
  const messages: string[] = [];
  loop.setExceptionHandler((_loop, context) => messages.push(context.message));
  const log: string[] = [];
  const body = async (): Promise<void> => {
    log.push('started');
    try {
      await sleep(10);
    } finally {
      log.push('ended');
    }
  };
  const waiting = loop.createTask(body, { name: 'waiting' });
  await loop.runUntilComplete(() => sleep(1));
  const unstarted = loop.createTask(body, { name: 'unstarted' });
  loop.close();
  assert.equal(messages.length, 2);
  assert.match(messages[0] ?? '', /task waiting was still pending/);
  assert.match(messages[1] ?? '', /task unstarted was still not started/);
  assert.equal(await outcome(waiting), 'CancelledError');
  assert.equal(await outcome(unstarted), 'CancelledError');
  assert.deepEqual(log, ['started']);
});

test('awaiting a task in itself throws an error', () =>
  simulate(async (loop) => {
    const task: Task<string> = loop.createTask(() => outcome(task));
    assert.equal(await task, 'InvalidStateError');
  }));

test('two loops in one thread keep their tasks apart', async () => {
  const log: string[] = [];
  const body =
    (name: string) =>
    async (loop: SimulatedEventLoop): Promise<void> => {
      const child = loop.createTask(
        async () => {
          for (let i = 0; i < 3; i++) {
            await sleep(1);
            assert.equal(getRunningLoop(), loop);
            assert.equal(currentTask(), child);
            log.push(name);
          }
        },
        { name },
      );
      await child;
    };
  const runs = ['one', 'two'].map((name) =>
    withLoop(
      () => new SimulatedEventLoop(),
      (loop) => loop.runUntilComplete(() => body(name)(loop)),
    ),
  );
  for (const run of runs) await run;
  assert.deepEqual(log.sort(), ['one', 'one', 'one', 'two', 'two', 'two']);
});

test('in debug mode DevTools shows the creation of a task above its stacks, by console.createTask()', async (t) => {
  const devTools = console as { createTask?: (name: string) => { run<T>(fn: () => T): T } };
  const { createTask } = devTools;
  if (createTask === undefined) return t.skip('this host has no console.createTask()');
  const calls: string[] = [];
  t.after(() => {
    devTools.createTask = createTask;
  });
  devTools.createTask = (name) => {
    calls.push(`create ${name}`);
    const task = createTask(name);
    return {
      run<T>(fn: () => T): T {
        calls.push(`run ${name}`);
        return task.run(fn);
      },
    };
  };
  const loop = new SimulatedEventLoop();
  const first = loop.createTask(async () => 1, { name: 'a' });
  assert.equal(await loop.runUntilComplete(first), 1);
  loop.debug = true;
  const task = loop.createTask(async () => 2, { name: 'b' });
  assert.equal(await loop.runUntilComplete(task), 2);
  loop.close();
  assert.deepEqual(calls, ['create b', 'run b']);
});
