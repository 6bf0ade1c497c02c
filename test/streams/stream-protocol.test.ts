import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loop } from '../../src/index.ts';
import { allTasks, CancelledError, currentTask, StreamReader, sleep } from '../../src/index.ts';
import type { ConnectionCallback } from '../../src/streams/stream-protocol.ts';
import { StreamReaderProtocol } from '../../src/streams/stream-protocol.ts';
import { inSimulation, turns } from '../helpers/simulation.ts';
import { FakeTransport, outcome } from './helpers.ts';

interface Accepted {
  reader: StreamReader;
  protocol: StreamReaderProtocol;
  transport: FakeTransport;
}

/** A connection that a server accepted. The test plays the network. */
function accepted(loop: Loop, callback: ConnectionCallback | null, limit: number = 1024): Accepted {
  const transport = new FakeTransport();
  const reader = new StreamReader({ loop, limit });
  const protocol = new StreamReaderProtocol(reader, callback);
  protocol.connectionMade(transport);
  return { reader, protocol, transport };
}

test(
  'the callback of a connection runs as a task of its own, from the next turn on',
  inSimulation(async (loop) => {
    const seen: unknown[] = [];
    const { protocol } = accepted(loop, async (reader, writer) => {
      seen.push(currentTask()?.name, writer.getExtraInfo('peername'));
      seen.push((await reader.readline()).toString());
    });
    assert.deepEqual(seen, []);
    assert.equal(allTasks().size, 2);
    await turns(2);
    protocol.dataReceived(Buffer.from('line\n'));
    await turns(6);
    assert.deepEqual(seen, ['connection from 192.0.2.1:1234', ['192.0.2.1', 1234], 'line\n']);
    assert.equal(allTasks().size, 1);
  }),
);

test(
  'a connection stays open when its callback returns, as in asyncio',
  inSimulation(async (loop) => {
    for (const callback of [async () => {}, () => {}, () => sleep(1)]) {
      const { transport } = accepted(loop, callback);
      await sleep(10);
      assert.deepEqual(transport.calls, []);
    }
  }),
);

for (const [kind, callback] of [
  [
    'an async',
    async () => {
      throw new Error('bad');
    },
  ],
  [
    'a plain',
    () => {
      throw new Error('bad');
    },
  ],
] as const) {
  test(
    `the exception of ${kind} callback is reported, and its connection is aborted`,
    inSimulation(async (loop, reports) => {
      const { transport, protocol } = accepted(loop, callback);
      await turns(6);
      const [report, ...others] = reports.take();
      assert.equal(report?.message, 'exception in the callback of startServer(): its connection is aborted');
      assert.equal(String(report?.exception), 'Error: bad');
      assert.equal(report?.transport, transport);
      assert.equal(report?.protocol, protocol);
      assert.deepEqual(others, []);
      assert.deepEqual(transport.calls, ['abort']);
    }),
  );
}

test(
  'a callback whose task is cancelled has its connection closed, and nothing is reported',
  inSimulation(async (loop) => {
    let cleanedUp = false;
    const { transport } = accepted(loop, async (reader) => {
      try {
        await reader.readline();
      } finally {
        cleanedUp = true;
      }
    });
    await turns(2);
    for (const task of allTasks()) if (task !== currentTask()) task.cancel();
    await turns(6);
    assert.equal(cleanedUp, true);
    assert.deepEqual(transport.calls, ['close']);
  }),
);

test(
  'a callback that throws a CancelledError of its own counts as cancelled',
  inSimulation(async (loop) => {
    const { transport } = accepted(loop, async () => {
      throw new CancelledError('own');
    });
    await turns(6);
    assert.deepEqual(transport.calls, ['close']);
  }),
);

test(
  'the end of the peer ends the reader, and keeps the transport open for writing',
  inSimulation(async (loop) => {
    const { reader, protocol, transport } = accepted(loop, null);
    protocol.dataReceived(Buffer.from('last'));
    assert.equal(protocol.eofReceived(), true);
    assert.equal((await reader.read()).toString(), 'last');
    assert.equal(reader.atEof(), true);
    assert.deepEqual(transport.calls, []);
    protocol.connectionLost(null);
    assert.equal(reader.atEof(), true);
  }),
);

test(
  'a connection that is lost cleanly ends the reader, and one that is lost by an error fails it',
  inSimulation(async (loop) => {
    const clean = accepted(loop, null);
    const reading = clean.reader.read(10);
    clean.protocol.connectionLost(null);
    assert.equal((await reading).length, 0);

    const lost = accepted(loop, null);
    const error = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    const waiting = lost.reader.read(10);
    lost.protocol.connectionLost(error);
    await assert.rejects(waiting, (reason) => reason === error);
    await assert.rejects(lost.reader.readline(), (reason) => reason === error);
    assert.equal(lost.reader.exception(), error);
  }),
);

test(
  'a reader pauses the transport of its connection, and leaves a lost connection alone',
  inSimulation(async (loop) => {
    const { reader, protocol, transport } = accepted(loop, null, 10);
    protocol.dataReceived(Buffer.alloc(21));
    assert.deepEqual(transport.calls, ['pauseReading']);
    assert.equal((await reader.read(15)).length, 15);
    assert.deepEqual(transport.calls, ['pauseReading', 'resumeReading']);
    protocol.dataReceived(Buffer.alloc(21));
    protocol.connectionLost(null);
    assert.equal((await reader.read()).length, 27);
    assert.deepEqual(transport.calls, ['pauseReading', 'resumeReading', 'pauseReading']);
  }),
);

test(
  'many reads, drains and ends of one connection complete in the order of the transport’s calls',
  inSimulation(async (loop) => {
    const order: string[] = [];
    const { protocol } = accepted(loop, async (reader, writer) => {
      const drained = writer.drain().then(() => order.push('drained'));
      order.push((await reader.readline()).toString());
      order.push((await reader.read(10)).toString());
      order.push(await writer.waitClosed().then(() => 'closed'));
      await drained;
    });
    protocol.pauseWriting();
    await turns(4);
    protocol.resumeWriting();
    protocol.dataReceived(Buffer.from('line\n'));
    await turns(4);
    protocol.eofReceived();
    protocol.connectionLost(null);
    await turns(8);
    assert.deepEqual(order, ['drained', 'line\n', '', 'closed']);
  }),
);

test(
  'a read that is cancelled with its task leaves its data to another task',
  inSimulation(async (loop) => {
    const { reader, protocol } = accepted(loop, null);
    const first = loop.createTask(() => reader.readline(), { eager: true });
    await turns(2);
    protocol.dataReceived(Buffer.from('for the second\n'));
    first.cancel();
    const second = loop.createTask(() => reader.readline());
    assert.equal((await second).toString(), 'for the second\n');
    assert.equal(outcome(first), 'cancelled');
  }),
);
