/** sockConnect, sockAccept, sockRecv, sockSendall and their like, over real sockets. */
import assert from 'node:assert/strict';
import { connect as nodeConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { BaseEventLoop, Future, SocketAddress } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  CancelledError,
  SHUT_WR,
  SO_RCVBUF,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  Socket,
  sleep,
  taskGroup,
  UvEventLoop,
} from '../../../src/index.ts';
import {
  addressOf,
  connectedSockets,
  freeAddress,
  listening,
  noNative,
  onUv,
  passes,
} from '../../helpers/descriptors.ts';
import { hostPass, hostPasses } from '../../helpers/host-pass.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { closed, listeningNodeServer } from '../../helpers/pairs.ts';

const skip = noNative;
const FAMILIES = noIPv6 === false ? [AF_INET, AF_INET6, AF_UNIX] : [AF_INET, AF_UNIX];
if (noIPv6 !== false) test('sockets of IPv6 work', { skip: noIPv6 }, () => {});
const SO_LINGER = 13;

function datagrams(family: number = AF_INET): Socket {
  const socket = new Socket(family, SOCK_DGRAM);
  socket.bind(freeAddress(family));
  return socket;
}

/** Returns bytes that differ from place to place. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7) & 255;
  return bytes;
}

async function receiveAll(loop: BaseEventLoop, socket: Socket, size: number = 65_536): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = await loop.sockRecv(socket, size);
    if (chunk.length === 0) return Buffer.concat(chunks);
    chunks.push(chunk);
  }
}

/** Closes the socket so that its peer is reset. */
function reset(socket: Socket): void {
  const linger = Buffer.alloc(8);
  linger.writeInt32LE(1);
  socket.setsockopt(SOL_SOCKET, SO_LINGER, linger);
  socket.close();
}

async function cancelled(future: Future<unknown>): Promise<void> {
  await assert.rejects(async () => future, { code: 'ERR_CANCELLED' });
}

// --- receiving ---

test(
  'sockRecv() returns available data at once, or waits for it, and returns an empty buffer at the end',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const [near, far] = await connectedSockets(loop, family);
      await loop.sockSendall(far, 'abcdef');
      const there = loop.sockRecv(near, 4);
      assert.equal(there.done(), true);
      assert.equal(String(there.result()), 'abcd');
      assert.equal(String(await loop.sockRecv(near, 4)), 'ef');
      const waiting = loop.sockRecv(near, 4);
      await passes(3);
      assert.equal(waiting.done(), false);
      await loop.sockSendall(far, 'ghijk');
      assert.equal(String(await waiting), 'ghij');
      far.close();
      assert.equal(String(await loop.sockRecv(near, 4)), 'k');
      for (let i = 0; i < 3; i++) assert.equal((await loop.sockRecv(near, 4)).length, 0);
      near.close();
    }
  }),
);

test(
  'sockRecv() returns memory of its own, which later data does not overwrite',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const got: Buffer[] = [];
    for (let i = 0; i < 50; i++) {
      await loop.sockSendall(far, String(i).padStart(5000, '.'));
      got.push(await loop.sockRecv(near, 5000));
    }
    for (const [i, data] of got.entries()) assert.equal(String(data), String(i).padStart(5000, '.'));
    near.close();
    far.close();
  }),
);

test(
  'sockRecv() of any size uses no more memory than there is data',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop, AF_UNIX);
    const data = pattern(150_000);
    const sending = loop.sockSendall(far, data);
    const before = process.memoryUsage().arrayBuffers;
    const first = await loop.sockRecv(near, 2 ** 31 - 1);
    assert.ok(first.length > 65_536, `${first.length} bytes`);
    const got = [first];
    for (let length = first.length; length < data.length; length += got.at(-1)?.length ?? 0) {
      got.push(await loop.sockRecv(near, 2 ** 31 - 1));
    }
    await sending;
    assert.ok(Buffer.concat(got).equals(data));
    assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
    const waiting = loop.sockRecv(near, 2 ** 31 - 1);
    await loop.sockSendall(far, 'x');
    assert.equal(String(await waiting), 'x');
    far.close();
    assert.equal((await loop.sockRecv(near, 2 ** 31 - 1)).length, 0);
    near.close();
  }),
);

