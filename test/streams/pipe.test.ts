/** `reader.pipeTo(writer)`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PipeOptions, Server, StreamWriter } from '../../src/index.ts';
import { CancelledError, openConnection, StreamReader, sleep, startServer } from '../../src/index.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { onNode, portOf } from '../helpers/pairs.ts';

const PIECE = Buffer.alloc(64 * 1024, 'pipe');

interface Connected {
  server: Server;
  /** The near side. */
  reader: StreamReader;
  writer: StreamWriter;
  /** The far side. */
  farReader: StreamReader;
  farWriter: StreamWriter;
}

/** Runs `body` with both sides of a connection, and closes them afterwards. */
function connected(
  body: (sides: Connected) => Promise<void>,
  tls: { client?: object; server?: object } = {},
): () => Promise<void> {
  return onNode(async (loop) => {
    const accepted = loop.createFuture<[StreamReader, StreamWriter]>();
    const server = await startServer(
      (reader, writer) => void accepted.setResult([reader, writer]),
      '127.0.0.1',
      0,
      tls.server ?? {},
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server), tls.client ?? {});
    const [farReader, farWriter] = await accepted;
    try {
      await body({ server, reader, writer, farReader, farWriter });
    } finally {
      writer.transport.abort();
      farWriter.transport.abort();
      server.close();
      await server.waitClosed();
    }
  });
}

/** A reader that gets `bytes` bytes, each 32-bit word its own index, so that any loss shows. */
function numbered(bytes: number): { source: StreamReader; all: Buffer } {
  const all = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i += 4) all.writeUInt32LE(i, i);
  const source = new StreamReader();
  for (let i = 0; i < bytes; i += 10_000) source.feedData(all.subarray(i, i + 10_000));
  source.feedEof();
  return { source, all };
}

test(
  'pipeTo() copies until the end of the stream, then ends the writing side, and reading goes on',
  connected(async ({ reader, writer, farReader, farWriter }) => {
    const { source, all } = numbered(1024 * 1024);
    const piping = source.pipeTo(writer);
    assert.ok((await farReader.read()).equals(all));
    await piping;
    assert.equal(source.atEof(), true);
    farWriter.write('still open');
    farWriter.writeEof();
    assert.equal(String(await reader.read()), 'still open');
  }),
);

test(
  'pipeTo() waits for a slow peer, so that a fast reader is paused',
  connected(async ({ writer, farReader }) => {
    const source = new StreamReader();
    const piping = source.pipeTo(writer, { preventClose: true });
    // No code reads the far side yet: the kernel and both buffers fill up.
    let fed = 0;
    for (; fed < 1024 && writer.transport.getWriteBufferSize() === 0; fed++) {
      source.feedData(PIECE);
      await sleep(0);
    }
    source.feedEof();
    assert.equal(piping.done(), false);
    let received = 0;
    while (received < fed * PIECE.length) received += (await farReader.read(1024 * 1024)).length;
    await piping;
    assert.equal(received, fed * PIECE.length);
  }),
);

test(
  'pipeTo() is cancelled again and again in the middle: no byte is lost, and none is written twice',
  connected(async ({ writer, farReader }) => {
    const { all } = numbered(8 * 1024 * 1024);
    const source = new StreamReader();
    const received = farReader.read();
    for (let fed = 0; fed < all.length; fed += 100_000) {
      source.feedData(all.subarray(fed, fed + 100_000));
      const piping = source.pipeTo(writer);
      for (let turn = 0; turn < (fed / 100_000) % 4; turn++) await sleep(0);
      piping.cancel();
      await assert.rejects(piping, CancelledError);
    }
    source.feedEof();
    await source.pipeTo(writer);
    assert.ok((await received).equals(all));
  }),
);

test(
  'pipeTo() that is cancelled while it waits for data leaves reader and writer usable',
  connected(async ({ writer, farReader }) => {
    const source = new StreamReader();
    const abort = new AbortController();
    const piping = source.pipeTo(writer, { signal: abort.signal });
    await sleep(0);
    abort.abort();
    await assert.rejects(piping, CancelledError);
    source.feedData('kept');
    assert.equal(String(await source.readexactly(4)), 'kept');
    writer.write('open');
    assert.equal(String(await farReader.readexactly(4)), 'open');
    await assert.rejects(source.pipeTo(writer, { signal: abort.signal }), CancelledError);
  }),
);

test(
  'pipeTo() with preventClose leaves the writing side open',
  connected(async ({ writer, farReader }) => {
    for (const text of ['one', 'two']) {
      const source = new StreamReader();
      source.feedData(text);
      source.feedEof();
      await source.pipeTo(writer, { preventClose: true });
    }
    assert.equal(String(await farReader.readexactly(6)), 'onetwo');
    assert.equal(writer.isClosing(), false);
  }),
);

test(
  'pipeTo() fails with the error of the reader, and closes nothing',
  connected(async ({ writer, farReader }) => {
    const source = new StreamReader();
    const piping = source.pipeTo(writer);
    source.feedData('before');
    await sleep(0);
    source.setException(Object.assign(new Error('broken'), { code: 'EBROKEN' }));
    await assert.rejects(piping, { code: 'EBROKEN' });
    assert.equal(String(await farReader.readexactly(6)), 'before');
    assert.equal(writer.isClosing(), false);
  }),
);

test(
  'pipeTo() fails when the connection of the writer is closed, while no data comes, and later data stays in the reader',
  connected(async ({ writer }) => {
    const source = new StreamReader();
    const piping = source.pipeTo(writer);
    await sleep(0);
    writer.close();
    await assert.rejects(piping, { code: 'ERR_TRANSPORT_CLOSED' });
    source.feedData('kept');
    await assert.rejects(source.pipeTo(writer), { code: 'ERR_TRANSPORT_CLOSED' });
    assert.equal(String(await source.readexactly(4)), 'kept');
  }),
);

test(
  'pipeTo() closes a connection with TLS at the end of the stream, because TLS has no half-close',
  connected(
    async ({ writer, farReader }) => {
      const { source, all } = numbered(256 * 1024);
      const received = farReader.read();
      await source.pipeTo(writer);
      assert.equal(writer.isClosing(), true);
      assert.ok((await received).equals(all));
    },
    { client: { ssl: { ca } }, server: { ssl: certificate } },
  ),
);

test(
  'pipeTo() refuses wrong arguments with a code, and a second reader of the stream',
  connected(async ({ reader, writer }) => {
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    for (const wrong of [undefined, null, 1, {}, process.stdout]) {
      assert.throws(() => reader.pipeTo(wrong as never), type);
    }
    for (const wrong of [null, 1, { end: true }, { preventClose: 1 }, { signal: 1 }]) {
      assert.throws(() => reader.pipeTo(writer, wrong as PipeOptions), type);
    }
    const piping = reader.pipeTo(writer);
    await sleep(0);
    assert.throws(() => reader.read(1), { code: 'ERR_INVALID_STATE' });
    await assert.rejects(reader.pipeTo(writer), { code: 'ERR_INVALID_STATE' });
    piping.cancel();
    await assert.rejects(piping, CancelledError);
  }),
);
