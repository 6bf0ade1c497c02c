import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedSemaphore, CancelledError, InvalidStateError, Semaphore, sleep } from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOneLoop, checkOptionsRefused, checkSignals, spawn } from './helpers.ts';

test(
  'Semaphore lets as many tasks in as it has permits, in the order of arrival',
  inSimulation(async (loop) => {
    const semaphore = new Semaphore(2);
    const log: string[] = [];
    const enter = (name: string) => async (): Promise<void> => {
      using _ = await semaphore.acquire();
      log.push(`${name} at ${loop.time()}`);
      await sleep(1);
    };
    for (const task of ['a', 'b', 'c', 'd', 'e'].map((name) => spawn(enter(name)))) await task;
    assert.deepEqual(log, ['a at 0', 'b at 0', 'c at 1', 'd at 1', 'e at 2']);
    assert.equal(semaphore.locked(), false);
  }),
);

test(
  'Semaphore has one permit by default, and may begin with none',
  inSimulation(async () => {
    const one = new Semaphore();
    assert.equal(one.locked(), false);
    assert.equal(one.acquire().done(), true);
    assert.equal(one.locked(), true);

    const none = new Semaphore(0);
    assert.equal(none.locked(), true);
    const waiting = none.acquire();
    none.release();
    await waiting;
    assert.equal(none.locked(), true);
  }),
);

test(
  'Semaphore.acquire() of a free permit is done at once and costs no turn',
  inSimulation(async (loop) => {
    const semaphore = new Semaphore(2);
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    await semaphore.acquire();
    await semaphore.acquire();
    assert.equal(turned, false);
  }),
);

test(
  'Semaphore.release() without acquire() adds a permit',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    semaphore.release();
    semaphore.release();
    await semaphore.acquire();
    await semaphore.acquire();
    assert.equal(semaphore.locked(), true);
  }),
);

// python/cpython#90155: a newcomer took the permit of a woken waiter, and the next ones were never woken.
test(
  'Semaphore lets no task overtake a woken waiter, even with permits enough for both',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    const first = semaphore.acquire();
    semaphore.release();
    semaphore.release();
    assert.equal(semaphore.locked(), true);
    const second = semaphore.acquire();
    assert.equal(second.done(), false);
    const order: string[] = [];
    first.addDoneCallback(() => order.push('first'));
    second.addDoneCallback(() => order.push('second'));
    await second;
    await turns();
    assert.deepEqual(order, ['first', 'second']);
  }),
);

test(
  'Semaphore.release() lets one waiter in, also when several wait',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    const waiting = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
    semaphore.release();
    await turns(3);
    assert.deepEqual(
      waiting.map((future) => future.done()),
      [true, false, false],
    );
    semaphore.release();
    semaphore.release();
    await turns(3);
    assert.ok(waiting.every((future) => future.done()));
    assert.equal(semaphore.locked(), true);
  }),
);

test(
  'a Semaphore’s waiter that is cancelled has taken no permit',
  inSimulation(async () => {
    const semaphore = new Semaphore(1);
    await semaphore.acquire();
    const [a, b] = [
      spawn(async () => await semaphore.acquire()),
      spawn(async () => await semaphore.acquire()),
    ];
    await turns();
    a.cancel();
    await assert.rejects(async () => await a, CancelledError);
    semaphore.release();
    await b;
    semaphore.release();
    assert.equal(semaphore.locked(), false);
  }),
);

test(
  'a Semaphore’s waiter that is cancelled after its wake-up passes the permit on',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    const [a, b, c] = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
    semaphore.release();
    a.cancel();
    await turns(2);
    assert.deepEqual([b.done(), c.done()], [true, false]);
    c.cancel();
    semaphore.release();
    assert.equal(semaphore.locked(), false);
  }),
);

test(
  'cancelling all waiters of a Semaphore returns all permits',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    const waiting = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
    semaphore.release();
    semaphore.release();
    for (const future of waiting) future.cancel();
    await turns(1);
    assert.equal(semaphore.locked(), false);
    await semaphore.acquire();
    await semaphore.acquire();
    assert.equal(semaphore.locked(), true);
  }),
);

test(
  'Semaphore.acquire() loses no permit to a cancel in the turn of the hand-over',
  inSimulation(async (loop) => {
    const semaphore = new Semaphore(0);
    const task = spawn(async () => {
      using _ = await semaphore.acquire();
      await sleep(1);
    });
    await turns();
    semaphore.release();
    loop.callSoon(() => task.cancel());
    await assert.rejects(async () => await task, CancelledError);
    assert.equal(semaphore.locked(), false);
  }),
);

test(
  'a guard of Semaphore returns its permit once',
  inSimulation(async () => {
    const semaphore = new Semaphore(1);
    const guard = await semaphore.acquire();
    guard[Symbol.dispose]();
    guard[Symbol.dispose]();
    await semaphore.acquire();
    assert.equal(semaphore.locked(), true);
  }),
);

test(
  'Semaphore.acquire() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    await checkSignals(
      (options) => semaphore.acquire(options),
      () => semaphore.release(),
      () => !semaphore.locked(),
    );
  }),
);

test(
  'Semaphore.acquire() rejects bad options',
  inSimulation(async () => {
    checkOptionsRefused((options) => new Semaphore().acquire(options));
  }),
);

test('Semaphore rejects a number of permits that is not an integer of at least 0', () => {
  for (const kind of [Semaphore, BoundedSemaphore]) {
    for (const value of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => new kind(value), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }, String(value));
    }
    for (const value of ['1', null, {}, 1n]) {
      assert.throws(() => new kind(value as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
  }
});

test('Semaphore.acquire() needs a running loop; release() needs none', () => {
  const semaphore = new Semaphore(0);
  checkNeedsLoop(() => semaphore.acquire());
  semaphore.release();
  assert.equal(semaphore.locked(), false);
  checkNeedsLoop(() => semaphore.acquire());
  assert.equal(semaphore.locked(), false);
});

test('Semaphore serves the waiters of one loop at a time', async () => {
  const semaphore = new Semaphore(0);
  await checkOneLoop('Semaphore', () => semaphore.acquire());
});

test(
  'BoundedSemaphore.release() throws when it is called more often than acquire()',
  inSimulation(async () => {
    const semaphore = new BoundedSemaphore(2);
    assert.throws(() => semaphore.release(), InvalidStateError);
    await semaphore.acquire();
    await semaphore.acquire();
    semaphore.release();
    semaphore.release();
    assert.throws(() => semaphore.release(), InvalidStateError);
  }),
);

test(
  'BoundedSemaphore counts a permit on its way to a waiter as returned',
  inSimulation(async () => {
    const semaphore = new BoundedSemaphore(1);
    await semaphore.acquire();
    const waiting = semaphore.acquire();
    semaphore.release();
    assert.throws(() => semaphore.release(), InvalidStateError);
    await waiting;
    semaphore.release();
  }),
);

test(
  'Semaphore cancels 100,000 waiters in any order in 100,000 steps, and as many releases take as many',
  { timeout: 20_000 },
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    const waiting = Array.from({ length: 200_000 }, () => semaphore.acquire());
    for (let i = 1; i < waiting.length; i += 2) waiting[i]?.cancel();
    for (let i = 0; i < 100_000; i++) semaphore.release();
    await turns(2);
    assert.ok(waiting.every((future) => future.done()));
    assert.equal(semaphore.locked(), true);
  }),
);