test(
  'sockRecvInto() fills the beginning of the given buffer',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const buffer = Buffer.alloc(10, '.');
    const waiting = loop.sockRecvInto(near, buffer.subarray(2, 6));
    await loop.sockSendall(far, 'abcdef');
    assert.equal(await waiting, 4);
    assert.equal(String(buffer), '..abcd....');
    assert.equal(await loop.sockRecvInto(near, new Uint8Array(buffer.buffer, buffer.byteOffset + 8, 2)), 2);
    assert.equal(String(buffer), '..abcd..ef');
    // A length of zero does not wait.
    assert.equal(await loop.sockRecvInto(near, new Uint8Array(0)), 0);
    assert.equal((await loop.sockRecv(near, 0)).length, 0);
    far.close();
    assert.equal(await loop.sockRecvInto(near, buffer), 0);
    assert.equal(String(buffer), '..abcd..ef');
    near.close();
  }),
);

test(
  'sockRecvInto() fails if its buffer is transferred meanwhile, and the data stays in the socket',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const udp = datagrams();
    const bytes = new Uint8Array(10);
    const others = new Uint8Array(10);
    const waiting = loop.sockRecvInto(near, bytes);
    const waitingToo = loop.sockRecvfromInto(udp, others);
    structuredClone(null, { transfer: [bytes.buffer, others.buffer] });
    await loop.sockSendall(far, 'abc');
    await loop.sockSendto(udp, 'def', addressOf(udp));
    await assert.rejects(async () => waiting, { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(async () => waitingToo, { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(String(await loop.sockRecv(near, 10)), 'abc');
    assert.equal(String(await loop.sockRecv(udp, 10)), 'def');
    for (const socket of [near, far, udp]) socket.close();
  }),
);

test(
  'sockRecv() fails with the system’s error on a reset, and without a connection',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const waiting = loop.sockRecv(near, 10);
    reset(far);
    await assert.rejects(async () => waiting, { code: 'ECONNRESET', errno: -104, syscall: 'recv' });
    await assert.rejects(async () => loop.sockSendall(near, 'x'), {
      code: 'EPIPE',
      errno: -32,
      syscall: 'send',
    });
    near.close();
    using lonely = new Socket();
    await assert.rejects(async () => loop.sockRecv(lonely, 10), { code: 'ENOTCONN' });
    await assert.rejects(async () => loop.sockSendall(lonely, 'x'), { code: 'EPIPE' });
    await assert.rejects(async () => loop.sockAccept(lonely), { code: 'EINVAL', syscall: 'accept' });
  }),
);

// --- sending ---

test(
  'sockSendall() sends everything to a slow reader, in both directions at once',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const [near, far] = await connectedSockets(loop, family);
      const there = pattern(3_000_000);
      const back = pattern(2_000_001);
      const sides: [Socket, Buffer][] = [
        [near, there],
        [far, back],
      ];
      const received: Buffer[] = [];
      await taskGroup(async (group) => {
        for (const [socket, data] of sides) {
          group.createTask(async () => {
            await loop.sockSendall(socket, data);
            socket.shutdown(SHUT_WR);
          });
        }
        group.createTask(async () => {
          received[0] = await receiveAll(loop, near, 10_000);
        });
        group.createTask(async () => {
          received[1] = await receiveAll(loop, far, 100_000);
        });
      });
      assert.ok(received[0]?.equals(back));
      assert.ok(received[1]?.equals(there));
      near.close();
      far.close();
    }
  }),
);

