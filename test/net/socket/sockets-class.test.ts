/** class Socket: its properties, options and addresses, its end, and transports that take it over. */
import assert from 'node:assert/strict';
import { constants, existsSync, fstatSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { BaseEventLoop, SocketAddress } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  DatagramProtocol,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  NodeEventLoop,
  Protocol,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_BROADCAST,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  Socket,
  TCP_NODELAY,
  UvEventLoop,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import {
  addressOf,
  connectedSockets,
  freeAddress,
  listening,
  noNative,
  onUv,
  pipe,
  socketPair,
} from '../../helpers/descriptors.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { Recorder } from '../../helpers/pairs.ts';

const skip = noNative;
const FAMILIES = noIPv6 === false ? [AF_INET, AF_INET6, AF_UNIX] : [AF_INET, AF_UNIX];
if (noIPv6 !== false) test('class Socket supports IPv6', { skip: noIPv6 }, () => {});

/** The flags of open(). */
function flagsOf(fd: number): number {
  const line = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return Number.parseInt(line?.[1] ?? '', 8);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

test(
  'new Socket() is TCP over IPv4 by default, and accepts each family, type and protocol',
  { skip },
  onUv(async () => {
    const usual = new Socket();
    assert.deepEqual([usual.family, usual.type, usual.proto], [AF_INET, SOCK_STREAM, 0]);
    assert.ok(usual.fileno() > 2 && isOpen(usual.fileno()));
    usual.close();
    for (const family of FAMILIES) {
      for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
        using socket = new Socket(family, type);
        assert.deepEqual([socket.family, socket.type, socket.proto], [family, type, 0]);
      }
    }
    using tcp = new Socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    assert.equal(tcp.proto, IPPROTO_TCP);
  }),
);

test(
  'new Socket() is non-blocking, and children do not inherit it',
  { skip },
  onUv(async (loop) => {
    const O_CLOEXEC = 0o2000000;
    const [near, far] = await connectedSockets(loop);
    for (const socket of [near, far]) {
      assert.notEqual(flagsOf(socket.fileno()) & constants.O_NONBLOCK, 0);
      assert.notEqual(flagsOf(socket.fileno()) & O_CLOEXEC, 0);
      socket.close();
    }
  }),
);

test(
  'new Socket() fails with the system’s error for an unsupported combination',
  { skip },
  onUv(async () => {
    assert.throws(() => new Socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), {
      code: 'EPROTONOSUPPORT',
      errno: -93,
      syscall: 'socket',
    });
    assert.throws(() => new Socket(AF_INET, 99), { code: 'EINVAL', syscall: 'socket' });
  }),
);

