import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { PathLike } from 'node:fs';
import {
  appendFileSync,
  closeSync,
  createReadStream,
  createWriteStream,
  openSync,
  promises,
  readdirSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { BaseEventLoop, SendfileOptions, Transport } from '../../../src/index.ts';
import { CancelledError, LoopError, NodeEventLoop, sleep } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { foreignClient, onNode, portOf, Recorder, recorders } from '../../helpers/pairs.ts';
import { inDirectory, pipeEnds, unixRecorders } from '../../helpers/unix-pairs.ts';
import { canCount } from '../sockets.ts';

/**
 * Runs `body` as a task on a real loop, with the path of a file of `size` bytes, which is removed afterwards.
 */
function withFile(
  size: number,
  body: (loop: NodeEventLoop, path: string, content: Buffer) => Promise<void>,
): () => Promise<void> {
  return onNode((loop) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const content = bytes(size);
      writeFileSync(path, content);
      await body(loop, path, content);
    }),
  );
}

/** Bytes in which no two pieces are alike. */
function bytes(size: number): Buffer {
  const buffer = Buffer.alloc(size);
  for (let i = 0; i + 4 <= size; i += 4) buffer.writeUInt32LE(i, i);
  return buffer;
}

/** Returns the number of open descriptors for `path`. */
function openCount(path: PathLike): number {
  if (!canCount) return 0;
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === path) count++;
    } catch {
      // The descriptor of the directory listing itself.
    }
  }
  return count;
}

