import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CancelledError,
  InvalidStateError,
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  sleep,
} from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOneLoop, checkOptionsRefused, checkSignals, spawn } from './helpers.ts';

/** Takes out all items. */
function drain<T>(queue: Queue<T>): T[] {
  const items: T[] = [];
  while (!queue.empty()) items.push(queue.getNowait());
  return items;
}

test(
  'Queue returns items first in, first out',
  inSimulation(async () => {
    const queue = new Queue<number>();
    for (const item of [1, 2, 3]) await queue.put(item);
    assert.deepEqual([await queue.get(), await queue.get(), await queue.get()], [1, 2, 3]);
  }),
);

test('Queue.qsize(), empty() and full() describe its items', () => {
  const queue = new Queue<string>(2);
  assert.deepEqual([queue.maxsize, queue.qsize(), queue.empty(), queue.full()], [2, 0, true, false]);
  queue.putNowait('a');
  assert.deepEqual([queue.qsize(), queue.empty(), queue.full()], [1, false, false]);
  queue.putNowait('b');
  assert.deepEqual([queue.qsize(), queue.empty(), queue.full()], [2, false, true]);
  assert.equal(queue.getNowait(), 'a');
});

test('Queue without a limit, or with a limit of zero or less, is never full', () => {
  for (const queue of [new Queue<number>(), new Queue<number>(0), new Queue<number>(-1)]) {
    for (let i = 0; i < 1_000; i++) queue.putNowait(i);
    assert.equal(queue.full(), false);
  }
});

test('Queue.putNowait() throws QueueFull, and getNowait() throws QueueEmpty', () => {
  const queue = new Queue<number>(1);
  assert.throws(() => queue.getNowait(), QueueEmpty);
  queue.putNowait(1);
  assert.throws(() => queue.putNowait(2), QueueFull);
  assert.equal(queue.getNowait(), 1);
});