test(
  'sockSendall() accepts text, bytes and empty data',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    assert.equal(await loop.sockSendall(far, 'héllo '), undefined);
    await loop.sockSendall(far, new Uint8Array([65, 66]));
    await loop.sockSendall(far, '');
    await loop.sockSendall(far, new Uint8Array(0));
    far.close();
    assert.equal(String(await receiveAll(loop, near)), 'héllo AB');
    near.close();
  }),
);

test(
  'sockSendall() that waits fails when the peer closes',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const [near, far] = await connectedSockets(loop, family);
      const sending = loop.sockSendall(near, Buffer.alloc(30_000_000));
      assert.equal(sending.done(), false);
      far.close();
      await assert.rejects(
        async () => sending,
        (error: NodeJS.ErrnoException) => {
          assert.ok(error.code === 'EPIPE' || error.code === 'ECONNRESET', error.code);
          assert.equal(error.syscall, 'send');
          return true;
        },
      );
      near.close();
    }
  }),
);

test(
  'sockSendall() fails if its data is transferred meanwhile',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const data = new Uint8Array(10_000_000);
    const sending = loop.sockSendall(near, data);
    assert.equal(sending.done(), false);
    structuredClone(null, { transfer: [data.buffer] });
    const all = receiveAll(loop, far);
    await assert.rejects(async () => sending, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    near.close();
    assert.ok((await all).length < 10_000_000);
    far.close();
  }),
);

// --- datagrams ---

test(
  'sockSendto() and sockRecvfrom() carry whole datagrams, with their senders',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const one = datagrams(family);
      const other = datagrams(family);
      const waiting = loop.sockRecvfrom(other, 1000);
      assert.equal(await loop.sockSendto(one, 'hello', addressOf(other)), 5);
      const [data, address] = await waiting;
      assert.deepEqual([String(data), address], ['hello', addressOf(one)]);
      assert.equal(await loop.sockSendto(other, new Uint8Array(0), address as SocketAddress), 0);
      assert.deepEqual(await loop.sockRecvfrom(one, 1000), [Buffer.alloc(0), addressOf(other)]);
      // Data beyond the given length is cut off.
      await loop.sockSendto(one, 'abcdef', addressOf(other));
      await loop.sockSendto(one, 'ghi', addressOf(other));
      assert.equal(String((await loop.sockRecvfrom(other, 4))[0]), 'abcd');
      const room = Buffer.alloc(8, '.');
      assert.deepEqual(await loop.sockRecvfromInto(other, room), [3, addressOf(one)]);
      assert.equal(String(room), 'ghi.....');
      const later = loop.sockRecvfromInto(other, room);
      await loop.sockSendto(one, 'jk', addressOf(other));
      assert.deepEqual(await later, [2, addressOf(one)]);
      one.close();
      other.close();
    }
  }),
);

test(
  'sockSendall() and sockRecv() carry datagrams over connected sockets',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      const one = datagrams(family);
      const other = datagrams(family);
      await loop.sockConnect(one, addressOf(other));
      await loop.sockSendall(one, 'hello');
      // An empty datagram is a datagram, too.
      await loop.sockSendall(one, '');
      assert.equal(String(await loop.sockRecv(other, 10)), 'hello');
      assert.equal((await loop.sockRecv(other, 10)).length, 0);
      one.close();
      other.close();
    }
  }),
);

test(
  'sockSendto() fails with the system’s error for datagrams that cannot be sent',
  { skip },
  onUv(async (loop) => {
    using udp = datagrams();
    const to = addressOf(udp);
    await assert.rejects(async () => loop.sockSendto(udp, Buffer.alloc(100_000), to), {
      code: 'EMSGSIZE',
      syscall: 'sendto',
      address: '127.0.0.1',
      port: to[1],
    });
    using unix = new Socket(AF_UNIX, SOCK_DGRAM);
    const nowhere = `${tmpdir()}/gyre-nobody-${process.pid}`;
    await assert.rejects(async () => loop.sockSendto(unix, 'x', nowhere), {
      code: 'ENOENT',
      address: nowhere,
    });
    const gone = datagrams();
    const there = addressOf(gone);
    gone.close();
    using connected = new Socket(AF_INET, SOCK_DGRAM);
    await loop.sockConnect(connected, there);
    const waiting = loop.sockRecv(connected, 10);
    await loop.sockSendall(connected, 'anybody?');
    await assert.rejects(async () => waiting, { code: 'ECONNREFUSED', syscall: 'recv' });
  }),
);

