import assert from 'node:assert/strict';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  existsSync,
  openSync,
  promises,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BaseEventLoop, ReadTransport, WriteTransport } from '../../../src/index.ts';
import { CancelledError, sleep } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { makeLoop, onNode, Recorder } from '../../helpers/pairs.ts';
import { terminal } from '../../helpers/terminal.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { inDirectory, isOpen, noPython, pipeEnds } from '../../helpers/unix-pairs.ts';

const noPipes = process.platform === 'win32' ? 'Windows has no FIFOs' : false;
const linuxOnly = process.platform === 'linux' ? false : 'only Linux tells that the last reader has gone';
const makeNothing = (): object => ({});

function code(error: unknown): unknown {
  return (error as NodeJS.ErrnoException | null)?.code;
}

/** Makes a protocol over one end of a pipe, and returns the descriptor of the other end. */
async function readSide(loop: BaseEventLoop): Promise<{ near: Recorder; fd: number; other: number }> {
  const { read, write } = pipeEnds();
  const near = new Recorder();
  await loop.connectReadPipe(() => near, read);
  return { near, fd: read, other: write };
}

async function writeSide(
  loop: BaseEventLoop,
): Promise<{ near: Recorder; transport: WriteTransport; fd: number; other: number }> {
  const { read, write } = pipeEnds();
  const near = new Recorder();
  const [transport] = await loop.connectWritePipe(() => near, write);
  return { near, transport, fd: write, other: read };
}

/** Returns the data that a descriptor can read now. */
function readNow(fd: number): Buffer {
  const buffer = Buffer.alloc(1 << 20);
  try {
    return buffer.subarray(0, readSync(fd, buffer));
  } catch (error) {
    assert.equal(code(error), 'EAGAIN');
    return buffer.subarray(0, 0);
  }
}

/** Reads until `bytes` have come, a turn at a time. */
async function drain(fd: number, bytes: number): Promise<number> {
  let count = 0;
  while (count < bytes) {
    count += readNow(fd).length;
    await sleep(0);
  }
  return count;
}