test(
  'Queue accepts undefined as an item',
  inSimulation(async () => {
    const queue = new Queue<undefined>(1);
    const getter = queue.get();
    await queue.put(undefined);
    assert.equal(await getter, undefined);
    await queue.put(undefined);
    assert.equal(queue.full(), true);
    assert.equal(await queue.get(), undefined);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue.put() with a free slot and get() with an item are done at once and cost no turn',
  inSimulation(async (loop) => {
    const queue = new Queue<number>(1);
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    for (let i = 0; i < 10; i++) {
      await queue.put(i);
      assert.equal(await queue.get(), i);
    }
    assert.equal(turned, false);
  }),
);

test(
  'Queue serves the waiters of get() in the order of arrival',
  inSimulation(async () => {
    const queue = new Queue<string>();
    const getters = [queue.get(), queue.get(), queue.get()];
    for (const item of ['a', 'b', 'c']) queue.putNowait(item);
    assert.equal(queue.qsize(), 3, 'they take their items in their own turn');
    await turns();
    assert.deepEqual(
      getters.map((getter) => getter.result()),
      ['a', 'b', 'c'],
    );
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue serves the waiters of put() in the order of arrival, and keeps its limit',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    const putters = [0, 1, 2, 3].map((item) => queue.put(item));
    const got: number[] = [];
    for (let i = 0; i < 4; i++) {
      got.push(await queue.get());
      await turns();
      assert.ok(queue.qsize() <= 1);
    }
    assert.deepEqual(got, [0, 1, 2, 3]);
    assert.ok(putters.every((putter) => putter.done()));
  }),
);

test(
  'Queue between a fast producer and a slow consumer holds no more items than its limit',
  inSimulation(async (loop) => {
    const queue = new Queue<number>(3);
    let most = 0;
    const producer = spawn(async () => {
      for (let i = 0; i < 50; i++) {
        await queue.put(i);
        most = Math.max(most, queue.qsize());
      }
    });
    const got: number[] = [];
    for (let i = 0; i < 50; i++) {
      await sleep(1);
      got.push(await queue.get());
    }
    await producer;
    assert.equal(most, 3);
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.equal(loop.time(), 50);
  }),
);

test(
  'a waiter of Queue.get() whose item was taken by another task keeps its place',
  inSimulation(async () => {
    const queue = new Queue<string>();
    const [first, second] = [queue.get(), queue.get()];
    queue.putNowait('a');
    assert.equal(queue.getNowait(), 'a', 'as in asyncio: an item that is there can be taken');
    await turns(2);
    assert.equal(first.done(), false);
    queue.putNowait('b');
    queue.putNowait('c');
    assert.deepEqual([await first, await second], ['b', 'c']);
  }),
);

test(
  'a waiter of Queue.put() whose slot was taken by another task keeps its place',
  inSimulation(async () => {
    const queue = new Queue<string>(1);
    queue.putNowait('a');
    const [first, second] = [queue.put('b'), queue.put('c')];
    assert.equal(queue.getNowait(), 'a');
    queue.putNowait('quick');
    await turns(2);
    assert.equal(first.done(), false);
    assert.equal(await queue.get(), 'quick');
    await first;
    assert.equal(await queue.get(), 'b');
    await second;
    assert.equal(await queue.get(), 'c');
  }),
);

test(
  'a waiter of Queue.put() that is woken twice is not overtaken by one that was woken in between',
  inSimulation(async (loop) => {
    const queue = new Queue<string>(1);
    queue.putNowait('full');
    const [first, second] = [queue.put('first'), queue.put('second')];
    const replace = (item: string): void => {
      queue.getNowait();
      queue.putNowait(item);
    };
    replace('x');
    loop.callSoon(() => queue.getNowait());
    replace('y');
    // The ready queue: the first waiter, who finds the queue full; the callback, which wakes the first one
    // again; the second waiter.
    await turns();
    assert.deepEqual([first.done(), second.done()], [true, false]);
    assert.equal(await queue.get(), 'first');
    await second;

    const got = new Queue<string>();
    const [one, two] = [got.get(), got.get()];
    got.putNowait('x');
    got.getNowait();
    loop.callSoon(() => got.putNowait('y'));
    got.putNowait('x');
    got.getNowait();
    await turns();
    assert.deepEqual([one.done(), two.done()], [true, false]);
    two.cancel();
  }),
);

test(
  'Queue.get() that is cancelled takes no item',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const task = spawn(async () => await queue.get());
    await turns();
    task.cancel();
    await assert.rejects(async () => await task, CancelledError);
    queue.putNowait(1);
    await turns(2);
    assert.equal(queue.qsize(), 1);
  }),
);

test(
  'Queue.get() that is cancelled after its wake-up passes the item on',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const [a, b] = [spawn(async () => await queue.get()), spawn(async () => await queue.get())];
    await turns();
    queue.putNowait(1);
    a.cancel();
    assert.equal(await b, 1);
    await assert.rejects(async () => await a, CancelledError);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue.get() loses no item to a cancel in the turn of the hand-over',
  inSimulation(async (loop) => {
    const queue = new Queue<number>();
    const got: number[] = [];
    const task = spawn(async () => {
      got.push(await queue.get());
      await sleep(1);
    });
    await turns();
    queue.putNowait(1);
    loop.callSoon(() => task.cancel());
    await assert.rejects(async () => await task, CancelledError);
    assert.deepEqual(got, [1]);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue.put() that is cancelled adds no item',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(1);
    const task = spawn(async () => await queue.put(2));
    await turns();
    task.cancel();
    await assert.rejects(async () => await task, CancelledError);
    assert.equal(await queue.get(), 1);
    await turns(2);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue.put() that is cancelled after its wake-up passes the slot on',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(1);
    const [a, b] = [spawn(async () => await queue.put(2)), spawn(async () => await queue.put(3))];
    await turns();
    queue.getNowait();
    a.cancel();
    await b;
    assert.deepEqual(drain(queue), [3]);
    await assert.rejects(async () => await a, CancelledError);
  }),
);