test(
  'new Socket() rejects wrong arguments at the call',
  { skip },
  onUv(async (loop) => {
    for (const family of ['2', null, {}, true]) {
      assert.throws(() => new Socket(family as number), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const family of [AF_UNSPEC, 16, -1, 1.5]) {
      assert.throws(() => new Socket(family), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => new Socket(AF_INET, 0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new Socket(AF_INET, SOCK_STREAM, -1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new Socket(AF_INET, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    const wrong: [unknown, string][] = [
      [null, 'ERR_INVALID_ARG_TYPE'],
      [7, 'ERR_INVALID_ARG_TYPE'],
      [{ fd: 7 }, 'ERR_INVALID_ARG_TYPE'],
      [{ fileno: '7' }, 'ERR_INVALID_ARG_TYPE'],
      [{ fileno: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ loop: {} }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [options, code] of wrong) {
      assert.throws(() => new Socket(AF_INET, SOCK_STREAM, 0, options as never), { code });
    }
    using socket = new Socket();
    assert.throws(() => socket.listen(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.shutdown(3), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.shutdown('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => socket.getsockopt(-1, 1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.getsockopt(1, 1.5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.getsockopt(1, 1, 0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.getsockopt(1, 1, 1025), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => socket.setsockopt(1, 1, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => socket.setsockopt(1, 1, 2 ** 31), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(loop._owned.resources.size, 1);
  }),
);

test(
  'class Socket rejects wrong addresses, by the rules of each family',
  { skip },
  onUv(async () => {
    const wrong: [number, unknown, string][] = [
      [AF_INET, '127.0.0.1', 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, null, 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, ['127.0.0.1'], 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, ['127.0.0.1', 0, 0, 0], 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, ['127.0.0.1', '0'], 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, [null, 0], 'ERR_INVALID_ARG_TYPE'],
      [AF_INET, ['127.0.0.1', 65_536], 'ERR_OUT_OF_RANGE'],
      [AF_INET, ['::1', 0], 'ERR_OUT_OF_RANGE'],
      [AF_INET, ['localhost', 0], 'ERR_OUT_OF_RANGE'],
      [AF_INET, ['127.0.0.1\0', 0], 'ERR_OUT_OF_RANGE'],
      [AF_INET6, ['127.0.0.1', 0], 'ERR_OUT_OF_RANGE'],
      [AF_INET6, ['::1', 0, 1, 0], 'ERR_OUT_OF_RANGE'],
      [AF_INET6, ['::1', 0, 0, -1], 'ERR_OUT_OF_RANGE'],
      [AF_INET6, ['::1', 0, 0], 'ERR_INVALID_ARG_TYPE'],
      [AF_UNIX, ['127.0.0.1', 0], 'ERR_INVALID_ARG_TYPE'],
      [AF_UNIX, 'a\0b', 'ERR_OUT_OF_RANGE'],
      [AF_UNIX, 'a'.repeat(108), 'ERR_OUT_OF_RANGE'],
    ];
    for (const [family, address, code] of wrong) {
      using socket = new Socket(family);
      assert.throws(() => socket.bind(address as SocketAddress), { code }, `${family} ${address}`);
    }
  }),
);

test(
  'getsockname() returns the address to which a Socket was bound',
  { skip: skip || noIPv6 },
  onUv(async () => {
    for (const family of FAMILIES) {
      using socket = new Socket(family);
      socket.bind(freeAddress(family));
      const address = addressOf(socket);
      if (typeof address === 'string') {
        assert.match(address, /^\0/);
      } else {
        assert.equal(address[0], family === AF_INET6 ? '::1' : '127.0.0.1');
        assert.ok(address[1] > 0);
      }
      using second = new Socket(family);
      const error = {
        code: 'EADDRINUSE',
        syscall: 'bind',
        address: Array.isArray(address) ? address[0] : address,
      };
      assert.throws(() => second.bind(address), error);
      assert.throws(() => socket.getpeername(), { code: 'ENOTCONN', syscall: 'getpeername' });
    }
    using everywhere = new Socket();
    everywhere.bind(['', 0]);
    assert.equal(addressOf(everywhere)[0], '0.0.0.0');
    using everywhere6 = new Socket(AF_INET6);
    everywhere6.bind(['', 0]);
    assert.equal(addressOf(everywhere6)[0], '::');
    using short = new Socket(AF_INET6);
    short.bind(['::1', 0]);
    assert.equal(addressOf(short).length, 4);
    using path = new Socket(AF_UNIX, SOCK_DGRAM);
    assert.throws(() => path.bind('/nowhere/at/all'), {
      code: 'ENOENT',
      syscall: 'bind',
      address: '/nowhere/at/all',
    });
    using unbound = new Socket();
    assert.deepEqual(unbound.getsockname(), ['0.0.0.0', 0]);
    using unnamed = new Socket(AF_UNIX);
    assert.equal(unnamed.getsockname(), '');
  }),
);

test(
  'setsockopt() and getsockopt() use numbers or bytes',
  { skip },
  onUv(async () => {
    using socket = new Socket();
    assert.equal(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR), 0);
    for (const option of [SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, SO_BROADCAST]) {
      socket.setsockopt(SOL_SOCKET, option, true);
      assert.notEqual(socket.getsockopt(SOL_SOCKET, option), 0);
      socket.setsockopt(SOL_SOCKET, option, 0);
      assert.equal(socket.getsockopt(SOL_SOCKET, option), 0);
    }
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    assert.equal(socket.getsockopt(IPPROTO_TCP, TCP_NODELAY), 1);
    const before = socket.getsockopt(SOL_SOCKET, SO_RCVBUF);
    socket.setsockopt(SOL_SOCKET, SO_RCVBUF, before / 4);
    socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 10_000);
    // The kernel doubles the value, for its own records.
    assert.equal(socket.getsockopt(SOL_SOCKET, SO_RCVBUF), before / 2);
    assert.equal(socket.getsockopt(SOL_SOCKET, SO_SNDBUF), 20_000);
    assert.equal(socket.getsockopt(SOL_SOCKET, SO_ERROR), 0);
    const SO_LINGER = 13;
    const linger = Buffer.alloc(8);
    linger.writeInt32LE(1, 0);
    linger.writeInt32LE(30, 4);
    socket.setsockopt(SOL_SOCKET, SO_LINGER, linger);
    assert.deepEqual(socket.getsockopt(SOL_SOCKET, SO_LINGER, 64), linger);
    assert.deepEqual(socket.getsockopt(SOL_SOCKET, SO_LINGER, 3), linger.subarray(0, 3));
    using six = new Socket(AF_INET6);
    six.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, true);
    assert.equal(six.getsockopt(IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert.throws(() => socket.getsockopt(SOL_SOCKET, 9999), { code: 'ENOPROTOOPT', syscall: 'getsockopt' });
    assert.throws(() => socket.setsockopt(SOL_SOCKET, 9999, 1), {
      code: 'ENOPROTOOPT',
      syscall: 'setsockopt',
    });
    assert.throws(() => socket.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(0)), { code: 'EINVAL' });
  }),
);

test(
  'shutdown() ends one direction of a Socket or both',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const [near, far] = await connectedSockets(loop, family);
      near.shutdown(SHUT_WR);
      assert.equal((await loop.sockRecv(far, 10)).length, 0);
      await loop.sockSendall(far, 'still');
      assert.equal(String(await loop.sockRecv(near, 10)), 'still');
      near.shutdown(SHUT_RD);
      assert.equal((await loop.sockRecv(near, 10)).length, 0);
      far.shutdown(SHUT_RDWR);
      near.close();
      far.close();
    }
    using lonely = new Socket();
    assert.throws(() => lonely.shutdown(SHUT_RDWR), { code: 'ENOTCONN', syscall: 'shutdown' });
  }),
);

test(
  'new Socket() takes a descriptor over, detects its kind, and closes it',
  { skip },
  onUv(async (loop) => {
    const { from, to } = socketPair();
    const one = new Socket(undefined, undefined, undefined, { fileno: from });
    const other = new Socket(AF_UNIX, SOCK_STREAM, 0, { fileno: to });
    assert.deepEqual([one.family, one.type, one.proto, one.fileno()], [AF_UNIX, SOCK_STREAM, 0, from]);
    writeSync(from, 'x');
    assert.notEqual(flagsOf(from) & constants.O_NONBLOCK, 0);
    assert.equal(String(await loop.sockRecv(other, 10)), 'x');
    // It waits, and does not block.
    const waiting = loop.sockRecv(other, 10);
    assert.equal(waiting.done(), false);
    waiting.cancel();
    one.close();
    other[Symbol.dispose]();
    assert.deepEqual([isOpen(from), isOpen(to)], [false, false]);
  }),
);

test(
  'new Socket() leaves a descriptor open that it cannot take over',
  { skip },
  onUv(async (loop) => {
    const { from, close } = pipe();
    const pair = socketPair();
    const take = (fileno: number, family?: number, type?: number): Socket =>
      new Socket(family, type, undefined, { fileno });
    assert.throws(() => take(from), { code: 'ENOTSOCK', syscall: 'getsockopt' });
    assert.throws(() => take(1_000_000), { code: 'EBADF' });
    assert.throws(() => take(pair.from, AF_INET), { code: 'ERR_OUT_OF_RANGE', message: /"family"/ });
    assert.throws(() => take(pair.from, AF_UNIX, SOCK_DGRAM), {
      code: 'ERR_OUT_OF_RANGE',
      message: /"type"/,
    });
    const [transport] = await loop.createConnection(() => new Protocol(), null, null, { sock: pair.from });
    assert.throws(() => take(pair.from), { name: 'InvalidStateError' });
    await transport[Symbol.asyncDispose]();
    assert.equal(loop._owned.resources.size, 0);
    pair.closeTo();
    close();
  }),
);

test(
  'detach() returns the open descriptor, and close() is idempotent',
  { skip },
  onUv(async (loop) => {
    const socket = new Socket();
    const fd = socket.fileno();
    assert.equal(socket.detach(), fd);
    assert.deepEqual([socket.fileno(), socket.detach(), isOpen(fd)], [-1, -1, true]);
    socket.close();
    assert.equal(isOpen(fd), true);
    assert.equal(loop._owned.resources.size, 0);
    const again = new Socket(undefined, undefined, undefined, { fileno: fd });
    again.close();
    again.close();
    assert.deepEqual([again.fileno(), isOpen(fd)], [-1, false]);
  }),
);

test(
  'detach() throws while a call waits for the Socket',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const waiting = loop.sockRecv(near, 10);
    assert.throws(() => near.detach(), { name: 'InvalidStateError' });
    await loop.sockSendall(far, 'x');
    assert.equal(String(await waiting), 'x');
    const fd = near.detach();
    new Socket(undefined, undefined, undefined, { fileno: fd }).close();
    far.close();
  }),
);

test(
  'every method of a closed Socket fails with EBADF',
  { skip },
  onUv(async (loop) => {
    const socket = new Socket();
    socket.close();
    const address: SocketAddress = ['127.0.0.1', 1];
    const calls: [string, () => unknown][] = [
      ['bind', () => socket.bind(address)],
      ['listen', () => socket.listen()],
      ['getsockname', () => socket.getsockname()],
      ['getpeername', () => socket.getpeername()],
      ['getsockopt', () => socket.getsockopt(1, 1)],
      ['setsockopt', () => socket.setsockopt(1, 1, 1)],
      ['shutdown', () => socket.shutdown(SHUT_RD)],
    ];
    for (const [syscall, call] of calls) assert.throws(call, { code: 'EBADF', errno: -9, syscall });
    const waits: [string, () => PromiseLike<unknown>][] = [
      ['recv', () => loop.sockRecv(socket, 1)],
      ['recv', () => loop.sockRecvInto(socket, new Uint8Array(1))],
      ['recvfrom', () => loop.sockRecvfrom(socket, 1)],
      ['recvfrom', () => loop.sockRecvfromInto(socket, new Uint8Array(1))],
      ['send', () => loop.sockSendall(socket, 'x')],
      ['sendto', () => loop.sockSendto(socket, 'x', address)],
      ['connect', () => loop.sockConnect(socket, address)],
      ['accept', () => loop.sockAccept(socket)],
    ];
    // More often than any call that may complete at once.
    for (let i = 0; i < 5; i++) {
      for (const [syscall, call] of waits) {
        await assert.rejects(async () => call(), { code: 'EBADF', errno: -9, syscall });
      }
    }
  }),
);

test('new Socket() belongs to the running loop, or to the given one', { skip }, async () => {
  assert.throws(() => new Socket(), { name: 'LoopError', code: 'ERR_NO_RUNNING_LOOP' });
  await withLoop(
    () => new UvEventLoop(),
    async (loop, reports) => {
      const socket = new Socket(AF_INET, SOCK_STREAM, 0, { loop });
      const fd = socket.fileno();
      const other = new UvEventLoop();
      assert.throws(() => other.sockRecv(socket, 1), { code: 'ERR_OUT_OF_RANGE', message: /this loop/ });
      other.close();
      assert.throws(() => new Socket(AF_INET, SOCK_STREAM, 0, { loop: other }), { code: 'ERR_LOOP_CLOSED' });
      loop.close();
      assert.deepEqual(reports.takeMessages(), [
        `the event loop was closed, but a socket (descriptor ${fd}) was still open`,
      ]);
      assert.deepEqual([socket.fileno(), isOpen(fd)], [-1, false]);
      assert.throws(() => new Socket(AF_INET, SOCK_STREAM, 0, { loop }), { code: 'ERR_LOOP_CLOSED' });
      // Its error on a closed loop does not depend on the loop.
      assert.throws(() => socket.getsockname(), { code: 'EBADF' });
      socket.close();
    },
  );
});

test('new Socket() of a backend without sockets throws, and names one with sockets', async () => {
  for (const makeLoop of [() => new NodeEventLoop(), bareLoop]) {
    await withLoop<BaseEventLoop>(makeLoop, async (loop) => {
      const error = { name: 'LoopError', code: 'ERR_UNSUPPORTED', message: /UvEventLoop has it/ };
      await loop.runUntilComplete(async () => assert.throws(() => new Socket(), error));
      const none = {} as Socket;
      const address: SocketAddress = ['127.0.0.1', 1];
      assert.throws(() => loop.sockRecv(none, 1), error);
      assert.throws(() => loop.sockRecvInto(none, new Uint8Array(1)), error);
      assert.throws(() => loop.sockRecvfrom(none, 1), error);
      assert.throws(() => loop.sockRecvfromInto(none, new Uint8Array(1)), error);
      assert.throws(() => loop.sockSendall(none, 'x'), error);
      assert.throws(() => loop.sockSendto(none, 'x', address), error);
      assert.throws(() => loop.sockConnect(none, address), error);
      assert.throws(() => loop.sockAccept(none), error);
    });
  }
});

// --- transports over a Socket ---

test(
  'createConnection() takes a connected Socket over',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      for (const how of ['createConnection', 'connectAcceptedSocket', 'createUnixConnection'] as const) {
        if (how === 'createUnixConnection' && family !== AF_UNIX) continue;
        const [near, far] = await connectedSockets(loop, family);
        const fd = near.fileno();
        const recorder = new Recorder();
        const [transport] =
          how === 'createConnection'
            ? await loop.createConnection(() => recorder, null, null, { sock: near })
            : how === 'createUnixConnection'
              ? await loop.createUnixConnection(() => recorder, null, { sock: near })
              : await loop.connectAcceptedSocket(() => recorder, near);
        assert.equal(near.fileno(), -1);
        assert.equal(transport.getExtraInfo('socket')?.fileno(), fd);
        await loop.sockSendall(far, 'to the protocol');
        await recorder.untilReceived(15);
        transport.write('and back');
        assert.equal(String(await loop.sockRecv(far, 100)), 'and back');
        near.close();
        assert.equal(isOpen(fd), true);
        far.close();
        await recorder.untilLost();
      }
    }
  }),
);

