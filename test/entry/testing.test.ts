import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { checkLoopEmpty } from '../../src/entry/testing.ts';
import { NodeEventLoop, Protocol, sleep } from '../../src/index.ts';

function quiet<L extends SimulatedEventLoop | NodeEventLoop>(loop: L): L {
  loop.setExceptionHandler(() => {});
  return loop;
}

test('checkLoopEmpty() is content with a loop that owns nothing, new, used or closed', async () => {
  const loop = new SimulatedEventLoop();
  checkLoopEmpty(loop);
  await loop.runUntilComplete(() => sleep(1));
  checkLoopEmpty(loop);
  loop.callLater(1, () => {});
  checkLoopEmpty(loop);
  loop.close();
  checkLoopEmpty(loop);
});

test('checkLoopEmpty() names each task that is left', async () => {
  const loop = quiet(new SimulatedEventLoop());
  loop.createTask(() => sleep(3600), { name: 'asleep' });
  await loop.runUntilComplete(() => sleep(0));
  loop.createTask(() => sleep(3600), { name: 'unborn' });
  assert.throws(() => checkLoopEmpty(loop), {
    message:
      'the event loop is not empty:\n  task asleep was still pending\n  task unborn was still not started',
  });
  loop.close();
});

test('checkLoopEmpty() names an exception that nobody has looked at', () => {
  const loop = quiet(new SimulatedEventLoop());
  const future = loop.createFuture();
  future.setException(new Error('bug'));
  assert.throws(() => checkLoopEmpty(loop), {
    message: 'the event loop is not empty:\n  the exception of a future was never retrieved: Error: bug',
  });
  future.exception();
  checkLoopEmpty(loop);
  loop.close();
});

test('checkLoopEmpty() says that a loop still runs', async () => {
  const loop = new SimulatedEventLoop();
  const running = loop.runForever();
  assert.throws(() => checkLoopEmpty(loop), /the event loop is not empty:\n {2}it is still running/);
  loop.stop();
  await running;
  checkLoopEmpty(loop);
  loop.close();
});

test('checkLoopEmpty() names a server that is open, and is content once it is closed', async () => {
  const loop = quiet(new NodeEventLoop());
  await loop.runUntilComplete(async () => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    assert.throws(() => checkLoopEmpty(loop), /server .*127\.0\.0\.1/);
    server.close();
    await server.waitClosed();
  });
  checkLoopEmpty(loop);
  loop.close();
});

test('checkLoopEmpty() shows in debug mode where it was created', () => {
  const loop = quiet(new SimulatedEventLoop());
  loop.debug = true;
  loop.createTask(() => sleep(1), { name: 'forgotten' });
  assert.throws(() => checkLoopEmpty(loop), /task forgotten .*, created at\n +at [\s\S]*testing\.test\.ts/);
  loop.close();
});
