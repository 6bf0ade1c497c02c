/** The transport alone holds data that comes while the protocol does not read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamEvents } from '../../../src/backend/backend.ts';
import type { StreamProtocol, Transport } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import type { FakeStream } from '../fake-net.ts';
import { fakeNet } from '../fake-net.ts';

interface Parts {
  transport: Transport;
  raw: FakeStream;
  /** Calls the transport as the host does. */
  host: StreamEvents;
}

/** Runs `body` with a connection whose host is the test. */
async function onFakeStream(protocol: StreamProtocol, body: (parts: Parts) => Promise<void>): Promise<void> {
  const { loop, net, close } = fakeNet();
  const raws: FakeStream[] = [];
  net.onAttempt = (attempt) => setImmediate(() => raws.push(attempt.connect()));
  await loop.runUntilComplete(async () => {
    const [transport] = await loop.createConnection(() => protocol, '192.0.2.2', 80);
    const raw = raws[0] as FakeStream;
    const host = raw.events as StreamEvents;
    raw.calls.length = 0;
    await body({ transport, raw, host });
    transport.abort();
    host.onClose(null);
  });
  close();
}

function recorder(log: string[]): StreamProtocol {
  return {
    dataReceived: (data) => log.push(String(data)),
    eofReceived: () => {
      log.push('eof');
      return true;
    },
  };
}

test('data and the end that come after pauseReading() are delivered in order after resumeReading()', async () => {
  const log: string[] = [];
  await onFakeStream(recorder(log), async ({ transport, raw, host }) => {
    transport.pauseReading();
    for (const text of ['one', 'two']) host.onRead(Buffer.from(text));
    host.onEnd();
    await sleep(0);
    assert.deepEqual([log, raw.calls], [[], ['readStop']]);
    transport.resumeReading();
    await sleep(0);
    assert.deepEqual(log, ['one', 'two', 'eof']);
  });
});

test('held data is delivered piece by piece, as long as the protocol does not pause again', async () => {
  const log: string[] = [];
  let paused: Transport | null = null;
  await onFakeStream(
    {
      dataReceived(data) {
        log.push(String(data));
        if (String(data) === 'two') paused?.pauseReading();
      },
    },
    async ({ transport, raw, host }) => {
      paused = transport;
      transport.pauseReading();
      for (const text of ['one', 'two', 'three']) host.onRead(Buffer.from(text));
      transport.resumeReading();
      host.onRead(Buffer.from('four'));
      await sleep(0);
      assert.deepEqual(log, ['one', 'two']);
      transport.resumeReading();
      await sleep(0);
      assert.deepEqual(log, ['one', 'two', 'three', 'four']);
      assert.deepEqual(raw.calls.at(-1), 'readStart');
    },
  );
});

test('a buffered protocol that pauses in the middle of held data gets the rest, then the next piece', async () => {
  const log: string[] = [];
  let buffer = Buffer.alloc(2);
  let transport: Transport | null = null;
  await onFakeStream(
    {
      getBuffer: () => {
        buffer = Buffer.alloc(2);
        return buffer;
      },
      bufferUpdated: (length) => {
        log.push(String(buffer.subarray(0, length)));
        transport?.pauseReading();
      },
    },
    async (parts) => {
      transport = parts.transport;
      transport.pauseReading();
      for (const text of ['abc', 'de']) parts.host.onRead(Buffer.from(text));
      for (const expected of [['ab'], ['ab', 'c'], ['ab', 'c', 'de']]) {
        transport.resumeReading();
        await sleep(0);
        assert.deepEqual(log, expected);
      }
    },
  );
});
