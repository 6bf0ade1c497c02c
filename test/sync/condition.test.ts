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
import {
  checkNeedsLoop,
  checkOptionsRefused,
  inSimulation,
  isAbort,
  listeners,
  spawn,
  turns,
} from './helpers.ts';

test(
  'Condition.notify() wakes those who have slept longest, as many as it says',
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
  'Condition.notifyAll() wakes everybody, and they get the lock one after the other',
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
  'Condition.wait() gives the lock to others while it sleeps, and the guard is good after it',
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
    `Condition: who asks for the lock before the notified one runs comes first (it is held for ${heldFor} turns more)`,
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
      // After no turn the sleeper is before the other one in the ready queue, and finds the lock free but
      // promised.
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
  'conditions may share a lock',
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
  'Condition.wait(), notify() and release() without the lock are InvalidStateErrors',
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
  'Condition.waitFor() asks at once, and after each notification, with the lock held',
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
  'Condition.waitFor() of what is true already neither waits nor needs the lock',
  inSimulation(async () => {
    const condition = new Condition();
    const answer = condition.waitFor(() => 42);
    assert.equal(answer.done(), true);
    assert.equal(await answer, 42);
  }),
);

test(
  'Condition.waitFor() asks as the task that waits, in its async context',
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
  'Condition.waitFor() ends with what the predicate throws, at once or later, with the lock held',
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
  'Condition.waitFor() refuses an async predicate: a promise is always true',
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

// python/cpython#7216: the lock was not taken again when the wait for it was cancelled.
test(
  'Condition.wait() takes the lock again before a cancel comes out of it',
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

// agronholm/anyio#884: cancelled again and again while the lock was taken, it span.
test(
  'Condition.wait() that is cancelled again while it takes the lock keeps its place, and throws the last error',
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
    // A spinning wait would keep the loop from being idle, and time from going on.
    await sleep(5);
    assert.equal(loop.time(), 5);
    guard[Symbol.dispose]();
    await assert.rejects(async () => await task, { name: 'CancelledError', message: 'again 9' });
    await behind;
    assert.deepEqual(order, ['out, locked: true', 'behind']);
    assert.equal(condition.locked(), false);
  }),
);

// python/cpython#112202: the notification was lost with the one who was cancelled.
test(
  'Condition: who is cancelled after having been notified hands the notification on',
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
  'Condition: who is cancelled before having been notified takes no notification along',
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
  'Condition.waitFor(): a cancel in the very turn in which the answer was yes loses neither',
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
  'Condition.waitFor() that was notified in vain is cancelled like any other, and hands nothing on',
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
    // Now the other one is first in line.
    a.cancel();
    await turns(2);
    assert.equal(a.cancelled(), true);
    assert.equal(asked, 3);
    b.cancel();
    await assert.rejects(async () => await b, CancelledError);
  }),
);

test(
  'Condition.waitFor(): a predicate that cancels its own task ends the wait',
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
  'Condition.waitFor(): a predicate that gives the lock away ends the wait with an InvalidStateError',
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
  'Condition refuses bad arguments',
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

test('Condition needs a running loop to wait', () => {
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
