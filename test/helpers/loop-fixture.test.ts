import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { sleep } from '../../src/index.ts';
import { withLoop } from './loop-fixture.ts';

// The guard of nearly every test: it must find what a test leaves behind.

const made: SimulatedEventLoop[] = [];
const makeLoop = (): SimulatedEventLoop => {
  const loop = new SimulatedEventLoop();
  made.push(loop);
  return loop;
};

test('withLoop() closes the loop of a body that leaves nothing', async () => {
  await withLoop(makeLoop, (loop) => loop.runUntilComplete(() => sleep(1)));
  assert.equal(made.at(-1)?.isClosed(), true);
});

test('withLoop() fails when a task is left, and still closes the loop', async () => {
  await assert.rejects(
    withLoop(makeLoop, (loop) => {
      loop.createTask(() => sleep(1), { name: 'left' });
    }),
    /task left was still not started/,
  );
  assert.equal(made.at(-1)?.isClosed(), true);
});

test('withLoop() fails when the loop has reported something that the body did not take', async () => {
  await assert.rejects(
    withLoop(makeLoop, async (loop) => {
      loop.callSoon(() => {
        throw new Error('bug');
      });
      await loop.runUntilComplete(() => sleep(0));
    }),
    /the loop reported errors that the test did not expect:\nexception in a callback: Error: bug/,
  );
  await withLoop(makeLoop, (loop, reports) => {
    loop.callExceptionHandler({ message: 'expected' });
    assert.deepEqual(reports.takeMessages(), ['expected']);
  });
});

test('withLoop() fails when an exception was not retrieved, or the loop still runs', async () => {
  await assert.rejects(
    withLoop(makeLoop, (loop) => loop.createFuture().setException(new Error('lost'))),
    /never retrieved: Error: lost/,
  );
  await assert.rejects(
    withLoop(makeLoop, (loop) => {
      void loop.runForever();
    }),
    /it is still running/,
  );
});

test('withLoop() throws the error of its body', async () => {
  await assert.rejects(
    withLoop(makeLoop, (loop) => {
      loop.createTask(() => sleep(1));
      throw new Error('the first one');
    }),
    /the first one/,
  );
});
