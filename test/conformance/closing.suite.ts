import assert from 'node:assert/strict';
import type { BaseEventLoop, Socket, Transport } from '../../src/index.ts';
import { DatagramProtocol, LoopError, Protocol, SubprocessProtocol, sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** The arguments for each method on an open loop. They are valid, so only the loop's state can be wrong. */
const CALLS: Record<string, (loop: BaseEventLoop) => unknown> = {
  runForever: (loop) => loop.runForever(),
  runUntilComplete: (loop) => loop.runUntilComplete(async () => {}),
  stop: (loop) => loop.stop(),
  time: (loop) => loop.time(),
  callSoon: (loop) => loop.callSoon(() => {}),
  callSoonThreadsafe: (loop) => loop.callSoonThreadsafe(() => {}),
  callLater: (loop) => loop.callLater(1, () => {}),
  callAt: (loop) => loop.callAt(1, () => {}),
  createFuture: (loop) => loop.createFuture(),
  createConnection: (loop) => loop.createConnection(() => new Protocol(), '127.0.0.1', 1),
  createServer: (loop) => loop.createServer(() => new Protocol(), '127.0.0.1', 0),
  createUnixConnection: (loop) => loop.createUnixConnection(() => new Protocol(), '/tmp/nobody'),
  createUnixServer: (loop) => loop.createUnixServer(() => new Protocol(), '/tmp/nobody'),
  connectAcceptedSocket: (loop) => loop.connectAcceptedSocket(() => new Protocol(), 0),
  startTls: (loop) => loop.startTls({} as Transport, new Protocol(), true),
  sendfile: (loop) => loop.sendfile({} as Transport, '/dev/null'),
  createDatagramEndpoint: (loop) => loop.createDatagramEndpoint(() => new DatagramProtocol()),
  getaddrinfo: (loop) => loop.getaddrinfo('127.0.0.1', 1),
  getnameinfo: (loop) => loop.getnameinfo(['127.0.0.1', 1]),
  connectReadPipe: (loop) => loop.connectReadPipe(() => new Protocol(), 0),
  connectWritePipe: (loop) => loop.connectWritePipe(() => new Protocol(), 1),
  subprocessExec: (loop) => loop.subprocessExec(() => new SubprocessProtocol(), 'true'),
  subprocessShell: (loop) => loop.subprocessShell(() => new SubprocessProtocol(), 'true'),
  addReader: (loop) => loop.addReader(0, () => {}),
  removeReader: (loop) => loop.removeReader(0),
  addWriter: (loop) => loop.addWriter(1, () => {}),
  removeWriter: (loop) => loop.removeWriter(1),
  sockRecv: (loop) => loop.sockRecv({} as Socket, 1),
  sockRecvInto: (loop) => loop.sockRecvInto({} as Socket, new Uint8Array(1)),
  sockRecvfrom: (loop) => loop.sockRecvfrom({} as Socket, 1),
  sockRecvfromInto: (loop) => loop.sockRecvfromInto({} as Socket, new Uint8Array(1)),
  sockSendall: (loop) => loop.sockSendall({} as Socket, 'data'),
  sockSendfile: (loop) => loop.sockSendfile({} as Socket, '/dev/null'),
  sockSendto: (loop) => loop.sockSendto({} as Socket, 'data', ['127.0.0.1', 1]),
  sockConnect: (loop) => loop.sockConnect({} as Socket, ['127.0.0.1', 1]),
  sockAccept: (loop) => loop.sockAccept({} as Socket),
  addSignalHandler: (loop) => loop.addSignalHandler('SIGUSR2', () => {}),
  signals: (loop) => loop.signals('SIGHUP'),
  metrics: (loop) => loop.metrics(),
  removeSignalHandler: (loop) => loop.removeSignalHandler('SIGUSR2'),
  runInExecutor: (loop) => loop.runInExecutor(null, () => 1),
  setDefaultExecutor: (loop) =>
    loop.setDefaultExecutor({ submit: () => Promise.reject(new Error()), shutdown: async () => {} }),
  shutdownDefaultExecutor: (loop) => loop.shutdownDefaultExecutor(),
  remote: (loop) => loop.remote({}),
  createTask: (loop) => loop.createTask(async () => {}),
  setTaskFactory: (loop) => loop.setTaskFactory(null),
  getTaskFactory: (loop) => loop.getTaskFactory(),
  setExceptionHandler: (loop) => loop.setExceptionHandler(null),
  getExceptionHandler: (loop) => loop.getExceptionHandler(),
};

/** Methods that work on a closed loop, each with the reason. */
const STILL_ANSWER: Record<string, string> = {
  isRunning: 'asks for the state',
  isClosed: 'asks for the state',
  close: 'is idempotent',
  callExceptionHandler: 'leaks show up late',
  defaultExceptionHandler: 'leaks show up late',
  toString: 'prints the loop in one line',
  toJSON: 'prints the loop in one line',
};

export function closingSuite(target: Target): void {
  section('Closing', target, (test) => {
    test('close() is idempotent and irreversible, and is_closed() returns true after it', ({ loop }) => {
      assert.equal(loop.isClosed(), false);
      loop.close();
      loop.close();
      assert.equal(loop.isClosed(), true);
      assert.equal(loop.isRunning(), false);
    });

    test('close() of a running loop throws', async ({ loop }) => {
      await loop.runUntilComplete(async () => {
        assert.throws(() => loop.close(), { name: 'LoopError', code: 'ERR_LOOP_RUNNING' });
        await sleep(0);
      });
      assert.equal(loop.isClosed(), false);
    });

    test('close() makes every other method throw', ({ loop }) => {
      loop.close();
      for (const name of publicMethods(loop)) {
        if (name in STILL_ANSWER) continue;
        const call = CALLS[name] ?? assert.fail(`say in this test what ${name}() does on a closed loop`);
        assert.throws(
          () => call(loop),
          (error) => error instanceof LoopError && error.code === 'ERR_LOOP_CLOSED',
          name,
        );
      }
    });

    test('close() clears the queues, so that scheduled callbacks never run', async ({ loop }) => {
      const log: string[] = [];
      loop.callSoon(() => log.push('soon'));
      loop.callLater(0, () => log.push('later'));
      const timer = loop.callLater(0.001, () => log.push('later'));
      loop.close();
      timer.cancel();
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(log, []);
    });

    test('close() lets code outside of the loop continue that awaits a done future, and drops its other waiters', async ({
      loop,
    }) => {
      const future = loop.createFuture<string>();
      const waiting = future.then((word) => `still told: ${word}`);
      loop.callLater(3600, () => {});
      future.setResult('done');
      loop.close();
      assert.equal(await waiting, 'still told: done');
      assert.deepEqual([loop._scheduler.ready.length, loop._scheduler.timers.size], [0, 0]);
    });

    test('close() ends the pending tasks and names each', async ({ loop, reports }) => {
      let ran = 0;
      const asleep = loop.createTask(
        async () => {
          try {
            await sleep(3600);
          } finally {
            ran++;
          }
        },
        { name: 'asleep' },
      );
      await loop.runUntilComplete(async () => {});
      const unborn = loop.createTask(async () => ran++, { name: 'unborn' });
      loop.close();
      assert.deepEqual(reports.takeMessages(), [
        'the event loop was closed, but task asleep was still pending',
        'the event loop was closed, but task unborn was still not started',
      ]);
      assert.equal(asleep.cancelled() && unborn.cancelled(), true);
      await assert.rejects(
        asleep.then(() => {}),
        { code: 'ERR_CANCELLED' },
      );
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(ran, 0);
    });

    test('close() reports exceptions that were never retrieved, each once', ({ loop, reports }) => {
      const bug = new Error('bug');
      loop.createFuture().setException(bug);
      const looked = loop.createFuture();
      looked.setException(new Error('seen'));
      looked.exception();
      loop.close();
      loop.close();
      assert.deepEqual(reports.take(), [
        { message: 'the exception of a future was never retrieved', exception: bug },
      ]);
    });

    test('close() names the open resources with the stack of their creation in debug mode', ({
      loop,
      reports,
    }) => {
      loop.debug = true;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      loop.createTask(async () => {}, { name: 'forgotten' });
      loop.close();
      const [report] = reports.take();
      assert.match(String(report?.sourceTraceback), /closing\.suite\.ts/);
      assert.doesNotMatch(String(report?.sourceTraceback), /task\.ts|ownership\.ts/);
    });

    test('close() wakes code outside of the loop that awaits a pending task', async ({ loop, reports }) => {
      const task = loop.createTask(() => sleep(3600), { name: 'left' });
      const waiting = assert.rejects(
        task.then(() => {}),
        { code: 'ERR_CANCELLED' },
      );
      loop.close();
      await waiting;
      assert.equal(reports.take().length, 1);
    });

    test('close() is called at the end of a `using` declaration', ({ loop }) => {
      loop[Symbol.dispose]();
      assert.equal(loop.isClosed(), true);
    });
  });
}

function publicMethods(loop: BaseEventLoop): string[] {
  const names = new Set<string>();
  for (
    let proto = Object.getPrototypeOf(loop);
    proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (typeof value === 'function' && name !== 'constructor' && !name.startsWith('_')) names.add(name);
    }
  }
  return [...names];
}