describe('a pipe to read from', { skip: noPipes }, () => {
  test(
    'a read pipe delivers data, then the end, then connectionLost(), and closes its descriptor',
    onNode(async (loop) => {
      const { near, fd, other } = await readSide(loop);
      writeSync(other, 'one ');
      await near.untilReceived(4);
      writeSync(other, 'two');
      closeSync(other);
      await near.untilLost();
      assert.deepEqual(
        [near.text, near.log, near.exception],
        ['one two', ['made', 'data', 'eof', 'lost'], null],
      );
      assert.equal(isOpen(fd), false);
    }),
  );

  test(
    'a read pipe ends even if eofReceived() returns true, because it has nothing left to do',
    onNode(async (loop) => {
      const { near, other } = await readSide(loop);
      near.keepOpen = true;
      closeSync(other);
      await near.untilLost();
      assert.deepEqual(near.log, ['made', 'eof', 'lost']);
    }),
  );

  test(
    'a read pipe over a FIFO waits for its first writer',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const path = join(directory, 'fifo');
        execFileSync('mkfifo', [path]);
        const near = new Recorder();
        await loop.connectReadPipe(() => near, openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
        for (let i = 0; i < 20; i++) await sleep(0);
        assert.deepEqual(near.log, ['made']);
        writeFileSync(path, 'hello');
        await near.untilLost();
        assert.equal(near.text, 'hello');
      }),
    ),
  );

  test(
    'a read pipe reads nothing while it is paused, and stops its writer',
    onNode(async (loop) => {
      const { near, other } = await readSide(loop);
      near.transport.pauseReading();
      assert.equal(near.transport.isReading(), false);
      let written = 0;
      const piece = Buffer.alloc(65_536);
      // Enough to fill the pipe, and all read-ahead.
      for (let full = 0; full < 100; ) {
        try {
          written += writeSync(other, piece);
          full = 0;
        } catch (error) {
          assert.equal(code(error), 'EAGAIN');
          full++;
          await sleep(0);
        }
      }
      assert.ok(written < 1 << 20, `${written} bytes were taken`);
      assert.deepEqual(near.log, ['made']);
      near.transport.resumeReading();
      await near.untilReceived(written);
      closeSync(other);
      await near.untilLost();
      assert.equal(near.received, written);
    }),
  );

  test(
    'a read pipe that is closed reads no more, is lost later, and its writer gets EPIPE',
    onNode(async (loop) => {
      for (const end of ['close', 'abort'] as const) {
        const { near, fd, other } = await readSide(loop);
        near.transport[end]();
        if (end === 'close') writeSync(other, 'too late');
        assert.deepEqual([near.lost, near.transport.isClosing()], [false, true]);
        await near.untilLost();
        assert.deepEqual([near.log, near.exception, isOpen(fd)], [['made', 'lost'], null, false]);
        assert.throws(() => writeSync(other, 'x'), { code: 'EPIPE' });
        closeSync(other);
      }
    }),
  );

  test(
    'a read pipe has its pipe as extra info, and no address and no socket',
    onNode(async (loop) => {
      const { near, fd, other } = await readSide(loop);
      assert.equal(near.transport.getExtraInfo('pipe'), fd);
      for (const name of ['socket', 'peername', 'sockname'])
        assert.equal(near.transport.getExtraInfo(name), null);
      // A property that its type lacks is absent at run time, too.
      assert.equal(near.transport.canWriteEof(), false);
      for (const method of ['write', 'writelines', 'writeEof'] as const) {
        assert.throws(() => near.transport[method](['x'] as never), {
          code: /ERR_UNSUPPORTED|ERR_INVALID_ARG_TYPE/,
        });
      }
      closeSync(other);
      await near.untilLost();
    }),
  );

  test(
    'a read pipe may be a Readable of any kind, which then belongs to it',
    onNode(async (loop) => {
      const streams: Record<string, () => Readable> = {
        memory: () => Readable.from([Buffer.from('he'), Buffer.from('llo')], { objectMode: false }),
        through: () => {
          const through = new PassThrough();
          through.end('hello');
          return through;
        },
        output: () => spawn('printf', ['hello'], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout,
      };
      for (const [name, make] of Object.entries(streams)) {
        const stream = make();
        const near = new Recorder();
        const [transport] = await loop.connectReadPipe(() => near, stream);
        assert.equal(transport.getExtraInfo('pipe'), stream, name);
        await near.untilLost();
        assert.deepEqual(
          [near.text, near.log, near.exception],
          ['hello', ['made', 'data', 'eof', 'lost'], null],
          name,
        );
      }
      const stream = new PassThrough();
      const [transport] = await loop.connectReadPipe(makeNothing, stream);
      transport.close();
      await once(stream, 'close');
      await sleep(0);
    }),
  );

  test(
    'a read pipe over the output of a child pauses, although Node resumes it when the child exits',
    onNode(async (loop) => {
      const child = spawn('printf', ['hello'], { stdio: ['ignore', 'pipe', 'ignore'] });
      const exited = once(child, 'exit');
      const near = new Recorder();
      const [transport] = await loop.connectReadPipe(() => near, child.stdout);
      transport.pauseReading();
      await exited;
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.deepEqual(near.log, ['made']);
      transport.resumeReading();
      await near.untilLost();
      assert.equal(near.text, 'hello');
    }),
  );

  test(
    'a read pipe may be a Readable that has ended already, or fails',
    onNode(async (loop) => {
      const ended = new PassThrough({ autoDestroy: false });
      ended.end().resume();
      await once(ended, 'end');
      const near = new Recorder();
      await loop.connectReadPipe(() => near, ended);
      await near.untilLost();
      assert.deepEqual([near.log, near.exception], [['made', 'eof', 'lost'], null]);
      const failing = new PassThrough();
      const other = new Recorder();
      await loop.connectReadPipe(() => other, failing);
      const failure = new Error('broken');
      failing.destroy(failure);
      await other.untilLost();
      assert.deepEqual([other.log, other.exception], [['made', 'lost'], failure]);
    }),
  );

  test(
    'a read pipe may be a FileHandle, which is closed with it',
    { skip: existsSync('/dev/fd') ? false : 'this system has no /dev/fd' },
    onNode(async (loop) => {
      const { read, write } = pipeEnds();
      const handle = await promises.open(`/dev/fd/${read}`, constants.O_RDONLY | constants.O_NONBLOCK);
      closeSync(read);
      const near = new Recorder();
      const [transport] = await loop.connectReadPipe(() => near, handle);
      assert.equal(transport.getExtraInfo('pipe'), handle);
      writeSync(write, 'hello');
      closeSync(write);
      await near.untilLost();
      assert.equal(near.text, 'hello');
      while (handle.fd !== -1) await sleep(0);
    }),
  );

  test(
    'a read pipe may be a character device, which a thread reads',
    onNode(async (loop) => {
      const near = new Recorder();
      await loop.connectReadPipe(() => near, openSync('/dev/null', 'r'));
      await near.untilLost();
      assert.deepEqual([near.log, near.exception], [['made', 'eof', 'lost'], null]);
      const endless = new Recorder();
      const fd = openSync('/dev/zero', 'r');
      const [transport] = await loop.connectReadPipe(() => endless, fd);
      await endless.untilReceived(1 << 20);
      transport.pauseReading();
      const { received } = endless;
      for (let i = 0; i < 50; i++) await sleep(0);
      assert.equal(endless.received, received);
      transport.resumeReading();
      await endless.untilReceived(received + 1);
      transport.close();
      await endless.untilLost();
      assert.deepEqual([endless.exception, isOpen(fd)], [null, false]);
    }),
  );
});