test(
  'sockSendto() to changing addresses sends each datagram to its own',
  { skip },
  onUv(async (loop) => {
    const sockets = [datagrams(), datagrams(), datagrams()];
    using sender = new Socket(AF_INET, SOCK_DGRAM);
    const address = ['127.0.0.1', 0] as [string, number];
    for (let i = 0; i < 60; i++) {
      // The same array each time: sockSendto() uses its current values.
      address[1] = addressOf(sockets[i % 3] as Socket)[1] as number;
      await loop.sockSendto(sender, String(i), address);
    }
    for (let i = 0; i < 60; i++) {
      assert.equal(String(await loop.sockRecv(sockets[i % 3] as Socket, 10)), String(i));
    }
    for (const socket of sockets) socket.close();
  }),
);

// --- connecting and accepting ---

test(
  'sockConnect() and sockAccept() make a connection, with both addresses',
  { skip },
  onUv(async (loop) => {
    for (const family of FAMILIES) {
      using listener = listening(family);
      const accepting = loop.sockAccept(listener);
      using client = new Socket(family);
      assert.equal(await loop.sockConnect(client, addressOf(listener)), undefined);
      const [server, address] = await accepting;
      assert.deepEqual(client.getpeername(), addressOf(listener));
      assert.deepEqual([server.family, server.type], [family, SOCK_STREAM]);
      if (family !== AF_UNIX) assert.deepEqual(address, addressOf(client));
      await assert.rejects(async () => loop.sockConnect(client, addressOf(listener)), { code: 'EISCONN' });
      server.close();
    }
  }),
);

test(
  'sockConnect() resolves a name, and fails with the system’s error if it is refused or unknown',
  { skip },
  onUv(async (loop) => {
    using listener = listening();
    const [, port] = addressOf(listener) as [string, number];
    using client = new Socket();
    await loop.sockConnect(client, ['localhost', port]);
    assert.deepEqual(client.getpeername(), ['127.0.0.1', port]);
    listener.close();
    using late = new Socket();
    await assert.rejects(async () => loop.sockConnect(late, ['127.0.0.1', port]), {
      message: `connect ECONNREFUSED 127.0.0.1:${port}`,
      code: 'ECONNREFUSED',
      errno: -111,
      syscall: 'connect',
      address: '127.0.0.1',
      port,
    });
    await assert.rejects(async () => loop.sockConnect(late, ['localhost', port]), { code: 'ECONNREFUSED' });
    await assert.rejects(async () => loop.sockConnect(late, ['nobody.invalid', port]), {
      syscall: 'getaddrinfo',
    });
    using unix = new Socket(AF_UNIX);
    const path = `${tmpdir()}/gyre-nobody-${process.pid}`;
    await assert.rejects(async () => loop.sockConnect(unix, path), { code: 'ENOENT', address: path });
  }),
);

test(
  'sockConnect() to a unix socket with a full queue fails with EAGAIN',
  { skip },
  onUv(async (loop) => {
    using listener = new Socket(AF_UNIX);
    listener.bind('');
    listener.listen(0);
    using first = new Socket(AF_UNIX);
    await loop.sockConnect(first, addressOf(listener));
    using second = new Socket(AF_UNIX);
    await assert.rejects(async () => loop.sockConnect(second, addressOf(listener)), {
      code: 'EAGAIN',
      syscall: 'connect',
    });
    const [server] = await loop.sockAccept(listener);
    server.close();
    await loop.sockConnect(second, addressOf(listener));
  }),
);

