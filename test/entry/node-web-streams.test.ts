/** `toWebStreams`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WebStreams } from '../../src/entry/node.ts';
import { toWebStreams } from '../../src/entry/node.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { BaseEventLoop, Transport } from '../../src/index.ts';
import { NodeEventLoop, Protocol } from '../../src/index.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { closed, connectedPair, foreignClient, onNode, Recorder } from '../helpers/pairs.ts';
import { ManualTransport } from './manual-transport.ts';

const MEBIBYTE = 1024 * 1024;

async function streamsAndPeer(
  loop: BaseEventLoop,
  options: Parameters<typeof toWebStreams>[1] = {},
): Promise<WebStreams & { near: Transport; peer: Recorder; untilGone(): Promise<void> }> {
  const peer = new Recorder();
  const { near } = await connectedPair(loop, new Protocol(), peer);
  const untilGone = async (): Promise<void> => {
    await peer.untilLost();
    await near[Symbol.asyncDispose]();
  };
  return { ...toWebStreams(near, options), near, peer, untilGone };
}

function onManual(
  body: (transport: ManualTransport, streams: WebStreams) => Promise<void>,
  options: Parameters<typeof toWebStreams>[1] = {},
): () => Promise<void> {
  return () =>
    withLoop(
      () => new SimulatedEventLoop(),
      (loop) =>
        loop.runUntilComplete(async () => {
          const transport = new ManualTransport();
          await body(transport, toWebStreams(transport, options));
        }),
    );
}

async function textOf(readable: WebStreams['readable']): Promise<string> {
  let text = '';
  for await (const data of readable) text += Buffer.from(data).toString();
  return text;
}

test(
  'toWebStreams() carries data in both directions, and each ends on its own',
  onNode(async (loop) => {
    const { readable, writable, peer, untilGone } = await streamsAndPeer(loop);
    peer.keepOpen = true;
    const writer = writable.getWriter();
    await writer.write('text ');
    await writer.write(Buffer.from('bytes'));
    await writer.close();
    await peer.untilTold('eof');
    assert.equal(peer.text, 'text bytes');
    peer.transport.write('answer');
    peer.transport.writeEof();
    assert.equal(await textOf(readable), 'answer');
    await untilGone();
    assert.equal(peer.exception, null);
  }),
);

test(
  'toWebStreams() gets 64 MiB back from an echo by pipeTo(), whole',
  onNode(async (loop) => {
    const { readable, writable, peer, untilGone } = await streamsAndPeer(loop);
    const piping = readable.pipeTo(writable);
    const piece = Buffer.alloc(MEBIBYTE, 'abc');
    for (let i = 0; i < 64; i++) peer.transport.write(piece);
    peer.transport.writeEof();
    await untilGone();
    await piping;
    assert.equal(peer.received, 64 * MEBIBYTE);
    assert.ok(Buffer.concat(peer.chunks).subarray(-MEBIBYTE).equals(piece));
  }),
);

test(
  'toWebStreams() pauses the transport for unread data',
  onManual(
    async (transport, { readable }) => {
      await hostPasses();
      transport.receive('12345');
      assert.equal(transport.reading, true);
      transport.receive('67890');
      assert.equal(transport.reading, false);
      const reader = readable.getReader();
      await reader.read();
      await hostPasses();
      assert.equal(transport.reading, true);
      transport.receive('abcdefghij');
      assert.equal(transport.reading, false);
      reader.releaseLock();
      transport.receiveEnd();
      assert.equal(await textOf(readable), '67890abcdefghij');
      transport.lose(null);
    },
    { highWaterMark: 10 },
  ),
);

test(
  'toWebStreams(): a write completes once it has left, so that its buffer may be reused',
  onManual(async (transport, { writable }) => {
    transport.takesAll = false;
    const writer = writable.getWriter();
    let done = false;
    const writing = writer.write(Buffer.from('hello')).then(() => {
      done = true;
    });
    await hostPasses();
    assert.deepEqual([done, transport.calls], [false, ['write 5']]);
    transport.flush();
    await writing;
    const closing = writer.close();
    await hostPasses();
    assert.deepEqual(transport.calls, ['write 5', 'writeEof']);
    await closing;
    transport.lose(null);
  }),
);

test(
  'toWebStreams() reads into a buffer of the reader',
  onNode(async (loop) => {
    const { readable, writable, peer, untilGone } = await streamsAndPeer(loop);
    const reader = readable.getReader({ mode: 'byob' });
    const first = reader.read(new Uint8Array(3));
    peer.transport.write('abcdefg');
    assert.equal(Buffer.from((await first).value!).toString(), 'abc');
    assert.equal(Buffer.from((await reader.read(new Uint8Array(100))).value!).toString(), 'defg');
    const last = reader.read(new Uint8Array(8));
    peer.transport.writeEof();
    const { done, value } = await last;
    assert.deepEqual([done, value?.byteLength], [true, 0]);
    await writable.close();
    await untilGone();
  }),
);

test(
  'toWebStreams(): an end within an element of a Uint32Array reader fails the readable, and the connection lives',
  onNode(async (loop) => {
    const { readable, writable, near, peer, untilGone } = await streamsAndPeer(loop);
    peer.keepOpen = true;
    const reader = readable.getReader({ mode: 'byob' });
    const reading = assert.rejects(reader.read(new Uint32Array(4)), TypeError);
    peer.transport.write('12');
    peer.transport.writeEof();
    await reading;
    await assert.rejects(reader.read(new Uint32Array(4)), TypeError);
    assert.equal(near.isClosing(), false);
    const writer = writable.getWriter();
    await writer.write('still here');
    await writer.close();
    await untilGone();
    assert.deepEqual([peer.text, peer.exception], ['still here', null]);
  }),
);

test(
  'toWebStreams() leaves the rest of a larger buffer alone',
  onManual(async (transport, { readable }) => {
    const memory = Buffer.from('....shared....'.padEnd(200, '.'));
    transport.getProtocol() as Protocol;
    (transport.getProtocol() as Protocol).dataReceived?.(memory.subarray(4, 10));
    assert.equal(memory.length, 200);
    const reader = readable.getReader();
    assert.equal(Buffer.from((await reader.read()).value!).toString(), 'shared');
    assert.equal(memory.toString('utf8', 0, 14), '....shared....');
    transport.lose(null);
  }),
);

test(
  'toWebStreams() reads the data first that an earlier protocol has received',
  onManual(
    async (transport, { readable }) => {
      transport.receive('late');
      transport.receiveEnd();
      assert.equal(await textOf(readable), 'early late');
      transport.lose(null);
    },
    { received: Buffer.from('early ') },
  ),
);

test(
  'toWebStreams() leaves `received` to the caller, also if it is all of its memory',
  onNode(async (loop) => {
    const received = new TextEncoder().encode('early ');
    assert.equal(received.byteLength, received.buffer.byteLength);
    const { readable, writable, peer, untilGone } = await streamsAndPeer(loop, { received });
    peer.transport.write('late');
    peer.transport.writeEof();
    assert.equal(await textOf(readable), 'early late');
    assert.equal(new TextDecoder().decode(received), 'early ');
    await writable.close();
    await untilGone();
  }),
);

test(
  'toWebStreams(): cancel() drops later data and leaves the other direction open until that closes',
  onNode(async (loop) => {
    const { near, readable, writable, peer, untilGone } = await streamsAndPeer(loop);
    peer.keepOpen = true;
    await readable.cancel();
    const ended = loop.createFuture<void>();
    const protocol = near.getProtocol() as Protocol;
    const eofReceived = protocol.eofReceived?.bind(protocol);
    protocol.eofReceived = () => {
      ended.setResult();
      return eofReceived?.();
    };
    // More than the kernel holds: all of it leaves only if the peer reads.
    const piece = Buffer.alloc(MEBIBYTE, 'x');
    for (let i = 0; i < 64; i++) peer.transport.write(piece);
    peer.transport.writeEof();
    await ended;
    const writer = writable.getWriter();
    await writer.write('thank you');
    await writer.close();
    await untilGone();
    assert.deepEqual([peer.text, peer.exception], ['thank you', null]);
  }),
);

test(
  'toWebStreams(): cancel() resumes reading for a reader that was too slow',
  onManual(
    async (transport, { readable }) => {
      transport.receive('too much');
      assert.equal(transport.reading, false);
      await readable.cancel();
      assert.equal(transport.reading, true);
      transport.receive('and more');
      assert.equal(transport.reading, true);
      transport.lose(null);
    },
    { highWaterMark: 5 },
  ),
);

test(
  'toWebStreams(): cancel() after the end of the writing side closes the connection',
  onManual(async (transport, { readable, writable }) => {
    await writable.close();
    await readable.cancel();
    assert.deepEqual(transport.calls, ['writeEof', 'close']);
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): close() after cancel() closes the connection, also without half-close',
  onManual(async (transport, { readable, writable }) => {
    transport.halfClose = false;
    await readable.cancel();
    await writable.close();
    assert.equal(transport.calls[0], 'close');
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): abort() aborts the connection, and the reader gets the reason',
  onNode(async (loop) => {
    const { readable, writable, peer, untilGone } = await streamsAndPeer(loop);
    const reason = new Error('enough');
    const reading = readable.getReader().read();
    await Promise.all([writable.abort(reason), assert.rejects(reading, reason)]);
    await untilGone();
    assert.equal((peer.exception as NodeJS.ErrnoException).code, 'ECONNRESET');
  }),
);

test(
  'toWebStreams(): abort() during a write settles both at once, and resets the connection',
  onNode(async (loop) => {
    const { writable, near, peer, untilGone } = await streamsAndPeer(loop);
    peer.transport.pauseReading();
    const reason = new Error('enough');
    const writer = writable.getWriter();
    const closed = assert.rejects(writer.closed, reason);
    const writing = assert.rejects(writer.write(Buffer.alloc(64 * MEBIBYTE)), reason);
    // The write is under way, and more than the kernel takes.
    while (near.getWriteBufferSize() === 0) await hostPasses();
    await writer.abort(reason);
    await writing;
    await closed;
    assert.equal(near.isClosing(), true);
    peer.transport.resumeReading();
    await untilGone();
    assert.ok(peer.received < 64 * MEBIBYTE);
  }),
);

test(
  'toWebStreams(): abort() during close() settles both, and the reader gets the reason',
  onManual(async (transport, { readable, writable }) => {
    transport.unsent = 10;
    const reason = new Error('enough');
    const writer = writable.getWriter();
    const outcomes = [writer.close(), writer.closed].map((promise) => assert.rejects(promise, reason));
    await hostPasses();
    // The end was not sent: streams reject an abort for an end that fails.
    await assert.rejects(writer.abort(reason), reason);
    await Promise.all(outcomes);
    await assert.rejects(textOf(readable), reason);
    assert.deepEqual(transport.calls, ['writeEof', 'abort']);
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): abort() without a reason fails the reader by an AbortError',
  onManual(async (transport, { readable, writable }) => {
    await writable.abort();
    await assert.rejects(textOf(readable), { name: 'AbortError' });
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): abort() lets unread data be read before the reason',
  onManual(async (transport, { readable, writable }) => {
    const reason = new Error('enough');
    transport.receive('unread');
    await writable.abort(reason);
    transport.lose(null);
    const reader = readable.getReader();
    assert.equal(Buffer.from((await reader.read()).value!).toString(), 'unread');
    await assert.rejects(reader.read(), reason);
  }),
);

test(
  'toWebStreams(): close() after cancel() closes the connection with half-close, too',
  onManual(async (transport, { readable, writable }) => {
    await readable.cancel();
    await writable.close();
    assert.deepEqual(transport.calls, ['writeEof', 'close']);
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): close() waits until all data has left, and until a transport that closes for it is closed',
  onManual(async (transport, { readable, writable }) => {
    transport.halfClose = false;
    transport.unsent = 10;
    let done = false;
    const closing = writable.close().then(() => {
      done = true;
    });
    await hostPasses();
    assert.equal(done, false);
    transport.lose(null);
    await closing;
    await assert.rejects(textOf(readable), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'toWebStreams() reports an error to a reader after earlier data, and to a writer at once',
  onManual(async (transport, { readable, writable }) => {
    transport.receive('one ');
    transport.receive('two');
    const gone = new Error('gone');
    transport.lose(gone);
    await assert.rejects(writable.getWriter().write('x'), gone);
    const reader = readable.getReader();
    const texts = [await reader.read(), await reader.read()].map(({ value }) =>
      Buffer.from(value!).toString(),
    );
    assert.deepEqual(texts, ['one ', 'two']);
    await assert.rejects(reader.read(), gone);
  }),
);

test(
  'toWebStreams(): a pending write fails with the connection',
  onManual(async (transport, { readable, writable }) => {
    transport.takesAll = false;
    const writing = writable.getWriter().write('hello');
    writing.catch(() => {});
    await hostPasses();
    transport.lose(null);
    await assert.rejects(writing, { code: 'ERR_TRANSPORT_CLOSED' });
    await assert.rejects(textOf(readable), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'toWebStreams(): a write to a transport that other code closed fails',
  onManual(async (transport, { writable }) => {
    transport.close();
    await assert.rejects(writable.getWriter().write('hello'), { code: 'ERR_TRANSPORT_CLOSED' });
    assert.deepEqual(transport.calls, ['close', 'abort']);
    transport.lose(null);
  }),
);

test(
  'toWebStreams(): a chunk that is no data fails the streams and the connection',
  onManual(async (transport, { readable, writable }) => {
    await assert.rejects(writable.getWriter().write(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.deepEqual(transport.calls, ['abort']);
    await assert.rejects(textOf(readable), { code: 'ERR_INVALID_ARG_TYPE' });
    transport.lose(null);
  }),
);

test('toWebStreams(): loop.close() ends both streams', async () => {
  const loop = new NodeEventLoop();
  loop.setExceptionHandler(() => {});
  const { transport, socket } = await loop.runUntilComplete(() => foreignClient(loop, new Protocol()));
  const { readable, writable } = toWebStreams(transport, { loop });
  const reading = readable.getReader().read();
  loop.close();
  await assert.rejects(reading, { code: 'ERR_LOOP_CLOSED' });
  await assert.rejects(writable.getWriter().write('x'), { code: 'ERR_LOOP_CLOSED' });
  await closed(socket);
});

test(
  'toWebStreams() rejects wrong arguments at the call',
  onNode(async (loop) => {
    const transport = new ManualTransport();
    assert.throws(() => toWebStreams({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => toWebStreams(transport, { unknown: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => toWebStreams(transport, { received: 'x' as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.throws(() => toWebStreams(transport, { highWaterMark: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    transport.close();
    assert.throws(() => toWebStreams(transport), { code: 'ERR_TRANSPORT_CLOSED' });
    assert.equal(loop._owned.unreported.size, 0);
  }),
);
