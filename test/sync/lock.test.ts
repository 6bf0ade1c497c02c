import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CancelledError, getRunningLoop, InvalidStateError, Lock, sleep } from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOneLoop, checkOptionsRefused, checkSignals, spawn } from './helpers.ts';

test(
  'Lock goes to its waiters in the order of arrival',
  inSimulation(async () => {
    const lock = new Lock();
    const order: number[] = [];
    const enter = (i: number) => async (): Promise<void> => {
      using _ = await lock.acquire();
      order.push(i);
      await sleep(1);
      order.push(i);
    };
    const tasks = [1, 2, 3].map((i) => spawn(enter(i)));
    for (const task of tasks) await task;
    assert.deepEqual(order, [1, 1, 2, 2, 3, 3]);
    assert.equal(lock.locked(), false);
  }),
);

test(
  'Lock.acquire() of a free lock is done at once and costs no turn',
  inSimulation(async (loop) => {
    const lock = new Lock();
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    const acquired = lock.acquire();
    assert.equal(acquired.done(), true);
    assert.equal(lock.locked(), true);
    await acquired;
    assert.equal(turned, false);
  }),
);

test(
  'Lock lets no task overtake a woken waiter that has not run yet',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const waiting = lock.acquire();
    lock.release();
    assert.equal(lock.locked(), false, 'free, but meant for the one in line');
    const late = lock.acquire();
    assert.equal(late.done(), false);
    await waiting;
    assert.equal(late.done(), false);
    lock.release();
    await late;
    lock.release();
  }),
);

test('Lock.release() of a free lock throws an InvalidStateError', () => {
  assert.throws(() => new Lock().release(), InvalidStateError);
});

test(
  'a guard of Lock releases once, however often it is disposed',
  inSimulation(async () => {
    const lock = new Lock();
    const first = await lock.acquire();
    first[Symbol.dispose]();
    assert.equal(lock.locked(), false);
    await lock.acquire();
    first[Symbol.dispose]();
    assert.equal(lock.locked(), true, 'this is the acquisition of somebody else');
    lock.release();
  }),
);

test(
  'a guard of Lock does nothing after an explicit release()',
  inSimulation(async () => {
    const lock = new Lock();
    {
      using _ = await lock.acquire();
      lock.release();
      await lock.acquire();
    }
    assert.equal(lock.locked(), true);
    lock.release();
  }),
);

test(
  'a Lock’s waiter that is cancelled leaves the queue, and the lock goes to the next',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const order: string[] = [];
    const enter = (name: string) => async (): Promise<void> => {
      using _ = await lock.acquire();
      order.push(name);
    };
    const [a, b, c] = ['a', 'b', 'c'].map((name) => spawn(enter(name)));
    await turns();
    b?.cancel();
    await assert.rejects(async () => await b, CancelledError);
    lock.release();
    await a;
    await c;
    assert.deepEqual(order, ['a', 'c']);
    assert.equal(lock.locked(), false);
  }),
);

test(
  'a Lock’s waiter that is cancelled after its wake-up and before it ran wakes the next one',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const first = spawn(async () => await lock.acquire());
    const second = spawn(async () => await lock.acquire());
    await turns();
    lock.release();
    first.cancel();
    await assert.rejects(async () => await first, CancelledError);
    await second;
    assert.equal(lock.locked(), true);
    lock.release();
  }),
);

test(
  'cancelling a waiter far behind in a Lock’s queue wakes no other out of order',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const [a, b, c] = [lock.acquire(), lock.acquire(), lock.acquire()];
    lock.release();
    b.cancel();
    await turns();
    assert.deepEqual([a.done(), c.done()], [true, false]);
    lock.release();
    await c;
    lock.release();
  }),
);

test(
  'a cancel in the turn of a Lock’s hand-over comes after the code that got the lock',
  inSimulation(async (loop) => {
    const lock = new Lock();
    await lock.acquire();
    const log: string[] = [];
    const task = spawn(async () => {
      using _ = await lock.acquire();
      log.push('has it');
      await sleep(1);
      log.push('not reached');
    });
    await turns();
    lock.release();
    // Behind the waiter in the ready queue: the waiter holds the lock, and its code has reached its next
    // await.
    loop.callSoon(() => {
      log.push(lock.locked() ? 'cancel' : 'too early');
      task.cancel();
    });
    await assert.rejects(async () => await task, CancelledError);
    assert.deepEqual(log, ['has it', 'cancel']);
    assert.equal(lock.locked(), false, 'the guard released it');
  }),
);

test(
  'a done future of Lock.acquire() cannot be cancelled',
  inSimulation(async () => {
    const lock = new Lock();
    const acquired = lock.acquire();
    assert.equal(acquired.cancel(), false);
    assert.equal(lock.locked(), true);
  }),
);

test(
  'Lock.acquire() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const free = (): void => {
      if (lock.locked()) lock.release();
    };
    await checkSignals(
      (options) => lock.acquire(options),
      free,
      () => !lock.locked(),
    );
  }),
);

test(
  'Lock.acquire() rejects bad options',
  inSimulation(async () => {
    const lock = new Lock();
    checkOptionsRefused((options) => lock.acquire(options));
    assert.equal(lock.locked(), false);
  }),
);

test('Lock.acquire() needs a running loop; release() needs none', async () => {
  const lock = new Lock();
  checkNeedsLoop(() => lock.acquire());
  assert.equal(lock.locked(), false);
  await inSimulation(async () => {
    await lock.acquire();
  })();
  lock.release();
  assert.equal(lock.locked(), false);
});

test('Lock serves the waiters of one loop at a time', async () => {
  const lock = new Lock();
  await inSimulation(async () => {
    await lock.acquire();
  })();
  await checkOneLoop('Lock', () => lock.acquire());
});

test(
  'Lock cancels 100,000 waiters in any order in 100,000 steps',
  { timeout: 20_000 },
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    const waiting = Array.from({ length: 100_000 }, () => lock.acquire());
    for (let i = 1; i < waiting.length; i += 2) waiting[i]?.cancel();
    for (let i = waiting.length - 2; i > 0; i -= 2) waiting[i]?.cancel();
    lock.release();
    await waiting[0];
    lock.release();
    assert.equal(lock.acquire().done(), true, 'nobody is left in line');
  }),
);

test(
  'two tasks that hand a Lock to each other do not starve a timer',
  inSimulation(async (loop) => {
    const lock = new Lock();
    let over = false;
    let rounds = 0;
    getRunningLoop().callLater(0, () => {
      over = true;
    });
    const play = async (): Promise<void> => {
      while (!over && rounds < 1_000) {
        using _ = await lock.acquire();
        rounds++;
        await sleep(0);
      }
    };
    const [a, b] = [spawn(play), spawn(play)];
    await a;
    await b;
    assert.ok(rounds < 10, `the timer came after ${rounds} rounds`);
    assert.equal(loop.time(), 0);
  }),
);
