/**
 * The owner of a descriptor that is given as `sock`. If the call throws, the caller still owns it. A
 * descriptor that was taken over is closed once, and no other with it.
 */
import assert from 'node:assert/strict';
import { closeSync, fstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { BaseEventLoop, Future } from '../../../src/index.ts';
import {
  AF_INET,
  AF_UNIX,
  CancelledError,
  Protocol,
  SOCK_DGRAM,
  SOCK_STREAM,
  Socket,
  UvEventLoop,
} from '../../../src/index.ts';
import { serverTls } from '../../helpers/certificates.ts';
import { connectedSockets, freeAddress, noNative, pipe, socketPair } from '../../helpers/descriptors.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { isNative, onNode, Recorder } from '../../helpers/pairs.ts';

const SOCK_SEQPACKET = 5;

const factory = (): Protocol => new Protocol();

type Take = (loop: BaseEventLoop, fd: number) => Future<unknown>;

const CONNECTIONS: Record<string, Take> = {
  createConnection: (loop, sock) => loop.createConnection(factory, null, null, { sock }),
  createUnixConnection: (loop, sock) => loop.createUnixConnection(factory, null, { sock }),
  connectAcceptedSocket: (loop, sock) => loop.connectAcceptedSocket(factory, sock),
};
const SERVERS: Record<string, Take> = {
  createServer: (loop, sock) => loop.createServer(factory, null, null, { sock }),
  createUnixServer: (loop, sock) => loop.createUnixServer(factory, null, { sock }),
};
const PIPES: Record<string, Take> = {
  connectReadPipe: (loop, fd) => loop.connectReadPipe(factory, fd),
  connectWritePipe: (loop, fd) => loop.connectWritePipe(factory, fd),
};

/** Returns a socket without an owner, by its descriptor. */
function raw(family: number, type: number, prepare: (socket: Socket) => void = () => {}): number {
  using loop = new UvEventLoop();
  const socket = new Socket(family, type, 0, { loop });
  prepare(socket);
  return socket.detach();
}

function listeningSocket(family: number): number {
  return raw(family, SOCK_STREAM, (socket) => {
    socket.bind(freeAddress(family));
    socket.listen();
  });
}

/** Returns both ends of a TCP connection, by their descriptors. */
async function connectedDescriptors(): Promise<[number, number]> {
  const loop = new UvEventLoop();
  const [near, far] = await loop.runUntilComplete(() => connectedSockets(loop));
  const pair: [number, number] = [near.detach(), far.detach()];
  loop.close();
  return pair;
}

/** Returns the identity of a descriptor's socket, or null if it is not open. */
function inodeOf(fd: number): number | null {
  try {
    return fstatSync(fd).ino;
  } catch {
    return null;
  }
}

/** Returns the outcome of a call of `take`, and whether the descriptor is still open. */
async function outcome(
  loop: BaseEventLoop,
  take: Take,
  fd: number,
): Promise<['refused' | 'rejected', string, 'open' | 'closed']> {
  const inode = inodeOf(fd);
  let taking: Future<unknown>;
  let how: 'refused' | 'rejected' = 'refused';
  let code = '';
  try {
    taking = take(loop, fd);
    how = 'rejected';
    await taking;
    assert.fail('it was taken');
  } catch (error) {
    code = (error as { code: string }).code;
  }
  await hostPasses(3);
  const isOpen = inode !== null && inodeOf(fd) === inode;
  if (isOpen) closeSync(fd);
  return [how, code, isOpen ? 'open' : 'closed'];
}

const REFUSED = ['refused', 'ERR_INVALID_ARG_TYPE', 'open'];

describe('a descriptor as the sock of a connection or server', { skip: noNative }, () => {
  test(
    'a sock descriptor that is no stream socket is rejected at the call, and stays open',
    onNode(async (loop) => {
      for (const [name, take] of Object.entries({ ...CONNECTIONS, ...PIPES })) {
        for (const [family, type] of [
          [AF_INET, SOCK_DGRAM],
          [AF_UNIX, SOCK_DGRAM],
          [AF_UNIX, SOCK_SEQPACKET],
        ] as const) {
          const what = `${name}: family ${family}, type ${type}`;
          assert.deepEqual(await outcome(loop, take, raw(family, type)), REFUSED, what);
        }
      }
      for (const [name, take] of Object.entries({ ...CONNECTIONS, ...SERVERS })) {
        const { from, to } = pipe();
        assert.deepEqual(await outcome(loop, take, from), REFUSED, name);
        closeSync(to);
        assert.deepEqual(await outcome(loop, take, from), [...REFUSED.slice(0, 2), 'closed'], name);
      }
    }),
  );

  test(
    'a sock descriptor that is not connected is rejected and stays open, or is taken over and closed',
    onNode(async (loop) => {
      const expected = isNative ? REFUSED : ['rejected', 'ENOTCONN', 'closed'];
      for (const [name, take] of Object.entries(CONNECTIONS)) {
        assert.deepEqual(await outcome(loop, take, listeningSocket(AF_INET)), expected, name);
        assert.deepEqual(await outcome(loop, take, raw(AF_INET, SOCK_STREAM)), expected, name);
      }
    }),
  );

  test(
    'a sock descriptor that turns out to be no unix socket is closed',
    onNode(async (loop) => {
      const expected = ['rejected', 'ERR_INVALID_ARG_TYPE', 'closed'];
      const [near, far] = await connectedDescriptors();
      const { createUnixConnection } = CONNECTIONS as { createUnixConnection: Take };
      assert.deepEqual(await outcome(loop, createUnixConnection, near), expected);
      closeSync(far);
      const { createUnixServer } = SERVERS as { createUnixServer: Take };
      assert.deepEqual(await outcome(loop, createUnixServer, listeningSocket(AF_INET)), expected);
    }),
  );

  test(
    'a sock descriptor that cannot listen fails with the system’s error',
    onNode(async (loop) => {
      for (const [name, take] of Object.entries(SERVERS)) {
        const { from, to } = socketPair();
        const expected = ['rejected', 'EINVAL', isNative ? 'open' : 'closed'];
        assert.deepEqual(await outcome(loop, take, from), expected, name);
        closeSync(to);
      }
    }),
  );

  test(
    'a sock descriptor of a transport is rejected, even while that is paused, and its number can be used again later',
    onNode(async (loop) => {
      for (const paused of [false, true]) {
        const [fd, far] = await connectedDescriptors();
        const inode = inodeOf(fd);
        const first = new Recorder();
        const [transport] = await loop.createConnection(() => first, null, null, { sock: fd });
        if (paused) transport.pauseReading();
        await hostPasses(1);
        for (const [name, take] of Object.entries({ ...CONNECTIONS, ...SERVERS, ...PIPES })) {
          const error = { code: 'ERR_INVALID_STATE', message: /belongs to a transport or server/ };
          assert.throws(() => take(loop, fd), error, name);
        }
        assert.equal(inodeOf(fd), inode);
        transport.abort();
        await first.untilLost();
        assert.notEqual(inodeOf(fd), inode);

        // The system uses the smallest free number.
        const numbers: number[] = [];
        while (!numbers.includes(fd)) numbers.push(...(await connectedDescriptors()));
        const second = new Recorder();
        const [again] = await loop.createConnection(() => second, null, null, { sock: fd });
        again.abort();
        await second.untilLost();
        for (const number of [far, ...numbers]) if (number !== fd) closeSync(number);
      }
    }),
  );

  test(
    'a sock descriptor of a server or a pipe is rejected',
    onNode(async (loop) => {
      const error = { code: 'ERR_INVALID_STATE', message: /belongs to a transport or server/ };
      const fd = listeningSocket(AF_INET);
      const server = await loop.createServer(factory, null, null, { sock: fd });
      const { from, to } = socketPair();
      const [reading] = await loop.connectReadPipe(factory, from);
      for (const [name, take] of Object.entries({ ...CONNECTIONS, ...SERVERS })) {
        assert.throws(() => take(loop, fd), error, name);
        assert.throws(() => take(loop, from), error, name);
      }
      for (const [name, take] of Object.entries(PIPES)) {
        assert.throws(() => take(loop, from), error, name);
      }
      server.close();
      await server.waitClosed();
      reading.close();
      await hostPasses(5);
      assert.deepEqual([inodeOf(fd), inodeOf(from)], [null, null]);
      closeSync(to);
    }),
  );

  test(
    'a sock descriptor that was taken over is closed by every later failure, and by a cancel',
    onNode(async (loop) => {
      const thrower = (): never => {
        throw new Error('no protocol');
      };
      const controller = new AbortController();
      const attempts: Record<string, (sock: number, far: number) => Promise<unknown>> = {
        'the factory of createConnection': (sock) =>
          assert.rejects(loop.createConnection(thrower, null, null, { sock }), /no protocol/),
        'the factory of connectAcceptedSocket': (sock) =>
          assert.rejects(loop.connectAcceptedSocket(thrower, sock), /no protocol/),
        'the factory of createUnixConnection': (sock) =>
          assert.rejects(loop.createUnixConnection(thrower, null, { sock })),
        'a cancel': (sock) => {
          const taking = loop.connectAcceptedSocket(factory, sock);
          taking.cancel();
          return assert.rejects(taking, CancelledError);
        },
        'a signal': (sock) => {
          const taking = loop.connectAcceptedSocket(factory, sock, { signal: controller.signal });
          controller.abort();
          return assert.rejects(taking, CancelledError);
        },
        'a handshake that takes too long': (sock) =>
          assert.rejects(
            loop.connectAcceptedSocket(factory, sock, { ssl: serverTls(), sslHandshakeTimeout: 0.01 }),
            { name: 'TimeoutError' },
          ),
      };
      for (const [what, attempt] of Object.entries(attempts)) {
        const [fd, far] = await connectedDescriptors();
        const inode = inodeOf(fd);
        await attempt(fd, far);
        await hostPasses(3);
        assert.notEqual(inodeOf(fd), inode, what);
        closeSync(far);
      }
      const [fd, far] = await connectedDescriptors();
      const aborted = loop.connectAcceptedSocket(factory, fd, { signal: controller.signal });
      await assert.rejects(aborted, CancelledError);
      assert.notEqual(inodeOf(fd), null);
      for (const one of [fd, far]) closeSync(one);
    }),
  );
});