test(
  'sockConnect() that was cancelled continues in the kernel, and the next call waits for it',
  { skip },
  onUv(async (loop) => {
    using listener = new Socket();
    listener.bind(['127.0.0.1', 0]);
    listener.listen(0);
    const address = addressOf(listener);
    // The queue is full, so further connections wait until the kernel retries.
    const first = new Socket();
    await loop.sockConnect(first, address);
    const client = new Socket();
    const connecting = loop.sockConnect(client, address);
    assert.equal(connecting.done(), false);
    connecting.cancel();
    await cancelled(connecting);
    const again = loop.sockConnect(client, address);
    assert.equal(again.done(), false);
    const [one] = await loop.sockAccept(listener);
    await again;
    const [other] = await loop.sockAccept(listener);
    await loop.sockSendall(other, 'hello');
    assert.equal(String(await loop.sockRecv(client, 10)), 'hello');
    for (const socket of [first, client, one, other]) socket.close();
  }),
);

test(
  'sockAccept() accepts a burst of connections one by one',
  { skip },
  onUv(async (loop) => {
    using listener = listening();
    const clients = Array.from({ length: 60 }, () => new Socket());
    await Promise.all(clients.map((client) => loop.sockConnect(client, addressOf(listener))));
    const ports = new Set<unknown>();
    for (let i = 0; i < 60; i++) {
      const [server, address] = await loop.sockAccept(listener);
      ports.add(address?.[1]);
      server.close();
    }
    assert.deepEqual(ports, new Set(clients.map((client) => addressOf(client)[1])));
    for (const client of clients) client.close();
  }),
);

// --- wrong arguments ---

test(
  'socket calls reject wrong arguments at the call',
  { skip },
  onUv(async (loop) => {
    using tcp = new Socket();
    using udp = new Socket(AF_INET, SOCK_DGRAM);
    const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    for (const sock of [null, undefined, 3, {}, { fileno: () => 3 }] as never[]) {
      assert.throws(() => loop.sockRecv(sock, 1), type);
      assert.throws(() => loop.sockRecvInto(sock, new Uint8Array(1)), type);
      assert.throws(() => loop.sockRecvfrom(sock, 1), type);
      assert.throws(() => loop.sockRecvfromInto(sock, new Uint8Array(1)), type);
      assert.throws(() => loop.sockSendall(sock, 'x'), type);
      assert.throws(() => loop.sockSendto(sock, 'x', ['127.0.0.1', 1]), type);
      assert.throws(() => loop.sockConnect(sock, ['127.0.0.1', 1]), type);
      assert.throws(() => loop.sockAccept(sock), type);
    }
    for (const size of ['1', null, undefined, 1n] as never[]) {
      assert.throws(() => loop.sockRecv(tcp, size), type);
      assert.throws(() => loop.sockRecvfrom(udp, size), type);
    }
    for (const size of [-1, 1.5, Number.NaN, 2 ** 31]) {
      assert.throws(() => loop.sockRecv(tcp, size), range);
      assert.throws(() => loop.sockRecvfrom(udp, size), range);
    }
    for (const buffer of ['1', null, 10, new DataView(new ArrayBuffer(1)), new Uint16Array(1)] as never[]) {
      assert.throws(() => loop.sockRecvInto(tcp, buffer), type);
      assert.throws(() => loop.sockRecvfromInto(udp, buffer), type);
    }
    for (const data of [1, null, undefined, ['x'], new DataView(new ArrayBuffer(1))] as never[]) {
      assert.throws(() => loop.sockSendall(tcp, data), type);
      assert.throws(() => loop.sockSendto(udp, data, ['127.0.0.1', 1]), type);
    }
    assert.throws(() => loop.sockSendto(udp, 'x', '/path'), type);
    assert.throws(() => loop.sockSendto(udp, 'x', ['localhost', 1]), range);
    assert.throws(() => loop.sockSendto(udp, 'x', ['::1', 1]), range);
    assert.throws(() => loop.sockConnect(tcp, '/path'), type);
    assert.throws(() => loop.sockConnect(tcp, ['', 1]), range);
    assert.throws(() => loop.sockConnect(tcp, ['a\0b', 1]), range);
    assert.throws(() => loop.sockConnect(tcp, ['::1', 1]), range);
    assert.throws(() => loop.sockConnect(tcp, ['127.0.0.1', 65_536]), range);
    for (const options of [null, 1, { sginal: 1 }, { signal: {} }] as never[]) {
      assert.throws(() => loop.sockRecv(tcp, 1, options), type);
      assert.throws(() => loop.sockSendall(tcp, 'x', options), type);
      assert.throws(() => loop.sockConnect(tcp, ['127.0.0.1', 1], options), type);
      assert.throws(() => loop.sockConnect(tcp, ['localhost', 1], options), type);
      assert.throws(() => loop.sockAccept(tcp, options), type);
    }
  }),
);

