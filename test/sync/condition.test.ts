import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import {
  CancelledError,
  Condition,
  currentTask,
  InvalidStateError,
  Lock,
  newEventLoop,
  sleep,
} from '../../src/index.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { checkNeedsLoop, checkOptionsRefused, isAbort, listeners, spawn } from './helpers.ts';

test(
  'Condition.notify() wakes the given number of waiters, the longest sleeping first',
  inSimulation(async () => {
    const condition = new Condition();
    const order: number[] = [];
    const tasks = [1, 2, 3, 4].map((i) =>
      spawn(async () => {
        using _ = await condition.acquire();
        assert.equal(await condition.wait(), true);
        order.push(i);
      }),
    );
    await turns(3);
    const notify = async (n?: number): Promise<void> => {
      using _ = await condition.acquire();
      condition.notify(n);
    };
    await notify();
    await turns(3);
    assert.deepEqual(order, [1]);
    await notify(2);
    await turns(3);
    assert.deepEqual(order, [1, 2, 3]);
    await notify(0);
    await turns(3);
    assert.deepEqual(order, [1, 2, 3]);
    await notify(1_000);
    for (const task of tasks) await task;
    assert.deepEqual(order, [1, 2, 3, 4]);
    assert.equal(condition.locked(), false);
  }),
);

test(
  'Condition.notifyAll() wakes all waiters, and they get the lock one after the other',
  inSimulation(async (loop) => {
    const condition = new Condition();
    const log: string[] = [];
    const tasks = ['a', 'b', 'c'].map((name) =>
      spawn(async () => {
        using _ = await condition.acquire();
        await condition.wait();
        await sleep(1);
        log.push(`${name} at ${loop.time()}`);
      }),
    );
    await turns(3);
    {
      using _ = await condition.acquire();
      condition.notifyAll();
      await turns(3);
      assert.deepEqual(log, [], 'nobody goes on before the lock is given back');
    }
    for (const task of tasks) await task;
    assert.deepEqual(log, ['a at 1', 'b at 2', 'c at 3']);
  }),
);

test(
  'Condition.wait() releases the lock while it sleeps, and its guard works afterwards',
  inSimulation(async () => {
    const condition = new Condition();
    const task = spawn(async () => {
      using _ = await condition.acquire();
      await condition.wait();
      assert.equal(condition.locked(), true);
    });
    await turns(2);
    assert.equal(condition.locked(), false);
    const guard = await condition.acquire();
    condition.notify();
    guard[Symbol.dispose]();
    await task;
    assert.equal(condition.locked(), false, 'its guard released what wait() took again');
  }),
);

for (const heldFor of [0, 3]) {
  test(
    `a Condition’s lock goes to a task that asked before the notified waiter ran (held for ${heldFor} turns more)`,
    inSimulation(async () => {
      const condition = new Condition();
      const order: string[] = [];
      const sleeper = spawn(async () => {
        using _ = await condition.acquire();
        await condition.wait();
        order.push('sleeper');
      });
      await turns(2);
      await condition.acquire();
      condition.notify();
      const other = condition.acquire();
      await turns(heldFor);
      // With zero turns the sleeper comes before the other task in the ready queue, and finds the lock free
      // but promised.
      condition.release();
      await other;
      order.push('other');
      condition.release();
      await sleeper;
      assert.deepEqual(order, ['other', 'sleeper']);
    }),
  );
}

test(
  'two Conditions may share a lock',
  inSimulation(async () => {
    const lock = new Lock();
    const [full, empty] = [new Condition(lock), new Condition(lock)];
    const log: string[] = [];
    const wait = (condition: Condition, name: string) => async (): Promise<void> => {
      using _ = await condition.acquire();
      await condition.wait();
      log.push(name);
    };
    const tasks = [spawn(wait(full, 'full')), spawn(wait(empty, 'empty'))];
    await turns(3);
    {
      using _ = await lock.acquire();
      assert.equal(full.locked(), true);
      empty.notifyAll();
    }
    await turns(3);
    assert.deepEqual(log, ['empty']);
    {
      using _ = await empty.acquire();
      full.notifyAll();
    }
    for (const task of tasks) await task;
    assert.deepEqual(log, ['empty', 'full']);
    assert.equal(lock.locked(), false);
  }),
);