test(
  'Queue.join() waits until taskDone() was called for each item',
  inSimulation(async () => {
    const queue = new Queue<number>();
    assert.equal(queue.join().done(), true, 'nothing was put');
    for (let i = 0; i < 3; i++) queue.putNowait(i);
    const joined = [queue.join(), queue.join()];
    for (let i = 0; i < 3; i++) {
      await turns();
      assert.equal(joined[0]?.done(), false);
      await queue.get();
      queue.taskDone();
    }
    for (const future of joined) assert.equal(await future, undefined);
    assert.throws(() => queue.taskDone(), InvalidStateError);
  }),
);

test(
  'Queue.join() that is cancelled leaves the others waiting',
  inSimulation(async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    const [a, b] = [queue.join(), queue.join()];
    a.cancel();
    queue.taskDone();
    await b;
    await assert.rejects(async () => await a, CancelledError);
  }),
);

test(
  'Queue.shutdown() lets the remaining items be taken, and rejects everything else',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(1);
    const [putter, joiner] = [queue.put(2), queue.join()];
    queue.shutdown();
    await assert.rejects(async () => await putter, QueueShutDown);
    assert.throws(() => queue.putNowait(3), QueueShutDown);
    await assert.rejects(async () => await queue.put(3), QueueShutDown);
    assert.equal(await queue.get(), 1);
    assert.throws(() => queue.getNowait(), QueueShutDown);
    await assert.rejects(async () => await queue.get(), {
      name: 'QueueShutDown',
      code: 'ERR_QUEUE_SHUT_DOWN',
    });
    assert.equal(joiner.done(), false);
    queue.taskDone();
    await joiner;
    queue.shutdown();
  }),
);

test(
  'Queue.shutdown() ends a woken put(), although the queue has room',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(1);
    const putters = [queue.put(2), queue.put(3)];
    queue.getNowait();
    queue.shutdown();
    for (const putter of putters) await assert.rejects(async () => await putter, QueueShutDown);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue.shutdown() wakes all waiters of get()',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const getters = [1, 2, 3].map(() => spawn(async () => await queue.get()));
    await turns();
    queue.shutdown();
    for (const getter of getters) await assert.rejects(async () => await getter, QueueShutDown);
    await queue.join();
  }),
);

test(
  'Queue.shutdown() lets a woken get() return its item',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const [a, b] = [queue.get(), queue.get()];
    queue.putNowait(1);
    queue.shutdown();
    assert.equal(await a, 1);
    await assert.rejects(async () => await b, QueueShutDown);
  }),
);

test(
  'Queue.shutdown(true) drops the items, and counts them as done',
  inSimulation(async () => {
    const queue = new Queue<number>();
    for (let i = 0; i < 3; i++) queue.putNowait(i);
    queue.getNowait();
    const joiner = queue.join();
    queue.shutdown(true);
    assert.equal(queue.qsize(), 0);
    await turns();
    assert.equal(joiner.done(), false, 'the one that was taken is still being worked on');
    queue.taskDone();
    await joiner;
    assert.throws(() => queue.taskDone(), InvalidStateError);
    assert.throws(() => queue.getNowait(), QueueShutDown);
  }),
);

test(
  'Queue.shutdown(true) after shutdown() drops the remaining items, and ends a join()',
  inSimulation(async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    const joiner = queue.join();
    queue.shutdown();
    queue.shutdown(true);
    await joiner;
    await assert.rejects(async () => await queue.get(), QueueShutDown);
  }),
);

test(
  'Queue.shutdown(true) does not count below zero after more taskDone() calls than gets',
  inSimulation(async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    queue.putNowait(2);
    queue.taskDone();
    queue.shutdown(true);
    await queue.join();
    assert.throws(() => queue.taskDone(), InvalidStateError);
  }),
);

