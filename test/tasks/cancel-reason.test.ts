/** A CancelledError says who cancelled, and why; its stack says where. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Awaitable } from '../../src/index.ts';
import {
  CancelledError,
  getRunningLoop,
  Queue,
  run,
  sleep,
  startServer,
  ThreadPoolExecutor,
  taskGroup,
  timeout,
  timeoutAt,
  waitFor,
} from '../../src/index.ts';

/** Returns the CancelledError that `aw` throws. */
async function cancelOf(aw: Awaitable<unknown>): Promise<CancelledError> {
  try {
    await aw;
  } catch (error) {
    assert.ok(error instanceof CancelledError, String(error));
    return error;
  }
  throw new Error('it was not cancelled');
}

/** Runs `main` as the task `main` on virtual time. */
function simulated(main: () => Promise<void>): () => Promise<void> {
  return () => run(main, { loopFactory: () => new SimulatedEventLoop() });
}

test(
  'the error of task.cancel() names the task and the canceller, and its stack shows the call',
  simulated(async () => {
    const task = getRunningLoop().createTask(() => sleep(100), { name: 'a' });
    await sleep(1);
    function stopsTheTask(): void {
      task.cancel();
    }
    stopsTheTask();
    const error = await cancelOf(task);
    assert.equal(error.message, "task 'a' was cancelled by task 'main'");
    assert.match(String(error.stack), /at stopsTheTask /);
  }),
);

test(
  'a task that has not begun, and one that awaits a promise of the host, get the same error',
  simulated(async () => {
    const loop = getRunningLoop();
    const unbegun = loop.createTask(() => sleep(100), { name: 'a' });
    unbegun.cancel();
    assert.equal((await cancelOf(unbegun)).message, "task 'a' was cancelled by task 'main'");
    let resolve = (): void => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    const task = loop.createTask(
      async () => {
        await promise;
        await sleep(1);
      },
      { name: 'b' },
    );
    await sleep(1);
    task.cancel();
    resolve();
    assert.equal((await cancelOf(task)).message, "task 'b' was cancelled by task 'main'");
  }),
);

test(
  'a cancel from a callback names no canceller, and its stack shows the callback',
  simulated(async () => {
    const loop = getRunningLoop();
    const task = loop.createTask(() => sleep(100), { name: 'a' });
    loop.callLater(1, function giveUp() {
      task.cancel();
    });
    const error = await cancelOf(task);
    assert.equal(error.message, "task 'a' was cancelled");
    assert.match(String(error.stack), /at .*giveUp /);
  }),
);

test(
  'the message of cancel() replaces the sentence, and the stack still shows the call',
  simulated(async () => {
    const future = getRunningLoop().createFuture();
    future.cancel('enough');
    const error = await cancelOf(future);
    assert.equal(error.message, 'enough');
    assert.match(String(error.stack), /cancel-reason\.test/);
  }),
);

test(
  'the error of a cancelled wait names the wait',
  simulated(async () => {
    const future = getRunningLoop().createFuture();
    future.cancel();
    assert.equal((await cancelOf(future)).message, "a future was cancelled by task 'main'");
    const sleeping = sleep(100);
    sleeping.cancel();
    assert.equal((await cancelOf(sleeping)).message, "sleep(100) was cancelled by task 'main'");
    const limited = timeout(5, () => sleep(100));
    limited.cancel();
    assert.equal((await cancelOf(limited)).message, "timeout() was cancelled by task 'main'");
  }),
);

test(
  'a task that is cancelled while it awaits another task passes the error on unchanged',
  simulated(async () => {
    const loop = getRunningLoop();
    const inner = loop.createTask(() => sleep(100), { name: 'inner' });
    const outer = loop.createTask(() => inner, { name: 'outer' });
    await sleep(1);
    outer.cancel();
    assert.equal((await cancelOf(inner)).message, "task 'outer' was cancelled by task 'main'");
    assert.equal((await cancelOf(outer)).message, "task 'outer' was cancelled by task 'main'");
  }),
);

test(
  'the body of a limit learns which limit has expired, and after how long',
  simulated(async () => {
    const loop = getRunningLoop();
    const inBody: string[] = [];
    const body = async (): Promise<void> => {
      inBody.push((await cancelOf(sleep(100))).message);
    };
    await timeout(60, () => timeout(5, body));
    await timeoutAt(loop.time() + 5, body);
    await waitFor(loop.createTask(body), 3);
    assert.deepEqual(inBody, [
      'timeout() has expired after 5 s',
      'timeoutAt() has expired',
      'waitFor() has expired after 3 s',
    ]);
  }),
);

