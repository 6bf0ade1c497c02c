import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { MakeStreamPair } from '../../src/entry/testing.ts';
import {
  checkLoopEmpty,
  checkStreamTransport,
  leaks,
  streamTransportChecks,
  withLoop,
} from '../../src/entry/testing.ts';
import type { BaseEventLoop, Transport } from '../../src/index.ts';
import { Lock, NodeEventLoop, Protocol, sleep } from '../../src/index.ts';
import { transportsOf } from '../helpers/check-stream-transport.ts';
import { onNode, recorders } from '../helpers/pairs.ts';

function quiet<L extends SimulatedEventLoop | NodeEventLoop>(loop: L): L {
  loop.setExceptionHandler(() => {});
  return loop;
}

test('withLoop() throws when it gets the body alone, or an async makeLoop', async () => {
  const body = async (): Promise<void> => assert.fail('it is not called');
  await assert.rejects(withLoop(body as never, undefined as never), {
    code: 'ERR_INVALID_ARG_TYPE',
    message:
      'The "body" argument must be a function, the second argument: withLoop(newEventLoop, body); got undefined',
  });
  await assert.rejects(withLoop((async () => new SimulatedEventLoop()) as never, body), {
    code: 'ERR_INVALID_ARG_TYPE',
    message:
      'The "makeLoop()" argument must be an event loop, not a promise: makeLoop must not be async; got an instance of Promise',
  });
  await assert.rejects(withLoop(new SimulatedEventLoop() as never, body), {
    message: 'The "makeLoop" argument must be a function; got an instance of SimulatedEventLoop',
  });
});

test('withLoop() accepts a fresh loop only, and leaves another one alone', async () => {
  const body = async (): Promise<void> => assert.fail('it is not called');
  for (const wrong of [undefined, null, {}, 5]) {
    await assert.rejects(
      withLoop(() => wrong as never, body),
      {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^The "makeLoop\(\)" argument must be an event loop/,
      },
    );
  }
  const loop = new SimulatedEventLoop();
  await loop.runUntilComplete(async () => {
    await assert.rejects(
      withLoop(() => loop, body),
      /must be a new event loop that is not running and not closed/,
    );
    await sleep(1);
  });
  loop.close();
  await assert.rejects(
    withLoop(() => loop, body),
    /must be a new event loop that is not running and not closed/,
  );
});

test('leaks() and checkLoopEmpty() accept a loop only', () => {
  for (const wrong of [undefined, null, {}, async () => {}]) {
    const expected = { code: 'ERR_INVALID_ARG_TYPE', message: /^The "loop" argument must be an event loop/ };
    assert.throws(() => leaks(wrong as never), expected);
    assert.throws(() => checkLoopEmpty(wrong as never), expected);
  }
});

test('checkStreamTransport() throws when makePair() returns no pair', async () => {
  await assert.rejects(checkStreamTransport((async () => undefined) as never), (error: Error) => {
    assert.match(String(error.cause), /The "makePair\(\)" argument must be an array of two transports/);
    return true;
  });
});

test('checkLoopEmpty() accepts a loop that owns nothing, new, used or closed', async () => {
  const loop = new SimulatedEventLoop();
  checkLoopEmpty(loop);
  await loop.runUntilComplete(() => sleep(1));
  checkLoopEmpty(loop);
  loop.callLater(1, () => {});
  checkLoopEmpty(loop);
  loop.close();
  checkLoopEmpty(loop);
});