test(
  'an iteration of a Queue yields its items until the queue is shut down and empty',
  inSimulation(async () => {
    const queue = new Queue<number>(2);
    const producer = spawn(async () => {
      for (let i = 0; i < 5; i++) await queue.put(i);
      queue.shutdown();
    });
    const got: number[] = [];
    for await (const item of queue) got.push(item);
    assert.deepEqual(got, [0, 1, 2, 3, 4]);
    await producer;
    for await (const item of queue) assert.fail(`nothing should come, but ${item} did`);
  }),
);

test(
  'an iteration of a Queue ends when the queue is shut down during a wait, and may end early',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const all = spawn(async () => {
      const got: number[] = [];
      for await (const item of queue) got.push(item);
      return got;
    });
    await turns();
    queue.putNowait(1);
    await turns(2);
    queue.shutdown();
    assert.deepEqual(await all, [1]);

    const another = new Queue<number>();
    another.putNowait(1);
    another.putNowait(2);
    for await (const item of another) {
      assert.equal(item, 1);
      break;
    }
    assert.deepEqual(drain(another), [2]);
  }),
);

test(
  'an iteration of a Queue is cancelled at its wait, and no item is lost',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const got: number[] = [];
    const task = spawn(async () => {
      for await (const item of queue) got.push(item);
    });
    await turns();
    queue.putNowait(1);
    await turns(2);
    task.cancel();
    queue.putNowait(2);
    await assert.rejects(async () => await task, CancelledError);
    assert.deepEqual(got, [1]);
    assert.deepEqual(drain(queue), [2]);
  }),
);

test(
  'several tasks may iterate over one Queue, and each item goes to one of them',
  inSimulation(async () => {
    const queue = new Queue<number>();
    const got: number[] = [];
    const consumers = [1, 2, 3].map(() =>
      spawn(async () => {
        for await (const item of queue) {
          got.push(item);
          await sleep(1);
        }
      }),
    );
    for (let i = 0; i < 20; i++) await queue.put(i);
    queue.shutdown();
    for (const consumer of consumers) await consumer;
    assert.deepEqual(
      got,
      Array.from({ length: 20 }, (_, i) => i),
    );
  }),
);

test(
  'Queue.get() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const queue = new Queue<number>();
    await checkSignals(
      (options) => queue.get(options),
      () => queue.putNowait(1),
      () => queue.qsize() === 1,
    );
  }),
);

test(
  'Queue.put() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(0);
    await checkSignals(
      (options) => queue.put(1, options),
      () => queue.getNowait(),
      () => queue.empty(),
    );
  }),
);

test(
  'Queue.join() is cancelled by its signal and leaves no listener',
  inSimulation(async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    const free = (): void => {
      if (!queue.empty()) {
        queue.getNowait();
        queue.taskDone();
      }
    };
    await checkSignals(
      (options) => queue.join(options),
      free,
      () => true,
    );
  }),
);

test(
  'Queue rejects bad arguments',
  inSimulation(async () => {
    const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const rangeError = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    for (const kind of [Queue, LifoQueue, PriorityQueue]) {
      for (const maxsize of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        assert.throws(() => new kind(maxsize), rangeError);
      }
      for (const maxsize of ['1', null, 1n]) assert.throws(() => new kind(maxsize as never), typeError);
      const queue = new kind<number>();
      checkOptionsRefused((options) => queue.put(1, options));
      assert.equal(queue.empty(), true);
      checkOptionsRefused((options) => queue.get(options));
      checkOptionsRefused((options) => queue.join(options));
      assert.throws(() => queue.shutdown(1 as never), typeError);
      queue.putNowait(1);
    }
  }),
);

test('Queue needs a running loop for its waiting methods only', async () => {
  const queue = new Queue<number>(1);
  checkNeedsLoop(() => queue.put(1));
  checkNeedsLoop(() => queue.get());
  checkNeedsLoop(() => queue.join());
  assert.equal(queue.empty(), true);
  queue.putNowait(1);
  queue.getNowait();
  queue.taskDone();
  queue.shutdown();
});