/** Waits until a thread has closed the file. Node warns of a file that is collected instead. */
async function closedFile(path: string): Promise<void> {
  for (let i = 1; openCount(path) > 0; i++) {
    if (i % 500 === 0) globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const warnings: string[] = [];
const onWarning = ({ message }: Error): void => {
  if (/garbage collection/.test(message)) warnings.push(message);
};
process.on('warning', onWarning);
after(() => {
  process.removeListener('warning', onWarning);
  assert.deepEqual(warnings, []);
});

async function end(near: Recorder, far: Recorder): Promise<void> {
  near.transport.close();
  await Promise.all([near.untilLost(), far.untilLost()]);
}

describe('sendfile() of a file', () => {
  for (const [kind, pair] of [
    ['TCP', recorders],
    ['a unix socket', unixRecorders],
  ] as const) {
    test(
      `sendfile() over ${kind} sends the whole file between earlier and later writes, and closes it`,
      withFile(3_000_001, async (loop, path, content) => {
        const { near, far } = await pair(loop);
        near.transport.write('before ');
        assert.equal(await loop.sendfile(near.transport, path), content.length);
        near.transport.write(' after');
        await far.untilReceived(content.length + 13);
        const all = Buffer.concat(far.chunks);
        assert.equal(String(all.subarray(0, 7)), 'before ');
        assert.ok(all.subarray(7, -6).equals(content));
        assert.equal(String(all.subarray(-6)), ' after');
        assert.equal(near.paused, false);
        await closedFile(path);
        await end(near, far);
      }),
    );
  }

  test(
    'sendfile() sends a file over a pipe',
    { skip: process.platform === 'win32' ? 'Windows has no FIFOs' : false },
    withFile(1_000_000, async (loop, path, content) => {
      const { read, write } = pipeEnds();
      const far = new Recorder();
      const near = new Recorder();
      await loop.connectReadPipe(() => far, read);
      const [transport] = await loop.connectWritePipe(() => near, write);
      assert.equal(await loop.sendfile(transport, path), content.length);
      transport.close();
      await Promise.all([near.untilLost(), far.untilLost()]);
      assert.ok(Buffer.concat(far.chunks).equals(content));
      assert.throws(() => loop.sendfile({} as Transport, path), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"transport"/,
      });
    }),
  );

  test(
    'sendfile() sends a file over TLS',
    // More than the kernel buffers for a peer that does not read.
    withFile(24_000_001, async (loop, path, content) => {
      const far = new Recorder();
      const server = await loop.createServer(() => far, '127.0.0.1', 0, { ssl: serverTls() });
      const near = new Recorder();
      const options = { ssl: clientTls(), serverHostname: 'localhost' };
      await loop.createConnection(() => near, '127.0.0.1', portOf(server), options);
      await far.untilTold('made');
      far.transport.pauseReading();
      const sending = loop.sendfile(near.transport, path);
      await near.untilTold('pause');
      far.transport.resumeReading();
      assert.equal(await sending, content.length);
      assert.ok((await far.untilReceived(content.length)).equals(content));
      await end(near, far);
      await server[Symbol.asyncDispose]();
    }),
  );

  test(
    'sendfile() of a large file uses little memory',
    withFile(0, async (loop, path) => {
      const size = 2 ** 29;
      truncateSync(path, size);
      const near = new Recorder();
      const { transport, socket } = await foreignClient(loop, near);
      let received = 0;
      let most = 0;
      const before = process.memoryUsage.rss();
      socket.on('data', (data: Buffer) => {
        received += data.length;
        most = Math.max(most, process.memoryUsage.rss());
      });
      assert.equal(await loop.sendfile(transport, path), size);
      transport.close();
      await once(socket, 'end');
      assert.equal(received, size);
      assert.ok(most - before < size / 4, `${most - before} bytes more were in use`);
      socket.end();
      await near.untilLost();
    }),
  );

  test(
    'sendfile() sends a part of a file, by offset and count, up to its end',
    withFile(700_000, async (loop, path, content) => {
      const { near, far } = await recorders(loop);
      const cases: [SendfileOptions, number, number][] = [
        [{ offset: 0, count: 1 }, 0, 1],
        [{ offset: 699_999 }, 699_999, 700_000],
        [{ offset: 262_143, count: 262_146 }, 262_143, 524_289],
        [{ count: 262_144 }, 0, 262_144],
        [{ count: null }, 0, 700_000],
        [{ offset: 699_990, count: 100 }, 699_990, 700_000],
        [{ offset: 700_000 }, 0, 0],
        [{ offset: 2 ** 40, count: 5 }, 0, 0],
      ];
      const expected: Buffer[] = [];
      for (const [options, from, to] of cases) {
        assert.equal(await loop.sendfile(near.transport, path, options), to - from, JSON.stringify(options));
        expected.push(content.subarray(from, to));
      }
      const all = Buffer.concat(expected);
      assert.ok((await far.untilReceived(all.length)).equals(all));
      await end(near, far);
    }),
  );

  test(
    'sendfile() sends an empty file, and a file by URL',
    withFile(0, async (loop, path) => {
      const { near, far } = await recorders(loop);
      assert.equal(await loop.sendfile(near.transport, path), 0);
      writeFileSync(path, 'hello');
      assert.equal(await loop.sendfile(near.transport, pathToFileURL(path)), 5);
      await far.untilReceived(5);
      await end(near, far);
    }),
  );

  test(
    'sendfile() of a FileHandle leaves it open, at its position',
    withFile(600_000, async (loop, path, content) => {
      const { near, far } = await recorders(loop);
      const handle = await promises.open(path);
      const first = Buffer.alloc(10);
      await handle.read(first, 0, 10);
      assert.equal(await loop.sendfile(near.transport, handle, { offset: 5 }), content.length - 5);
      const next = Buffer.alloc(10);
      await handle.read(next, 0, 10);
      assert.deepEqual(next, content.subarray(10, 20));
      await handle.close();
      assert.ok((await far.untilReceived(content.length - 5)).equals(content.subarray(5)));
      await assert.rejects(loop.sendfile(near.transport, handle), { code: 'EBADF' });
      await end(near, far);
    }),
  );

  test(
    'sendfile() of a large file is as fast as its reader, and pauses and resumes the protocol as usual',
    withFile(40 << 20, async (loop, path, content) => {
      const { near, far } = await recorders(loop);
      far.transport.pauseReading();
      const sending = loop.sendfile(near.transport, path);
      await near.untilTold('pause');
      const { high } = near.transport.getWriteBufferLimits();
      const most = near.transport.getWriteBufferSize();
      assert.ok(most > high && most <= high + 256 * 1024, `${most} bytes are buffered`);
      for (let i = 0; i < 50; i++) await sleep(0);
      assert.equal(near.transport.getWriteBufferSize(), most);
      assert.equal(sending.done(), false);
      const hash = createHash('sha256');
      far.dataReceived = (data) => {
        hash.update(data);
        far.received += data.length;
      };
      far.transport.resumeReading();
      assert.equal(await sending, content.length);
      assert.equal(near.paused, false);
      const words = near.log.slice(1);
      assert.ok(words.every((word, i) => word === (i % 2 === 0 ? 'pause' : 'resume')));
      await end(near, far);
      assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
    }),
  );

  test(
    'sendfile() respects the user’s water marks, down to zero',
    withFile(1_000_000, async (loop, path) => {
      const { near, far } = await recorders(loop);
      near.transport.setWriteBufferLimits({ high: 0 });
      assert.equal(await loop.sendfile(near.transport, path), 1_000_000);
      assert.equal(near.transport.getWriteBufferSize(), 0);
      near.transport.setWriteBufferLimits({ high: 2 ** 30 });
      far.transport.pauseReading();
      assert.equal(await loop.sendfile(near.transport, path, { count: 900_000 }), 900_000);
      far.transport.resumeReading();
      await far.untilReceived(1_900_000);
      assert.ok(
        !near.log.includes('pause') || near.log.lastIndexOf('pause') < near.log.lastIndexOf('resume'),
      );
      await end(near, far);
    }),
  );

  test(
    'sendfile() reads on when the buffer has room again, not before',
    withFile(200_000, async (loop, path) => {
      const { near, far } = await recorders(loop);
      far.transport.pauseReading();
      near.transport.setWriteBufferLimits({ high: 2 ** 30 });
      const clog = 48 << 20;
      near.transport.write(Buffer.alloc(clog));
      await sleep(0);
      // There is room, but not for the whole file.
      near.transport.setWriteBufferLimits({ high: near.transport.getWriteBufferSize() + 1000, low: 0 });
      const sending = loop.sendfile(near.transport, path);
      await near.untilTold('pause');
      for (let i = 0; i < 50; i++) await sleep(0);
      assert.equal(sending.done(), false);
      far.transport.resumeReading();
      assert.equal(await sending, 200_000);
      await far.untilReceived(clog + 200_000);
      await end(near, far);
    }),
  );

  test(
    'sendfile() does not disturb reading',
    withFile(8 << 20, async (loop, path) => {
      const { near, far } = await recorders(loop);
      far.transport.pauseReading();
      const sending = loop.sendfile(near.transport, path);
      await near.untilTold('pause');
      far.transport.write('question');
      await near.untilReceived(8);
      const other = new Recorder();
      near.transport.setProtocol(other);
      far.transport.resumeReading();
      await sending;
      assert.equal(other.log.at(-1), 'resume');
      await far.untilReceived(8 << 20);
      far.transport.write('more');
      await other.untilReceived(4);
      far.transport.close();
      await other.untilLost();
    }),
  );

  test(
    'sendfile() ends early for a file that shrinks, and includes what a file grows meanwhile',
    withFile(32 << 20, async (loop, path) => {
      const { near, far } = await recorders(loop);
      far.transport.pauseReading();
      const sending = loop.sendfile(near.transport, path);
      await near.untilTold('pause');
      truncateSync(path, 1000);
      far.transport.resumeReading();
      const sent = await sending;
      assert.ok(sent > 1000 && sent < 32 << 20, `${sent} bytes`);
      await far.untilReceived(sent);
      assert.equal(far.received, sent);

      truncateSync(path, 16 << 20);
      far.transport.pauseReading();
      const growing = loop.sendfile(near.transport, path);
      await sleep(0);
      appendFileSync(path, 'a new end');
      far.transport.resumeReading();
      assert.equal(await growing, (16 << 20) + 9);
      await far.untilReceived(sent + (16 << 20) + 9);
      assert.equal(String(Buffer.concat(far.chunks).subarray(-9)), 'a new end');
      await end(near, far);
    }),
  );
});

describe('sendfile() of a file that it cannot send', () => {
  test(
    'sendfile() fails with the system’s error, and the connection stays usable',
    withFile(10, async (loop, path) => {
      const { near, far } = await recorders(loop);
      await assert.rejects(loop.sendfile(near.transport, `${path}-missing`), {
        code: 'ENOENT',
        syscall: 'open',
        path: `${path}-missing`,
      });
      await assert.rejects(loop.sendfile(near.transport, join(path, '..')), {
        code: 'EISDIR',
        syscall: 'read',
      });
      await assert.rejects(loop.sendfile(near.transport, ''), { code: 'ENOENT' });
      if (process.platform !== 'win32') {
        execFileSync('mkfifo', [`${path}-fifo`]);
        // The other end never opens, and no code waits for that.
        await assert.rejects(loop.sendfile(near.transport, `${path}-fifo`), { code: 'ESPIPE' });
      }
      assert.equal(await loop.sendfile(near.transport, path), 10);
      await far.untilReceived(10);
      assert.equal(far.received, 10);
      await closedFile(path);
      await end(near, far);
    }),
  );

  test(
    'sendfile() rejects wrong arguments at the call',
    withFile(10, async (loop, path) => {
      const { near, far } = await recorders(loop);
      const type = (name: string): object => ({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(`"${name}"`),
      });
      const range = (name: string): object => ({ name: 'RangeError', message: new RegExp(`"${name}"`) });
      const call = (...args: unknown[]): unknown => Reflect.apply(loop.sendfile, loop, args);
      // Node may open these files only after the test.
      const stream = createReadStream(path).on('error', () => {});
      const writing = createWriteStream(`${path}2`).on('error', () => {});
      for (const transport of [null, undefined, {}, 'x', writing]) {
        assert.throws(() => call(transport, path), type('transport'));
      }
      for (const file of [null, undefined, 3, {}, stream]) {
        assert.throws(() => call(near.transport, file), type('file'));
      }
      stream.destroy();
      writing.destroy();
      for (const file of ['a\0b', new URL('http://example.org/file')]) {
        assert.throws(() => call(near.transport, file), range('file'));
      }
      for (const count of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
        assert.throws(() => call(near.transport, path, { count }), range('options.count'));
      }
      for (const offset of [-1, 0.5, 2 ** 53]) {
        assert.throws(() => call(near.transport, path, { offset }), range('options.offset'));
      }
      assert.throws(() => call(near.transport, path, { count: '1' }), type('options.count'));
      assert.throws(() => call(near.transport, path, { offset: null }), type('options.offset'));
      assert.throws(() => call(near.transport, path, { fallback: 1 }), type('options.fallback'));
      assert.throws(() => call(near.transport, path, { fallBack: true }), type('options.fallBack'));
      assert.throws(() => call(near.transport, path, { signal: 1 }), type('options.signal'));
      await end(near, far);
    }),
  );

  test(
    'sendfile() without fallback fails, because no system call sends to a transport',
    withFile(10, async (loop, path) => {
      const { near, far } = await recorders(loop);
      await assert.rejects(loop.sendfile(near.transport, path, { fallback: false }), {
        name: 'SendfileNotAvailableError',
        code: 'ERR_SENDFILE_NOT_AVAILABLE',
      });
      assert.equal(await loop.sendfile(near.transport, path, { fallback: true }), 10);
      await end(near, far);
      assert.equal(far.received, 10);
    }),
  );

  test('sendfile() of a loop without files throws', () => {
    const loop = bareLoop();
    const sink = { _whenWritable: () => {} };
    assert.throws(() => loop.sendfile(sink as unknown as Transport, 'x'), { code: 'ERR_UNSUPPORTED' });
    loop.close();
  });

  test(
    'sendfile() excludes writes, the end of the stream and TLS until the file is written',
    withFile(8 << 20, async (loop, path, content) => {
      const { near, far } = await recorders(loop);
      const { transport } = near;
      far.transport.pauseReading();
      const refused = {
        name: 'InvalidStateError',
        code: 'ERR_INVALID_STATE',
        message: /a file is being sent/,
      };
      const others = [
        () => transport.write('in the middle'),
        () => transport.writelines(['in', 'the', 'middle']),
        () => transport.writeEof(),
        () => loop.sendfile(transport, path),
        () => loop.startTls(transport, new Recorder(), clientTls(), { serverHostname: 'localhost' }),
      ];
      transport.write('before ');
      const sending = loop.sendfile(transport, path);
      for (const other of others) assert.throws(other, refused);
      await near.untilTold('pause');
      for (const other of others) assert.throws(other, refused);
      far.transport.resumeReading();
      await sending;
      transport.write(' after');
      transport.writeEof();
      await Promise.all([near.untilLost(), far.untilLost()]);
      const all = Buffer.concat(far.chunks);
      assert.ok(all.equals(Buffer.concat([Buffer.from('before '), content, Buffer.from(' after')])));
    }),
  );

  test(
    'sendfile() over the transport below TLS fails',
    withFile(1000, async (loop, path) => {
      const { near, far } = await recorders(loop);
      const upgrading = loop.startTls(far.transport, far, serverTls(), { serverSide: true });
      const upper = await loop.startTls(near.transport, near, clientTls(), { serverHostname: 'localhost' });
      await upgrading;
      assert.throws(() => loop.sendfile(near.transport, path), {
        name: 'InvalidStateError',
        message: /the transport that startTls\(\) returned/,
      });
      assert.equal(await loop.sendfile(upper, path), 1000);
      upper.abort();
      await Promise.all([near.untilLost(), far.untilLost()]);
    }),
  );

  test(
    'sendfile() that was cancelled or has failed leaves the transport usable',
    withFile(1000, async (loop, path) => {
      const { near, far } = await recorders(loop);
      await assert.rejects(loop.sendfile(near.transport, `${path}.none`), { code: 'ENOENT' });
      near.transport.write('one ');
      const sending = loop.sendfile(near.transport, path);
      sending.cancel();
      await assert.rejects(sending, CancelledError);
      near.transport.write('two');
      await far.untilReceived(7);
      await end(near, far);
    }),
  );

  test(
    'sendfile() during another one over the same transport fails, and over another transport works',
    withFile(8 << 20, async (loop, path) => {
      const { near, far } = await recorders(loop);
      const other = await recorders(loop);
      const first = loop.sendfile(near.transport, path);
      assert.throws(() => loop.sendfile(near.transport, path), { name: 'InvalidStateError' });
      assert.deepEqual(await Promise.all([first, loop.sendfile(other.near.transport, path)]), [
        8 << 20,
        8 << 20,
      ]);
      assert.equal(await loop.sendfile(near.transport, path, { count: 1 }), 1);
      await end(near, far);
      await end(other.near, other.far);
    }),
  );
});

describe('the end before the end of the file', () => {
  /** Returns a sendfile() that has begun and stands still. */
  async function stuck(
    loop: BaseEventLoop,
    path: string,
    signal?: AbortSignal,
  ): Promise<{ near: Recorder; far: Recorder; sending: ReturnType<BaseEventLoop['sendfile']> }> {
    const { near, far } = await recorders(loop);
    far.transport.pauseReading();
    const sending = loop.sendfile(near.transport, path, signal === undefined ? {} : { signal });
    await near.untilTold('pause');
    // The next piece was read, and waits for its turn.
    for (let i = 0; i < 50; i++) await sleep(0);
    return { near, far, sending };
  }

  test(
    'a cancel of sendfile() closes the file, still sends the queued data, and leaves the connection usable',
    withFile(32 << 20, async (loop, path) => {
      const { near, far, sending } = await stuck(loop, path);
      sending.cancel();
      await assert.rejects(sending, CancelledError);
      await closedFile(path);
      near.transport.write('end');
      far.transport.resumeReading();
      await end(near, far);
      const received = Buffer.concat(far.chunks);
      assert.equal(String(received.subarray(-3)), 'end');
      assert.ok(received.subarray(0, -3).equals(bytes(received.length - 3)));
      assert.ok(received.length < 32 << 20);
    }),
  );

  test(
    'a signal cancels sendfile(), and an aborted one lets it open nothing',
    withFile(32 << 20, async (loop, path) => {
      const controller = new AbortController();
      const { near, far, sending } = await stuck(loop, path, controller.signal);
      controller.abort('why');
      await assert.rejects(sending, { name: 'CancelledError', cause: 'why' });
      await closedFile(path);
      near.transport.abort();
      far.transport.resumeReading();
      await far.untilLost();
      const other = await recorders(loop);
      const sentNothing = loop.sendfile(other.near.transport, path, { signal: controller.signal });
      await assert.rejects(sentNothing, CancelledError);
      assert.equal(openCount(path), 0);
      await end(other.near, other.far);
      assert.equal(other.far.received, 0);
    }),
  );

  test(
    'a cancel of sendfile() at any moment leaves nothing open, and the transport free for the next file',
    withFile(600_000, async (loop, path) => {
      const { near, far } = await recorders(loop);
      for (let turns = 0; turns < 20; turns++) {
        const sending = loop.sendfile(near.transport, path);
        for (let i = 0; i < turns; i++) await sleep(0);
        sending.cancel();
        await sending.catch((error) => assert.ok(error instanceof CancelledError));
        await closedFile(path);
      }
      assert.equal(await loop.sendfile(near.transport, path), 600_000);
      await end(near, far);
    }),
  );

  test(
    'sendfile() fails by the close, the abort or the loss of its connection',
    withFile(32 << 20, async (loop, path) => {
      const closedError = (error: unknown): boolean =>
        error instanceof LoopError && error.code === 'ERR_TRANSPORT_CLOSED';

      const closing = await stuck(loop, path);
      closing.near.transport.close();
      await assert.rejects(closing.sending, closedError);
      closing.far.transport.resumeReading();
      await closing.far.untilLost();
      assert.equal(closing.near.exception, null);

      const aborted = await stuck(loop, path);
      aborted.near.transport.abort();
      await assert.rejects(aborted.sending, closedError);
      aborted.far.transport.resumeReading();
      await aborted.far.untilLost();

      const reset = await stuck(loop, path);
      reset.far.transport.abort();
      await assert.rejects(reset.sending, { code: /ECONNRESET|EPIPE/ });
      await reset.near.untilLost();

      const failing = await recorders(loop);
      const thrown = new Error('in pauseWriting');
      failing.near.pauseWriting = () => {
        throw thrown;
      };
      failing.far.transport.pauseReading();
      const reports: unknown[] = [];
      loop.setExceptionHandler((_loop, { exception }) => reports.push(exception));
      await assert.rejects(loop.sendfile(failing.near.transport, path), thrown);
      loop.setExceptionHandler(null);
      assert.deepEqual(reports, [thrown]);
      failing.far.transport.resumeReading();
      await failing.far.untilLost();

      await closedFile(path);
    }),
  );

  test(
    'sendfile() over a transport that has ended before fails',
    withFile(10, async (loop, path) => {
      const { near, far } = await recorders(loop);
      far.keepOpen = true;
      near.transport.writeEof();
      await assert.rejects(loop.sendfile(near.transport, path), { code: 'ERR_TRANSPORT_CLOSED' });
      near.transport.close();
      await assert.rejects(loop.sendfile(near.transport, path), { code: 'ERR_TRANSPORT_CLOSED' });
      await near.untilLost();
      await assert.rejects(loop.sendfile(near.transport, path), { code: 'ERR_TRANSPORT_CLOSED' });
      far.transport.close();
      await far.untilLost();
      assert.equal(openCount(path), 0);
    }),
  );

  test(
    'sendfile() lets a connection that was lost by a reset report that',
    withFile(10, async (loop, path) => {
      const near = new Recorder();
      const { transport, socket } = await foreignClient(loop, near);
      socket.resetAndDestroy();
      await near.untilLost();
      const lostBy = near.exception as NodeJS.ErrnoException;
      await assert.rejects(loop.sendfile(transport, path), { code: lostBy.code });
    }),
  );

  test('loop.close() ends sendfile(), closes the file and names it', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      writeFileSync(path, bytes(32 << 20));
      const fd = openSync(path, 'r');
      closeSync(fd);
      const loop = new NodeEventLoop();
      const reports: string[] = [];
      loop.setExceptionHandler((_loop, { message }) => reports.push(message));
      await loop.runUntilComplete(() => stuck(loop, path));
      loop.close();
      assert.ok(
        reports.some((report) => report.endsWith(`but ${path} was still being sent`)),
        reports.join('\n'),
      );
      await closedFile(path);
    }));
});
