/**
 * Pipes by descriptor on the native backend: it has handles of its own for them, sets O_NONBLOCK, and can
 * meet faults of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, promises, readFileSync, writeSync } from 'node:fs';
import { Socket as NodeSocket } from 'node:net';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BaseEventLoop, ReadTransport, UvEventLoop, WriteTransport } from '../../../src/index.ts';
import { AF_INET, AF_UNIX, InvalidStateError, SOCK_DGRAM, SOCK_STREAM, Socket } from '../../../src/index.ts';
import {
  connectedSockets,
  listening,
  noNative,
  onUv,
  openDescriptors,
  openEnds,
  passes,
  pipe,
  socketPair,
} from '../../helpers/descriptors.ts';
import { closed, Recorder } from '../../helpers/pairs.ts';
import { terminal } from '../../helpers/terminal.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { inDirectory, isOpen, noPython, pipeEnds } from '../../helpers/unix-pairs.ts';

const skip = noNative;
const O_PATH = 0o10_000_000;

async function reader(loop: BaseEventLoop, from: unknown): Promise<[Recorder, ReadTransport]> {
  const near = new Recorder();
  const [transport] = await loop.connectReadPipe(() => near, from);
  return [near, transport];
}

async function writer(loop: BaseEventLoop, to: unknown): Promise<[Recorder, WriteTransport]> {
  const near = new Recorder();
  const [transport] = await loop.connectWritePipe(() => near, to);
  return [near, transport];
}

/** Tells whether reads and writes of the descriptor block, for all who share it. */
function blocks(fd: number, process: number | 'self' = 'self'): boolean {
  const facts = readFileSync(`/proc/${process}/fdinfo/${fd}`, 'utf8');
  return (Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(facts)?.[1] ?? '', 8) & constants.O_NONBLOCK) === 0;
}

/** Starts a process that shares a descriptor, as its 0. */
function sharing(fd: number): { pid: number; end: () => Promise<void> } {
  const child = spawn('sleep', ['100'], { stdio: [fd, 'ignore', 'ignore'] });
  return {
    pid: child.pid as number,
    end: async () => {
      child.kill();
      await once(child, 'close');
    },
  };
}

async function withFifo(body: (path: string) => Promise<void>): Promise<void> {
  await inDirectory(async (directory) => {
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', [path]);
    await body(path);
  });
}