test('Queue.putNowait() from outside of the loop wakes an idle loop', async () => {
  const queue = new Queue<number>();
  await inSimulation(async () => {
    setImmediate(() => queue.putNowait(1));
    assert.equal(await queue.get(), 1);
  })();
});

test('Queue serves the waiters of one loop at a time', async () => {
  const empty = new Queue<number>();
  await checkOneLoop('Queue', () => empty.get());
  const full = new Queue<number>(1);
  full.putNowait(1);
  await checkOneLoop('Queue', () => full.put(2));
  await checkOneLoop('Queue', () => full.join());
});

test(
  'PriorityQueue returns the smallest item first',
  inSimulation(async () => {
    const queue = new PriorityQueue<number>();
    for (const item of [5, 1, 4, 1, 3]) await queue.put(item);
    assert.deepEqual(drain(queue), [1, 1, 3, 4, 5]);
  }),
);

test('PriorityQueue compares arrays as Python compares tuples', () => {
  const queue = new PriorityQueue<(number | string)[]>();
  const items = [[2], [1, 'b'], [1, 'a', 9], [1, 'a'], [1], [0, 'z']];
  for (const item of items) queue.putNowait(item);
  assert.deepEqual(drain(queue), [[0, 'z'], [1], [1, 'a'], [1, 'a', 9], [1, 'b'], [2]]);
});

test('PriorityQueue keeps the order of arrival among equals', () => {
  const queue = new PriorityQueue<[number, { name: string } | (() => void)]>();
  const jobs = Array.from({ length: 100 }, (_, i) => ({ priority: i % 3, job: { name: `job ${i}` } }));
  for (const { priority, job } of jobs) queue.putNowait([priority, job]);
  const expected = [0, 1, 2].flatMap((p) =>
    jobs.filter(({ priority }) => priority === p).map(({ job }) => job),
  );
  assert.deepEqual(
    drain(queue).map(([, job]) => job),
    expected,
  );
  // The source text of functions is no order either.
  const functions: (() => void)[] = [() => 'z', () => 'a', () => 'm'];
  for (const job of functions) queue.putNowait([1, job]);
  assert.deepEqual(
    drain(queue).map(([, job]) => job),
    functions,
  );
});

test('PriorityQueue compares strings, dates, bigints and objects with a primitive value', () => {
  const dates = [new Date(3), new Date(1), new Date(2)];
  const queues: [unknown[], unknown[]][] = [
    [
      ['b', 'a', 'c'],
      ['a', 'b', 'c'],
    ],
    [dates, [dates[1], dates[2], dates[0]]],
    [
      [3n, 1, 2n],
      [1, 2n, 3n],
    ],
    [
      [true, false],
      [false, true],
    ],
  ];
  for (const [items, expected] of queues) {
    const queue = new PriorityQueue<unknown>();
    for (const item of items) queue.putNowait(item);
    assert.deepEqual(drain(queue), expected);
  }
});

test('PriorityQueue accepts a compare function and a limit', () => {
  const queue = new PriorityQueue<string>({ maxsize: 3, compare: (a, b) => b.length - a.length });
  assert.equal(queue.maxsize, 3);
  for (const item of ['a', 'ccc', 'bb']) queue.putNowait(item);
  assert.equal(queue.full(), true);
  assert.deepEqual(drain(queue), ['ccc', 'bb', 'a']);
  assert.equal(new PriorityQueue(2).maxsize, 2);
  assert.equal(new PriorityQueue({}).maxsize, 0);
});