test(
  'in debug mode the error in the body of a limit shows where the limit was set',
  simulated(async () => {
    getRunningLoop().debug = true;
    async function fetchesPrices(): Promise<CancelledError> {
      return await timeout(5, async () => cancelOf(sleep(100)));
    }
    assert.match(String((await fetchesPrices()).stack), /expired after 5 s(.|\n)*at fetchesPrices /);
  }),
);

test(
  'the members of a task group learn which task has failed first, with its error as the cause',
  simulated(async () => {
    const failure = new Error('no price');
    const errors: CancelledError[] = [];
    const group = taskGroup(async (group) => {
      void group.createTask(async () => void errors.push(await cancelOf(sleep(100))));
      void group.createTask(
        async () => {
          await sleep(1);
          throw failure;
        },
        { name: 'prices' },
      );
      errors.push(await cancelOf(sleep(100)));
    });
    await assert.rejects(async () => group, AggregateError);
    assert.deepEqual(
      errors.map(({ message, cause }) => [message, cause]),
      Array.from({ length: 2 }, () => ['task prices of the task group has failed', failure]),
    );
  }),
);

test(
  'the members of a task group learn that its body has failed, or that group.cancel() was called and where',
  simulated(async () => {
    const errors: CancelledError[] = [];
    const failing = taskGroup(async (group) => {
      void group.createTask(async () => void errors.push(await cancelOf(sleep(100))));
      await sleep(1);
      throw new Error('no');
    });
    await assert.rejects(async () => failing, AggregateError);
    assert.equal(errors[0]?.message, 'the body of the task group has failed');
    await taskGroup(async function endsEarly(group) {
      void group.createTask(async () => void errors.push(await cancelOf(sleep(100))));
      await sleep(1);
      group.cancel();
    });
    assert.equal(errors[1]?.message, "the task group was cancelled by task 'main'");
    assert.match(String(errors[1]?.stack), /endsEarly/);
  }),
);

test(
  'the error of an aborted signal says so, and has the reason of the signal as its cause',
  simulated(async () => {
    for (const start of [
      (signal: AbortSignal) => sleep(100, undefined, { signal }),
      (signal: AbortSignal) => timeout(50, () => sleep(100), { signal }),
      (signal: AbortSignal) => taskGroup(() => sleep(100), { signal }),
      (signal: AbortSignal) => waitFor(sleep(100), 50, { signal }),
    ]) {
      const controller = new AbortController();
      const reason = new Error('the user has left');
      const waiting = start(controller.signal);
      getRunningLoop().callLater(1, () => controller.abort(reason));
      const error = await cancelOf(waiting);
      assert.equal(error.message, 'the operation was aborted by its signal');
      assert.equal(error.cause, reason);
    }
  }),
);

test('tasks and loose code that the end of run() cancels learn that run() has ended', async () => {
  const messages: string[] = [];
  await run(
    async () => {
      const loop = getRunningLoop();
      void loop.createTask(async () => void messages.push((await cancelOf(sleep(100))).message));
      loop.callSoon(async () => void messages.push((await cancelOf(sleep(100))).message));
      await sleep(1);
    },
    { loopFactory: () => new SimulatedEventLoop() },
  );
  assert.deepEqual(messages.sort(), [
    'run() has ended, so it cancels the remaining tasks',
    'the loop is about to be closed',
  ]);
});

test('a signal of the system is named as the canceller, and is the cause', async () => {
  const ended = run(async () => {
    process.kill(process.pid, 'SIGINT');
    await sleep(60);
  });
  const error = await cancelOf(ended);
  assert.equal(error.message, 'interrupted by SIGINT');
  assert.equal(error.cause, 'SIGINT');
});

test('a closed loop, a closed server, an iterator that was left and an executor name themselves', async () => {
  const loop = new SimulatedEventLoop();
  loop.setExceptionHandler(() => {});
  const left = loop.createTask(() => sleep(100), { name: 'left' });
  await loop.runUntilComplete(async () => {
    const server = await startServer(() => {}, '127.0.0.1', 80);
    const serving = server.serveForever();
    await sleep(1);
    server.close();
    assert.equal((await cancelOf(serving)).message, 'the server was closed');
    const iterator = new Queue<number>()[Symbol.asyncIterator]();
    const next = iterator.next();
    void iterator.return?.();
    assert.deepEqual(await next, { value: undefined, done: true });
  });
  loop.close();
  assert.throws(() => left.result(), {
    name: 'CancelledError',
    message: 'the event loop of task left was closed',
  });
  const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const jobs = [1, 2].map((n) => pool.submit((value: number) => value, [n]));
  const results = Promise.allSettled(jobs);
  await pool.shutdown({ cancelPending: true });
  const dropped = (await results).filter((result) => result.status === 'rejected');
  for (const { reason } of dropped)
    assert.equal(reason.message, 'the executor was shut down before this function had started');
});
