/** Signals by iteration: `for await (const name of loop.signals('SIGHUP'))`. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { simulate as simulateWorld } from '../../src/entry/sim.ts';
import { CancelledError, getRunningLoop, run, sleep } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

const skip = process.platform === 'win32' ? 'Windows has no signals to send' : false;

/** Sends signals to this process, and waits until Node has reported them. */
async function sent(...signals: NodeJS.Signals[]): Promise<void> {
  const missing = new Set(signals);
  for (const signal of signals) process.once(signal, () => missing.delete(signal));
  for (const signal of signals) process.kill(process.pid, signal);
  while (missing.size > 0) await sleep(0.001);
}

const listeners = (signal: string): number => process.listenerCount(signal);

test(
  'iteration gives the names of signals, also of those that come while the body runs',
  { skip },
  onNode(async (loop) => {
    const names: string[] = [];
    void loop.createTask(() => sent('SIGHUP'));
    for await (const name of loop.signals('SIGHUP', constants.signals.SIGUSR2)) {
      names.push(name);
      if (names.length === 1) await sent('SIGUSR2', 'SIGHUP');
      if (names.length === 3) break;
    }
    assert.equal(names[0], 'SIGHUP');
    assert.deepEqual(names.slice(1).sort(), ['SIGHUP', 'SIGUSR2']);
    assert.equal(listeners('SIGHUP') + listeners('SIGUSR2'), 0);
    assert.equal(loop._owned.unreported.size, 0);
  }),
);

test(
  'a signal that is pending already is kept once, and again after it was taken',
  { skip },
  onNode(async (loop) => {
    const iteration = loop.signals('SIGHUP')[Symbol.asyncIterator]();
    await sent('SIGHUP');
    await sent('SIGHUP');
    assert.deepEqual(await iteration.next(), { value: 'SIGHUP', done: false });
    const next = iteration.next();
    await sent('SIGHUP');
    assert.deepEqual(await next, { value: 'SIGHUP', done: false });
    await iteration.return?.();
    assert.deepEqual(await iteration.next(), { value: undefined, done: true });
  }),
);

test(
  'the handlers begin with the iteration, and end with break, an exception, a cancel and an abort',
  { skip },
  onNode(async (loop) => {
    const controller = new AbortController();
    const signals = loop.signals('SIGHUP', { signal: controller.signal });
    assert.equal(listeners('SIGHUP'), 0);
    const iterate = async (body: () => void): Promise<void> => {
      for await (const _ of signals) body();
    };
    const failing = loop.createTask(() =>
      iterate(() => {
        throw new RangeError('no');
      }),
    );
    await sleep(0);
    assert.equal(listeners('SIGHUP'), 1);
    await sent('SIGHUP');
    await assert.rejects(async () => await failing, RangeError);
    assert.equal(listeners('SIGHUP'), 0);

    const cancelled = loop.createTask(() => iterate(() => {}));
    await sleep(0);
    assert.equal(listeners('SIGHUP'), 1);
    cancelled.cancel();
    await assert.rejects(async () => await cancelled, CancelledError);
    assert.equal(listeners('SIGHUP'), 0);

    const aborted = loop.createTask(() => iterate(() => {}));
    await sleep(0);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(
      async () => await aborted,
      (error: Error) => error.cause === reason,
    );
    assert.equal(listeners('SIGHUP'), 0);
  }),
);

test(
  'several iterations and a handler of the same signal each see it',
  { skip },
  onNode(async (loop) => {
    const seen: string[] = [];
    loop.addSignalHandler('SIGHUP', () => seen.push('handler'));
    const iterate = async (who: string): Promise<void> => {
      for await (const name of loop.signals('SIGHUP')) {
        seen.push(`${who} ${name}`);
        break;
      }
    };
    const tasks = [loop.createTask(() => iterate('a')), loop.createTask(() => iterate('b'))];
    await sleep(0);
    await sent('SIGHUP');
    for (const task of tasks) await task;
    assert.deepEqual(seen.sort(), ['a SIGHUP', 'b SIGHUP', 'handler']);
    assert.equal(loop.removeSignalHandler('SIGHUP'), true);
    assert.equal(listeners('SIGHUP'), 0);
  }),
);

test('removeSignalHandler() leaves an iteration alone, and loop.close() ends it', { skip }, async () => {
  let left: AsyncIterator<string> | undefined;
  let loop: ReturnType<typeof getRunningLoop> | undefined;
  await run(async () => {
    loop = getRunningLoop();
    left = loop.signals('SIGHUP')[Symbol.asyncIterator]();
    assert.equal(loop.removeSignalHandler('SIGHUP'), false);
    assert.equal(listeners('SIGHUP'), 1);
  });
  assert.equal(listeners('SIGHUP'), 0);
  assert.throws(() => loop?.signals('SIGHUP'), { code: 'ERR_LOOP_CLOSED' });
  assert.notEqual(left, undefined);
});

test('run() leaves SIGINT to an iteration over it', { skip }, async () => {
  const name = await run(async () => {
    const loop = getRunningLoop();
    void loop.createTask(() => sent('SIGINT'));
    for await (const signal of loop.signals('SIGINT')) return signal;
    return null;
  });
  assert.equal(name, 'SIGINT');
});

test(
  'signals() refuses wrong arguments at the call',
  onNode(async (loop) => {
    const signals = loop.signals.bind(loop) as (...args: unknown[]) => unknown;
    assert.throws(() => signals(), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => signals({}), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => signals('SIGHUP', { sgnal: 1 }), /known options: signal/);
    assert.throws(() => signals({}, 'SIGHUP'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => signals('SIGNONE'), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => signals('SIGHUP', 'SIGKILL'), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => signals(null), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(listeners('SIGHUP'), 0);
  }),
);

test('in a simulated world, an iteration gets the signals of its host', async () => {
  const names: string[] = [];
  await simulateWorld({ seed: 1 }, async (world) => {
    const host = world.host('a', { addresses: ['10.0.0.1'] });
    const running = host.run(async () => {
      for await (const name of getRunningLoop().signals('SIGTERM', 'SIGHUP')) {
        names.push(name);
        if (name === 'SIGTERM') break;
      }
    });
    await sleep(1);
    host.signal('SIGHUP');
    await sleep(1);
    host.signal('SIGTERM');
    await running;
  });
  assert.deepEqual(names, ['SIGHUP', 'SIGTERM']);
});
