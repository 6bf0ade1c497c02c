/** captureCallGraph(), formatCallGraph() and printCallGraph(). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { FutureCallGraph, Task } from '../../src/index.ts';
import {
  captureCallGraph,
  formatCallGraph,
  gather,
  getRunningLoop,
  Lock,
  printCallGraph,
  run,
  shield,
  sleep,
  taskGroup,
  timeout,
} from '../../src/index.ts';
import { simulated } from '../helpers/simulation.ts';

/** Returns the names of the tasks in a graph: `inner < outer < (main)`. */
function namesIn(graph: FutureCallGraph | null): unknown[] {
  if (graph === null) return [];
  const name = (graph.future as Task).name ?? 'future';
  return [graph.cycle ? `cycle ${name}` : name, ...graph.awaitedBy.map(namesIn)];
}

test(
  'the call graph of a task shows where it stands, and who waits for it through any of the combinators',
  simulated(async (loop) => {
    const inner = loop.createTask(() => timeout(60, () => sleep(5)), { name: 'inner' });
    const direct = loop.createTask(() => inner, { name: 'direct' });
    const gathering = loop.createTask(() => gather(direct, sleep(50)), { name: 'gathering' });
    const shielding = loop.createTask(() => shield(inner), { name: 'shielding' });
    const limited = loop.createTask(() => timeout(70, () => shielding), { name: 'limited' });
    await sleep(1);
    const graph = captureCallGraph(inner);
    assert.deepEqual(namesIn(graph), ['inner', ['direct', ['gathering']], ['shielding', ['limited']]]);
    assert.deepEqual(
      graph?.callStack.map(({ name }) => name),
      ['sleep(5)', 'timeout()'],
    );
    assert.deepEqual(
      captureCallGraph(inner, { limit: 1 })?.callStack.map(({ name }) => name),
      ['sleep(5)'],
    );
    await gather(gathering, limited);
    assert.deepEqual(namesIn(captureCallGraph(inner)), ['inner']);
  }),
);

test(
  'the call graph shows the tasks that wait for a lock which the task holds, and for a plain future',
  simulated(async (loop) => {
    const lock = new Lock();
    const future = loop.createFuture<void>();
    const holder = loop.createTask(() => lock.run(() => future), { name: 'holder' });
    const waiter = loop.createTask(() => lock.run(() => {}), { name: 'waiter' });
    await sleep(1);
    assert.deepEqual(namesIn(captureCallGraph(holder)), ['holder', ['waiter']]);
    assert.deepEqual(namesIn(captureCallGraph(future)), ['future', ['holder', ['waiter']]]);
    future.setResult();
    await gather(holder, waiter);
  }),
);

test(
  'tasks that wait for each other are marked as a cycle, and the text says so',
  simulated(async (loop) => {
    const lock = new Lock();
    const b = loop.createTask(
      async () => {
        await sleep(1);
        await lock.acquire();
      },
      { name: 'b' },
    );
    const a = loop.createTask(() => lock.run(() => b), { name: 'a' });
    await sleep(2);
    assert.deepEqual(namesIn(captureCallGraph(a)), ['a', ['b', ['cycle a']]]);
    assert.equal(
      formatCallGraph(a),
      [
        "* Task { 'a' pending 2.0 s, at Lock.run() > task 'b' }",
        '  + Call stack:',
        "  |   task 'b'",
        '  |   Lock.run()',
        '  + Awaited by:',
        "     * Task { 'b' pending 2.0 s, at Lock.acquire() }",
        '       + Call stack:',
        '       |   Lock.acquire()',
        '       + Awaited by:',
        "          * Task { 'a' pending 2.0 s, at Lock.run() > task 'b' } (a cycle: it waits for itself)",
        '(debug mode knows where every wait began: loop.debug = true, or GYRE_DEBUG=1)',
      ].join('\n'),
    );
    a.cancel();
    await gather({ returnExceptions: true }, a, b);
  }),
);

test(
  'the call stack of the running task is its real stack, and a member of a group is awaited by the owner',
  simulated(async () => {
    await taskGroup(async (group) => {
      const owner = group.createTask(
        () =>
          taskGroup(async (inner) => {
            void inner.createTask(
              async function findsItself() {
                await sleep(1);
                const graph = captureCallGraph();
                assert.ok(graph?.callStack.some(({ name }) => name.endsWith('findsItself')));
                assert.deepEqual(namesIn(graph), ['member', ['owner', ['main']]]);
              },
              { name: 'member' },
            );
          }),
        { name: 'owner' },
      );
      await owner;
    });
  }),
);

test(
  'in debug mode the call stack has the file and line of each wait, and printCallGraph() prints them',
  simulated(async (loop) => {
    loop.debug = true;
    async function fetchesPrices(): Promise<void> {
      await sleep(10);
    }
    const task = loop.createTask(fetchesPrices, { name: 'a' });
    await sleep(1);
    assert.notEqual(captureCallGraph(task)?.callStack[0]?.location, null);
    let printed = '';
    printCallGraph(task, { file: { write: (text) => (printed += text) } });
    assert.match(
      printed,
      /^\* Task \{ 'a' pending 1\.0 s, at sleep\(10\) \}\n {2}\+ Call stack:\n {2}\| {3}sleep\(10\), at /,
    );
    assert.ok(printed.endsWith('\n') && !printed.includes('debug mode'));
    await task;
  }),
);

test('a chain of 2,000 tasks and a wide fan give a graph without recursion', async () => {
  await run(
    async () => {
      const loop = getRunningLoop();
      const first = loop.createTask(() => sleep(5), { name: 'first' });
      let last = first as Task<unknown>;
      for (let i = 0; i < 2000; i++) {
        const inner = last;
        last = loop.createTask(() => inner);
      }
      await sleep(1);
      let depth = 0;
      for (let graph = captureCallGraph(first); graph !== null; graph = graph.awaitedBy[0] ?? null) depth++;
      assert.equal(depth, 2001);
      await last;
    },
    { loopFactory: () => new SimulatedEventLoop() },
  );
});

test('wrong arguments are refused, and without a task there is no graph', () => {
  assert.equal(captureCallGraph(), null);
  assert.equal(formatCallGraph(), '');
  assert.throws(() => captureCallGraph(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => captureCallGraph(undefined, { limit: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => formatCallGraph(undefined, { depth: 1 } as never), TypeError);
  assert.throws(() => printCallGraph(undefined, { file: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
});
