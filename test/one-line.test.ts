/** Public objects print as one line: console.log(), String() and JSON.stringify(). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { SimulatedEventLoop, simulate } from '../src/entry/sim.ts';
import type { Task, Transport } from '../src/index.ts';
import * as gyre from '../src/index.ts';
import {
  Barrier,
  BoundedSemaphore,
  Condition,
  Event,
  gather,
  getRunningLoop,
  Lock,
  Protocol,
  Queue,
  Runner,
  Semaphore,
  StreamReader,
  sleep,
  startServer,
  ThreadPoolExecutor,
  taskGroup,
  timeout,
} from '../src/index.ts';

/** Runs `main` on virtual time. */
async function simulated(main: () => PromiseLike<void>): Promise<void> {
  const loop = new SimulatedEventLoop();
  await loop.runUntilComplete(main);
  loop.close();
}

test('a task shows its name, its state and the wait at which it stands', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    const task = loop.createTask(() => sleep(5, 'done'), { name: 'fetch-prices' });
    assert.equal(inspect(task), "Task { 'fetch-prices' not started }");
    await sleep(1);
    assert.equal(inspect(task), "Task { 'fetch-prices' pending 1.0 s, at sleep(5) }");
    assert.equal(String(task), "Task { 'fetch-prices' pending 1.0 s, at sleep(5) }");
    assert.equal(JSON.stringify({ task }), `{"task":"Task { 'fetch-prices' pending 1.0 s, at sleep(5) }"}`);
    await task;
    assert.equal(inspect(task), "Task { 'fetch-prices' result 'done' }");
  });
});

test('a task shows the operations of the library around its wait', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    const lock = new Lock();
    using _ = await lock.acquire();
    const task = loop.createTask(
      () => timeout(60, () => taskGroup(async () => void (await gather(lock.acquire(), sleep(1000))))),
      { name: 'a' },
    );
    await sleep(1);
    assert.equal(inspect(task), "Task { 'a' pending 1.0 s, at timeout() > taskGroup() > gather() }");
    task.cancel();
    await task.catch(() => {});
    assert.equal(inspect(task), "Task { 'a' cancelled }");
  });
});

test('a task that awaits a promise of the host says so, and a running task that it runs', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    let resolve = (): void => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    const task: Task<string> = loop.createTask(
      async () => {
        const line = inspect(task);
        await promise;
        return line;
      },
      { name: 'a' },
    );
    await sleep(1);
    assert.equal(inspect(task), "Task { 'a' pending 1.0 s, at a promise of the host }");
    resolve();
    assert.equal(await task, "Task { 'a' pending 0 ms, running }");
  });
});

test('the age of a task counts from its creation, on the clock of its loop', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    await sleep(1000);
    const task = loop.createTask(() => sleep(100), { name: 'a' });
    await sleep(2.13);
    assert.equal(inspect(task), "Task { 'a' pending 2.1 s, at sleep(100) }");
    task.cancel();
    await task.catch(() => {});
  });
});

test('a future shows its state, and a larger depth shows more of a task', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    const future = loop.createFuture<number>();
    assert.equal(inspect(future), 'Future { pending }');
    future.setResult(5);
    assert.equal(inspect(future), 'Future { result 5 }');
    const failed = loop.createFuture();
    failed.setException(new RangeError('too far'));
    failed.exception();
    assert.equal(inspect(failed), 'Future { exception RangeError: too far }');
    const task = loop.createTask(() => sleep(5), { name: 'a' });
    await sleep(1);
    const more = inspect(task, { depth: 3 });
    assert.match(more, /^Task \{ 'a' pending 1\.0 s, at sleep\(5\) \} \{/);
    assert.match(more, /awaits: \[ Future \{ pending, sleep\(5\) \} \]/);
    assert.match(more, /loop: SimulatedEventLoop \{ running,/);
    await task;
  });
});

test('a lock shows its holder and who waits', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    const lock = new Lock();
    assert.equal(inspect(lock), 'Lock { free }');
    const hold = async (): Promise<void> => {
      using _ = await lock.acquire();
      await sleep(10);
    };
    for (const name of ['a', 'b', 'c']) void loop.createTask(hold, { name });
    await sleep(1);
    assert.equal(inspect(lock), "Lock { held by 'a', 2 wait: 'b', 'c' }");
    await sleep(10);
    assert.equal(inspect(lock), "Lock { held by 'b', 1 waits: 'c' }");
    const tasks = [...gyre.allTasks()].filter((task) => task.name === 'c');
    assert.equal(inspect(tasks[0]), "Task { 'c' pending 11.0 s, at Lock.acquire() }");
    await sleep(30);
  });
});