describe('a pipe by descriptor', { skip }, () => {
  test(
    'a pipe by descriptor is a handle of the native part, under its own number, until it is closed',
    onUv(async (loop) => {
      const uses = (fd: number): boolean | undefined => loop._backend.descriptors?.isUsed(fd);
      const [tcp, tcpPeer] = await connectedSockets(loop);
      const anonymous = pipe();
      const fifo = pipeEnds();
      const pair = socketPair();
      for (const [name, from, to] of [
        ['a pipe', anonymous.from, anonymous.to],
        ['a FIFO', fifo.read, fifo.write],
        ['a unix socket', pair.from, pair.to],
        ['a TCP connection', tcp.detach(), tcpPeer.detach()],
      ] as const) {
        const [reading, input] = await reader(loop, from);
        const [writing, output] = await writer(loop, to);
        assert.deepEqual([uses(from), uses(to)], [true, true], name);
        assert.deepEqual([input.getExtraInfo('pipe'), output.getExtraInfo('pipe')], [from, to], name);
        output.write('hello');
        await reading.untilReceived(5);
        output.close();
        await Promise.all([reading.untilLost(), writing.untilLost()]);
        assert.deepEqual(reading.log, ['made', 'data', 'eof', 'lost'], name);
        assert.deepEqual([reading.exception, writing.exception], [null, null], name);
        assert.deepEqual([uses(from), uses(to), isOpen(from), isOpen(to)], Array(4).fill(false), name);
      }
    }),
  );

  test(
    'a pipe by descriptor uses a thread of Node if the system cannot poll it, and else a handle',
    { skip: existsSync('/dev/ptmx') ? false : 'this system has no /dev/ptmx' },
    onUv(async (loop) => {
      const nothing = openSync(devNull, 'r+');
      const [nowhere, output] = await writer(loop, nothing);
      assert.equal(loop._backend.descriptors?.isUsed(nothing), false);
      output.close();
      await nowhere.untilLost();
      // The side of the terminal's creator: opening it anew would make another terminal.
      const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
      const facts = (): string[] => readFileSync(`/proc/self/fdinfo/${master}`, 'utf8').split('\n');
      const index = facts().find((line) => line.startsWith('tty-index'));
      const [typing, keyboard] = await writer(loop, master);
      assert.equal(loop._backend.descriptors?.isUsed(master), true);
      assert.ok(index !== undefined && facts().includes(index));
      keyboard.write('typed');
      keyboard.close();
      await typing.untilLost();
      assert.deepEqual([typing.exception, isOpen(master)], [null, false]);
    }),
  );

  test(
    'a pipe by descriptor carries 64 MiB with back-pressure, every byte in its place',
    onUv(async (loop) => {
      const piece = Buffer.alloc((1 << 20) - 7, 'the bytes of one piece, in an order of their own: ');
      const count = 64;
      for (const ends of [pipe(), socketPair()]) {
        const [reading, input] = await reader(loop, ends.from);
        const [writing, output] = await writer(loop, ends.to);
        const sums = [createHash('sha1'), createHash('sha1')] as const;
        let received = 0;
        reading.dataReceived = (data) => {
          sums[0].update(data);
          received += data.length;
          if (received % 5 === 0) {
            input.pauseReading();
            loop.callSoon(() => input.resumeReading());
          }
        };
        for (let i = 0; i < count; i++) {
          piece.writeUInt32LE(i, 0);
          sums[1].update(piece);
          output.write(Buffer.from(piece));
          while (writing.paused) await writing.until(() => !writing.paused || writing.lost);
          assert.ok(output.getWriteBufferSize() <= output.getWriteBufferLimits().high);
        }
        output.close();
        await Promise.all([reading.untilLost(), writing.untilLost()]);
        assert.deepEqual(
          [received, reading.exception, writing.exception],
          [count * piece.length, null, null],
        );
        assert.equal(sums[0].digest('hex'), sums[1].digest('hex'));
        assert.ok(writing.log.includes('pause'));
      }
    }),
  );

  test(
    'a write pipe learns at once that its reader has closed, for a pipe, a FIFO and both kinds of sockets',
    onUv(async (loop) => {
      const [tcp, tcpPeer] = await connectedSockets(loop);
      const anonymous = pipe();
      const fifo = pipeEnds();
      const pair = socketPair();
      for (const [to, from] of [
        [anonymous.to, anonymous.from],
        [fifo.write, fifo.read],
        [pair.to, pair.from],
        [tcp.detach(), tcpPeer.detach()],
      ] as const) {
        const [near] = await writer(loop, to);
        await passes();
        assert.deepEqual(near.log, ['made']);
        closeSync(from);
        await near.untilLost();
        assert.deepEqual([near.log, near.exception, isOpen(to)], [['made', 'lost'], null, false]);
      }
    }),
  );

  test(
    'a read pipe over a socket hangs up when it is closed, and a write pipe over a socket drops incoming data',
    onUv(async (loop) => {
      const pair = socketPair();
      const [near, input] = await reader(loop, pair.from);
      const [far, output] = await writer(loop, pair.to);
      pair.write('not for who only writes');
      await near.untilReceived(23);
      writeSync(pair.from, 'nor this');
      await passes();
      assert.deepEqual(far.log, ['made']);
      input.close();
      await Promise.all([near.untilLost(), far.untilLost()]);
      assert.deepEqual([far.exception, output.isClosing()], [null, true]);
    }),
  );

  test(
    'a FIFO that was opened to read and write has no end, and a write pipe does not read it',
    onUv((loop) =>
      withFifo(async (path) => {
        for (const mode of [constants.O_RDWR, constants.O_RDWR | constants.O_NONBLOCK]) {
          const [near, input] = await reader(loop, openSync(path, mode));
          const other = openSync(path, constants.O_WRONLY);
          writeSync(other, 'one');
          closeSync(other);
          await near.untilReceived(3);
          await passes();
          assert.deepEqual(near.log, ['made', 'data']);
          input.close();
          await near.untilLost();
          const [far, output] = await writer(loop, openSync(path, mode));
          output.write('kept');
          await passes();
          const third = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
          const [last, rest] = await reader(loop, third);
          await last.untilReceived(4);
          output.close();
          await far.untilLost();
          await last.untilLost();
          assert.deepEqual([last.text, rest.isClosing()], ['kept', true]);
        }
      }),
    ),
  );

  test(
    'a pipe by descriptor may be a Socket, which then belongs to the transport',
    onUv(async (loop) => {
      const [near, far] = await connectedSockets(loop, AF_UNIX);
      const fd = near.fileno();
      const [reading, input] = await reader(loop, near);
      assert.deepEqual([near.fileno(), loop._backend.descriptors?.isUsed(fd)], [-1, true]);
      assert.equal(input.getExtraInfo('pipe'), near);
      await loop.sockSendall(far, Buffer.from('hello'));
      far.close();
      await reading.untilLost();
      assert.deepEqual([reading.text, isOpen(fd)], ['hello', false]);
      const datagrams = new Socket(AF_INET, SOCK_DGRAM);
      assert.throws(() => loop.connectReadPipe(() => ({}), datagrams), { name: 'TypeError' });
      assert.ok(datagrams.fileno() >= 0);
      datagrams.close();
    }),
  );

  test(
    'a pipe may be a FileHandle, which is closed while its pipe continues',
    onUv((loop) =>
      withFifo(async (path) => {
        const handle = await promises.open(path, constants.O_RDWR);
        const before = openEnds();
        const [near, input] = await reader(loop, handle);
        while (handle.fd !== -1) await passes(1);
        assert.equal(openEnds(), before);
        const [, output] = await writer(loop, openSync(path, constants.O_WRONLY));
        output.write('hello');
        await near.untilReceived(5);
        output.abort();
        input.close();
        await near.untilLost();
        assert.equal(input.getExtraInfo('pipe'), handle);
      }),
    ),
  );
});