test(
  'Condition.wait(), notify() and release() without the lock throw InvalidStateErrors',
  inSimulation(async () => {
    const condition = new Condition();
    assert.throws(() => condition.wait(), InvalidStateError);
    assert.throws(() => condition.wait({ signal: AbortSignal.abort() }), InvalidStateError);
    assert.throws(() => condition.waitFor(() => false), InvalidStateError);
    assert.throws(() => condition.notify(), InvalidStateError);
    assert.throws(() => condition.notifyAll(), InvalidStateError);
    assert.throws(() => condition.release(), InvalidStateError);
  }),
);

test(
  'Condition.waitFor() calls its predicate at once and after each notification, with the lock held',
  inSimulation(async () => {
    const condition = new Condition();
    let value = 0;
    const asked: string[] = [];
    const task = spawn(async () => {
      using _ = await condition.acquire();
      return await condition.waitFor(() => {
        asked.push(`${value} ${condition.locked()}`);
        return value >= 2 ? `value ${value}` : false;
      });
    });
    await turns(2);
    for (const next of [1, 2, 3]) {
      await condition.acquire();
      value = next;
      condition.notifyAll();
      condition.release();
      await turns(3);
    }
    assert.equal(await task, 'value 2');
    assert.deepEqual(asked, ['0 true', '1 true', '2 true']);
    assert.equal(condition.locked(), false);
  }),
);

test(
  'Condition.waitFor() of a predicate that is already true neither waits nor needs the lock',
  inSimulation(async () => {
    const condition = new Condition();
    const answer = condition.waitFor(() => 42);
    assert.equal(answer.done(), true);
    assert.equal(await answer, 42);
  }),
);

test(
  'Condition.waitFor() calls its predicate as the waiting task, in its async context',
  inSimulation(async () => {
    const storage = new AsyncLocalStorage<string>();
    const condition = new Condition();
    const seen: unknown[] = [];
    let ready = false;
    const task = spawn(() =>
      storage.run('mine', async () => {
        using _ = await condition.acquire();
        await condition.waitFor(() => {
          seen.push(currentTask() === task, storage.getStore());
          return ready;
        });
      }),
    );
    await turns(2);
    ready = true;
    await storage.run('not mine', async () => {
      using _ = await condition.acquire();
      condition.notify();
    });
    await task;
    assert.deepEqual(seen, [true, 'mine', true, 'mine']);
  }),
);

test(
  'Condition.waitFor() throws the error of its predicate, at once or later, with the lock held',
  inSimulation(async () => {
    const condition = new Condition();
    const boom = new Error('boom');
    const guard = await condition.acquire();
    assert.throws(
      () =>
        condition.waitFor(() => {
          throw boom;
        }),
      boom,
    );
    let ready = false;
    const waiting = condition.waitFor(() => {
      if (ready) throw boom;
      return false;
    });
    const other = await condition.acquire();
    ready = true;
    condition.notify();
    other[Symbol.dispose]();
    await assert.rejects(async () => await waiting, boom);
    assert.equal(condition.locked(), true);
    guard[Symbol.dispose]();
    assert.equal(condition.locked(), false);
  }),
);

test(
  'Condition.waitFor() rejects an async predicate, because a promise is always true',
  inSimulation(async () => {
    const condition = new Condition();
    using _ = await condition.acquire();
    const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    assert.throws(() => condition.waitFor(async () => false), refused);
    for (const predicate of [undefined, null, true, 'true']) {
      assert.throws(() => condition.waitFor(predicate as never), refused);
    }
  }),
);

// python/cpython#7216: the lock was not acquired again when the wait for it was cancelled.
test(
  'Condition.wait() acquires the lock again before it throws a CancelledError',
  inSimulation(async () => {
    const condition = new Condition();
    const log: string[] = [];
    const task = spawn(async () => {
      using _ = await condition.acquire();
      try {
        await condition.wait();
      } finally {
        log.push(`out, locked: ${condition.locked()}`);
      }
    });
    await turns(2);
    const guard = await condition.acquire();
    task.cancel();
    await turns(5);
    assert.deepEqual(log, [], 'somebody else has the lock');
    guard[Symbol.dispose]();
    await assert.rejects(async () => await task, CancelledError);
    assert.deepEqual(log, ['out, locked: true']);
    assert.equal(condition.locked(), false);
  }),
);