describe('a pipe to write to', { skip: noPipes }, () => {
  test(
    'a write pipe sends data in order, and closes after it',
    onNode(async (loop) => {
      for (const end of ['close', 'writeEof'] as const) {
        const { near, transport, fd, other } = await writeSide(loop);
        transport.write('one ');
        transport.writelines(['two ', Buffer.from('three')]);
        assert.equal(transport.canWriteEof(), true);
        transport[end]();
        assert.deepEqual([near.lost, transport.isClosing()], [false, true]);
        await near.untilLost();
        assert.deepEqual([near.log, near.exception, isOpen(fd)], [['made', 'lost'], null, false]);
        assert.equal(String(readNow(other)), 'one two three');
        assert.equal(readNow(other).length, 0);
        closeSync(other);
      }
    }),
  );

  test(
    'a clogged write pipe pauses its protocol once, resumes it once, and keeps every byte',
    onNode(async (loop) => {
      const { near, transport, other } = await writeSide(loop);
      const bytes = 4 << 20;
      transport.write(Buffer.alloc(bytes, 'clog'));
      transport.write('more');
      await near.untilTold('pause');
      assert.ok(transport.getWriteBufferSize() > transport.getWriteBufferLimits().high);
      assert.equal(await drain(other, bytes + 4), bytes + 4);
      await near.untilTold('resume');
      assert.deepEqual(near.log, ['made', 'pause', 'resume']);
      transport.close();
      await near.untilLost();
      closeSync(other);
    }),
  );

  test(
    'a clogged write pipe closes after its data, and aborts at once',
    onNode(async (loop) => {
      const bytes = 4 << 20;
      const closing = await writeSide(loop);
      closing.transport.write(Buffer.alloc(bytes));
      closing.transport.close();
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.equal(closing.near.lost, false);
      assert.equal(await drain(closing.other, bytes), bytes);
      await closing.near.untilLost();
      assert.equal(closing.near.exception, null);
      closeSync(closing.other);

      const aborted = await writeSide(loop);
      aborted.transport.write(Buffer.alloc(bytes));
      await aborted.near.untilTold('pause');
      aborted.transport.abort();
      assert.equal(aborted.transport.getWriteBufferSize(), 0);
      await aborted.near.untilLost();
      assert.deepEqual([aborted.near.exception, isOpen(aborted.fd)], [null, false]);
      closeSync(aborted.other);
    }),
  );

  test(
    'a write pipe learns at once that its reader has closed, also if it writes nothing',
    { skip: linuxOnly },
    onNode(async (loop) => {
      const { near, fd, other } = await writeSide(loop);
      closeSync(other);
      await near.untilLost();
      assert.deepEqual([near.log, near.exception, isOpen(fd)], [['made', 'lost'], null, false]);
    }),
  );

  test(
    'a write pipe whose reader closes gets connectionLost() with EPIPE if data is unsent, clogged or just written',
    onNode(async (loop) => {
      const clogged = await writeSide(loop);
      clogged.transport.write(Buffer.alloc(4 << 20));
      await clogged.near.untilTold('pause');
      closeSync(clogged.other);
      await clogged.near.untilLost();
      assert.deepEqual([code(clogged.near.exception), isOpen(clogged.fd)], ['EPIPE', false]);

      const late = await writeSide(loop);
      closeSync(late.other);
      late.transport.write('nobody reads this');
      await late.near.untilLost();
      assert.equal(code(late.near.exception), 'EPIPE');
      assert.equal((late.near.exception as NodeJS.ErrnoException).syscall, 'write');
      // Later writes are dropped, as by every closed transport.
      late.transport.write('nor this');
    }),
  );

  test(
    'a write pipe whose reader closes gets connectionLost() with EPIPE for data that only the loop has buffered',
    { skip: linuxOnly },
    onNode(async (loop) => {
      const { near, transport, other } = await writeSide(loop);
      // A relay. The host sees both events at once: the data first.
      const source = pipeEnds();
      const relay = new Recorder();
      relay.dataReceived = (data) => transport.write(data);
      await loop.connectReadPipe(() => relay, source.read);
      for (let i = 0; i < 50; i++) await sleep(0);
      writeSync(source.write, 'nobody reads this');
      closeSync(other);
      await near.untilLost();
      assert.equal(code(near.exception), 'EPIPE');
      closeSync(source.write);
      await relay.untilLost();
    }),
  );

  test(
    'a write pipe continues while one of its readers is left',
    onNode(async (loop) => {
      const { near, transport, other } = await writeSide(loop);
      const second = openSync(`/dev/fd/${other}`, constants.O_RDONLY | constants.O_NONBLOCK);
      closeSync(other);
      for (let i = 0; i < 20; i++) await sleep(0);
      transport.write('hello');
      transport.close();
      await near.untilLost();
      assert.equal(near.exception, null);
      assert.equal(String(readNow(second)), 'hello');
      closeSync(second);
    }),
  );

  test(
    'a write pipe over a descriptor that can be read does not read it, because the data belongs to others',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const path = join(directory, 'fifo');
        execFileSync('mkfifo', [path]);
        const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
        const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        const near = new Recorder();
        const [transport] = await loop.connectWritePipe(() => near, fd);
        transport.write('hello');
        for (let i = 0; i < 20; i++) await sleep(0);
        assert.equal(String(readNow(reader)), 'hello');
        transport.close();
        await near.untilLost();
        closeSync(reader);
      }),
    ),
  );

  test(
    'a write pipe may be a Writable of any kind, whose end it waits for',
    onNode(async (loop) => {
      const through = new PassThrough();
      const near = new Recorder();
      const [transport] = await loop.connectWritePipe(() => near, through);
      assert.equal(transport.getExtraInfo('pipe'), through);
      transport.write('hello');
      transport.close();
      const passed: Buffer[] = [];
      for await (const chunk of through) passed.push(chunk);
      assert.equal(Buffer.concat(passed).toString(), 'hello');
      await near.untilLost();
      assert.equal(near.exception, null);

      const cat = spawn('cat', [], { stdio: ['pipe', 'pipe', 'inherit'] });
      const other = new Recorder();
      const [input] = await loop.connectWritePipe(() => other, cat.stdin);
      const chunks: Buffer[] = [];
      cat.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      const bytes = 4 << 20;
      input.write(Buffer.alloc(bytes, 'x'));
      input.close();
      await Promise.all([once(cat, 'close'), other.untilLost()]);
      assert.deepEqual([Buffer.concat(chunks).length, other.exception], [bytes, null]);
    }),
  );

  test(
    'a write pipe counts the data that a slow Writable has not accepted, and fails when that fails',
    onNode(async (loop) => {
      const waiting: (() => void)[] = [];
      const slow = new Writable({
        write: (_chunk, _encoding, done) => {
          waiting.push(done);
        },
      });
      const near = new Recorder();
      const [transport] = await loop.connectWritePipe(() => near, slow);
      transport.setWriteBufferLimits({ high: 3 });
      transport.write('1234');
      assert.deepEqual([near.log, transport.getWriteBufferSize()], [['made', 'pause'], 4]);
      transport.write('5');
      await sleep(0);
      waiting.shift()?.();
      assert.deepEqual(near.log, ['made', 'pause']);
      waiting.shift()?.();
      await near.untilTold('resume');
      while (transport.getWriteBufferSize() > 0) await sleep(0);
      assert.deepEqual(near.log, ['made', 'pause', 'resume']);
      const failure = new Error('no more');
      slow.destroy(failure);
      await near.untilLost();
      assert.equal(near.exception, failure);
    }),
  );

  test(
    'a write pipe may be a FileHandle or a character device',
    { skip: existsSync('/dev/full') ? false : 'this system has no /dev/full' },
    onNode(async (loop) => {
      const near = new Recorder();
      const [transport] = await loop.connectWritePipe(() => near, openSync('/dev/null', 'w'));
      for (let i = 0; i < 20; i++) transport.write(Buffer.alloc(1 << 18));
      transport.close();
      await near.untilLost();
      assert.equal(near.exception, null);
      const full = new Recorder();
      const handle = await promises.open('/dev/full', 'w');
      const [other] = await loop.connectWritePipe(() => full, handle);
      other.write('no room for this');
      await full.untilLost();
      assert.deepEqual([code(full.exception), full.log], ['ENOSPC', ['made', 'lost']]);
    }),
  );

  test(
    'a write pipe over a character device accepts more than 2 GiB, from one buffer and from many',
    { skip: existsSync('/dev/null') ? false : 'this system has no /dev/null' },
    onNode(async (loop) => {
      const near = new Recorder();
      const [transport] = await loop.connectWritePipe(() => near, openSync('/dev/null', 'w'));
      // The memory is never touched, so the system provides none.
      const memory = Buffer.alloc(2 ** 31 + 1);
      transport.write(memory);
      await near.untilTold('resume');
      transport.writelines(Array<Buffer>(40).fill(memory.subarray(0, 100_000_000)));
      transport.close();
      await near.untilLost();
      assert.deepEqual([near.exception, near.log.at(-1)], [null, 'lost']);
    }),
  );

  test(
    'a descriptor that the system cannot use as a pipe fails with its error, and stays open',
    { skip: linuxOnly },
    onNode(async (loop) => {
      const { read, write } = pipeEnds();
      const handle = await promises.open(`/dev/fd/${write}`, constants.O_WRONLY | constants.O_NONBLOCK);
      closeSync(read);
      await assert.rejects(loop.connectWritePipe(makeNothing, handle), { code: 'ENXIO', syscall: 'open' });
      assert.equal(isOpen(handle.fd), true);
      await handle.close();
      closeSync(write);
    }),
  );

  test(
    'a write pipe over a socket learns at once that its peer has closed, and drops the peer’s data',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const server = createServer().listen(join(directory, 'socket'));
        await once(server, 'listening');
        for (const end of ['end', 'destroy'] as const) {
          const socket = connect(join(directory, 'socket'));
          const [peer] = (await once(server, 'connection')) as [Socket];
          const near = new Recorder();
          const [transport] = await loop.connectWritePipe(() => near, socket);
          peer.write('not asked for');
          transport.write('hello');
          const [data] = (await once(peer, 'data')) as [Buffer];
          assert.deepEqual([String(data), near.log], ['hello', ['made']]);
          peer[end]();
          await near.untilLost();
          assert.deepEqual([near.log, near.exception], [['made', 'lost'], null]);
          peer.destroy();
        }
        server.close();
        await once(server, 'close');
      }),
    ),
  );
});

