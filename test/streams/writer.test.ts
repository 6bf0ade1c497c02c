import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Future, Loop } from '../../src/index.ts';
import { CancelledError, StreamReader, sleep } from '../../src/index.ts';
import { StreamReaderProtocol } from '../../src/streams/stream-protocol.ts';
import { StreamWriter } from '../../src/streams/writer.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { FakeTransport, outcome } from './helpers.ts';

interface Stream {
  reader: StreamReader;
  writer: StreamWriter;
  protocol: StreamReaderProtocol;
  transport: FakeTransport;
}

/** A connected stream. The test plays the network. */
function connected(loop: Loop): Stream {
  const transport = new FakeTransport();
  const reader = new StreamReader({ loop });
  const protocol = new StreamReaderProtocol(reader);
  protocol.connectionMade(transport);
  return { reader, writer: new StreamWriter(transport, protocol), protocol, transport };
}

const reset = (): Error => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

test(
  'StreamWriter passes its calls to the transport',
  inSimulation(async (loop) => {
    const { writer, transport } = connected(loop);
    writer.write('a');
    writer.writelines(['b', Buffer.from('c')]);
    writer.writeEof();
    assert.equal(writer.canWriteEof(), false);
    assert.equal(writer.isClosing(), false);
    writer.close();
    assert.equal(writer.isClosing(), true);
    assert.deepEqual(transport.calls, ['write a', 'writelines b|c', 'writeEof', 'close']);
    assert.equal(writer.transport, transport);
    assert.deepEqual(writer.getExtraInfo('peername'), ['192.0.2.1', 1234]);
    assert.equal(writer.getExtraInfo('socket'), null);
    assert.equal(writer.getExtraInfo('cipher', 'none'), 'none');
  }),
);

// --- drain ---

test(
  'StreamWriter.drain() is done at once below the high-water mark, and costs no turn',
  inSimulation(async (loop) => {
    const { writer } = connected(loop);
    let turned = false;
    loop.callSoon(() => {
      turned = true;
    });
    assert.equal(writer.drain().done(), true);
    await writer.drain();
    assert.equal(turned, false);
  }),
);

test(
  'StreamWriter.drain() waits while the transport is paused, in several tasks at once, which wake in order',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const order: number[] = [];
    const tasks = Array.from({ length: 100 }, (_, i) =>
      loop.createTask(async () => {
        await writer.drain();
        order.push(i);
      }),
    );
    await sleep(3600);
    assert.deepEqual(order, []);
    protocol.resumeWriting();
    for (const task of tasks) await task;
    assert.deepEqual(
      order,
      Array.from({ length: 100 }, (_, i) => i),
    );
  }),
);

test(
  'StreamWriter.drain() continues to wait when the transport is paused again before its turn',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const drained = writer.drain();
    protocol.resumeWriting();
    protocol.pauseWriting();
    await turns(6);
    assert.equal(outcome(drained), 'pending');
    protocol.resumeWriting();
    await turns(2);
    assert.equal(outcome(drained), 'undefined');
  }),
);

test(
  'a loop of write() and drain() does not starve others, even if the kernel takes everything',
  inSimulation(async (loop) => {
    const { writer } = connected(loop);
    let writes = 0;
    let stop = false;
    loop.callSoon(() => {
      stop = true;
    });
    while (!stop) {
      writer.write('x');
      writes++;
      assert.ok(writes <= 10_000, 'nobody else had a turn');
      await writer.drain();
    }
  }),
);

test(
  'StreamWriter.drain() counts anew after data from the host, so that an echo takes no turn for it',
  inSimulation(async (loop) => {
    const { reader, writer, protocol } = connected(loop);
    for (let i = 0; i < 2000; i++) {
      if (i % 100 === 0) protocol.dataReceived(Buffer.from('x'));
      assert.equal(writer.drain().done(), true);
    }
    assert.equal((await reader.read(100)).length, 20);
  }),
);

test(
  'a loop of write() and drain() on a closing transport ends with an error',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    writer.close();
    let turns = 0;
    const pass = (): void => {
      if (++turns === 5) protocol.connectionLost(null);
      else loop.callSoon(pass);
    };
    pass();
    let drains = 0;
    await assert.rejects(
      async () => {
        for (; drains < 100; drains++) await writer.drain();
      },
      { name: 'LoopError', code: 'ERR_TRANSPORT_CLOSED' },
    );
    assert.ok(drains <= 5, `${drains} drains`);
  }),
);

test(
  'StreamWriter.drain() fails with the error of the lost connection, whether it waits or not',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const waiting = [writer.drain(), writer.drain(), writer.drain()];
    const error = reset();
    protocol.connectionLost(error);
    for (const drained of waiting) await assert.rejects(drained, (reason) => reason === error);
    await assert.rejects(writer.drain(), (reason) => reason === error);
  }),
);