// agronholm/anyio#884: the wait spun when it was cancelled repeatedly while it acquired the lock.
test(
  'Condition.wait() that is cancelled again while it acquires the lock keeps its place, and throws the last error',
  inSimulation(async (loop) => {
    const condition = new Condition();
    const order: string[] = [];
    const task = spawn(async () => {
      using _ = await condition.acquire();
      try {
        await condition.wait();
      } finally {
        order.push(`out, locked: ${condition.locked()}`);
      }
    });
    await turns(2);
    const guard = await condition.acquire();
    task.cancel('first');
    await turns(2);
    const behind = spawn(async () => {
      using _ = await condition.acquire();
      order.push('behind');
    });
    await turns(1);
    for (let i = 0; i < 10; i++) {
      task.cancel(`again ${i}`);
      await turns(1);
    }
    // A wait that spins would keep the loop busy, so that virtual time stands still.
    await sleep(5);
    assert.equal(loop.time(), 5);
    guard[Symbol.dispose]();
    await assert.rejects(async () => await task, { name: 'CancelledError', message: 'again 9' });
    await behind;
    assert.deepEqual(order, ['out, locked: true', 'behind']);
    assert.equal(condition.locked(), false);
  }),
);

// python/cpython#112202: the notification was lost with the waiter that was cancelled.
test(
  'a Condition’s waiter that is cancelled after a notification passes it on',
  inSimulation(async () => {
    const condition = new Condition();
    const order: string[] = [];
    const sleepAs = (name: string) => async (): Promise<void> => {
      using _ = await condition.acquire();
      await condition.wait();
      order.push(name);
    };
    const [a, b, c] = ['a', 'b', 'c'].map((name) => spawn(sleepAs(name)));
    await turns(3);
    {
      using _ = await condition.acquire();
      condition.notify();
      a?.cancel();
      a?.cancel();
    }
    await assert.rejects(async () => await a, CancelledError);
    await b;
    await turns(3);
    assert.deepEqual(order, ['b'], 'one notification, one who goes on');
    c?.cancel();
    await assert.rejects(async () => await c, CancelledError);
    assert.equal(condition.locked(), false);
  }),
);

test(
  'a Condition’s waiter that is cancelled before a notification consumes none',
  inSimulation(async () => {
    const condition = new Condition();
    const waits = async (): Promise<void> => {
      using _ = await condition.acquire();
      await condition.wait();
    };
    const [a, b] = [spawn(waits), spawn(waits)];
    await turns(3);
    a.cancel();
    {
      using _ = await condition.acquire();
      condition.notify();
    }
    await b;
    await assert.rejects(async () => await a, CancelledError);
  }),
);

test(
  'Condition.waitFor() loses neither a cancel nor a true predicate of the same turn',
  inSimulation(async (loop) => {
    const condition = new Condition();
    let tokens = 0;
    const log: string[] = [];
    const task = spawn(async () => {
      using _ = await condition.acquire();
      await condition.waitFor(() => tokens > 0);
      tokens--;
      log.push('took it');
      await sleep(1);
    });
    await turns(2);
    {
      using _ = await condition.acquire();
      tokens++;
      condition.notify();
    }
    loop.callSoon(() => task.cancel());
    await assert.rejects(async () => await task, CancelledError);
    assert.deepEqual(log, ['took it']);
    assert.equal(tokens, 0);
  }),
);

test(
  'Condition.waitFor() that is cancelled after its predicate was false consumes no notification',
  inSimulation(async () => {
    const condition = new Condition();
    let asked = 0;
    const waitFor = async (): Promise<void> => {
      using _ = await condition.acquire();
      await condition.waitFor(() => {
        asked++;
        return false;
      });
    };
    const [a, b] = [spawn(waitFor), spawn(waitFor)];
    await turns(3);
    {
      using _ = await condition.acquire();
      condition.notify();
    }
    await turns(3);
    assert.equal(asked, 3);
    // Now the other task is first in line.
    a.cancel();
    await turns(2);
    assert.equal(a.cancelled(), true);
    assert.equal(asked, 3);
    b.cancel();
    await assert.rejects(async () => await b, CancelledError);
  }),
);

