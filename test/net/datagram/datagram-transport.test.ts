import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { test } from 'node:test';
import type { SocketAddress } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  currentTask,
  DatagramProtocol,
  getRunningLoop,
  sleep,
} from '../../../src/index.ts';
import {
  addressOf,
  closedSocket,
  DatagramRecorder,
  endAll,
  endpoint,
  endpointPair,
  freeUdpPort,
  nodeSocket,
} from '../../helpers/datagrams.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { assertFileno, needsNodeSockets, onNode } from '../../helpers/pairs.ts';

// --- datagrams that arrive ---

for (const host of ['127.0.0.1', '::1']) {
  test(
    `datagrams go both ways over ${host}, each whole and with the address of its sender`,
    { skip: host === '::1' && noIPv6 },
    onNode(async (loop) => {
      const { near, far } = await endpointPair(loop, host);
      near.transport.sendto('one');
      near.transport.sendto(Buffer.from('two'));
      near.transport.sendto(new Uint8Array([0x33]));
      await far.untilReceived(3);
      assert.deepEqual(far.texts, ['one', 'two', '3']);
      const sender = far.senders[0] as SocketAddress;
      assert.deepEqual(sender, near.transport.getExtraInfo('sockname'));
      far.transport.sendto('answer', sender);
      await near.untilReceived(1);
      assert.deepEqual(near.texts, ['answer']);
      assert.deepEqual(near.senders, [far.transport.getExtraInfo('sockname')]);
      assert.deepEqual(near.senders, [near.transport.getExtraInfo('peername')]);
      await endAll(near, far);
      assert.deepEqual(far.log, ['made', 'datagram', 'datagram', 'datagram', 'lost']);
    }),
  );

  test(
    `empty datagrams and the longest ones go both ways over ${host}`,
    { skip: host === '::1' && noIPv6 },
    onNode(async (loop) => {
      const { near, far } = await endpointPair(loop, host);
      // The capacity of an IPv4 packet; IPv6 does not count its own header.
      const longest = host === '::1' ? 65_527 : 65_507;
      const big = Buffer.alloc(longest, 'gyre');
      near.transport.sendto('');
      near.transport.sendto(big);
      near.transport.sendto(new Uint8Array(0));
      await far.untilReceived(3);
      assert.deepEqual(
        far.datagrams.map(({ length }) => length),
        [0, longest, 0],
      );
      assert.ok(far.datagrams[1]?.equals(big));
      far.transport.sendto(big, far.senders[0]);
      far.transport.sendto('', far.senders[0]);
      await near.untilReceived(2);
      assert.deepEqual(
        near.datagrams.map(({ length }) => length),
        [longest, 0],
      );
      assert.equal(near.transport.getWriteBufferSize(), 0);
      await endAll(near, far);
    }),
  );
}

test(
  'sendto() sends at once, without a wait for the end of the turn or for other sockets',
  onNode(async (loop) => {
    const socket = await nodeSocket();
    const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', socket.address().port] });
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const order: string[] = [];
    socket.on('message', (data) => order.push(`${data}`));
    // Sent by one, then by the other: neither waits for the end of the turn.
    near.transport.sendto('first');
    far.transport.sendto('second', ['127.0.0.1', socket.address().port]);
    near.transport.sendto('third');
    assert.equal(near.transport.getWriteBufferSize(), 0);
    while (order.length < 3) await once(socket, 'message');
    assert.deepEqual(order, ['first', 'second', 'third']);
    await endAll(near, far);
    await closedSocket(socket);
  }),
);

test(
  'a connected endpoint gets datagrams of its peer only',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    const stranger = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    stranger.transport.sendto('not for you', addressOf(near));
    far.transport.sendto('for you', near.transport.getExtraInfo('sockname'));
    await near.untilReceived(1);
    assert.deepEqual(near.texts, ['for you']);
    await endAll(near, far, stranger);
    assert.deepEqual(stranger.errors, []);
  }),
);