describe('arguments that are no pipe', { skip: noPipes }, () => {
  test(
    'connectReadPipe() and connectWritePipe() name a bad argument at the call, and leave it open',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const path = join(directory, 'file');
        writeFileSync(path, 'a file');
        const fd = openSync(path, 'r+');
        const handle = await promises.open(path, 'r+');
        const { read, write } = pipeEnds();
        const reading = createReadStream(path);
        const writing = createWriteStream(`${path}2`);
        await Promise.all([once(reading, 'open'), once(writing, 'open')]);
        // Node may open the file only after the test.
        const pending = createReadStream(path).on('error', () => {});
        const directoryFd = openSync(directory, 'r');
        const wrong = [
          fd,
          handle,
          reading,
          writing,
          pending,
          directoryFd,
          99_999,
          -1,
          1.5,
          'x',
          null,
          undefined,
          {},
          [],
        ];
        const objects = new PassThrough({ objectMode: true });
        const text = new PassThrough().setEncoding('utf8');
        const over = new PassThrough();
        over.destroy();
        const ended = new PassThrough();
        ended.end();
        for (const [method, pipes] of [
          ['connectReadPipe', [...wrong, write, objects, text, over, new Writable()]],
          ['connectWritePipe', [...wrong, read, objects, over, ended, new Readable()]],
        ] as const) {
          for (const pipe of pipes) {
            assert.throws(() => loop[method](makeNothing, pipe), {
              name: 'TypeError',
              code: 'ERR_INVALID_ARG_TYPE',
              message: /"pipe"/,
            });
          }
          const call = (...args: unknown[]): unknown => Reflect.apply(loop[method], loop, args);
          assert.throws(() => call(null, read), /"protocolFactory"/);
          assert.throws(() => call(makeNothing, read, { bufsize: 1 }), /"options.bufsize"/);
          assert.throws(() => call(makeNothing, read, { signal: 1 }), /"options.signal"/);
        }
        assert.deepEqual([fd, handle.fd, read, write].map(isOpen), [true, true, true, true]);
        for (const open of [fd, read, write, directoryFd]) closeSync(open);
        await handle.close();
        for (const stream of [reading, writing, pending]) stream.destroy();
      }),
    ),
  );

  test(
    'connectReadPipe() and connectWritePipe() reject the pipe of another transport',
    onNode(async (loop) => {
      const stream = new PassThrough();
      const [transport] = await loop.connectReadPipe(makeNothing, stream);
      assert.throws(() => loop.connectReadPipe(makeNothing, stream), /"pipe".*no other transport/);
      transport.close();
      await once(stream, 'close');
      await sleep(0);
    }),
  );

  test('connectReadPipe() and connectWritePipe() of a loop without pipes throw', () => {
    const loop = bareLoop();
    const wanted = { code: 'ERR_UNSUPPORTED', message: /pipes.*NodeEventLoop/ };
    assert.throws(() => loop.connectReadPipe(makeNothing, 0), wanted);
    assert.throws(() => loop.connectWritePipe(makeNothing, 1), wanted);
    loop.close();
  });
});