test(
  'createServer() takes a bound or listening Socket over',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const listener = listening(family);
      const address = addressOf(listener);
      const made = loop.createFuture<void>();
      const factory = (): Recorder => {
        const recorder = new Recorder();
        recorder.connectionMade = (transport) => {
          transport.close();
          made.setResult();
        };
        return recorder;
      };
      const server =
        family === AF_UNIX
          ? await loop.createUnixServer(factory, null, { sock: listener })
          : await loop.createServer(factory, null, null, { sock: listener });
      assert.equal(listener.fileno(), -1);
      assert.deepEqual(server.sockets[0]?.getsockname(), address);
      using client = new Socket(family);
      await loop.sockConnect(client, address);
      await made;
      assert.equal((await loop.sockRecv(client, 10)).length, 0);
      server.close();
      await server.waitClosed();
    }
  }),
);

test(
  'createDatagramEndpoint() takes a bound datagram Socket over',
  { skip },
  onUv(async (loop) => {
    const socket = new Socket(AF_INET, SOCK_DGRAM);
    socket.bind(['127.0.0.1', 0]);
    const address = addressOf(socket);
    const received = loop.createFuture<string>();
    class Receiver extends DatagramProtocol {
      override datagramReceived(data: Buffer): void {
        received.setResult(String(data));
      }
    }
    const [transport] = await loop.createDatagramEndpoint(() => new Receiver(), { sock: socket });
    assert.equal(socket.fileno(), -1);
    using client = new Socket(AF_INET, SOCK_DGRAM);
    await loop.sockSendto(client, 'hello', address);
    assert.equal(await received, 'hello');
    await transport[Symbol.asyncDispose]();
  }),
);