// --- several waiters ---

test(
  'a socket has one waiting reader and one waiting writer, and a second one is rejected without harm',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const error = { name: 'InvalidStateError', message: /another call already waits/ };
    const receiving = loop.sockRecv(near, 10);
    assert.throws(() => loop.sockRecv(near, 10), error);
    assert.throws(() => loop.sockRecvInto(near, new Uint8Array(1)), error);
    const sending = loop.sockSendall(near, Buffer.alloc(10_000_000));
    assert.equal(sending.done(), false);
    assert.throws(() => loop.sockSendall(near, 'x'), error);
    // Even if there is data for it: that belongs to the first reader.
    await loop.sockSendall(far, 'hello');
    assert.throws(() => loop.sockRecv(near, 10), error);
    assert.equal(String(await receiving), 'hello');
    const all = receiveAll(loop, far);
    await sending;
    near.close();
    assert.equal((await all).length, 10_000_000);
    far.close();
  }),
);

// --- cancelling ---

test(
  'sockRecv() that is cancelled at any moment has received nothing',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const got: Buffer[] = [];
    let cancels = 0;
    for (let i = 0; i < 200; i++) {
      const receiving = loop.createTask(async () => {
        got.push(await loop.sockRecv(near, 3));
      });
      // Before it began, while it waits, once it is ready, when it is done.
      for (let turn = i % 5; turn > 0; turn--) await (turn % 2 ? sleep(0) : hostPass());
      await loop.sockSendall(far, `<${i}>`);
      for (let turn = (i >> 2) % 5; turn > 0; turn--) await (turn % 2 ? sleep(0) : hostPass());
      if (receiving.cancel()) cancels++;
      try {
        await receiving;
      } catch (error) {
        assert.ok(error instanceof CancelledError);
      }
    }
    assert.ok(cancels > 10, `${cancels} cancels`);
    far.close();
    got.push(await receiveAll(loop, near));
    const all = Array.from({ length: 200 }, (_, i) => `<${i}>`).join('');
    assert.equal(String(Buffer.concat(got)), all);
    near.close();
  }),
);

test(
  'sockAccept() that is cancelled has accepted nothing',
  { skip },
  onUv(async (loop) => {
    using listener = listening();
    let served = 0;
    for (let i = 0; i < 60; i++) {
      const accepting = loop.createTask(async () => {
        const [socket] = await loop.sockAccept(listener);
        served++;
        socket.close();
      });
      for (let turn = i % 4; turn > 0; turn--) await (turn % 2 ? sleep(0) : hostPass());
      using client = new Socket();
      await loop.sockConnect(client, addressOf(listener));
      for (let turn = (i >> 2) % 4; turn > 0; turn--) await (turn % 2 ? sleep(0) : hostPass());
      accepting.cancel();
      await accepting.then(undefined, () => {});
    }
    while (served < 60) {
      const [socket] = await loop.sockAccept(listener);
      served++;
      socket.close();
    }
    const last = loop.sockAccept(listener);
    await passes(3);
    assert.equal(last.done(), false);
    last.cancel();
  }),
);