test('checkLoopEmpty() names each pending task', async () => {
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

test('checkLoopEmpty() names an exception that was never retrieved', () => {
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

test('checkLoopEmpty() reports a loop that still runs', async () => {
  const loop = new SimulatedEventLoop();
  const running = loop.runForever();
  assert.throws(() => checkLoopEmpty(loop), /the event loop is not empty:\n {2}it is still running/);
  loop.stop();
  await running;
  checkLoopEmpty(loop);
  loop.close();
});

test('checkLoopEmpty() names an open server, and accepts a closed one', async () => {
  const loop = quiet(new NodeEventLoop());
  await loop.runUntilComplete(async () => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    assert.throws(
      () => checkLoopEmpty(loop),
      /a server was still listening on 127\.0\.0\.1:\d+ \(made by task createServer of task Task-\d+, \d+\.\d{3} seconds old\)/,
    );
    server.close();
    await server.waitClosed();
  });
  checkLoopEmpty(loop);
  loop.close();
});

test('checkLoopEmpty() shows in debug mode where a resource was created', () => {
  const loop = quiet(new SimulatedEventLoop());
  loop.debug = true;
  // A busy machine makes callbacks slow, which debug mode reports.
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  loop.createTask(() => sleep(1), { name: 'forgotten' });
  assert.throws(() => checkLoopEmpty(loop), /task forgotten .*, created at\n +at [\s\S]*testing\.test\.ts/);
  loop.close();
});

test('leaks() returns kind, description, owner and age of each resource', async () => {
  const loop = quiet(new SimulatedEventLoop());
  loop.debug = true;
  // A busy machine makes callbacks slow, which debug mode reports.
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  const lock = new Lock();
  const bug = new Error('bug');
  const future = loop.createFuture();
  await loop.runUntilComplete(
    loop.createTask(
      async () => {
        loop.createTask(() => sleep(3600), { name: 'asleep' });
        await lock.acquire();
        future.setException(bug);
        await sleep(2);
      },
      { name: 'main' },
    ),
  );
  const found = leaks(loop);
  assert.deepEqual(
    found.map(({ stack, ...rest }) => [rest, typeof stack]),
    [
      [
        { kind: 'task', description: 'task asleep was still pending', owner: 'main', ageSeconds: 2 },
        'string',
      ],
      [{ kind: 'lock', description: 'a Lock was still held', owner: 'main', ageSeconds: 2 }, 'string'],
      [
        {
          kind: 'exception',
          description: 'the exception of a future was never retrieved: Error: bug',
          owner: null,
          ageSeconds: null,
        },
        'string',
      ],
    ],
  );
  assert.equal(future.exception(), bug);
  loop.close();
  assert.deepEqual(leaks(loop), []);
});

test('leaks() names a server, and both sides of its connections', () =>
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    const handles = leaks(loop).filter(({ kind }) => kind === 'handle');
    assert.equal(handles.length, 3);
    for (const { description, ageSeconds } of handles) {
      assert.match(description, /^a (connection with|server was still listening on) 127\.0\.0\.1/);
      assert.ok((ageSeconds as number) >= 0 && (ageSeconds as number) < 60);
    }
    server.close();
    near.transport.close();
    await near.untilLost();
    await far.untilLost();
  })());

test('withLoop() returns the result of its body', async () => {
  assert.equal(
    await withLoop(
      () => new SimulatedEventLoop(),
      () => 42,
    ),
    42,
  );
  assert.equal(
    await withLoop(
      () => new SimulatedEventLoop(),
      (loop) => loop.runUntilComplete(() => sleep(1, 'slept')),
    ),
    'slept',
  );
});

test('withLoop() rejects arguments that are no function', async () => {
  const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  await assert.rejects(
    withLoop(5 as never, () => {}),
    wrong,
  );
  await assert.rejects(
    withLoop(() => new SimulatedEventLoop(), 5 as never),
    wrong,
  );
});

// --- checkStreamTransport(): good transports pass, and each kind of bad one is found ---

const tcp: MakeStreamPair = transportsOf((loop) => recorders(loop));

test('checkStreamTransport() passes for TCP', () =>
  checkStreamTransport(tcp, { makeLoop: () => new NodeEventLoop() }));

/** TCP with some methods of the near transport replaced. */
function broken(change: (near: Transport, far: Transport, loop: BaseEventLoop) => object): MakeStreamPair {
  return async (loop) => {
    const [near, far] = await tcp(loop);
    Object.assign(near, change(near, far, loop));
    return [near, far];
  };
}

const BROKEN: Record<string, [fault: string, MakeStreamPair]> = {
  'data arrives in order, in both directions, before the end of the stream': [
    'writelines() that goes backwards',
    broken((near) => ({
      writelines: (list: string[]) => {
        for (const data of list.reverse()) near.write(data);
      },
    })),
  ],
  'the limits of the write buffer are 16 KiB and 64 KiB unless set': [
    'limits that cannot be set',
    broken(() => ({ setWriteBufferLimits: () => {} })),
  ],
  'a second close does nothing, no close calls the protocol at once, and later writes are dropped': [
    'close() that calls the protocol',
    broken((near) => {
      const close = near.close.bind(near);
      return {
        close: () => {
          close();
          near.getProtocol().connectionLost?.(null);
        },
      };
    }),
  ],
  'the end of writing comes after the data, and the other direction stays open': [
    'writeEof() that closes',
    broken((near) => ({ writeEof: () => near.close() })),
  ],
  'a paused reader gets no data until it resumes; pausing and resuming twice is allowed': [
    'pauseReading() of the other side that does nothing',
    broken((_near, far) => {
      far.pauseReading = () => {};
      return {};
    }),
  ],
  'a new protocol gets all later calls': [
    'a protocol that can be set only once',
    broken((_near, far) => {
      const set = far.setProtocol.bind(far);
      let count = 0;
      far.setProtocol = (protocol) => {
        if (count++ === 0) set(protocol);
      };
      return {};
    }),
  ],
  'closing a clogged stream waits until all data was sent': [
    'close() that aborts',
    broken((near) => ({ close: () => near.abort() })),
  ],
  'aborting a clogged stream drops unsent data and does not wait for the peer': [
    'abort() that closes',
    broken((near) => ({ abort: () => near.close() })),
  ],
};

for (const [name, [fault, makePair]] of Object.entries(BROKEN)) {
  test(`checkStreamTransport() finds ${fault}`, async () => {
    const check = streamTransportChecks(makePair)[name];
    assert.ok(check !== undefined);
    await assert.rejects(
      withLoop(
        () => new NodeEventLoop(),
        (loop) => loop.runUntilComplete(() => check(loop)),
      ),
      { name: 'AssertionError' },
    );
  });
}

test('checkStreamTransport() names the check that fails, and the reason', async () => {
  const makePair = broken(() => ({ getWriteBufferSize: () => 1 }));
  await assert.rejects(
    checkStreamTransport(makePair, { makeLoop: () => new NodeEventLoop() }),
    (error: Error) => {
      assert.match(
        error.message,
        /^a stream transport breaks this rule: writing empty data sends nothing\. AssertionError/,
      );
      assert.equal((error.cause as Error).name, 'AssertionError');
      return true;
    },
  );
});

test('checkStreamTransport() fails when makePair() leaves something in the loop, or fails itself', async () => {
  const leaving: MakeStreamPair = async (loop) => {
    await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    return tcp(loop);
  };
  const options = { makeLoop: () => new NodeEventLoop() };
  await assert.rejects(checkStreamTransport(leaving, options), /a server was still listening/);
  const bug = new Error('bug');
  await assert.rejects(
    checkStreamTransport(() => Promise.reject(bug), options),
    (error: Error) => error.cause === bug,
  );
});

test('checkStreamTransport() and streamTransportChecks() reject arguments that are no function, and unknown options', async () => {
  const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  assert.throws(() => streamTransportChecks(5 as never), wrong);
  await assert.rejects(checkStreamTransport(5 as never), wrong);
  await assert.rejects(checkStreamTransport(tcp, { makeLoop: 5 as never }), wrong);
  await assert.rejects(checkStreamTransport(tcp, { loop: 5 } as never), wrong);
});
