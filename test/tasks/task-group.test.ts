import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Task, TaskGroup } from '../../src/index.ts';
import { CancelledError, currentTask, sleep, taskGroup, timeout } from '../../src/index.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate, turns } from '../helpers/simulation.ts';
import { outcome, unexpected } from './helpers.ts';

const self = (): Task => currentTask() as Task;

async function failAfter(seconds: number, message: string): Promise<never> {
  await sleep(seconds);
  throw new Error(message);
}

/** Returns the messages of the failures that a group threw. */
async function failures(running: PromiseLike<unknown>): Promise<string[]> {
  const error = await running.then(unexpected, (thrown: unknown) => thrown);
  assert.ok(error instanceof AggregateError, String(error));
  return error.errors.map((each: Error) => each.message);
}

test('taskGroup ends when its body and all its tasks have ended, and returns the body’s result', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const result = await taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(2);
        log.push('two');
      });
      const one = group.createTask(() => sleep(1, 'one'), { name: 'named' });
      assert.equal(one.name, 'named');
      log.push(await one);
      return 'result';
    });
    assert.equal(result, 'result');
    assert.deepEqual(log, ['one', 'two']);
    assert.equal(loop.time(), 2);
  }));

test('taskGroup runs its body in the current task, and at once', () =>
  simulate(async () => {
    const outer = currentTask();
    let ran = false;
    const running = taskGroup(async () => {
      ran = true;
      await sleep(1);
      assert.equal(currentTask(), outer);
    });
    assert.equal(ran, true);
    await running;
    assert.equal(await taskGroup(async () => 'no task'), 'no task');
    assert.equal(await taskGroup((() => 'no promise') as never), 'no promise');
  }));

test('the first failure of a task cancels the other tasks and the body of its group', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const cancelledLogs = async (name: string): Promise<void> => {
      try {
        await sleep(100);
      } catch (error) {
        log.push(`${name} ${(error as Error).name}`);
        throw error;
      } finally {
        await sleep(1);
        log.push(`${name} cleaned up`);
      }
    };
    const running = taskGroup(async (group) => {
      group.createTask(() => cancelledLogs('task'));
      group.createTask(() => failAfter(1, 'no'));
      await cancelledLogs('body');
    });
    assert.deepEqual(await failures(running), ['no']);
    assert.deepEqual(log.sort(), [
      'body CancelledError',
      'body cleaned up',
      'task CancelledError',
      'task cleaned up',
    ]);
    assert.equal(loop.time(), 2);
    assert.equal(self().cancelling(), 0);
    await sleep(1);
  }));

test('a failure of the body cancels the tasks of its group', () =>
  simulate(async (loop) => {
    let task: Task | undefined;
    const running = taskGroup(async (group) => {
      task = group.createTask(() => sleep(100)) as Task;
      await failAfter(1, 'body');
    });
    assert.deepEqual(await failures(running), ['body']);
    assert.equal(task?.cancelled(), true);
    assert.equal(loop.time(), 1);
    const sync = taskGroup(() => {
      throw new Error('synchronously');
    });
    assert.deepEqual(await failures(sync), ['synchronously']);
  }));

test('taskGroup throws all failures in one AggregateError, in the order in which they came', () =>
  simulate(async () => {
    const failInCleanup = async (seconds: number, message: string): Promise<void> => {
      try {
        await sleep(100);
      } finally {
        await failAfter(seconds, message);
      }
    };
    const running = taskGroup(async (group) => {
      group.createTask(() => failInCleanup(3, 'fourth'));
      group.createTask(() => failInCleanup(1, 'second'));
      group.createTask(() => failAfter(1, 'first'));
      await failInCleanup(2, 'third, the body');
    });
    assert.deepEqual(await failures(running), ['first', 'second', 'third, the body', 'fourth']);
    const bodyFirst = taskGroup(async (group) => {
      group.createTask(() => failInCleanup(1, 'task'), { eager: true });
      throw new Error('body');
    });
    await assert.rejects(bodyFirst, {
      name: 'AggregateError',
      message: 'unhandled errors in a task group (2)',
    });
    assert.equal(self().cancelling(), 0);
  }));