test(
  'StreamWriter.drain() fails after the connection was closed, whether it waits or not',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const waiting = writer.drain();
    writer.transport.abort();
    protocol.connectionLost(null);
    await assert.rejects(waiting, { code: 'ERR_TRANSPORT_CLOSED' });
    await assert.rejects(writer.drain(), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'StreamWriter.drain() throws the exception of the reader',
  inSimulation(async (loop) => {
    const { reader, writer } = connected(loop);
    const error = reset();
    reader.setException(error);
    await assert.rejects(writer.drain(), (reason) => reason === error);
  }),
);

test(
  'a task that is cancelled in drain() leaves the others waiting, and nothing behind',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const tasks = Array.from({ length: 3 }, () => loop.createTask(() => writer.drain(), { eager: true }));
    await turns(2);
    tasks[1]?.cancel();
    await turns(2);
    assert.deepEqual(tasks.map(outcome), ['pending', 'cancelled', 'pending']);
    protocol.resumeWriting();
    tasks[0]?.cancel();
    await turns(4);
    assert.deepEqual(tasks.map(outcome), ['cancelled', 'cancelled', 'undefined']);
  }),
);

test(
  'a connection keeps no reference to a cancelled drain() or waitClosed()',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    const begin = (): WeakRef<object>[] => {
      const waits = [writer.drain(), writer.waitClosed()];
      for (const wait of waits) wait.cancel();
      return waits.map((wait) => new WeakRef(wait));
    };
    const refs = begin();
    await collectGarbage();
    assert.deepEqual(
      refs.map((ref) => ref.deref()),
      [undefined, undefined],
    );
    assert.equal(outcome(writer.drain()), 'pending');
  }),
);

// --- waitClosed ---

test(
  'StreamWriter.waitClosed() waits for the end of the connection, in several tasks at once',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    const waits = [writer.waitClosed(), writer.waitClosed()];
    writer.close();
    protocol.resumeWriting();
    await sleep(3600);
    assert.deepEqual(waits.map(outcome), ['pending', 'pending']);
    protocol.connectionLost(null);
    await waits[0];
    await waits[1];
    assert.equal(outcome(writer.waitClosed()), 'undefined');
  }),
);

test(
  'StreamWriter.waitClosed() throws the error that ended the connection',
  inSimulation(async (loop) => {
    const { writer, protocol } = connected(loop);
    const error = reset();
    const waiting = writer.waitClosed();
    protocol.connectionLost(error);
    await assert.rejects(waiting, (reason) => reason === error);
    await assert.rejects(writer.waitClosed(), (reason) => reason === error);
  }),
);

test(
  'a cancelled waitClosed() closes nothing and does not disturb the others',
  inSimulation(async (loop) => {
    const { writer, protocol, transport } = connected(loop);
    const [first, second] = [writer.waitClosed(), writer.waitClosed()];
    first?.cancel();
    assert.deepEqual(transport.calls, []);
    protocol.connectionLost(null);
    await second;
    assert.equal(outcome(first as Future<void>), 'cancelled');
  }),
);

test(
  'await using closes the writer and waits for its end',
  inSimulation(async (loop) => {
    const { writer, protocol, transport } = connected(loop);
    {
      await using closing = writer;
      closing.write('x');
      loop.callLater(5, () => protocol.connectionLost(null));
    }
    assert.deepEqual(transport.calls, ['write x', 'close']);
    assert.equal(loop.time(), 5);
  }),
);

// --- both ---

for (const method of ['drain', 'waitClosed'] as const) {
  test(
    `StreamWriter.${method}() is cancelled by its signal, and leaves no listener`,
    inSimulation(async (loop) => {
      const { writer, protocol } = connected(loop);
      protocol.pauseWriting();
      const controller = new AbortController();
      const { signal } = controller;
      const waits = [writer[method]({ signal }), writer[method]()];
      controller.abort('why');
      await assert.rejects(
        waits[0] as Future<void>,
        (error) => error instanceof CancelledError && error.cause === 'why',
      );
      await assert.rejects(writer[method]({ signal }), CancelledError);
      assert.equal(getEventListeners(signal, 'abort').length, 0);

      protocol.resumeWriting();
      await assert.rejects(writer[method]({ signal }), CancelledError, 'though it need not wait');
      protocol.pauseWriting();

      const { signal: unused } = new AbortController();
      const done = writer[method]({ signal: unused });
      assert.equal(getEventListeners(unused, 'abort').length, 1);
      protocol.resumeWriting();
      if (method === 'waitClosed') protocol.connectionLost(null);
      await done;
      await waits[1];
      await writer[method]({ signal: unused }).catch(() => {});
      assert.equal(getEventListeners(unused, 'abort').length, 0);
    }),
  );

  test(
    `StreamWriter.${method}() rejects options that it does not know, and starts nothing`,
    inSimulation(async (loop) => {
      const { writer } = connected(loop);
      const bad = writer[method].bind(writer) as (options: unknown) => unknown;
      for (const options of [null, 5, { signals: 1 }, { signal: 'x' }]) {
        assert.throws(() => bad(options), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
    }),
  );
}

test('the exception of a drain() that was never awaited is reported when the loop closes', async () => {
  const loop = new SimulatedEventLoop();
  const reports: string[] = [];
  loop.setExceptionHandler((_loop, { exception }) => reports.push(String(exception)));
  await loop.runUntilComplete(async () => {
    const { writer, protocol } = connected(loop);
    protocol.pauseWriting();
    void writer.drain();
    protocol.connectionLost(reset());
    await turns(2);
    void writer.drain();
  });
  loop.close();
  assert.deepEqual(reports, ['Error: read ECONNRESET', 'Error: read ECONNRESET']);
});