describe('an end before the beginning', { skip: noPipes }, () => {
  test(
    'connectReadPipe() closes the pipe on a cancel, an abort or a factory that throws, but not for an aborted signal',
    onNode(async (loop) => {
      for (const [method, mine, others] of [
        ['connectReadPipe', 'read', 'write'],
        ['connectWritePipe', 'write', 'read'],
      ] as const) {
        const open = (): [number, number] => {
          const ends = pipeEnds();
          return [ends[mine], ends[others]];
        };
        const gone = async (fd: number, other: number): Promise<void> => {
          while (isOpen(fd)) await sleep(0);
          closeSync(other);
        };
        let [fd, other] = open();
        const opening = loop[method](makeNothing, fd);
        opening.cancel();
        await assert.rejects(opening, CancelledError);
        await gone(fd, other);

        [fd, other] = open();
        const controller = new AbortController();
        const aborted = loop[method](makeNothing, fd, { signal: controller.signal });
        controller.abort('why');
        await assert.rejects(aborted, { name: 'CancelledError', cause: 'why' });
        await gone(fd, other);

        [fd, other] = open();
        await assert.rejects(
          loop[method](() => {
            throw new Error('no protocol');
          }, fd),
          /no protocol/,
        );
        await gone(fd, other);

        [fd, other] = open();
        await assert.rejects(loop[method](makeNothing, fd, { signal: AbortSignal.abort() }), CancelledError);
        assert.equal(isOpen(fd), true);
        closeSync(fd);
        closeSync(other);
      }
    }),
  );

  test('loop.close() names its pipes, closes them, and drops later data', async () => {
    const loop = makeLoop();
    const reports: string[] = [];
    loop.setExceptionHandler((_loop, { message }) => reports.push(message));
    const first = pipeEnds();
    const second = pipeEnds();
    const recorders = [new Recorder(), new Recorder()] as const;
    await loop.runUntilComplete(async () => {
      await loop.connectReadPipe(() => recorders[0], first.read);
      await loop.connectWritePipe(() => recorders[1], second.write);
    });
    writeSync(first.write, 'not read any more');
    loop.close();
    assert.deepEqual(reports, [
      `the event loop was closed, but a pipe to read from (${first.read}) was still open`,
      `the event loop was closed, but a pipe to write to (${second.write}) was still open`,
    ]);
    while (isOpen(first.read) || isOpen(second.write)) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([recorders[0].log, recorders[1].log], [['made'], ['made']]);
    closeSync(first.write);
    closeSync(second.read);
  });

  test('a stopped loop delivers no data of its pipes', async () => {
    const loop = makeLoop();
    const first = pipeEnds();
    const second = pipeEnds();
    const reader = new Recorder();
    const writer = new Recorder();
    await loop.runUntilComplete(async () => {
      await loop.connectReadPipe(() => reader, first.read);
      await loop.connectWritePipe(() => writer, second.write);
    });
    writeSync(first.write, 'hello');
    closeSync(first.write);
    closeSync(second.read);
    await hostPasses();
    assert.deepEqual([reader.log, writer.log], [['made'], ['made']]);
    await loop.runUntilComplete(async () => {
      await reader.untilLost();
      if (linuxOnly !== false) writer.transport.write('x');
      await writer.untilLost();
    });
    assert.deepEqual(reader.log, ['made', 'data', 'eof', 'lost']);
    loop.close();
  });
});