describe('a pipe that other processes share', { skip }, () => {
  test(
    'a shared pipe stays blocking for other processes',
    onUv(async (loop) => {
      const ends = pipe();
      for (const [fd, connect] of [
        [ends.from, reader],
        [ends.to, writer],
      ] as const) {
        const other = sharing(fd);
        const [near, transport] = await connect(loop, fd);
        assert.deepEqual([blocks(fd), blocks(0, other.pid)], [false, true]);
        transport.close();
        await near.untilLost();
        assert.deepEqual([isOpen(fd), blocks(0, other.pid)], [false, true]);
        await other.end();
      }
    }),
  );

  test(
    'a shared terminal stays blocking for other processes, keeps its number, and is closed with its transport',
    { skip: noPython },
    onUv(async (loop) => {
      const { path, ask, end } = await terminal();
      const readIt = async (fd: number): Promise<[Recorder, ReadTransport]> => {
        const pair = await reader(loop, fd);
        await ask('type typed');
        await pair[0].untilReceived(5);
        return pair;
      };
      const writeIt = async (fd: number): Promise<[Recorder, WriteTransport]> => {
        const pair = await writer(loop, fd);
        pair[1].write('written');
        return pair;
      };
      for (const use of [readIt, writeIt]) {
        const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
        const other = sharing(fd);
        const [near, transport] = await use(fd);
        assert.deepEqual([blocks(fd), blocks(0, other.pid)], [false, true]);
        assert.equal(loop._backend.descriptors?.isUsed(fd), true);
        transport.close();
        await near.untilLost();
        assert.deepEqual([isOpen(fd), blocks(0, other.pid)], [false, true]);
        await other.end();
      }
      assert.equal(await ask('read 100'), '7');
      await end();
    }),
  );

  test(
    'a pipe by descriptor keeps the flags of its descriptor, so that children still inherit it',
    onUv(async (loop) => {
      const ends = pipe();
      const [, input] = await reader(loop, ends.from);
      const facts = (): string => readFileSync(`/proc/self/fdinfo/${ends.from}`, 'utf8');
      // O_CLOEXEC is unchanged.
      assert.match(facts(), /^flags:\s*02\d{6}$/m);
      input.close();
      await passes();
      ends.closeTo();
    }),
  );

  test(
    'a read pipe over a FIFO gets the end even if the last writer closed before',
    onUv((loop) =>
      withFifo(async (path) => {
        const opener = openSync(path, constants.O_RDWR);
        const fd = openSync(path, constants.O_RDONLY);
        const handle = await promises.open(path, constants.O_RDONLY);
        writeSync(opener, 'hello');
        closeSync(opener);
        const [near] = await reader(loop, fd);
        await near.untilLost();
        assert.deepEqual([near.text, near.exception, isOpen(fd)], ['hello', null, false]);
        const [other] = await reader(loop, handle);
        await other.untilLost();
        assert.deepEqual(other.log, ['made', 'eof', 'lost']);
        while (handle.fd !== -1) await passes(1);
      }),
    ),
  );

  const child = fileURLToPath(new URL('./pipes.child.ts', import.meta.url));

  test('standard streams as pipes stay blocking for other processes, during and after the transport', () => {
    const command = [process.execPath, ...loaderOptions, child, 'flags'].map((word) => `'${word}'`).join(' ');
    const { stdout, stderr } = spawnSync('sh', ['-c', `(printf hello; sleep 0.1) | ${command} | cat`], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: { ...process.env, GYRE_TEST_BACKEND: 'uv' },
      encoding: 'utf8',
    });
    const [before, during, after, closing] = stderr.split('\n');
    assert.deepEqual([stdout, during, after, closing], ['hello', before, before, 'closed']);
    assert.match(String(before), /^\[true,/);
  });
});