test('taskGroup counts the failure of a task that the body awaits once', () =>
  simulate(async () => {
    const awaiting = taskGroup(async (group) => {
      await group.createTask(() => failAfter(1, 'no'));
    });
    assert.deepEqual(await failures(awaiting), ['no']);
    const late = taskGroup(async (group) => {
      const task = group.createTask(() => Promise.reject(new Error('no')), { eager: true });
      while (!task.done()) await Promise.resolve();
      await task;
    });
    assert.deepEqual(await failures(late), ['no']);
    const alike = taskGroup(async (group) => {
      for (let i = 0; i < 2; i++) group.createTask(() => Promise.reject('word'));
    });
    const error = await alike.then(unexpected, (thrown: AggregateError) => thrown);
    assert.deepEqual(error.errors, ['word', 'word']);
  }));

test('taskGroup marks the failures of its tasks as retrieved', () =>
  simulate(async (_loop, reports) => {
    await outcome(
      taskGroup(async (group) => {
        group.createTask(() => failAfter(1, 'one'));
        group.createTask(() => failAfter(1, 'two'));
      }),
    );
    await collectGarbage();
    assert.deepEqual(reports.take(), []);
  }));

test('a task that is cancelled by itself is no failure of its group', () =>
  simulate(async (loop) => {
    const running = taskGroup(async (group) => {
      const task = group.createTask(() => sleep(100));
      group.createTask(() => sleep(3));
      group.createTask(async () => {
        throw new CancelledError();
      });
      await sleep(1);
      task.cancel();
      return 'fine';
    });
    assert.equal(await running, 'fine');
    assert.equal(loop.time(), 3);
  }));

test('a cancel from outside reaches the body of a group, then its tasks, and waits for them', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const cleaning = async (name: string, seconds: number): Promise<void> => {
      try {
        await sleep(100);
      } finally {
        await sleep(seconds);
        log.push(`${name} at ${loop.time()}`);
      }
    };
    const task = loop.createTask(() =>
      taskGroup(async (group) => {
        group.createTask(() => cleaning('task', 2));
        await cleaning('body', 1);
      }),
    );
    await sleep(1);
    task.cancel('enough');
    await assert.rejects(task, { name: 'CancelledError', message: 'enough' });
    assert.deepEqual(log, ['body at 2', 'task at 4']);
    assert.equal(task.cancelling(), 1);
  }));

test('a cancel from outside while a group waits for its tasks cancels them, in order', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(() =>
      taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(100);
          } finally {
            await sleep(5);
            log.push('cleaned up');
          }
        });
      }),
    );
    await sleep(1);
    task.cancel();
    await sleep(1);
    // A second cancel does not disturb the cleanup.
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['cleaned up']);
    assert.equal(loop.time(), 6);
  }));

test('taskGroup throws failures before a cancel from outside, which is thrown at the next await', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const body = async (): Promise<void> => {
      const failing = taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(100);
          } finally {
            await failAfter(1, 'in the cleanup');
          }
        });
        await sleep(100);
      });
      log.push(...(await failures(failing)), String(self().cancelling()));
      await sleep(1);
      log.push('not reached');
    };
    const task = loop.createTask(body);
    await sleep(1);
    task.cancel('enough');
    await assert.rejects(task, { name: 'CancelledError', message: 'enough' });
    assert.deepEqual(log, ['in the cleanup', '1']);
    assert.equal(task.cancelling(), 1);
  }));

test('failures in the cleanup of a cancelled task do not cancel it again', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        log.push(
          ...(await failures(
            taskGroup(async (group) => {
              group.createTask(() => failAfter(1, 'no'));
            }),
          )),
        );
        await sleep(1);
        log.push('cleaned up');
      }
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['no', 'cleaned up']);
  }));

test('group.cancel() ends the group early, and the group resolves', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const running = taskGroup(async (group) => {
      group.createTask(async () => {
        try {
          await sleep(100);
        } finally {
          await sleep(1);
          log.push('cleaned up');
        }
      });
      group.createTask(async () => {
        await sleep(2);
        group.cancel();
        group.cancel();
        await sleep(100);
        log.push('not reached');
      });
      await sleep(100);
      log.push('not reached');
      return 'cut short';
    });
    assert.equal(await running, undefined);
    assert.deepEqual(log, ['cleaned up']);
    assert.equal(loop.time(), 3);
    assert.equal(self().cancelling(), 0);
    await sleep(1);
  }));