test(
  'sockSendall() that is cancelled leaves the socket usable',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop, AF_UNIX);
    const sending = loop.sockSendall(near, Buffer.alloc(5_000_000));
    await passes(3);
    sending.cancel('enough');
    await assert.rejects(async () => sending, { message: 'enough' });
    const next = loop.sockSendall(near, 'the end');
    const all = receiveAll(loop, far);
    await next;
    near.close();
    assert.match(String(await all), /\0the end$/);
    far.close();
  }),
);

test(
  'socket calls are cancelled by their signal, with its reason, and start nothing if it is already aborted',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    using listener = listening();
    await loop.sockSendall(far, 'hello');
    const reason = new Error('no more');
    const aborted = AbortSignal.abort(reason);
    const calls = [
      () => loop.sockRecv(near, 10, { signal: aborted }),
      () => loop.sockRecvInto(near, new Uint8Array(10), { signal: aborted }),
      () => loop.sockRecvfrom(near, 10, { signal: aborted }),
      () => loop.sockSendall(near, 'x', { signal: aborted }),
      () => loop.sockConnect(near, ['localhost', 1], { signal: aborted }),
      () => loop.sockConnect(near, ['127.0.0.1', 1], { signal: aborted }),
      () => loop.sockAccept(listener, { signal: aborted }),
    ];
    for (const call of calls)
      await assert.rejects(async () => call(), { code: 'ERR_CANCELLED', cause: reason });
    assert.equal(String(await loop.sockRecv(near, 10)), 'hello');

    const controller = new AbortController();
    const { signal } = controller;
    const waiting = loop.sockRecv(near, 10, { signal });
    const accepting = loop.sockAccept(listener, { signal });
    controller.abort(reason);
    await assert.rejects(async () => waiting, { code: 'ERR_CANCELLED', cause: reason });
    await assert.rejects(async () => accepting, { code: 'ERR_CANCELLED', cause: reason });
    await loop.sockSendall(far, 'still there');
    assert.equal(String(await loop.sockRecv(near, 100)), 'still there');
    near.close();
    far.close();
  }),
);

// --- ends in the middle ---

test(
  'every pending socket call fails when its socket is closed',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const listener = listening();
    const udp = datagrams();
    const waits: [string, Future<unknown>][] = [
      ['recv', loop.sockRecv(near, 10)],
      ['send', loop.sockSendall(near, Buffer.alloc(10_000_000))],
      ['accept', loop.sockAccept(listener)],
      ['recvfrom', loop.sockRecvfrom(udp, 10)],
    ];
    for (const [, wait] of waits) assert.equal(wait.done(), false);
    for (const socket of [near, listener, udp]) socket.close();
    for (const [syscall, wait] of waits) {
      await assert.rejects(async () => wait, { code: 'EBADF', errno: -9, syscall });
    }
    far.close();
  }),
);

test(
  'sockConnect() fails when its socket is closed',
  { skip },
  onUv(async (loop) => {
    using listener = new Socket();
    listener.bind(['127.0.0.1', 0]);
    listener.listen(0);
    using first = new Socket();
    await loop.sockConnect(first, addressOf(listener));
    const client = new Socket();
    const connecting = loop.sockConnect(client, addressOf(listener));
    client.close();
    await assert.rejects(async () => connecting, { code: 'EBADF', syscall: 'connect', address: '127.0.0.1' });
  }),
);

test(
  'a socket call whose socket is closed and which is cancelled, in either order, ends once',
  { skip },
  onUv(async (loop) => {
    for (const order of ['close first', 'cancel first']) {
      const [near, far] = await connectedSockets(loop);
      const waiting = loop.sockRecv(near, 10);
      if (order === 'close first') near.close();
      waiting.cancel();
      near.close();
      await cancelled(waiting);
      assert.equal(waiting.cancelled(), true);
      far.close();
    }
  }),
);

