import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SocketAddress } from '../../../src/base/address.ts';
import { Hosts } from './hosts.ts';
import { codeOf, connect, listen } from './wire.ts';

const PLAIN = { reuseAddress: false, reusePort: false, ipv6Only: false };
const REUSE = { ...PLAIN, reuseAddress: true };
const SHARE = { ...PLAIN, reusePort: true };
const ONLY6 = { ...PLAIN, ipv6Only: true };

type Bind = [address: SocketAddress, options: typeof PLAIN];
const any4: SocketAddress = ['0.0.0.0', 80];
const any6: SocketAddress = ['::', 80, 0, 0];
const own4: SocketAddress = ['10.0.0.1', 80];
const own6: SocketAddress = ['fd00::1', 80, 0, 0];
const loop4: SocketAddress = ['127.0.0.1', 80];

/**
 * Two binds, and whether the second fails: on Linux for TCP without and with a listening first, and for UDP.
 */
const TABLE: [title: string, first: Bind, second: Bind, bound: boolean, listening: boolean, udp: boolean][] =
  [
    ['one address twice', [own4, PLAIN], [own4, PLAIN], true, true, true],
    ['two addresses', [own4, PLAIN], [loop4, PLAIN], false, false, false],
    ['all addresses and one', [any4, PLAIN], [own4, PLAIN], true, true, true],
    ['one address and all', [own4, PLAIN], [any4, PLAIN], true, true, true],
    ['IPv6 and IPv4', [own6, PLAIN], [own4, PLAIN], false, false, false],
    ['all IPv6 with IPv4, and all IPv4', [any6, PLAIN], [any4, PLAIN], true, true, true],
    ['all IPv6 with IPv4, and one IPv4', [any6, PLAIN], [own4, PLAIN], true, true, true],
    ['all IPv6 only, and all IPv4', [any6, ONLY6], [any4, PLAIN], false, false, false],
    ['all IPv6 only, and one IPv6', [any6, ONLY6], [own6, PLAIN], true, true, true],
    ['SO_REUSEADDR on both', [own4, REUSE], [own4, REUSE], false, true, false],
    ['SO_REUSEADDR on one', [own4, REUSE], [own4, PLAIN], true, true, true],
    ['SO_REUSEPORT on both', [own4, SHARE], [own4, SHARE], false, false, false],
    ['SO_REUSEPORT on one', [own4, SHARE], [own4, PLAIN], true, true, true],
    ['SO_REUSEPORT and SO_REUSEADDR', [own4, SHARE], [own4, REUSE], true, true, true],
  ];

for (const [title, first, second, bound, listening, udp] of TABLE) {
  test(`two sockets with ${title} share a port as on Linux`, () => {
    const fails = (bind: () => unknown): boolean => {
      try {
        bind();
        return false;
      } catch (error) {
        assert.equal(codeOf(error), 'EADDRINUSE');
        return true;
      }
    };
    const { tcp, udp: udpStack } = new Hosts().add('host').network;
    const binding = tcp.bind(...first);
    assert.equal(
      fails(() => tcp.bind(...second).release()),
      bound,
      'TCP, bound',
    );
    tcp.listen(binding, 1);
    assert.equal(
      fails(() => tcp.bind(...second)),
      listening,
      'TCP, listening',
    );
    const family = (address: SocketAddress): number => (address.length === 4 ? 10 : 2);
    const open = ([address, options]: Bind): void => udpStack.open(family(address)).bind(address, options);
    open(first);
    assert.equal(
      fails(() => open(second)),
      udp,
      'UDP',
    );
  });
}

test('the first of two sockets that share a port by SO_REUSEADDR can listen, and the second cannot', () => {
  const { tcp } = new Hosts().add('host').network;
  const [first, second] = [tcp.bind(own4, REUSE), tcp.bind(own4, REUSE)];
  tcp.listen(first, 1);
  assert.throws(
    () => tcp.listen(second, 1),
    (error) => codeOf(error) === 'EADDRINUSE',
  );
});