test(
  'a Socket that no transport can use stays open and belongs to its owner',
  { skip },
  onUv(async (loop) => {
    using stream = new Socket();
    using datagrams = new Socket(AF_INET, SOCK_DGRAM);
    using unix = new Socket(AF_UNIX, SOCK_DGRAM);
    const closed = new Socket();
    closed.close();
    const error = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    for (const sock of [stream, datagrams, unix, closed]) {
      assert.throws(() => loop.createConnection(() => new Protocol(), null, null, { sock }), error);
      assert.throws(() => loop.connectAcceptedSocket(() => new Protocol(), sock), error);
    }
    for (const sock of [stream, unix, closed]) {
      assert.throws(() => loop.createDatagramEndpoint(() => new DatagramProtocol(), { sock }), error);
    }
    for (const sock of [datagrams, unix]) {
      await assert.rejects(async () => loop.createServer(() => new Protocol(), null, null, { sock }));
    }
    for (const sock of [stream, datagrams, unix]) assert.ok(isOpen(sock.fileno()));
  }),
);

test(
  'every transport rejects a Socket with a pending call',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const error = { name: 'InvalidStateError', message: /is still watched/ };
    const waiting = loop.sockRecv(near, 10);
    assert.throws(() => loop.createConnection(() => new Protocol(), null, null, { sock: near }), error);
    waiting.cancel();
    loop.addReader(near, () => {});
    assert.throws(
      () => loop.createConnection(() => new Protocol(), null, null, { sock: near.fileno() }),
      error,
    );
    loop.removeReader(near);
    using listener = listening();
    const accepting = loop.sockAccept(listener);
    assert.throws(() => loop.createServer(() => new Protocol(), null, null, { sock: listener }), error);
    accepting.cancel();
    using datagrams = new Socket(AF_INET, SOCK_DGRAM);
    datagrams.bind(['127.0.0.1', 0]);
    const receiving = loop.sockRecv(datagrams, 10);
    assert.throws(
      () => loop.createDatagramEndpoint(() => new DatagramProtocol(), { sock: datagrams }),
      error,
    );
    receiving.cancel();
    near.close();
    far.close();
  }),
);