test(
  'an IPv6 endpoint of all interfaces gets IPv4 datagrams, and answers them',
  onNode(async (loop) => {
    const far = await endpoint(loop, { localAddr: ['::', 0] });
    const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', addressOf(far)[1]] });
    near.transport.sendto('question');
    await far.untilReceived(1);
    const [, port] = addressOf(near);
    assert.deepEqual(far.senders, [['::ffff:127.0.0.1', port, 0, 0]]);
    far.transport.sendto('answer', far.senders[0]);
    await near.untilReceived(1);
    await endAll(near, far);
  }),
);

test(
  'received data belongs to the receiver, and sent data may be changed once the kernel has accepted it',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    const data = Buffer.from('before');
    near.transport.sendto(data);
    data.write('after!');
    near.transport.sendto(data);
    await far.untilReceived(2);
    far.datagrams[0]?.fill(0);
    assert.deepEqual(far.texts[1], 'after!');
    await endAll(near, far);
  }),
);

// --- errors ---

test(
  'a connected endpoint gets an error for a port without a receiver, and stays open',
  onNode(async (loop) => {
    const port = await freeUdpPort();
    const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', port] });
    near.transport.sendto('anybody?');
    await near.untilTold('error');
    const {
      code,
      syscall,
      address,
      port: refused,
    } = near.errors[0] as NodeJS.ErrnoException & {
      address: string;
      port: number;
    };
    assert.deepEqual([code, address, refused], ['ECONNREFUSED', '127.0.0.1', port]);
    assert.match(String(syscall), /recvmsg|send/);
    assert.equal(near.transport.isClosing(), false);

    const far = await endpoint(loop, { localAddr: ['127.0.0.1', port] });
    near.transport.sendto('now?');
    await far.untilReceived(1);
    assert.deepEqual(far.texts, ['now?']);
    await endAll(near, far);
    assert.equal(near.exception, null);
  }),
);

test(
  'an endpoint that is not connected gets no error for a port without a receiver, because the kernel reports none',
  onNode(async (loop) => {
    const port = await freeUdpPort();
    const { near, far } = await endpointPair(loop);
    far.transport.sendto('anybody?', ['127.0.0.1', port]);
    near.transport.sendto('the next thing that happens');
    await far.untilReceived(1);
    await hostPasses();
    assert.deepEqual(far.log, ['made', 'datagram']);
    await endAll(near, far);
  }),
);

test(
  'a datagram that is too long is reported to errorReceived(), and no part of it is sent',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    near.transport.sendto(Buffer.alloc(65_508));
    assert.deepEqual(near.log, ['made']);
    near.transport.sendto('short enough');
    await near.untilTold('error');
    assert.deepEqual(near.codes, ['EMSGSIZE']);
    await far.untilReceived(1);
    assert.deepEqual(far.texts, ['short enough']);
    assert.equal(near.transport.getWriteBufferSize(), 0);

    far.transport.sendto(Buffer.alloc(70_000), addressOf(near));
    await far.untilTold('error');
    assert.deepEqual(far.codes, ['EMSGSIZE']);
    assert.equal((far.errors[0] as unknown as { port: number }).port, addressOf(near)[1]);
    await endAll(near, far);
  }),
);

test(
  'errors of datagrams before close() are reported, after the call and before the end',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    near.transport.sendto(Buffer.alloc(65_508));
    near.transport.close();
    await near.untilLost();
    assert.deepEqual([near.log, near.codes], [['made', 'error', 'lost'], ['EMSGSIZE']]);
    far.transport.sendto(Buffer.alloc(65_508), addressOf(near));
    far.transport.abort();
    await far.untilLost();
    assert.deepEqual(far.log, ['made', 'lost']);
  }),
);

// --- wrong arguments ---