test('group.cancel() in the body ends it at its next await, or lets it return its result', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const cut = taskGroup(async (group) => {
      group.createTask(() => sleep(100));
      group.cancel();
      await sleep(1);
      log.push('not reached');
    });
    assert.equal(await cut, undefined);
    const whole = taskGroup(async (group) => {
      group.createTask(() => sleep(100));
      group.cancel();
      return 'result';
    });
    assert.equal(await whole, 'result');
    assert.equal(loop.time(), 0);
    assert.equal(self().cancelling(), 0);
    await sleep(1);
    assert.deepEqual(log, []);
  }));

test('group.cancel() works from a callback and after the body, and does nothing after the end', () =>
  simulate(async (loop) => {
    let kept: TaskGroup | undefined;
    await taskGroup(async (group) => {
      kept = group;
      group.createTask(() => sleep(100));
      loop.callLater(2, () => group.cancel());
    });
    assert.equal(loop.time(), 2);
    kept?.cancel();
    await sleep(1);
  }));

test('taskGroup throws a failure in the cleanup after group.cancel()', () =>
  simulate(async () => {
    const running = taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(100).catch(() => failAfter(1, 'cleanup'));
      });
      await sleep(0);
      group.cancel();
    });
    assert.deepEqual(await failures(running), ['cleanup']);
  }));

test('group.cancel() does not hide a cancel from outside', () =>
  simulate(async (loop) => {
    for (const first of ['group', 'task']) {
      let kept: TaskGroup | undefined;
      const task = loop.createTask(() =>
        taskGroup(async (group) => {
          kept = group;
          group.createTask(() => sleep(100));
          await sleep(100);
        }),
      );
      await sleep(1);
      if (first === 'group') kept?.cancel();
      task.cancel();
      if (first === 'task') kept?.cancel();
      assert.equal(await outcome(task), 'CancelledError', first);
      assert.equal(task.cancelling(), 1);
    }
  }));

test('createTask() on a group that is over or being cancelled throws, and starts nothing', () =>
  simulate(async () => {
    const invalidState = { name: 'InvalidStateError', code: 'ERR_INVALID_STATE' };
    const start = async (): Promise<void> => assert.fail('started');
    let kept: TaskGroup | undefined;
    await taskGroup(async (group) => {
      kept = group;
      group.createTask(async () => {
        await sleep(100).catch(() => {});
        assert.throws(() => group.createTask(start), { ...invalidState, message: /is being cancelled/ });
        assert.throws(() => group.createTask(start, { eager: true }), invalidState);
      });
      await sleep(1);
      group.cancel();
      assert.throws(() => group.createTask(start), invalidState);
    });
    assert.throws(() => kept?.createTask(start), { ...invalidState, message: /is over/ });
    await sleep(1);
  }));

test('a task of a group may start other tasks while the group waits', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    await taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(1);
        group.createTask(async () => {
          await sleep(1);
          log.push('grandchild');
        });
      });
    });
    assert.deepEqual(log, ['grandchild']);
    assert.equal(loop.time(), 2);
  }));

test('a task whose group is cancelled before its first turn starts, and is cancelled at its first await', () =>
  simulate(async () => {
    const log: string[] = [];
    const running = taskGroup(async (group) => {
      group.createTask(async () => {
        log.push(`started ${self().cancelling()} ${self().signal.aborted}`);
        try {
          await sleep(100);
        } finally {
          log.push('closed what it was given');
        }
      });
      throw new Error('body');
    });
    assert.deepEqual(await failures(running), ['body']);
    assert.deepEqual(log, ['started 1 true', 'closed what it was given']);
  }));

test('an eager task that fails or ends in its first step counts like any other task of its group', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const running = taskGroup(async (group) => {
      const failed = group.createTask(() => Promise.reject(new Error('at once')), { eager: true });
      const ended = group.createTask(async () => 'ended', { eager: true });
      assert.equal(failed.done(), false);
      log.push(await ended);
      await sleep(100);
      log.push('not reached');
    });
    assert.deepEqual(await failures(running), ['at once']);
    assert.deepEqual(log, ['ended']);
    assert.equal(loop.time(), 0);
    const sync = taskGroup(async (group) => {
      group.createTask(
        (): Promise<void> => {
          throw new Error('thrown');
        },
        { eager: true },
      );
      await sleep(100);
    });
    assert.deepEqual(await failures(sync), ['thrown']);
  }));