test(
  'a transport that is cancelled before it was made closes its Socket',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const fd = near.fileno();
    const connecting = loop.createConnection(() => new Protocol(), null, null, { sock: near });
    connecting.cancel();
    await assert.rejects(async () => connecting, { code: 'ERR_CANCELLED' });
    assert.equal(isOpen(fd), false);
    far.close();
  }),
);

test('a loop of the Node backend takes no Socket over', { skip }, async () => {
  await withLoop(
    () => new UvEventLoop(),
    async (loop) => {
      using socket = new Socket(AF_INET, SOCK_STREAM, 0, { loop });
      const node = new NodeEventLoop();
      const error = { code: 'ERR_OUT_OF_RANGE', message: /of this loop/ };
      assert.throws(() => node.createConnection(() => new Protocol(), null, null, { sock: socket }), error);
      node.close();
      assert.ok(isOpen(socket.fileno()));
    },
  );
});

test(
  'close() of a Socket leaves the file of its path, as the system does',
  { skip },
  onUv(async () => {
    const path = `${tmpdir()}/gyre-socket-${process.pid}`;
    using socket = new Socket(AF_UNIX);
    socket.bind(path);
    assert.equal(socket.getsockname(), path);
    socket.close();

    assert.equal(existsSync(path), true);
    rmSync(path);
  }),
);