describe('a descriptor that cannot become a pipe', { skip }, () => {
  function refused(loop: UvEventLoop, fd: unknown, wanted: object = { name: 'TypeError' }): void {
    for (const connect of ['connectReadPipe', 'connectWritePipe'] as const) {
      assert.throws(() => loop[connect](() => ({}), fd), wanted, `${connect} ${fd}`);
    }
  }

  test(
    'connectReadPipe() and connectWritePipe() reject other descriptors at the call, and leave them open',
    onUv((loop) =>
      inDirectory(async (directory) => {
        const listener = listening();
        const local = listening(AF_UNIX);
        const datagrams = new Socket(AF_INET, SOCK_DGRAM);
        const messages = new Socket(AF_UNIX, SOCK_DGRAM);
        const folder = openSync(directory, constants.O_RDONLY);
        const path = openSync(devNull, O_PATH);
        const [set] = openDescriptors(/eventpoll/);
        assert.ok(set !== undefined && set > 2);
        const fds = [...[listener, local, datagrams, messages].map((one) => one.fileno()), folder, path, set];
        for (const fd of fds) {
          refused(loop, fd);
          assert.ok(isOpen(fd), `${fd}`);
        }
        for (const fd of [-1, -(2 ** 31), 2 ** 31, 2 ** 32 + 3, 1.5, Number.NaN, 1e9, 3n, Infinity]) {
          refused(loop, fd);
        }
        for (const one of [listener, local, datagrams, messages]) one.close();
        for (const fd of [folder, path]) closeSync(fd);
      }),
    ),
  );

  test(
    'connectReadPipe() and connectWritePipe() reject a descriptor of the wrong direction',
    onUv(async (loop) => {
      const ends = pipe();
      assert.throws(() => loop.connectWritePipe(() => ({}), ends.from), { name: 'TypeError' });
      assert.throws(() => loop.connectReadPipe(() => ({}), ends.to), { name: 'TypeError' });
      assert.deepEqual([isOpen(ends.from), isOpen(ends.to)], [true, true]);
      ends.close();
    }),
  );

  test(
    'connectReadPipe() and connectWritePipe() throw InvalidStateError for a descriptor in use by a transport, Node or a poll',
    onUv(async (loop) => {
      const pair = socketPair();
      const [near, input] = await reader(loop, pair.from);
      refused(loop, pair.from, InvalidStateError);
      input.pauseReading();
      refused(loop, pair.from, InvalidStateError);
      assert.throws(() => loop.addReader(pair.from, () => {}), InvalidStateError);
      pair.write('still there');
      input.resumeReading();
      await near.untilReceived(11);

      loop.addReader(pair.to, () => {});
      refused(loop, pair.to, InvalidStateError);
      loop.removeReader(pair.to);

      const ends = pipe();
      const socket = new NodeSocket({ fd: ends.from, readable: true, writable: false });
      await passes();
      assert.throws(() => loop.connectReadPipe(() => ({}), ends.from), InvalidStateError);
      await closed(socket);
      ends.closeTo();
      pair.closeTo();
      await near.untilLost();
    }),
  );

  test(
    'a descriptor that is closed under its transport ends that transport, and nothing else',
    onUv(async (loop) => {
      for (const reuse of [false, true]) {
        const ends = pipe();
        const [near, input] = await reader(loop, ends.from);
        input.pauseReading();
        await passes();
        closeSync(ends.from);
        // libuv would end the process: the kernel cannot poll a file.
        if (reuse) assert.equal(openSync(process.execPath, 'r'), ends.from);
        input.resumeReading();
        await near.untilLost();
        assert.equal((near.exception as NodeJS.ErrnoException).code, 'EBADF');
        ends.closeTo();
      }
      const ends = pipe();
      const connecting = loop.connectWritePipe(() => new Recorder(), ends.to);
      closeSync(ends.to);
      const [transport, late] = await connecting;
      transport.write('to nobody');
      await late.untilLost();
      assert.equal((late.exception as NodeJS.ErrnoException).code, 'EBADF');
      ends.closeFrom();
    }),
  );

  test(
    'a socket that is not connected yet becomes a pipe, whose read fails',
    onUv(async (loop) => {
      for (const family of [AF_INET, AF_UNIX]) {
        const socket = new Socket(family, SOCK_STREAM);
        const [near] = await reader(loop, socket);
        await near.untilLost();
        assert.ok(near.exception instanceof Error);
        assert.equal(socket.fileno(), -1);
      }
    }),
  );
});