test('a socket can be bound to the addresses of its host alone', () => {
  const { tcp, udp } = new Hosts().add('host').network;
  const code = (address: SocketAddress): string | undefined => {
    try {
      tcp.bind(address, PLAIN).release();
      return undefined;
    } catch (error) {
      return codeOf(error);
    }
  };
  assert.equal(code(['10.0.0.2', 80]), 'EADDRNOTAVAIL');
  assert.equal(code(['fd00::2', 80, 0, 0]), 'EADDRNOTAVAIL');
  assert.equal(code(['127.0.0.5', 80]), undefined);
  assert.equal(code(['::1', 80, 0, 0]), undefined);
  assert.equal(code(['0:0:0::1', 81, 0, 0]), undefined);
  assert.equal(code(['::ffff:10.0.0.1', 82, 0, 0]), undefined);
  assert.throws(
    () => udp.open(2).bind(['10.0.0.2', 80], PLAIN),
    (error) => codeOf(error) === 'EADDRNOTAVAIL',
  );
});

test('port 0 gives a free port of the ephemeral range', () => {
  const { tcp, udp } = new Hosts().add('host').network;
  const ports = new Set(
    Array.from({ length: 200 }, () => tcp.bind(['0.0.0.0', 0], PLAIN).address[1] as number),
  );
  assert.equal(ports.size, 200);
  assert.ok([...ports].every((port) => port >= 32_768 && port <= 60_999));
  const socket = udp.open(2);
  socket.bind(['0.0.0.0', 0], PLAIN);
  assert.ok((socket.sockname?.[1] as number) >= 32_768);
});

test('when all 28232 ports are taken, the next bind and the next connect fail', async () => {
  const hosts = new Hosts();
  const kernel = hosts.add('host');
  const { tcp } = kernel.network;
  for (let port = 32_768; port < 61_000; port++) tcp.bind(['0.0.0.0', port], PLAIN);
  assert.throws(
    () => tcp.bind(['0.0.0.0', 0], PLAIN),
    (error) => codeOf(error) === 'EADDRINUSE',
  );
  const attempt = connect(kernel, ['127.0.0.1', 80]);
  await hosts.after(1);
  assert.equal(attempt.code, 'EADDRNOTAVAIL');
});

test('the socket with the exact address gets a connection, then IPv4, then IPv6 for all', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const { tcp } = server.network;
  const listeners = [
    tcp.listen(tcp.bind(['10.0.0.2', 80], SHARE), 10),
    tcp.listen(tcp.bind(['0.0.0.0', 80], SHARE), 10),
    tcp.listen(tcp.bind(['::', 80, 0, 0], SHARE), 10),
  ];
  for (const [i, listener] of listeners.entries()) {
    connect(client, ['10.0.0.2', 80]);
    await hosts.after(0.1);
    assert.deepEqual(
      listeners.map(({ waiting }) => waiting),
      [0, 0, 0].map((_, j) => (j < i ? 0 : j === i ? 1 : 0)),
    );
    listener.close();
  }
});

test('SO_REUSEPORT spreads connections by the seed, and one flow of UDP goes to one socket', async () => {
  const spread = async (seed: number): Promise<number[]> => {
    const hosts = new Hosts(seed);
    const [client, server] = [hosts.add('client'), hosts.add('server')];
    const { tcp } = server.network;
    const listeners = [1, 2, 3].map(() => tcp.listen(tcp.bind(['0.0.0.0', 80], SHARE), 1000));
    for (let i = 0; i < 300; i++) connect(client, ['10.0.0.2', 80]);
    await hosts.after(1);
    return listeners.map(({ waiting }) => waiting);
  };
  const counts = await spread(1);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    300,
  );
  assert.ok(
    counts.every((count) => count > 60),
    `${counts}`,
  );
  assert.deepEqual(await spread(1), counts);
  assert.notDeepEqual(await spread(2), counts);

  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const sockets = [1, 2, 3].map(() => {
    const socket = server.network.udp.open(2);
    socket.bind(['0.0.0.0', 53], SHARE);
    return socket;
  });
  const sender = client.network.udp.open(2);
  for (let i = 0; i < 10; i++) sender.send(Buffer.from('x'), ['10.0.0.2', 53]);
  await hosts.after(1);
  assert.deepEqual(sockets.map((socket) => socket.queuedBytes > 0).filter(Boolean), [true]);
});

test('the port of a connection that the kernel has chosen cannot be bound without SO_REUSEADDR', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  listen(server, ['10.0.0.2', 80]);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.1);
  const { localPort } = attempt.connection.ends;
  assert.throws(
    () => client.network.tcp.bind(['0.0.0.0', localPort], REUSE),
    (error) => codeOf(error) === 'EADDRINUSE',
  );
});