test(
  'a pending socket call gets nothing of another socket that reuses the number',
  { skip },
  onUv(async (loop) => {
    for (let round = 0; round < 30; round++) {
      const [near, far] = await connectedSockets(loop);
      const waiting = loop.sockRecv(near, 10);
      await loop.sockSendall(far, 'old');
      if (round % 2) await hostPass();
      const fd = near.fileno();
      near.close();
      const [next, peer] = await connectedSockets(loop);
      const receiving = loop.sockRecv(next, 10);
      await passes(2);
      assert.equal(receiving.done(), false, `descriptor ${fd}, then ${next.fileno()}`);
      await loop.sockSendall(peer, 'new');
      assert.equal(String(await receiving), 'new');
      await waiting.then(
        (data) => assert.equal(String(data), 'old'),
        (error) => assert.equal((error as NodeJS.ErrnoException).code, 'EBADF'),
      );
      for (const socket of [far, next, peer]) socket.close();
    }
  }),
);

test('loop.close() names pending socket calls and ends them, without a second report', {
  skip,
}, async () => {
  await withLoop(
    () => new UvEventLoop(),
    async (loop, reports) => {
      let waiting: Future<Buffer> | undefined;
      let fds: number[] = [];
      await loop.runUntilComplete(async () => {
        const [near, far] = await connectedSockets(loop);
        fds = [near.fileno(), far.fileno()];
        waiting = loop.sockRecv(near, 10);
      });
      loop.close();
      assert.deepEqual(reports.takeMessages(), [
        `the event loop was closed, but a socket (descriptor ${fds[0]}) was still open`,
        `the event loop was closed, but a socket (descriptor ${fds[1]}) was still open`,
        'the event loop was closed, but receiving from a socket was still under way',
      ]);
      assert.equal(waiting?.cancelled(), true);
    },
  );
});

test('a stopped loop receives nothing from its sockets', { skip }, async () => {
  await withLoop(
    () => new UvEventLoop(),
    async (loop) => {
      const [near, far] = await loop.runUntilComplete(() => connectedSockets(loop));
      const waiting = loop.sockRecv(near, 10);
      await loop.runUntilComplete(() => loop.sockSendall(far, 'hello'));
      await hostPasses();
      assert.equal(waiting.done(), false);
      assert.equal(String(await loop.runUntilComplete(waiting)), 'hello');
      near.close();
      far.close();
    },
  );
});

// --- fairness ---

test(
  'a peer that always has data does not starve others',
  { skip },
  onUv(async (loop) => {
    const one = datagrams();
    one.setsockopt(SOL_SOCKET, SO_RCVBUF, 1_000_000);
    let ticks = 0;
    let going = true;
    const tick = (): void => {
      ticks++;
      if (ticks === 20) going = false;
      else loop.callLater(0, tick);
    };
    loop.callSoon(tick);
    let exchanged = 0;
    // Each call completes at once: nothing here ever waits.
    while (going && exchanged < 100_000) {
      await loop.sockSendto(one, 'x', addressOf(one));
      await loop.sockRecv(one, 10);
      exchanged++;
    }
    assert.equal(ticks, 20, `after ${exchanged} datagrams`);
    one.close();
  }),
);

test(
  'socket calls work with sockets of Node’s own',
  { skip },
  onUv(async (loop) => {
    const { server, port } = await listeningNodeServer();
    server.on('connection', (socket) => socket.pipe(socket));
    using client = new Socket();
    await loop.sockConnect(client, ['127.0.0.1', port]);
    const data = pattern(500_000);
    const sending = loop.sockSendall(client, data).then(() => client.shutdown(SHUT_WR));
    assert.ok((await receiveAll(loop, client)).equals(data));
    await sending;
    await closed(server);
    using listener = listening();
    const foreign = nodeConnect((addressOf(listener) as [string, number])[1], '127.0.0.1');
    const [accepted] = await loop.sockAccept(listener);
    foreign.end('bye');
    assert.equal(String(await receiveAll(loop, accepted)), 'bye');
    accepted.close();
    await closed(foreign);
  }),
);