test(
  'sendto() rejects at the call data and addresses that can never be sent',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const four = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const six = await endpoint(loop, { localAddr: ['::1', 0] });
    const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    const wrong: [DatagramRecorder, unknown, object][] = [
      [
        four,
        undefined,
        { ...type, message: /"address" argument must be an address, as there is no remoteAddr/ },
      ],
      [four, null, type],
      [four, '127.0.0.1:80', type],
      [four, 80, type],
      [four, [], type],
      [four, ['127.0.0.1'], type],
      [four, [127, 80], type],
      [four, ['127.0.0.1', '80'], type],
      [four, ['127.0.0.1', 80, 0, 0], type],
      [four, ['127.0.0.1', 80, 0], type],
      [four, ['127.0.0.1', 0], range],
      [four, ['127.0.0.1', 65_536], range],
      [four, ['127.0.0.1', 1.5], range],
      [
        four,
        ['localhost', 80],
        { ...range, message: /a literal IPv4 address: names are not looked up here/ },
      ],
      [four, ['127.0.0.1\0', 80], range],
      [four, ['127.1', 80], range],
      [four, ['', 80], range],
      [four, ['::1', 80, 0, 0], { ...range, message: /a literal IPv4 address, because the socket is IPv4/ }],
      [six, ['127.0.0.1', 80], range],
      [six, ['::1', 80, 0], type],
      [six, ['::1', 80, '0', 0], type],
      [six, ['::1', 80, 1, 0], range],
      [six, ['::1', 80, -1, 0], range],
      [six, ['::1', 80, 0, -1], range],
      [six, ['::1', 80, 0, 2 ** 32], range],
      [six, ['fe80::1%lo', 80, 0, 1], range],
    ];
    for (const [recorder, address, error] of wrong) {
      assert.throws(() => recorder.transport.sendto('x', address as SocketAddress), error, String(address));
    }
    for (const data of [undefined, null, 5, {}, [1, 2], new ArrayBuffer(2)]) {
      assert.throws(() => four.transport.sendto(data as string, ['127.0.0.1', 80]), type);
    }
    await hostPasses();
    assert.deepEqual([four.log, six.log], [['made'], ['made']]);
    await endAll(four, six);
  }),
);

test(
  'a connected endpoint sends to its own peer address and to no other',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    const [, port] = addressOf(far);
    near.transport.sendto('1', ['127.0.0.1', port]);
    near.transport.sendto('2', null);
    near.transport.sendto('3', undefined);
    const range = {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: new RegExp(`absent, or 127.0.0.1:${port}`),
    };
    assert.throws(() => near.transport.sendto('x', ['127.0.0.1', port === 1 ? 2 : port - 1]), range);
    assert.throws(() => near.transport.sendto('x', ['127.0.0.2', port]), range);
    assert.throws(() => near.transport.sendto('x', ['localhost', port]), RangeError);
    await far.untilReceived(3);
    assert.deepEqual(far.texts, ['1', '2', '3']);
    await endAll(near, far);
  }),
);

test(
  'sendto() accepts the peer’s address as given to remoteAddr and as the kernel spells it',
  onNode(async (loop) => {
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const [, port] = addressOf(far);
    const near = await endpoint(loop, { remoteAddr: ['0.0.0.0', port] });
    assert.deepEqual(near.transport.getExtraInfo('peername'), ['127.0.0.1', port]);
    near.transport.sendto('1', ['0.0.0.0', port]);
    near.transport.sendto('2', ['127.0.0.1', port]);
    await far.untilReceived(2);
    await endAll(near, far);
  }),
);

test(
  'an endpoint rejects wrong limits, protocols and names of extra info',
  onNode(async (loop) => {
    const near = await endpoint(loop, { family: AF_INET });
    const { transport } = near;
    assert.throws(() => transport.setWriteBufferLimits({ high: 1, low: 2 }), RangeError);
    assert.throws(() => transport.setWriteBufferLimits({ hihg: 1 } as never), TypeError);
    assert.throws(() => transport.setProtocol(null as never), TypeError);
    assert.throws(() => transport.setProtocol({ datagramReceived: 1 } as never), TypeError);
    assert.throws(() => transport.getExtraInfo(5 as never), TypeError);
    await endAll(near);
  }),
);

