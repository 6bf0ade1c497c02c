import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '../../src/index.ts';
import { Barrier, BrokenBarrierError, CancelledError } from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOneLoop, checkOptionsRefused, isAbort, listeners, spawn } from './helpers.ts';

/** Starts `count` tasks that wait. They wait once a turn has passed. */
function arrive(barrier: Barrier, count: number): Task<number>[] {
  return Array.from({ length: count }, () => spawn(async () => await barrier.wait()));
}

function ended(tasks: Task<number>[]): (number | string)[] {
  return tasks.map((task) => {
    if (!task.done()) return 'waits';
    if (task.cancelled()) return 'cancelled';
    const exception = task.exception();
    return exception === null ? task.result() : (exception as Error).name;
  });
}

test(
  'Barrier lets all waiters continue when the last one comes, and gives each its index',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    assert.deepEqual([barrier.parties, barrier.nWaiting, barrier.broken], [3, 0, false]);
    const early = arrive(barrier, 2);
    await turns(3);
    assert.deepEqual(ended(early), ['waits', 'waits']);
    assert.equal(barrier.nWaiting, 2);
    assert.equal(await barrier.wait(), 2);
    await turns(2);
    assert.deepEqual(ended(early), [0, 1]);
    assert.equal(barrier.nWaiting, 0);
  }),
);

test(
  'Barrier.wait() costs the last party no turn',
  inSimulation(async (loop) => {
    const barrier = new Barrier(2);
    const [first] = [barrier.wait()];
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    const last = barrier.wait();
    assert.equal(last.done(), true);
    await last;
    assert.equal(turned, false);
    assert.equal(first?.done(), false, 'the others go on in their own turn');
    await turns();
    assert.equal(first?.result(), 0);
  }),
);

test(
  'Barrier of one party never waits',
  inSimulation(async () => {
    const barrier = new Barrier(1);
    for (let i = 0; i < 3; i++) assert.equal(await barrier.wait(), 0);
    assert.equal(barrier.nWaiting, 0);
  }),
);

test(
  'Barrier serves one round after another',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const indices: number[][] = [];
    const run = async (): Promise<void> => {
      for (let round = 0; round < 5; round++) {
        const index = await barrier.wait();
        const seen = indices[round] ?? [];
        indices[round] = seen;
        seen.push(index);
      }
    };
    for (const task of [spawn(run), spawn(run)]) await task;
    assert.deepEqual(
      indices.map((round) => [...round].sort()),
      Array.from({ length: 5 }, () => [0, 1]),
    );
  }),
);

test(
  'a task that comes while a round of a Barrier leaves takes part in the next one, in the order of arrival',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const first = barrier.wait();
    await barrier.wait();
    // The first one is released and has not run yet: the barrier is draining.
    const outside = [barrier.wait(), barrier.wait(), barrier.wait()];
    assert.deepEqual(
      outside.map((future) => future.done()),
      [false, false, false],
    );
    assert.equal(barrier.nWaiting, 0);
    await first;
    await turns(2);
    assert.deepEqual(
      outside.slice(0, 2).map((future) => future.result()),
      [0, 1],
    );
    assert.equal(outside[2]?.done(), false);
    assert.equal(barrier.nWaiting, 1);
    assert.equal(await barrier.wait(), 1);
    assert.equal(await outside[2], 0);
  }),
);

test(
  'a waiter that is cancelled while the Barrier fills does not count, and indices stay unique',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    const [a, b] = arrive(barrier, 2);
    await turns();
    a?.cancel();
    await turns();
    assert.equal(barrier.nWaiting, 1);
    const c = barrier.wait();
    await turns(2);
    assert.equal(c.done(), false);
    assert.equal(await barrier.wait(), 2);
    assert.deepEqual([await b, await c], [0, 1]);
    await assert.rejects(async () => await a, CancelledError);
  }),
);

test(
  'a waiter that is cancelled after the Barrier is full is cancelled, and the others continue',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    const tasks = arrive(barrier, 2);
    await turns();
    await barrier.wait();
    const next = barrier.wait();
    tasks[0]?.cancel();
    await turns(2);
    assert.deepEqual(ended(tasks), ['cancelled', 1]);
    assert.equal(barrier.nWaiting, 1, 'and the next round has begun');
    next.cancel();
    assert.equal(barrier.nWaiting, 0);
  }),
);

test(
  'the last waiter of a Barrier’s round may leave by a cancel',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const first = barrier.wait();
    await barrier.wait();
    const next = barrier.wait();
    first.cancel();
    await turns(1);
    assert.equal(barrier.nWaiting, 1);
    assert.equal(await barrier.wait(), 1);
    assert.equal(await next, 0);
  }),
);

test(
  'a task that is cancelled while it waits for a Barrier’s next round changes nothing for the others',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const first = barrier.wait();
    await barrier.wait();
    const outside = barrier.wait();
    outside.cancel();
    await first;
    await turns(2);
    assert.equal(barrier.nWaiting, 0);
  }),
);

