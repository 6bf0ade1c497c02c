/** The socket of a transport or a server: its options, and a copy of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { BaseEventLoop, BaseTransport, TransportSocket } from '../../../src/index.ts';
import {
  IPPROTO_TCP,
  Protocol,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SOL_SOCKET,
  Socket,
  TCP_NODELAY,
} from '../../../src/index.ts';
import { endAll, endpoint } from '../../helpers/datagrams.ts';
import { closed, isNative, listeningNodeServer, onNode, Recorder, recorders } from '../../helpers/pairs.ts';
import { noUnix, unixRecorders } from '../../helpers/unix-pairs.ts';
import { end, tlsRecorders } from '../tls/tls-peers.ts';

const nativeOnly: string | false = !isNative && 'the portable backend shows no descriptors';

function socketOf(transport: BaseTransport): TransportSocket {
  return transport.getExtraInfo('socket') as TransportSocket;
}

/** Calls `body` with the socket of each kind of transport and of a server. */
async function withSockets(
  loop: BaseEventLoop,
  body: (what: string, socket: TransportSocket) => Promise<void> | void,
): Promise<void> {
  const tcp = await recorders(loop);
  await body('TCP', socketOf(tcp.near.transport));
  await body('TCP, accepted', socketOf(tcp.far.transport));
  await end(tcp.near, tcp.far);
  if (noUnix === false) {
    const unix = await unixRecorders(loop);
    await body('unix', socketOf(unix.near.transport));
    await end(unix.near, unix.far);
  }
  const tls = await tlsRecorders(loop);
  await body('TLS', socketOf(tls.near.transport));
  await end(tls.near, tls.far);
  const datagrams = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
  await body('UDP', socketOf(datagrams.transport));
  await endAll(datagrams);
  const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
  await body('a server', server.sockets[0] as TransportSocket);
  server.close();
}

test(
  'getsockopt() and setsockopt() reach the system for every transport and for a server',
  { skip: nativeOnly },
  onNode((loop) =>
    withSockets(loop, (what, socket) => {
      socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 20_000);
      // Linux doubles it, for its own needs.
      assert.equal(socket.getsockopt(SOL_SOCKET, SO_RCVBUF), 40_000, what);
      assert.equal(socket.getsockopt(SOL_SOCKET, SO_RCVBUF, 4).readInt32LE(), 40_000, what);
      socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true);
      assert.equal(socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE), 1, what);
      assert.throws(() => socket.getsockopt(SOL_SOCKET, 9999), {
        code: 'ENOPROTOOPT',
        syscall: 'getsockopt',
      });
      assert.throws(() => socket.setsockopt(SOL_SOCKET, 9999, 1), {
        code: 'ENOPROTOOPT',
        syscall: 'setsockopt',
      });
      for (const wrong of ['1', null, 1.5]) {
        assert.throws(() => socket.getsockopt(wrong as number, 1), { message: /"level"/ });
        assert.throws(() => socket.setsockopt(SOL_SOCKET, wrong as number, 1), { message: /"option"/ });
        assert.throws(() => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, wrong as number), {
          message: /"value"/,
        });
      }
    }),
  ),
);

test(
  'getsockopt() shows the options that the methods of a transport set',
  { skip: nativeOnly },
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const socket = socketOf(near.transport);
    assert.equal(socket.getsockopt(IPPROTO_TCP, TCP_NODELAY), 1);
    socket.setNoDelay(false);
    assert.equal(socket.getsockopt(IPPROTO_TCP, TCP_NODELAY), 0);
    socket.setKeepAlive(true);
    assert.equal(socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE), 1);
    await end(near, far);
    for (const ask of [
      () => socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE),
      () => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1),
      () => socket.dup(),
    ]) {
      assert.throws(ask, { code: 'EBADF' });
    }
  }),
);

test(
  'dup() returns another descriptor of the same socket, which outlives the transport and which the caller closes',
  { skip: nativeOnly },
  onNode(async (loop) => {
    await withSockets(loop, (what, socket) => {
      using copy = socket.dup();
      assert.ok(copy instanceof Socket);
      assert.notEqual(copy.fileno(), socket.fileno(), what);
      assert.deepEqual(copy.getsockname(), socket.getsockname(), what);
      assert.deepEqual([copy.family, copy.type], [socket.family, socket.type], what);
      copy.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
      assert.equal(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR), 1, what);
    });
    const { near, far } = await recorders(loop);
    const copy = socketOf(near.transport).dup();
    near.transport.pauseReading();
    far.transport.write('for the copy');
    assert.equal(String(await loop.sockRecv(copy, 100)), 'for the copy');
    near.transport.close();
    await near.untilLost();
    // The connection is still open.
    await loop.sockSendall(copy, 'still here');
    await far.untilReceived(10);
    copy.close();
    await far.untilLost();
  }),
);

test(
  'getsockopt(), setsockopt() and dup() throw if the backend reveals no descriptor, and name the backend that does',
  { skip: isNative && 'it shows them' },
  onNode((loop) =>
    withSockets(loop, (what, socket) => {
      const refused = { code: 'ERR_UNSUPPORTED', message: /UvEventLoop has it/ };
      assert.throws(() => socket.getsockopt(SOL_SOCKET, SO_RCVBUF), refused, what);
      assert.throws(() => socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 1), refused, what);
      assert.throws(() => socket.dup(), refused, what);
    }),
  ),
);

test(
  'getsockopt(), setsockopt() and dup() throw for a socket of Node’s own that was taken over',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const sock = connect(port, '127.0.0.1');
    await once(sock, 'connect');
    const near = new Recorder();
    await loop.createConnection(() => near, null, null, { sock });
    assert.throws(() => socketOf(near.transport).getsockopt(SOL_SOCKET, SO_RCVBUF), {
      code: 'ERR_UNSUPPORTED',
    });
    assert.throws(() => socketOf(near.transport).dup(), { code: 'ERR_UNSUPPORTED' });
    near.transport.abort();
    await near.untilLost();
    await closed(server);
  }),
);

test(
  'the socket of a TLS transport is that of the transport below',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    const socket = socketOf(near.transport);
    assert.equal(socketOf(near.transport), socket);
    assert.deepEqual(socket.getpeername(), near.transport.getExtraInfo('peername'));
    await end(near, far);
  }),
);