describe('a terminal as pipes', { skip: noPipes || noPython }, () => {
  const open = (path: string): number => openSync(path, constants.O_RDWR | constants.O_NOCTTY);

  test(
    'a read pipe and a write pipe over one terminal do not steal data from each other',
    onNode(async (loop) => {
      const { path, ask, end } = await terminal();
      const reader = new Recorder();
      const writer = new Recorder();
      const [input] = await loop.connectReadPipe(() => reader, open(path));
      const [output] = await loop.connectWritePipe(() => writer, open(path));
      await ask('type hello');
      await reader.untilReceived(5);
      assert.equal(reader.text, 'hello');
      output.write('answer');
      assert.equal(await ask('read 100'), '6');
      input.pauseReading();
      await ask('type more');
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.equal(reader.received, 5);
      input.resumeReading();
      await reader.untilReceived(9);
      output.close();
      input.close();
      await Promise.all([reader.untilLost(), writer.untilLost()]);
      assert.deepEqual([reader.exception, writer.exception], [null, null]);
      await end();
    }),
  );

  test(
    'a terminal that is not read does not block the process, and its hang-up ends both pipes',
    onNode(async (loop) => {
      const { path, ask, end } = await terminal();
      const reader = new Recorder();
      const writer = new Recorder();
      await loop.connectReadPipe(() => reader, open(path));
      const [output] = await loop.connectWritePipe(() => writer, open(path));
      output.write(Buffer.alloc(1 << 20));
      await writer.untilTold('pause');
      assert.ok(output.getWriteBufferSize() > 0);
      assert.match(await ask('read 65536'), /^[1-9]\d*$/);
      await ask('hangup');
      await Promise.all([reader.untilLost(), writer.untilLost()]);
      assert.ok(reader.exception === null || code(reader.exception) === 'EIO');
      assert.equal(code(writer.exception), 'EIO');
      await end();
    }),
  );
});