test(
  'Barrier.abort() breaks the barrier for its waiters and for later ones',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    const waiting = arrive(barrier, 2);
    await turns();
    assert.equal(barrier.abort().done(), true);
    assert.equal(barrier.broken, true);
    assert.equal(barrier.nWaiting, 0);
    await turns(2);
    assert.deepEqual(ended(waiting), ['BrokenBarrierError', 'BrokenBarrierError']);
    await assert.rejects(async () => await barrier.wait(), {
      name: 'BrokenBarrierError',
      code: 'ERR_BROKEN_BARRIER',
    });
    for (const task of waiting) await assert.rejects(async () => await task, BrokenBarrierError);
  }),
);

test(
  'Barrier.abort() reaches released waiters that have not run, and those of the next round',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const waiting = arrive(barrier, 1);
    await turns();
    await barrier.wait();
    const outside = barrier.wait();
    await barrier.abort();
    await turns(2);
    assert.deepEqual(ended(waiting), ['BrokenBarrierError']);
    await assert.rejects(async () => await outside, BrokenBarrierError);
  }),
);

test(
  'Barrier.reset() ends the wait of all waiters, and a new round begins',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    const waiting = arrive(barrier, 2);
    await turns();
    assert.equal(barrier.reset().done(), true);
    assert.equal(barrier.broken, false);
    assert.equal(barrier.nWaiting, 0);
    const next = barrier.wait();
    await turns(2);
    assert.deepEqual(ended(waiting), ['BrokenBarrierError', 'BrokenBarrierError']);
    assert.equal(next.done(), false);
    assert.equal(barrier.nWaiting, 1, 'who came after the reset is in the new round');
    const other = barrier.wait();
    assert.equal(await barrier.wait(), 2);
    assert.deepEqual([await next, await other], [0, 1]);
  }),
);

test(
  'Barrier.reset() of an empty barrier changes nothing',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    await barrier.reset();
    const first = barrier.wait();
    assert.equal(barrier.nWaiting, 1);
    await barrier.wait();
    await first;
  }),
);

test(
  'Barrier.reset() while a round leaves ends the wait of those that have not run yet',
  inSimulation(async () => {
    const barrier = new Barrier(3);
    const waiting = arrive(barrier, 2);
    await turns();
    assert.equal(await barrier.wait(), 2);
    await barrier.reset();
    await turns(2);
    assert.deepEqual(ended(waiting), ['BrokenBarrierError', 'BrokenBarrierError']);
    assert.equal(barrier.nWaiting, 0);
  }),
);

test(
  'Barrier.reset() repairs a broken barrier, and the waiters of the next round enter',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    await barrier.abort();
    assert.equal(barrier.broken, true);
    await barrier.reset();
    assert.equal(barrier.broken, false);

    const inside = arrive(barrier, 1);
    await turns();
    await barrier.wait();
    const outside = barrier.wait();
    await barrier.abort();
    await barrier.reset();
    await turns(2);
    assert.deepEqual(ended(inside), ['BrokenBarrierError']);
    assert.equal(outside.done(), false);
    assert.equal(barrier.nWaiting, 1);
    assert.equal(await barrier.wait(), 1);
    assert.equal(await outside, 0);
  }),
);

test(
  'Barrier.reset() of a broken barrier that all have left lets the waiters of the next round enter',
  inSimulation(async () => {
    const barrier = new Barrier(2);
    const inside = barrier.wait();
    await barrier.wait();
    const outside = barrier.wait();
    await barrier.abort();
    inside.cancel();
    // It resumes in the turn of `inside`, before `outside` does.
    await assert.rejects(async () => await inside, CancelledError);
    await barrier.reset();
    assert.equal(barrier.nWaiting, 1);
    await turns(2);
    assert.equal(outside.done(), false);
    assert.equal(await barrier.wait(), 1);
    assert.equal(await outside, 0);
  }),
);

test(
  'Barrier.wait() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const reason = new Error('enough');
    const barrier = new Barrier(2);
    const controller = new AbortController();
    const waiting = barrier.wait({ signal: controller.signal });
    assert.equal(listeners(controller.signal), 1);
    controller.abort(reason);
    await assert.rejects(async () => await waiting, isAbort(reason));
    assert.equal(listeners(controller.signal), 0);
    assert.equal(barrier.nWaiting, 0);

    const unused = new AbortController();
    const first = barrier.wait({ signal: unused.signal });
    await assert.rejects(async () => await barrier.wait({ signal: controller.signal }), isAbort(reason));
    assert.equal(barrier.nWaiting, 1, 'an aborted signal does not trip it');
    await barrier.wait();
    await first;
    assert.equal(listeners(unused.signal), 0);
  }),
);

test('Barrier rejects bad arguments', () => {
  for (const parties of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new Barrier(parties), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
  for (const parties of ['2', null, undefined]) {
    assert.throws(() => new Barrier(parties as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test(
  'Barrier.wait() rejects bad options',
  inSimulation(async () => {
    const barrier = new Barrier(1);
    checkOptionsRefused((options) => barrier.wait(options));
  }),
);

test('Barrier needs a running loop', () => {
  const barrier = new Barrier(1);
  checkNeedsLoop(() => barrier.wait());
  checkNeedsLoop(() => barrier.reset());
  checkNeedsLoop(() => barrier.abort());
  assert.equal(barrier.broken, false);
});

test('Barrier serves the waiters of one loop at a time', async () => {
  const barrier = new Barrier(2);
  await checkOneLoop('Barrier', () => barrier.wait());
});