test('the other primitives show their state in one line', async () => {
  await simulated(async () => {
    const loop = getRunningLoop();
    const queue = new Queue<number>(2);
    assert.equal(inspect(queue), 'Queue { 0 of 2 items }');
    const getter = loop.createTask(() => queue.get(), { name: 'g' });
    await sleep(0);
    assert.equal(inspect(queue), "Queue { 0 of 2 items, 1 gets: 'g' }");
    assert.equal(inspect(getter), "Task { 'g' pending 0 ms, at Queue.get() }");
    getter.cancel();
    await getter.catch(() => {});
    queue.shutdown();
    assert.equal(inspect(new Queue()), 'Queue { 0 items }');
    assert.equal(inspect(queue), 'Queue { 0 of 2 items, shut down }');
    assert.equal(inspect(new Event()), 'Event { not set }');
    assert.equal(inspect(new Semaphore(3)), 'Semaphore { 3 free }');
    assert.equal(inspect(new BoundedSemaphore(3)), 'BoundedSemaphore { 3 of 3 free }');
    assert.equal(inspect(new Condition()), 'Condition { free }');
    assert.equal(inspect(new Barrier(2)), 'Barrier { 0 of 2 have arrived }');
    assert.equal(inspect(new StreamReader()), 'StreamReader { 0 bytes buffered }');
    assert.equal(inspect(new Runner()), 'Runner { no loop yet }');
    const timer = loop.callLater(12, function later() {});
    assert.equal(inspect(timer), 'TimerHandle { later, due in 12.0 s }');
    timer.cancel();
    assert.equal(inspect(timer), 'TimerHandle { cancelled }');
    assert.equal(inspect(loop), 'SimulatedEventLoop { running, 1 task, 0 timers, 0 handles }');
  });
});

test('a scope of a limit and a task group show their state', async () => {
  await simulated(async () => {
    await timeout(60, async (scope) => {
      await sleep(10);
      assert.equal(inspect(scope), 'Timeout { expires in 50.0 s }');
      await taskGroup(async (group) => {
        void group.createTask(() => sleep(1));
        assert.equal(inspect(group), 'TaskGroup { running, 1 task }');
      });
    });
  });
});

test('a server, its transports and its streams show their addresses and what is queued', async () => {
  await simulate({ seed: 1 }, async (world) => {
    const lines: Record<string, string> = {};
    void world.host('server', { addresses: ['10.0.0.1'] }).run(async () => {
      const server = await startServer(
        async (reader, writer) => {
          lines.accepted = inspect(writer.transport);
          lines.writer = inspect(writer);
          lines.server = inspect(server);
          await reader.read().catch(() => {});
        },
        '10.0.0.1',
        80,
      );
      await server.serveForever();
    });
    await world.host('client', { addresses: ['10.0.0.2'] }).run(async () => {
      const loop = getRunningLoop();
      const [transport] = await loop.createConnection(() => new Protocol(), '10.0.0.1', 80);
      lines.connected = inspect(transport);
      (transport as Transport).pauseReading();
      transport.write(Buffer.alloc(10_000_000));
      await sleep(0);
      lines.queued = inspect(transport);
      transport.abort();
      await sleep(1);
      const [endpoint] = await loop.createDatagramEndpoint(() => ({}), { localAddr: ['10.0.0.2', 53] });
      lines.datagrams = inspect(endpoint);
      await endpoint[Symbol.asyncDispose]();
    });
    assert.match(
      String(lines.accepted),
      /^StreamTransport \{ tcp 10\.0\.0\.1:80 <- 10\.0\.0\.2:\d+, open \}$/,
    );
    assert.match(String(lines.writer), /^StreamWriter \{ tcp 10\.0\.0\.1:80 <- 10\.0\.0\.2:\d+, open \}$/);
    assert.equal(lines.server, 'Server { 10.0.0.1:80, listening, 1 connection }');
    assert.match(
      String(lines.connected),
      /^StreamTransport \{ tcp 10\.0\.0\.2:\d+ -> 10\.0\.0\.1:80, open \}$/,
    );
    assert.match(String(lines.queued), /, open, reading paused, \d+\.\d MiB queued \}$/);
    assert.equal(lines.datagrams, 'DatagramEndpoint { udp 10.0.0.2:53, open }');
  });
});

test('an executor shows its workers and its jobs', async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  assert.equal(inspect(pool), 'ThreadPoolExecutor { 0 of 1 worker, 0 running, 0 queued }');
  const jobs = [1, 2, 3].map((n) => pool.submit((value: number) => value, [n]));
  assert.equal(inspect(pool), 'ThreadPoolExecutor { 1 of 1 worker, 1 running, 2 queued }');
  await Promise.all(jobs);
});

test('every public class prints in one line, also its prototype, and inspection never throws', () => {
  const protocols = /Protocol$|Error$|^QueueEmpty$|^QueueFull$|^QueueShutDown$|^DefaultEventLoopPolicy$/;
  const silent: string[] = [];
  for (const [name, value] of Object.entries(gyre)) {
    if (typeof value !== 'function' || !/^class /.test(Function.prototype.toString.call(value))) continue;
    if (protocols.test(name) || /^(Base|Abstract|Datagram|Subprocess)?(Transport|Server)$/.test(name))
      continue;
    assert.doesNotMatch(inspect(value.prototype), /\n/, name);
    if (!(inspect.custom in value.prototype)) silent.push(name);
  }
  assert.deepEqual(silent, []);
});
