/** The option `context`: an async context that `AsyncLocalStorage.snapshot()` has captured. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import {
  createEagerTaskFactory,
  createTask,
  currentTask,
  eagerTaskFactory,
  getRunningLoop,
  Runner,
  sleep,
  taskGroup,
} from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';

const storage = new AsyncLocalStorage<string>();
const context = storage.run('captured', () => AsyncLocalStorage.snapshot());
const stored = (): string | undefined => storage.getStore();

/** Returns the values of the store before and after an await. */
async function twice(): Promise<(string | undefined)[]> {
  const before = stored();
  await sleep(1);
  assert.equal(getRunningLoop().isRunning(), true);
  return [before, stored()];
}

const CAPTURED = ['captured', 'captured'];

test('a task runs in the context that it was given, at every await, and in that of the call without one', () =>
  simulate(async (loop) => {
    await storage.run('call', async () => {
      assert.deepEqual(await createTask(twice, { context }), CAPTURED);
      assert.deepEqual(await loop.createTask(twice, { context, name: 'a' }), CAPTURED);
      assert.deepEqual(await createTask(twice, { context, eager: true }), CAPTURED);
      assert.deepEqual(await createTask(twice), ['call', 'call']);
      assert.equal(stored(), 'call');
    });
  }));

test('a task in another context knows itself as the current task, and its creator as its owner', () =>
  simulate(async (loop) => {
    loop.debug = true;
    const own = await createTask(
      async () => {
        const inner = createTask(async () => currentTask()?.name, { context, name: 'inner' });
        assert.match(JSON.stringify(inner._more()), /"createdBy":"outer"/);
        return inner;
      },
      { name: 'outer' },
    );
    assert.equal(own, 'inner');
  }));

test('a task of a group runs in the context that it was given', () =>
  simulate(async () => {
    await taskGroup(async (group) => {
      assert.deepEqual(await group.createTask(twice, { context }), CAPTURED);
      assert.deepEqual(await group.createTask(twice, { context, eager: true }), CAPTURED);
    });
  }));

test('a task factory gets the context, and the tasks of createEagerTaskFactory() are eager unless told', () =>
  simulate(async (loop) => {
    const seen: unknown[] = [];
    const factory = createEagerTaskFactory((of, fn, options) => {
      seen.push(options);
      return eagerTaskFactory(of, fn, options);
    });
    loop.setTaskFactory(factory);
    const first: (string | undefined)[] = [];
    const task = createTask(async () => void first.push(stored()), { context });
    assert.deepEqual(first, ['captured']);
    await task;
    const lazy = createTask(twice, { context, eager: false });
    assert.deepEqual(await lazy, CAPTURED);
    assert.deepEqual(seen, [
      { context, eager: true },
      { context, eager: false },
    ]);
  }));

test('createEagerTaskFactory() refuses a factory that is no function', () => {
  assert.throws(() => createEagerTaskFactory({} as never), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /factory/,
  });
});

test('a done callback runs in the context that it was given', () =>
  simulate(async (loop) => {
    const log: unknown[] = [];
    const future = loop.createFuture<number>();
    const note = (done: typeof future): void => void log.push([stored(), done.result()]);
    future.addDoneCallback(note, { context });
    future.addDoneCallback(note);
    future.setResult(1);
    await sleep(0);
    future.addDoneCallback(note, { context });
    await sleep(0);
    assert.deepEqual(log, [
      ['captured', 1],
      [undefined, 1],
      ['captured', 1],
    ]);
    const pending = loop.createFuture<number>();
    pending.addDoneCallback(note, { context });
    assert.equal(pending.removeDoneCallback(note), 1);
    pending.cancel();
  }));

test('a runner runs its main function in the context that it was given', async () => {
  await using runner = new Runner({ loopFactory: () => new SimulatedEventLoop() });
  assert.deepEqual(await runner.run(twice, { context }), CAPTURED);
  assert.deepEqual(await storage.run('call', () => runner.run(twice)), ['call', 'call']);
});

test('a snapshot is a callback that calls another one in its context, also for timers and in debug mode', () =>
  simulate(async (loop) => {
    loop.debug = true;
    const log: unknown[] = [];
    const note = (value: number): void => void log.push([value, stored(), getRunningLoop() === loop]);
    loop.callSoon(context, note, 1);
    loop.callLater(1, context, note, 2);
    loop.callAt(2, context, note, 3);
    loop.callSoonThreadsafe(context, note, 4);
    await sleep(3);
    assert.deepEqual(log, [
      [1, 'captured', true],
      [4, 'captured', true],
      [2, 'captured', true],
      [3, 'captured', true],
    ]);
  }));

test("a handle gives its callback's context, which another task may use", () =>
  simulate(async (loop) => {
    const handle = storage.run('timer', () => loop.callLater(1, () => {}));
    assert.equal(handle.getContext()(stored), 'timer');
    handle.cancel();
    assert.deepEqual(await createTask(twice, { context: handle.getContext() }), ['timer', 'timer']);
  }));

test('a context that is no function, or does not call its argument, is refused at the call', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    let started = 0;
    const count = async (): Promise<void> => void started++;
    for (const wrong of [null, 1, {}, 'context', () => {}, async (fn: () => unknown) => fn()]) {
      const options = { context: wrong as never };
      const refused = { code: 'ERR_INVALID_ARG_TYPE', message: /options\.context/ };
      assert.throws(() => createTask(count, options), refused);
      assert.throws(() => createTask(count, { ...options, eager: true }), refused);
      assert.throws(() => future.addDoneCallback(count, options), refused);
      await taskGroup(async (group) => {
        assert.throws(() => group.createTask(count, options), refused);
      });
    }
    assert.throws(() => future.addDoneCallback(() => {}, { context, when: 1 } as never), /when/);
    await sleep(0);
    assert.equal(started, 0);
    future.cancel();
  }));

test('a runner refuses a wrong context, and one for a promise', async () => {
  await using runner = new Runner({ loopFactory: () => new SimulatedEventLoop() });
  const refused = { code: 'ERR_INVALID_ARG_TYPE', message: /options\.context/ };
  assert.throws(() => runner.run(twice, { context: {} as never }), refused);
  assert.throws(() => runner.run(twice, { context, name: 'x' } as never), /name/);
  assert.throws(() => runner.run(Promise.resolve(), { context }), { code: 'ERR_OUT_OF_RANGE' });
});
