/** `toReadableStream` and `toWritableStream`: readers and writers as Web streams. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toReadableStream, toWritableStream } from '../../src/entry/node.ts';
import type { StreamWriter } from '../../src/index.ts';
import { openConnection, StreamReader, sleep, startServer } from '../../src/index.ts';
import { makeLoop, onNode, portOf } from '../helpers/pairs.ts';

/** Runs `body` with the near side of a connection, and the far one. */
function connected(
  body: (near: [StreamReader, StreamWriter], far: [StreamReader, StreamWriter]) => Promise<void>,
): () => Promise<void> {
  return onNode(async (loop) => {
    const accepted = loop.createFuture<[StreamReader, StreamWriter]>();
    const server = await startServer((...far) => void accepted.setResult(far), '127.0.0.1', 0);
    const near = await openConnection('127.0.0.1', portOf(server));
    const far = await accepted;
    try {
      await body(near, far);
    } finally {
      near[1].transport.abort();
      far[1].transport.abort();
      server.close();
      await server.waitClosed();
    }
  });
}

test(
  'toReadableStream() and toWritableStream(): 8 MiB go through Web streams with back-pressure',
  connected(async ([, writer], [farReader, farWriter]) => {
    const bytes = Buffer.alloc(8 * 1024 * 1024, 'web');
    const sent = new Blob([bytes]).stream().pipeTo(toWritableStream(writer));
    const echoed = toReadableStream(farReader);
    let received = 0;
    for await (const data of echoed) {
      received += data.length;
      if (received % 7 === 0) await sleep(0);
    }
    await sent;
    assert.equal(received, bytes.length);
    assert.equal(farReader.atEof(), true);
    assert.equal(farWriter.isClosing(), false);
  }),
);

test(
  'toWritableStream(): a write is done once its data has left, so its buffer may be used again',
  connected(async ([, writer], [farReader]) => {
    const stream = toWritableStream(writer).getWriter();
    const buffer = Buffer.alloc(4);
    for (const text of ['one.', 'two.']) {
      buffer.write(text);
      await stream.write(buffer);
      assert.equal(writer.transport.getWriteBufferSize(), 0);
    }
    await stream.write('text');
    await stream.close();
    assert.equal(String(await farReader.read()), 'one.two.text');
  }),
);

test(
  'toReadableStream(): a reader with mode byob gets the bytes into its own buffer',
  connected(async ([, writer], [farReader]) => {
    const byob = toReadableStream(farReader).getReader({ mode: 'byob' });
    const read = byob.read(new Uint8Array(5));
    writer.write('hello');
    assert.equal(Buffer.from((await read).value as Uint8Array).toString(), 'hello');
    writer.writeEof();
    assert.equal((await byob.read(new Uint8Array(5))).done, true);
  }),
);

test(
  'toReadableStream(): cancel() ends the pending read and loses nothing, and the reader reads on',
  connected(async ([, writer], [farReader]) => {
    const stream = toReadableStream(farReader).getReader();
    const read = stream.read();
    await sleep(0);
    await stream.cancel('enough');
    assert.equal((await read).done, true);
    writer.write('kept');
    assert.equal(String(await farReader.readexactly(4)), 'kept');
  }),
);

test(
  'toReadableStream(): an error of the connection, and a read elsewhere, fail the stream',
  onNode(async () => {
    const source = new StreamReader();
    const read = toReadableStream(source).getReader().read();
    source.setException(Object.assign(new Error('broken'), { code: 'EBROKEN' }));
    await assert.rejects(read, { code: 'EBROKEN' });

    const busy = new StreamReader();
    const waiting = busy.read(1);
    await assert.rejects(toReadableStream(busy).getReader().read(), { code: 'ERR_INVALID_STATE' });
    waiting.cancel();
  }),
);

test(
  'toWritableStream(): abort() aborts the connection, and a pending write fails',
  connected(async ([, writer], [farReader]) => {
    const stream = toWritableStream(writer).getWriter();
    stream.closed.catch(() => {});
    const piece = Buffer.alloc(64 * 1024 * 1024);
    const written = stream.write(piece);
    const failed = assert.rejects(written, { code: 'ERR_TRANSPORT_CLOSED' });
    await sleep(0);
    await stream.abort(new Error('enough')).catch(() => {});
    await failed;
    await assert.rejects(farReader.read(), { code: 'ECONNRESET' });
  }),
);

test(
  'toWritableStream(): the stream fails when the connection is lost, and refuses chunks of another type',
  connected(async ([, writer], [, farWriter]) => {
    const stream = toWritableStream(writer).getWriter();
    farWriter.transport.abort();
    await assert.rejects(stream.closed, { code: 'ECONNRESET' });
    await assert.rejects(stream.write('late'), { code: 'ECONNRESET' });
    await assert.rejects(stream.close());
    assert.throws(() => toWritableStream(writer), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'toReadableStream() and toWritableStream() refuse wrong arguments, and wrong chunks, with a code',
  connected(async ([, writer]) => {
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    for (const wrong of [undefined, null, 1, {}]) {
      assert.throws(() => toReadableStream(wrong as never), type);
      assert.throws(() => toWritableStream(wrong as never), type);
    }
    const stream = toWritableStream(writer).getWriter();
    stream.closed.catch(() => {});
    await assert.rejects(stream.write(1 as never), type);
  }),
);

test('toReadableStream() and toWritableStream(): outside of a loop they are refused, and loop.close() fails the streams', async () => {
  const loop = makeLoop();
  loop.setExceptionHandler(() => {});
  const [source, writer] = await loop.runUntilComplete(async () => {
    const server = await startServer(() => {}, '127.0.0.1', 0);
    const [, made] = await openConnection('127.0.0.1', portOf(server));
    return [toReadableStream(new StreamReader()), toWritableStream(made)] as const;
  });
  const [read, { closed }] = [source.getReader().read(), writer.getWriter()];
  const failed = [read, closed].map((each) => assert.rejects(each, { code: 'ERR_LOOP_CLOSED' }));
  await Promise.resolve();
  loop.close();
  await Promise.all(failed);
  assert.throws(() => toReadableStream(new StreamReader({ loop: makeLoop() })), {
    code: 'ERR_NO_RUNNING_LOOP',
  });
});
