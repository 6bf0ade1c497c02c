/** Streams over pipes, made by hand with a StreamReaderProtocol and a StreamWriter. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BaseEventLoop } from '../../src/index.ts';
import { Protocol, StreamReader, StreamReaderProtocol, StreamWriter, sleep } from '../../src/index.ts';
import { connectedPair, onNode, Recorder } from '../helpers/pairs.ts';
import { inSimulation } from '../helpers/simulation.ts';
import { tsArguments } from '../helpers/typescript.ts';
import { pipeEnds } from '../helpers/unix-pairs.ts';
import { FakeTransport } from './helpers.ts';

const noPipes = process.platform === 'win32' ? 'Windows has no FIFOs' : false;

/** Opens both ends of a pipe, as a reader and a writer. */
async function pipeStreams(
  loop: BaseEventLoop,
  limit: number = 1024,
): Promise<{ reader: StreamReader; input: StreamReaderProtocol; writer: StreamWriter }> {
  const { read, write } = pipeEnds();
  const reader = new StreamReader({ limit });
  const [, input] = await loop.connectReadPipe(() => new StreamReaderProtocol(reader), read);
  return { reader, input, writer: await writerOver(loop, write) };
}

async function writerOver(loop: BaseEventLoop, pipe: unknown): Promise<StreamWriter> {
  const [transport, protocol] = await loop.connectWritePipe(
    () => new StreamReaderProtocol(new StreamReader()),
    pipe,
  );
  return new StreamWriter(transport, protocol);
}

test(
  'a StreamReader and a StreamWriter over the ends of a pipe carry lines, and the end of file',
  { skip: noPipes },
  onNode(async (loop) => {
    const { reader, input, writer } = await pipeStreams(loop);
    writer.write('one\n');
    writer.writelines(['two\n', 'three']);
    await writer.drain();
    assert.equal((await reader.readline()).toString(), 'one\n');
    assert.equal((await reader.readuntil('\n')).toString(), 'two\n');
    assert.equal(writer.isClosing(), false);
    writer.close();
    assert.equal((await reader.read()).toString(), 'three');
    assert.equal(reader.atEof(), true);
    await writer.waitClosed();
    await input.waitClosed();
  }),
);

test(
  'a StreamWriter over a pipe waits in drain() for a slow StreamReader, which is paused at its limit',
  { skip: noPipes },
  onNode(async (loop) => {
    const { reader, input, writer } = await pipeStreams(loop);
    const bytes = 1024 * 1024;
    writer.write(Buffer.alloc(bytes, 'x'));
    let drained = false;
    const draining = loop.createTask(async () => {
      await writer.drain();
      drained = true;
    });
    for (let i = 0; i < 100; i++) await sleep(0);
    assert.equal(drained, false);
    assert.equal((await reader.readexactly(bytes)).length, bytes);
    await draining;
    writer.close();
    await writer.waitClosed();
    assert.equal((await reader.read()).length, 0);
    await input.waitClosed();
  }),
);

test(
  'a StreamWriter over a pipe whose reader closed fails with EPIPE',
  { skip: noPipes },
  onNode(async (loop) => {
    const { read, write } = pipeEnds();
    const writer = await writerOver(loop, write);
    writer.write(Buffer.alloc(1024 * 1024));
    closeSync(read);
    await assert.rejects(async () => await writer.waitClosed(), { code: 'EPIPE' });
    await assert.rejects(async () => await writer.drain(), { code: 'EPIPE' });
  }),
);

test(
  'a StreamReader and a StreamWriter work over standard input and output',
  { skip: noPipes },
  onNode(async () => {
    const path = fileURLToPath(new URL('./pipes.child.ts', import.meta.url));
    const child = spawn(process.execPath, tsArguments(path), { stdio: 'pipe' });
    child.stdin.end('one\ntwo\n');
    const [out, err, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.once('close', resolve)),
    ]);
    assert.deepEqual([out, err, code], ['ONE\nTWO\n', '', 0]);
  }),
);

test(
  'a StreamReaderProtocol with a callback serves a connection as startServer() does',
  onNode(async (loop) => {
    const peer = new Recorder();
    const protocol = new StreamReaderProtocol(new StreamReader(), async (reader, writer) => {
      writer.write(`Hello ${await reader.readline()}`);
      writer.close();
    });
    await connectedPair(loop, peer, protocol);
    peer.transport.write('World\n');
    await peer.untilLost();
    assert.equal(peer.text, 'Hello World\n');
  }),
);

test(
  'a StreamReaderProtocol takes a connection over from another protocol',
  onNode(async (loop) => {
    const peer = new Recorder();
    const { near } = await connectedPair(loop, new Protocol(), peer);
    const reader = new StreamReader();
    const protocol = new StreamReaderProtocol(reader);
    near.setProtocol(protocol);
    protocol.connectionMade(near);
    const writer = new StreamWriter(near, protocol);
    peer.transport.write('taken over\n');
    assert.equal((await reader.readline()).toString(), 'taken over\n');
    writer.close();
    await writer.waitClosed();
    await peer.untilLost();
  }),
);

test(
  'StreamReaderProtocol and StreamWriter reject wrong arguments',
  inSimulation(async () => {
    const reader = new StreamReader();
    const wrong = { code: 'ERR_INVALID_ARG_TYPE' };
    for (const value of [undefined, null, {}, 'reader']) {
      assert.throws(() => new StreamReaderProtocol(value as never), wrong);
    }
    assert.throws(() => new StreamReaderProtocol(reader, 5 as never), wrong);
    const transport = new FakeTransport();
    const unmade = new StreamReaderProtocol(reader);
    const made = new StreamReaderProtocol(new StreamReader());
    made.connectionMade(transport);
    for (const protocol of [undefined, null, {}, { transport }, new Protocol(), unmade]) {
      assert.throws(() => new StreamWriter(transport, protocol as never), {
        ...wrong,
        message: /^The "protocol" argument must be the StreamReaderProtocol of this transport/,
      });
    }
    for (const value of [undefined, null, {}, 1]) {
      assert.throws(() => new StreamWriter(value as never, made), wrong);
    }
    assert.throws(() => new StreamWriter(new FakeTransport(), made), wrong);
  }),
);
