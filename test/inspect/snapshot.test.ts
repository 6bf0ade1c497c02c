/** `snapshot()`: the state of all loops, as plain data. */
import assert from 'node:assert/strict';
import { Session } from 'node:inspector';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { LoopSnapshot, TaskSnapshot, Transport } from '../../src/index.ts';
import {
  gather,
  getRunningLoop,
  Lock,
  Protocol,
  run,
  shield,
  sleep,
  snapshot,
  ThreadPoolExecutor,
  TimeoutError,
  taskGroup,
  timeout,
  timeoutAt,
  waitFor,
} from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';
import { simulated } from '../helpers/simulation.ts';

/** Returns the snapshot of the running loop. */
function ofLoop(): LoopSnapshot {
  const time = getRunningLoop().time();
  const found = snapshot().loops.find((loop) => loop.time >= time && loop.running);
  assert.ok(found);
  return found;
}

function named(loop: LoopSnapshot, name: string): TaskSnapshot {
  const task = loop.tasks.find((candidate) => candidate.name === name);
  assert.ok(task, `task ${name}`);
  return task;
}

/** Returns what the snapshot tells of limits that have expired. */
const expiries = (): string[] =>
  ofLoop().expiredLimits.map(({ name, seconds, body, times }) => `${name} ${seconds} ${body} ${times}`);

test(
  'a limit is listed with the number of its expiries in a row, until it ends in time',
  simulated(async (loop) => {
    const ask = (seconds: number): Promise<void> =>
      timeout(5, () => sleep(seconds)).catch((error) => assert.ok(error instanceof TimeoutError));
    for (const seconds of [9, 8, 7]) await ask(seconds);
    // The same code with another limit, and other code with the same limit.
    await timeout(6, () => sleep(1));
    await timeout(5, async () => sleep(1));
    await assert.rejects(timeout(5, () => Promise.reject(new Error('in time'))));
    assert.deepEqual(expiries(), ['timeout 5 () => sleep(seconds) 3']);
    const task = loop.createTask(() => ask(60), { name: 'asking' });
    await sleep(6);
    await task;
    const [limit] = ofLoop().expiredLimits;
    assert.deepEqual([limit?.task, limit?.times, limit?.ageSeconds], ['asking', 4, 1]);
    // A cancel from outside says nothing about the limit.
    const cancelled = loop.createTask(() => ask(4));
    await sleep(1);
    cancelled.cancel();
    await assert.rejects(cancelled);
    assert.equal(expiries().length, 1);
    await ask(4);
    assert.deepEqual(expiries(), []);
  }),
);

test(
  'waitFor() and timeoutAt() are listed when they expire, also with a deadline in the past',
  simulated(async (loop) => {
    for (const seconds of [2, 2, 0]) await waitFor(sleep(10), seconds).catch(() => {});
    await timeoutAt(loop.time() + 1, () => sleep(3)).catch(() => {});
    assert.deepEqual(expiries(), [
      'waitFor 2 sleep(#) 2',
      'waitFor 0 sleep(#) 1',
      'timeoutAt null () => sleep(3) 1',
    ]);
  }),
);