test(
  'Condition.waitFor() ends when its predicate cancels its own task',
  inSimulation(async () => {
    const condition = new Condition();
    let asked = 0;
    const task = spawn(async () => {
      using _ = await condition.acquire();
      await condition.waitFor(() => {
        asked++;
        if (asked === 2) currentTask()?.cancel();
        return false;
      });
    });
    await turns(2);
    {
      using _ = await condition.acquire();
      condition.notify();
    }
    await assert.rejects(async () => await task, CancelledError);
    assert.equal(condition.locked(), false);
  }),
);

test(
  'Condition.waitFor() throws an InvalidStateError when its predicate releases the lock',
  inSimulation(async () => {
    const condition = new Condition();
    let asked = 0;
    await condition.acquire();
    const waiting = condition.waitFor(() => {
      if (++asked === 2) condition.release();
      return false;
    });
    await condition.acquire();
    condition.notify();
    condition.release();
    await assert.rejects(async () => await waiting, InvalidStateError);
  }),
);

test(
  'Condition.wait() and waitFor() are cancelled by their signal, and leave no listener',
  inSimulation(async () => {
    const condition = new Condition();
    const reason = new Error('enough');
    const waits = [
      (signal: AbortSignal) => condition.wait({ signal }),
      (signal: AbortSignal) => condition.waitFor(() => false, { signal }),
    ];
    for (const wait of waits) {
      const controller = new AbortController();
      const task = spawn(async () => {
        using _ = await condition.acquire();
        try {
          await wait(controller.signal);
        } finally {
          assert.equal(condition.locked(), true);
        }
      });
      await turns(2);
      assert.equal(listeners(controller.signal), 1);
      controller.abort(reason);
      await turns(2);
      assert.equal(task.cancelled(), true);
      await assert.rejects(async () => await task, isAbort(reason));
      assert.equal(listeners(controller.signal), 0);
      assert.equal(condition.locked(), false);

      using _ = await condition.acquire();
      const refused = wait(controller.signal);
      assert.equal(condition.locked(), true, 'aborted before the call: the lock is left alone');
      assert.equal(refused.cancelled(), true);
      await assert.rejects(async () => await refused, isAbort(reason));
    }
  }),
);

test(
  'Condition rejects bad arguments',
  inSimulation(async () => {
    const condition = new Condition();
    using _ = await condition.acquire();
    checkOptionsRefused((options) => condition.acquire(options));
    checkOptionsRefused((options) => condition.wait(options));
    checkOptionsRefused((options) => condition.waitFor(() => false, options));
    for (const n of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => condition.notify(n), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => condition.notify('1' as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    for (const lock of [null, {}, 'lock', new Condition()]) {
      assert.throws(() => new Condition(lock as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.equal(condition.locked(), true);
  }),
);

test('Condition.wait() needs a running loop', () => {
  const condition = new Condition();
  checkNeedsLoop(() => condition.acquire());
  checkNeedsLoop(() => condition.wait());
  checkNeedsLoop(() => condition.waitFor(() => true));
});

test('Condition serves the waiters of one loop at a time', async () => {
  const condition = new Condition();
  const [first, second] = [newEventLoop(), newEventLoop()];
  first.setExceptionHandler(() => {});
  const begin = (loop: typeof first): Promise<void> =>
    loop.runUntilComplete(async () => {
      loop.createTask(async () => {
        using _ = await condition.acquire();
        await condition.wait();
      });
      await turns(3);
    });
  const wait = async (): Promise<void> => {
    using _ = await condition.acquire();
    await condition.wait();
  };
  await begin(first);
  await assert.rejects(second.runUntilComplete(wait), {
    name: 'InvalidStateError',
    message: /Condition/,
  });
  assert.equal(condition.locked(), false);
  first.close();
  await second.runUntilComplete(async () => {
    const task = spawn(wait);
    await turns(3);
    using _ = await condition.acquire();
    condition.notify();
    _[Symbol.dispose]();
    await task;
  });
  second.close();
});
