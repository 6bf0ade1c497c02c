import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import {
  createSubprocessExec,
  getRunningLoop,
  openConnection,
  Protocol,
  StreamReader,
  sleep,
  timeout,
} from '../../src/index.ts';
import { portOf } from '../helpers/pairs.ts';

/** Returns the stack of the error that `main` throws on virtual time. */
async function stackOf(main: () => PromiseLike<unknown>): Promise<string> {
  const loop = new SimulatedEventLoop();
  try {
    await loop.runUntilComplete(main);
  } catch (error) {
    return String((error as Error).stack);
  } finally {
    loop.close();
  }
  return assert.fail('nothing was thrown');
}

const CALLS: Record<string, () => PromiseLike<unknown>> = {
  'a connection': async function askForConnection() {
    await getRunningLoop().createConnection(() => new Protocol(), '127.0.0.1', 1);
  },
  streams: async function askForStreams() {
    await openConnection('127.0.0.1', 1);
  },
  'a lookup': async function askForLookup() {
    await getRunningLoop().getaddrinfo('nowhere.example', 1);
  },
  'a program': async function askForProgram() {
    await createSubprocessExec('nowhere');
  },
};

for (const [name, call] of Object.entries(CALLS)) {
  test(`the stack of an error of ${name} has the code that asked for it, once`, async () => {
    const stack = await stackOf(call);
    const frames = stack.split('\n').filter((line) => line.includes(call.name));
    assert.equal(frames.length, 1, stack);
    assert.match(String(frames[0]), /call-site\.test\.ts/);
  });
}

test('an error keeps its own stack, and the place comes behind it', async () => {
  const stack = await stackOf(async function asked() {
    const loop = getRunningLoop();
    await using server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    const port = portOf(server);
    function makeProtocol(): Protocol {
      throw new RangeError('no protocol');
    }
    await loop.createConnection(makeProtocol, '127.0.0.1', port);
  });
  assert.match(
    stack,
    /RangeError: no protocol\n +at makeProtocol [\s\S]*\n +at async connect [\s\S]*\n +at asked /,
  );
});

test('in debug mode the error of a call in an executor has the code that asked for it, once', async () => {
  const stack = await stackOf(async function askForCall() {
    const loop = getRunningLoop();
    loop.debug = true;
    await loop.runInExecutor(null, () => {
      throw new RangeError('no answer');
    });
  });
  assert.match(stack, /^RangeError: no answer\n/);
  const frames = stack.split('\n').filter((line) => line.includes('askForCall'));
  assert.equal(frames.length, 1, stack);
});

test('in debug mode the error of a read and of a limit has the code that waited, too', async () => {
  const read = await stackOf(async function askForData() {
    getRunningLoop().debug = true;
    const reader = new StreamReader();
    getRunningLoop().callLater(1, () => reader.setException(new Error('lost')));
    await reader.readline();
  });
  assert.match(read, /at askForData /);
  const limit = await stackOf(async function askForTime() {
    getRunningLoop().debug = true;
    await timeout(1, () => sleep(100));
  });
  assert.match(limit, /^TimeoutError: timeout\(\) has expired after 1 s\n[\s\S]*at askForTime /);
});