test('an eager task may cancel its group, or fail the body, in its first step', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    await taskGroup(async (group) => {
      group.createTask(
        async () => {
          group.cancel();
          await sleep(100);
          log.push('not reached');
        },
        { eager: true },
      );
      await sleep(100);
      log.push('not reached');
    });
    assert.deepEqual(log, []);
    assert.equal(loop.time(), 0);
    assert.equal(self().cancelling(), 0);
  }));

test('an eager task that a task factory made may cancel its group in its first step', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    loop.setTaskFactory((_loop, fn, options) => {
      loop.setTaskFactory(null);
      return loop.createTask(fn, { ...options, eager: true });
    });
    await taskGroup(async (group) => {
      group.createTask(async () => {
        group.cancel();
        await sleep(100);
        log.push('not reached');
      });
      await sleep(100);
    });
    assert.deepEqual(log, []);
    assert.equal(loop.time(), 0);
  }));

test('taskGroup makes its tasks with the task factory of the loop', () =>
  simulate(async (loop) => {
    const names: unknown[] = [];
    loop.setTaskFactory((_loop, fn, options) => {
      names.push(options.name);
      loop.setTaskFactory(null);
      return loop.createTask(fn, options);
    });
    await taskGroup(async (group) => {
      group.createTask(() => sleep(1), { name: 'made' });
    });
    assert.deepEqual(names, ['made']);
  }));

test('a promise and a future can be tasks of a group', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const running = taskGroup(async (group) => {
      group.createTask(Promise.resolve());
      group.createTask(future);
      group.createTask(() => failAfter(1, 'no'));
    });
    assert.deepEqual(await failures(running), ['no']);
    assert.equal(future.cancelled(), true);
  }));

test('an inner group’s failure is one failure of the outer group', () =>
  simulate(async (loop) => {
    const outer = taskGroup(async (group) => {
      group.createTask(() => sleep(100));
      await taskGroup(async (inner) => {
        inner.createTask(() => failAfter(1, 'inner'));
        inner.createTask(() => sleep(100));
        await sleep(100);
      });
    });
    const error = await outer.then(unexpected, (thrown: AggregateError) => thrown);
    assert.equal(error.errors.length, 1);
    assert.deepEqual(
      error.errors[0].errors.map((each: Error) => each.message),
      ['inner'],
    );
    assert.equal(loop.time(), 1);
    assert.equal(self().cancelling(), 0);
  }));

test('a cancelled outer group cancels the inner one, which is no failure', () =>
  simulate(async (loop) => {
    const result = taskGroup(async (outer) => {
      outer.createTask(async () => {
        await sleep(1);
        outer.cancel();
      });
      await taskGroup(async (inner) => {
        inner.createTask(() => sleep(100));
      });
    });
    assert.equal(await result, undefined);
    assert.equal(loop.time(), 1);
  }));

test('taskGroup works inside a timeout, and a timeout inside a group', () =>
  simulate(async (loop) => {
    const around = timeout(1, () =>
      taskGroup(async (group) => {
        group.createTask(() => sleep(100));
      }),
    );
    assert.equal(await outcome(around), 'TimeoutError');
    const within = taskGroup(async (group) => {
      const sleeping = group.createTask(() => sleep(3, 'went on'));
      const how = await outcome(timeout(1, () => sleep(100)));
      return [how, await sleeping];
    });
    assert.deepEqual(await within, ['TimeoutError', 'went on']);
    const failing = taskGroup(async (group) => {
      group.createTask(() => failAfter(1, 'task'));
      await timeout(1, () => sleep(100));
    });
    // The deadline comes first in the turn. The task is cancelled before its wake-up, as in asyncio.
    assert.deepEqual(await failures(failing), ['timeout() has expired after 1 s']);
    assert.equal(loop.time(), 5);
    assert.equal(self().cancelling(), 0);
  }));

test('taskGroup works in a callback, outside of every task', () =>
  simulate(async (loop) => {
    let how = '';
    loop.callSoon(async () => {
      how = await outcome(
        taskGroup(async (group) => {
          group.createTask(() => failAfter(1, 'task'));
          await sleep(5);
        }),
      );
    });
    await sleep(10);
    assert.equal(how, 'AggregateError');
  }));