// --- extra info ---

test(
  'getExtraInfo() of an endpoint returns its addresses and its socket',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    const socket = near.transport.getExtraInfo('socket');
    assert.ok(socket !== null);
    assert.deepEqual([socket.family, socket.type], [AF_INET, 2]);
    assertFileno(loop, socket.fileno());
    assert.equal(near.transport.getExtraInfo('socket'), socket);
    assert.deepEqual(socket.getsockname(), near.transport.getExtraInfo('sockname'));
    assert.deepEqual(socket.getpeername(), addressOf(far));
    assert.throws(() => socket.setNoDelay(), { code: 'ERR_UNSUPPORTED' });
    assert.throws(() => socket.setKeepAlive(), { code: 'ERR_UNSUPPORTED' });
    assert.equal(far.transport.getExtraInfo('peername'), null);
    assert.equal(far.transport.getExtraInfo('peername', 'nobody'), 'nobody');
    assert.equal(far.transport.getExtraInfo('cipher'), null);
    const raw = far.transport.getExtraInfo('rawSocket');
    if (needsNodeSockets) assert.equal(raw, null);
    else assert.equal(raw?.address().port, addressOf(far)[1]);
    const six = await endpoint(loop, { family: AF_INET6 });
    assert.equal(six.transport.getExtraInfo('socket')?.family, AF_INET6);
    await endAll(near, far, six);
  }),
);

test(
  'setProtocol() of an endpoint gives later events to the new protocol',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    const { transport } = far;
    assert.equal(transport.getProtocol(), far);
    near.transport.sendto('one');
    await far.untilReceived(1);
    const other = new DatagramRecorder();
    transport.setProtocol(other);
    assert.equal(transport.getProtocol(), other);
    near.transport.sendto('two');
    await other.untilReceived(1);
    transport.close();
    await other.untilLost();
    assert.deepEqual([far.texts, other.texts, far.lost], [['one'], ['two'], false]);
    await endAll(near);
  }),
);

test(
  'all methods of a datagram protocol are optional, and the base class is empty',
  onNode(async (loop, reports) => {
    for (const protocol of [{}, new DatagramProtocol()]) {
      const [transport] = await loop.createDatagramEndpoint(() => protocol, { localAddr: ['127.0.0.1', 0] });
      const [host, port] = transport.getExtraInfo('sockname') as [string, number];
      transport.sendto('to myself', [host, port]);
      transport.sendto(Buffer.alloc(70_000), [host, port]);
      await hostPasses();
      await transport[Symbol.asyncDispose]();
      assert.deepEqual(reports.take(), []);
    }
  }),
);

test(
  'a datagram protocol is called as code of the loop, in the context of createDatagramEndpoint(), outside of any task',
  onNode(async (loop) => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const note = (): void => void seen.push(storage.getStore(), getRunningLoop() === loop, currentTask());
    const protocol = {
      connectionMade: note,
      datagramReceived(_data: Buffer, [host, port]: SocketAddress) {
        note();
        transport.sendto(Buffer.alloc(70_000), [host as string, port as number]);
      },
      errorReceived() {
        note();
        transport.close();
      },
      connectionLost: note,
    };
    const [transport] = await storage.run('mine', () =>
      loop.createDatagramEndpoint(
        () => {
          note();
          return protocol;
        },
        { localAddr: ['127.0.0.1', 0] },
      ),
    );
    const [host, port] = transport.getExtraInfo('sockname') as [string, number];
    transport.sendto('to myself', [host, port]);
    while (!transport.isClosing()) await sleep(0.001);
    await transport[Symbol.asyncDispose]();
    assert.equal(seen.length, 5 * 3);
    while (seen.length > 0) assert.deepEqual(seen.splice(0, 3), ['mine', true, null]);
  }),
);