describe('the standard streams of the process', { skip: noPipes }, () => {
  const child = fileURLToPath(new URL('./pipes.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const command = [process.execPath, ...loaderOptions, child];

  function start(scenario: string, stdio: StdioOptions = ['pipe', 'pipe', 'pipe']): ChildProcess {
    return spawn(command[0] as string, [...command.slice(1), scenario], { cwd, stdio });
  }

  /** Runs the child in a shell, with real pipes around it. */
  function shell(line: string): { stdout: string; stderr: string; status: number | null } {
    const quoted = command.map((word) => `'${word}'`).join(' ');
    const { stdout, stderr, status } = spawnSync('sh', ['-c', line.replace('CHILD', quoted)], {
      cwd,
      timeout: 60_000,
    });
    return { stdout: String(stdout), stderr: String(stderr), status };
  }

  for (const scenario of ['streams', 'numbers']) {
    test(`the standard streams as ${scenario} through pipes read and write everything, and the process can still print`, () => {
      const { stdout, stderr, status } = shell(`printf 'hello ' | CHILD ${scenario} | cat`);
      assert.equal(stdout, 'HELLO printed after the end\n');
      assert.equal(stderr, 'eof\ninput lost: null\noutput lost: null\nclosed\n');
      assert.equal(status, 0);
    });

    test(`the standard streams as ${scenario} work through the socket pairs that Node makes`, async () => {
      const running = start(scenario);
      const output: Buffer[] = [];
      running.stdout?.on('data', (data: Buffer) => output.push(data));
      running.stderr?.pipe(process.stderr, { end: false });
      running.stdin?.end('hello ');
      const [status] = await once(running, 'close');
      assert.deepEqual([Buffer.concat(output).toString(), status], ['HELLO printed after the end\n', 0]);
    });

    test(`the standard streams as ${scenario} work with nothing to read`, () => {
      const { stdout, stderr, status } = shell(`CHILD ${scenario} < /dev/null | cat`);
      assert.equal(stdout, 'printed after the end\n');
      assert.equal(stderr, 'eof\ninput lost: null\noutput lost: null\nclosed\n');
      assert.equal(status, 0);
    });

    const version = String(spawnSync('script', ['--version']).stdout);
    const noScript = version.includes('util-linux') ? false : 'there is no script(1) of util-linux';
    test(`the standard streams as ${scenario} work on a terminal`, { skip: noScript }, async () => {
      const quoted = command.map((word) => `'${word}'`).join(' ');
      const running = spawn('script', ['-qec', `${quoted} ${scenario}`, '/dev/null'], { cwd });
      const output: Buffer[] = [];
      running.stdout.on('data', (data: Buffer) => {
        const before = Buffer.concat(output).includes('HELLO');
        output.push(data);
        // The end of file, as it is typed.
        if (!before && Buffer.concat(output).includes('HELLO')) running.stdin.write('\x04');
      });
      running.stdin.write('hello\n');
      const [status] = await once(running, 'close');
      const text = Buffer.concat(output).toString();
      assert.match(
        text,
        /HELLO\r\n[\s\S]*eof\r\ninput lost: null\r\noutput lost: null\r\nprinted after the end\r\nclosed\r\n/,
      );
      assert.equal(status, 0);
    });
  }

  test('a process that has closed its standard input ends, although others still have it open', async () => {
    const running = start('leave');
    running.stdin?.write('hello');
    const report: Buffer[] = [];
    running.stderr?.on('data', (data: Buffer) => report.push(data));
    const [status] = await once(running, 'close');
    assert.deepEqual([Buffer.concat(report).toString(), status], ['read hello\nclosed\n', 0]);
    running.stdin?.destroy();
  });

  test('standard input can be read again after its transport was closed', async () => {
    const running = start('twice');
    const report: Buffer[] = [];
    let told = 0;
    running.stderr?.on('data', (data: Buffer) => {
      report.push(data);
      if (++told === 1) running.stdin?.write('two');
    });
    running.stdin?.write('one');
    const [status] = await once(running, 'close');
    assert.deepEqual([Buffer.concat(report).toString(), status], ['read one\nread two\nclosed\n', 0]);
    running.stdin?.destroy();
  });

  test('standard input has one transport at a time, under any name', () => {
    const { stderr, status } = shell("printf 'hello' | CHILD both");
    assert.equal(stderr, 'ERR_INVALID_ARG_TYPE\nERR_INVALID_ARG_TYPE\nread again\nclosed\n');
    assert.equal(status, 0);
  });

  test('a standard output whose reader closes is an error, and does not end the process', () => {
    const { stderr, status } = shell('{ CHILD unread; echo "status $?" >&2; } | true');
    assert.equal(stderr, 'output lost: EPIPE\nclosed\nstatus 0\n');
    assert.equal(status, 0);
  });

  test('connectReadPipe() and connectWritePipe() reject a regular file as a standard stream', () => {
    const { stderr, status } = shell('CHILD refused < package.json > /dev/null');
    assert.match(stderr, /^connectReadPipe: ERR_INVALID_ARG_TYPE$/m);
    assert.equal(stderr.match(/connectReadPipe: ERR_INVALID_ARG_TYPE/g)?.length, 2);
    assert.equal(stderr.match(/connectWritePipe takes it/g)?.length, 1);
    assert.equal(status, 0);
  });

  test('open pipes over standard streams do not keep the process alive', async () => {
    const running = start('idle', ['pipe', 'ignore', 'pipe', 'pipe', 'pipe']);
    const report: Buffer[] = [];
    running.stderr?.on('data', (data: Buffer) => report.push(data));
    const closed = once(running, 'close');
    const [status] = await once(running, 'exit');
    for (const end of [0, 3, 4]) (running.stdio[end] as Socket).destroy();
    await closed;
    assert.deepEqual([Buffer.concat(report).toString(), status], ['left open\n', 0]);
  });

  test('an inherited descriptor is closed at the end of its pipe', async () => {
    const running = start('three', ['ignore', 'ignore', 'pipe', 'pipe', 'pipe']);
    const input = running.stdio[3] as Socket;
    const output = running.stdio[4] as Socket;
    const chunks: Buffer[] = [];
    output.on('data', (data: Buffer) => chunks.push(data));
    const ended = once(output, 'end');
    input.end('hello');
    await ended;
    const [status] = await once(running, 'close');
    assert.deepEqual([Buffer.concat(chunks).toString(), status], ['HELLO', 0]);
  });
});

/** Type checks: a read pipe has no write methods, and a write pipe no read methods. */
export function types(reading: ReadTransport, writing: WriteTransport): void {
  // @ts-expect-error it is only read
  reading.write('x');
  // @ts-expect-error it is only written
  writing.pauseReading();
}