test('taskGroup and createTask reject wrong arguments at the call', async () => {
  const type = { code: 'ERR_INVALID_ARG_TYPE' };
  assert.throws(() => taskGroup(async () => {}), { code: 'ERR_NO_RUNNING_LOOP' });
  await simulate(async () => {
    assert.throws(() => taskGroup(Promise.resolve() as never), { ...type, message: /"body"/ });
    assert.throws(() => taskGroup(async () => {}, { sig: 1 } as never), type);
    await taskGroup(async (group) => {
      const start = async (): Promise<void> => assert.fail('started');
      for (const fn of [undefined, 5, {}]) assert.throws(() => group.createTask(fn as never), type);
      assert.throws(() => group.createTask(start, { name: 5 } as never), {
        ...type,
        message: /"options.name"/,
      });
      assert.throws(() => group.createTask(start, { eager: 1 } as never), {
        ...type,
        message: /"options.eager"/,
      });
      assert.throws(() => group.createTask(start, { when: 1 } as never), type);
    });
  });
});

const member = fc.record({
  kind: fc.constantFrom(
    'ends',
    'fails',
    'swallows',
    'fails in cleanup',
    'cancels the group',
    'starts another',
  ),
  at: fc.integer({ min: 0, max: 3 }),
  eager: fc.boolean(),
});

test('taskGroup waits for all its tasks and loses no failure, for any tasks and any moment of a cancel', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(member, { maxLength: 4 }),
      fc.constantFrom('ends', 'fails', 'waits'),
      fc.option(fc.record({ at: fc.integer({ min: 0, max: 3 }), turns: fc.nat(3), microtasks: fc.nat(3) })),
      async (members, bodyKind, cancelAt) => {
        await simulate(async (loop) => {
          let running = 0;
          let failed = 0;
          let cancelled = false;
          const work = async (group: TaskGroup, kind: string, at: number): Promise<void> => {
            running++;
            try {
              await sleep(at);
              if (kind === 'fails') throw new Error('failed');
              if (kind === 'cancels the group') group.cancel();
              if (kind === 'starts another') group.createTask(() => work(group, 'ends', 1));
              await sleep(1);
            } catch (error) {
              if (kind === 'swallows') return;
              if (!(error instanceof CancelledError)) {
                failed++;
                throw error;
              }
              if (kind !== 'fails in cleanup') throw error;
              await sleep(1);
              failed++;
              throw new Error('failed in cleanup');
            } finally {
              running--;
            }
          };
          let runningAtEnd = -1;
          let thrownLater = 0;
          let late = false;
          let how = 'never started';
          const task = loop.createTask(async () => {
            how = await outcome(
              taskGroup(async (group) => {
                for (const { kind, at, eager } of members) {
                  try {
                    group.createTask(() => work(group, kind, at), { eager });
                  } catch {
                    // createTask() throws: an eager task has already cancelled the group.
                  }
                }
                if (bodyKind === 'waits') await sleep(2);
                if (bodyKind === 'fails') {
                  failed++;
                  throw new Error('body failed');
                }
              }),
            );
            runningAtEnd = running;
            late = cancelled;
            await sleep(0).catch(() => thrownLater++);
          });
          if (cancelAt !== null) {
            loop.callLater(cancelAt.at, async () => {
              await turns(cancelAt.turns);
              for (let i = 0; i < cancelAt.microtasks; i++) await Promise.resolve();
              cancelled = task.cancel();
            });
          }
          await outcome(task);
          await sleep(10);
          if (how === 'never started') return;
          assert.equal(runningAtEnd, 0, 'a task outlived its group');
          assert.equal(running, 0);
          if (failed > 0) assert.equal(how, 'AggregateError');
          else if (how !== 'CancelledError') assert.equal(how, 'result undefined');
          if (how === 'CancelledError') assert.ok(late, 'a CancelledError that nobody asked for');
          else if (late) assert.equal(thrownLater, 1, `${how}: the cancel was lost`);
          else if (!cancelled) assert.equal(thrownLater, 0);
        });
      },
    ),
    { numRuns: 1000 },
  ));

test('the CancelledError of a task names the task whose failure cancelled the group, with the failure as its cause', () =>
  simulate(async () => {
    const failure = new Error('no');
    let cancelled: unknown;
    const group = taskGroup(async (group) => {
      group.createTask(() =>
        sleep(100).catch((error) => {
          cancelled = error;
          throw error;
        }),
      );
      group.createTask(
        async () => {
          await sleep(1);
          throw failure;
        },
        { name: 'b' },
      );
    });
    await group.catch(() => {});
    assert.ok(cancelled instanceof CancelledError);
    assert.equal(cancelled.message, 'task b of the task group has failed');
    assert.equal(cancelled.cause, failure);
  }));