test(
  'PriorityQueue.put() rejects items that have no order',
  inSimulation(async () => {
    const queue = new PriorityQueue<unknown>(1);
    for (const item of [undefined, null, {}, () => {}, Symbol('x'), Object.create(null)]) {
      assert.throws(() => queue.putNowait(item), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => queue.put(item), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const item of [Number.NaN, [Number.NaN, 'x'], new Date(Number.NaN)]) {
      assert.throws(() => queue.putNowait(item), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    assert.equal(queue.empty(), true);
    await queue.join();
  }),
);

test('PriorityQueue rejects an item that cannot be compared with the others, and keeps its items', () => {
  const queue = new PriorityQueue<unknown>();
  for (const item of [2, 1, 3]) queue.putNowait(item);
  for (const item of ['2', [2], true]) assert.throws(() => queue.putNowait(item), TypeError);
  assert.deepEqual(drain(queue), [1, 2, 3]);
});

test(
  'PriorityQueue passes on the error of its compare function, and loses no item',
  inSimulation(async () => {
    let broken = false;
    const boom = new Error('boom');
    const compare = (a: number, b: number): number => {
      if (broken) throw boom;
      return a - b;
    };
    const queue = new PriorityQueue<number>({ maxsize: 4, compare });
    for (const item of [4, 2, 3, 1]) queue.putNowait(item);
    broken = true;
    assert.throws(() => queue.getNowait(), boom);
    assert.throws(() => queue.get(), boom);
    broken = false;
    assert.equal(queue.getNowait(), 1);

    // The waiters get the error, too, and the loop continues.
    queue.putNowait(1);
    const putters = [queue.put(5), queue.put(6)];
    assert.equal(queue.getNowait(), 1);
    broken = true;
    for (const putter of putters) await assert.rejects(async () => await putter, boom);
    broken = false;
    assert.deepEqual(drain(queue), [2, 3, 4]);

    const getters = [queue.get(), queue.get()];
    for (const item of [3, 2, 1]) queue.putNowait(item);
    broken = true;
    for (const getter of getters) await assert.rejects(async () => await getter, boom);
    broken = false;
    assert.deepEqual(drain(queue), [1, 2, 3]);
  }),
);

test('PriorityQueue rejects a compare that is no function or returns no number', () => {
  const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  assert.throws(() => new PriorityQueue({ compare: 'less' as never }), typeError);
  assert.throws(() => new PriorityQueue({ compare: null as never }), typeError);
  assert.throws(() => new PriorityQueue({ order: () => 0 } as never), typeError);
  assert.throws(() => new PriorityQueue({ maxsize: '1' as never }), typeError);
  const queue = new PriorityQueue<number>({ compare: ((a: number, b: number) => a < b) as never });
  queue.putNowait(1);
  assert.throws(() => queue.putNowait(2), typeError);
  assert.deepEqual(drain(queue), [1]);
});

test(
  'LifoQueue returns the last item first',
  inSimulation(async () => {
    const queue = new LifoQueue<number>(3);
    for (const item of [1, 3, 2]) await queue.put(item);
    const putter = queue.put(4);
    assert.equal(await queue.get(), 2);
    await putter;
    assert.equal(await queue.get(), 4);
    assert.deepEqual(drain(queue), [3, 1]);
    queue.putNowait(1);
    queue.shutdown(true);
    assert.equal(queue.empty(), true);
  }),
);

test(
  'Queue cancels 100,000 waiters on each side in any order in as many steps',
  { timeout: 20_000 },
  inSimulation(async () => {
    const queue = new Queue<number>(1);
    const getters = Array.from({ length: 100_000 }, () => queue.get());
    for (let i = 1; i < getters.length; i += 2) getters[i]?.cancel();
    for (let i = 0; i < 50_000; i++) {
      queue.putNowait(i);
      queue.getNowait();
    }
    await turns(2);
    assert.equal(getters.filter((getter) => getter.done()).length, 50_000, 'all items were taken first');
    for (const getter of getters) getter.cancel();
    queue.putNowait(-1);
    const putters = Array.from({ length: 100_000 }, (_, i) => queue.put(i));
    for (let i = putters.length - 1; i > 0; i -= 2) putters[i]?.cancel();
    assert.equal(queue.getNowait(), -1);
    await putters[0];
    for (const putter of putters) putter.cancel();
    assert.deepEqual(drain(queue), [0]);
  }),
);