test(
  'a hundred limits that have expired last are listed, and only the beginning of long code',
  simulated(async () => {
    const long = () =>
      sleep(1000 + 'a function with a very long source, as most functions have in programs'.length);
    for (let seconds = 1; seconds <= 120; seconds++) await timeout(seconds, long).catch(() => {});
    const { expiredLimits } = ofLoop();
    assert.equal(expiredLimits.length, 100);
    assert.deepEqual([expiredLimits[0]?.seconds, expiredLimits[99]?.seconds], [21, 120]);
    assert.match(expiredLimits[0]?.body ?? '', /^\(\) => sleep\(1.{60,80}…$/);
  }),
);

test(
  'a task is awaited by an await, a group, a gather and a done callback, and otherwise by no code',
  simulated(async (loop) => {
    const create = (name: string) => loop.createTask(() => sleep(1), { name });
    create('dropped');
    create('called back').addDoneCallback(() => {});
    const outer = gather(create('gathered'), create('gathered, too'));
    const joined = taskGroup(async (group) => {
      group.createTask(() => sleep(1), { name: 'in group' });
    });
    await sleep(0);
    const unawaited = ofLoop().tasks.filter(({ awaited }) => !awaited);
    assert.deepEqual(
      unawaited.map(({ name }) => name),
      ['dropped'],
    );
    await outer;
    await joined;
  }),
);

test(
  'a task is shown with its age, its state, its wait and the tasks that wait for it',
  simulated(async (loop) => {
    const lock = new Lock();
    const holder = loop.createTask(
      async () => {
        using _ = await lock.acquire();
        await sleep(100);
      },
      { name: 'holder' },
    );
    await sleep(1);
    const waiter = loop.createTask(() => timeout(60, () => lock.acquire()), { name: 'waiter' });
    const joiner = loop.createTask(() => gather(shield(waiter), sleep(500)), { name: 'joiner' });
    await sleep(2);
    const late = loop.createTask(() => sleep(1), { name: 'late' });
    const shown = ofLoop();
    assert.equal(shown.backend, 'sim');
    assert.equal(shown.kind, 'SimulatedEventLoop');
    assert.equal(shown.taskCount, 5);
    const [h, w, j] = [named(shown, 'holder'), named(shown, 'waiter'), named(shown, 'joiner')];
    assert.deepEqual(
      [h, w, j, named(shown, 'late'), named(shown, 'main')].map(({ state, at, ageSeconds }) => [
        state,
        at,
        ageSeconds,
      ]),
      [
        ['waiting', 'sleep(100)', 3],
        ['waiting', 'timeout() > Lock.acquire()', 2],
        ['waiting', 'gather()', 2],
        ['not started', 'its first step', 0],
        ['unknown', 'a promise of the host', 3],
      ],
    );
    assert.deepEqual(h.awaitedBy, [w.id]);
    assert.deepEqual(w.awaitedBy, [j.id]);
    assert.deepEqual(j.awaitedBy, []);
    const [limit] = w.waits;
    assert.deepEqual([limit?.on, limit?.kind], ['timeout()', 'operation']);
    assert.deepEqual([limit?.waits[0]?.on, limit?.waits[0]?.heldBy], ['Lock.acquire()', h.id]);
    const [gathering] = j.waits;
    assert.equal(gathering?.count, 2);
    assert.equal(gathering?.waits[0]?.waits[0]?.task, w.id);
    assert.deepEqual(shown.cycles, []);
    late.cancel();
    for (const task of [joiner, waiter, holder]) task.cancel();
    await gather({ returnExceptions: true }, joiner, waiter, holder, late);
  }),
);

test(
  'tasks that wait for each other through a lock are shown as a cycle',
  simulated(async (loop) => {
    const lock = new Lock();
    const b = loop.createTask(
      async () => {
        await sleep(1);
        await lock.acquire();
      },
      { name: 'b' },
    );
    const a = loop.createTask(
      async () => {
        using _ = await lock.acquire();
        await b;
      },
      { name: 'a' },
    );
    await sleep(0);
    assert.deepEqual(ofLoop().cycles, []);
    await sleep(2);
    const shown = ofLoop();
    const ids = [named(shown, 'a').id, named(shown, 'b').id];
    assert.deepEqual(
      shown.cycles.map((cycle) => [...cycle].sort((x, y) => x - y)),
      [ids.sort((x, y) => x - y)],
    );
    a.cancel();
    await gather({ returnExceptions: true }, a, b);
    assert.deepEqual(ofLoop().cycles, []);
  }),
);

test(
  'a member of a task group is awaited by the task whose group it is',
  simulated(async () => {
    await taskGroup(async (group) => {
      const outer = group.createTask(
        () => taskGroup(async (inner) => void inner.createTask(() => sleep(10), { name: 'member' })),
        { name: 'outer' },
      );
      await sleep(1);
      const shown = ofLoop();
      assert.deepEqual(named(shown, 'member').awaitedBy, [named(shown, 'outer').id]);
      assert.equal(named(shown, 'outer').at, 'taskGroup() > the end of 1 task');
      await outer;
    });
  }),
);

test(
  'the snapshot is plain data, keeps the ids of tasks, and does not change what it shows',
  simulated(async (loop) => {
    const task = loop.createTask(() => timeout(5, () => sleep(2, 'done')), { name: 'a' });
    loop.callLater(3, function soon() {});
    await sleep(1);
    const first = ofLoop();
    const second = ofLoop();
    assert.deepEqual(JSON.parse(JSON.stringify(first)), first);
    assert.deepEqual(first, second);
    assert.deepEqual(
      first.timers.map(({ callback, inSeconds }) => [callback, inSeconds]),
      [
        ['wake', 1],
        ['soon', 2],
        ['expire', 4],
      ],
    );
    assert.equal(await task, 'done');
  }),
);

test(
  'in debug mode it shows where a task was created, and where each wait began',
  simulated(async (loop) => {
    loop.debug = true;
    async function fetchesPrices(): Promise<void> {
      await sleep(10);
    }
    const task = loop.createTask(fetchesPrices, { name: 'a' });
    await sleep(1);
    const { createdAt, createdBy, waits } = named(ofLoop(), 'a');
    assert.equal(createdBy, 'main');
    // Not the first frame: a cache of compiled files may give the library the paths of another folder.
    assert.ok(createdAt.some((frame) => /snapshot\.test/.test(frame)));
    assert.ok(waits[0]?.begunAt.some((frame) => /^fetchesPrices \(.*snapshot\.test/.test(frame)));
    await task;
  }),
);

test(
  'connections, servers and their queues are shown with their addresses',
  onNode(async (loop) => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    const port = (server.address() as { port: number }).port;
    const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
    (transport as Transport).pauseReading();
    while (ofLoop().handles.length < 3) await sleep(0.001);
    const shown = ofLoop();
    const [listener] = shown.handles.filter(({ kind }) => kind === 'server');
    assert.deepEqual(
      [listener?.local, listener?.state, listener?.connections],
      [`127.0.0.1:${port}`, 'listening', 1],
    );
    const connections = shown.handles.filter(({ kind }) => kind === 'tcp');
    const client = connections.find(({ accepted }) => accepted === false);
    const accepted = connections.find((connection) => connection.accepted === true);
    assert.equal(client?.peer, `127.0.0.1:${port}`);
    assert.equal(accepted?.local, client?.peer);
    assert.equal(accepted?.peer, client?.local);
    assert.equal(accepted?.acceptedBy, `the server on 127.0.0.1:${port}`);
    assert.deepEqual([client?.readingPaused, client?.queuedBytes, client?.state], [true, 0, 'open']);
    transport.abort();
    server.close();
    server.closeClients();
    await server.waitClosed();
    await transport[Symbol.asyncDispose]();
  }),
);

test('a pool is shown with its running and queued jobs while it has workers', async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const jobs = [1, 2, 3].map((n) =>
    pool.submit(
      function triple(value: number) {
        return value * 3;
      },
      [n],
    ),
  );
  const [shown] = snapshot().pools;
  assert.equal(shown?.kind, 'thread');
  assert.deepEqual([shown?.workers, shown?.maxWorkers, shown?.queued], [1, 1, 2]);
  assert.equal(shown?.running[0]?.fn, 'triple');
  await Promise.all(jobs);
});

test('a closed loop is not shown, and a stopped one is shown as not running', () => {
  const loop = new SimulatedEventLoop({ startTime: 4321 });
  const shown = snapshot().loops.find(({ time }) => time === 4321);
  assert.equal(shown?.running, false);
  loop.close();
  assert.equal(
    snapshot().loops.some(({ time }) => time === 4321),
    false,
  );
});

test('an inspector from outside gets the snapshot through the hook', async () => {
  await run(async () => {
    await sleep(0);
    const session = new Session();
    session.connect();
    const expression = `globalThis[Symbol.for('gyre.inspect')].map((copy) => copy.snapshot())`;
    session.post('Runtime.evaluate', { expression, returnByValue: true }, (error, { result }) => {
      assert.equal(error, null);
      const [copy] = result.value;
      assert.equal(copy.format, 1);
      assert.equal(copy.loops.at(-1).tasks[0].name, 'main');
    });
    session.disconnect();
  });
});
