import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSockets, socketRows } from '../../../src/backend/sim/inet/netstat.ts';
import type { UdpSocket } from '../../../src/backend/sim/inet/udp-socket.ts';
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import type { SocketAddress } from '../../../src/base/address.ts';
import { AF_INET, AF_INET6, IPPROTO_IPV6 } from '../../../src/base/constants.ts';
import type { DatagramTransport } from '../../../src/index.ts';
import { DatagramProtocol, sleep } from '../../../src/index.ts';
import { HostLoop, Hosts } from './hosts.ts';
import { codeOf, connect, listen } from './wire.ts';

const PLAIN = { reuseAddress: false, reusePort: false, ipv6Only: false };

function bound({ network }: Kernel, address: SocketAddress, options: typeof PLAIN = PLAIN): UdpSocket {
  const socket = network.udp.open(address.length === 4 ? AF_INET6 : AF_INET);
  socket.bind(address, options);
  return socket;
}

function texts(socket: UdpSocket): string[] {
  const found: string[] = [];
  for (let next = socket.receive(); next !== null; next = socket.receive()) {
    found.push(Buffer.from(next.data).toString());
  }
  return found;
}

test('a datagram arrives with the address of its sender, who may reuse the memory', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const receiver = bound(server, ['0.0.0.0', 53]);
  const sender = client.network.udp.open(AF_INET);
  const data = Buffer.from('hello');
  sender.send(data, ['10.0.0.2', 53]);
  data.fill(0);
  await hosts.after(1);
  const { data: received, address } = receiver.receive() ?? assert.fail();
  assert.equal(Buffer.from(received).toString(), 'hello');
  assert.deepEqual(address, ['10.0.0.1', sender.sockname?.[1]]);
  assert.equal(received.buffer.byteLength, 5);
});

test('a copy of a datagram has memory of its own', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  hosts.shape((_packet, verdict) => {
    verdict.copies = [0.1];
  });
  const receiver = bound(server, ['0.0.0.0', 53]);
  client.network.udp.open(AF_INET).send(Buffer.from('twice'), ['10.0.0.2', 53]);
  await hosts.after(0.01);
  receiver.receive()?.data.fill(0);
  await hosts.after(1);
  assert.deepEqual(texts(receiver), ['twice']);
});

test('a datagram of more than 65507 bytes over IPv4, or 65527 over IPv6, fails by EMSGSIZE', () => {
  const hosts = new Hosts();
  const [client] = [hosts.add('client'), hosts.add('server')];
  const fails = (
    family: number,
    address: SocketAddress,
    length: number,
    whole: boolean,
  ): string | undefined => {
    const socket = client.network.udp.open(family);
    if (whole) socket.options.set(family === AF_INET ? 0 : IPPROTO_IPV6, family === AF_INET ? 10 : 23, 2);
    try {
      socket.send(Buffer.alloc(length), address);
      return undefined;
    } catch (error) {
      return codeOf(error);
    }
  };
  assert.equal(fails(AF_INET, ['10.0.0.2', 53], 65_507, false), undefined);
  assert.equal(fails(AF_INET, ['10.0.0.2', 53], 65_508, false), 'EMSGSIZE');
  assert.equal(fails(AF_INET6, ['fd00::2', 53, 0, 0], 65_527, false), undefined);
  assert.equal(fails(AF_INET6, ['fd00::2', 53, 0, 0], 65_528, false), 'EMSGSIZE');
  // IP_MTU_DISCOVER forbids fragments.
  assert.equal(fails(AF_INET, ['10.0.0.2', 53], 1472, true), undefined);
  assert.equal(fails(AF_INET, ['10.0.0.2', 53], 1473, true), 'EMSGSIZE');
  assert.equal(fails(AF_INET6, ['fd00::2', 53, 0, 0], 1453, true), 'EMSGSIZE');
});

test('a full receive buffer loses datagrams, and counts 768 bytes for each beside its data', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const receiver = bound(server, ['0.0.0.0', 53]);
  const sender = client.network.udp.open(AF_INET);
  for (let i = 0; i < 1000; i++) sender.send(Buffer.alloc(232), ['10.0.0.2', 53]);
  await hosts.after(1);
  // 212992 bytes, and the one that goes beyond them.
  assert.equal(receiver.dropped, 1000 - 213);
  assert.equal(texts(receiver).length, 213);
  sender.send(Buffer.from('again'), ['10.0.0.2', 53]);
  await hosts.after(1);
  assert.deepEqual(texts(receiver), ['again']);
});

test('a connected socket receives from its peer alone, and is chosen before others', async () => {
  const hosts = new Hosts();
  const [client, server, third] = [hosts.add('client'), hosts.add('server'), hosts.add('third')];
  const shared = { ...PLAIN, reusePort: true };
  const general = bound(server, ['0.0.0.0', 53], shared);
  const special = bound(server, ['0.0.0.0', 53], shared);
  special.connect(['10.0.0.1', 1000]);
  bound(client, ['0.0.0.0', 1000]).send(Buffer.from('peer'), ['10.0.0.2', 53]);
  bound(third, ['0.0.0.0', 1000]).send(Buffer.from('other'), ['10.0.0.2', 53]);
  await hosts.after(1);
  assert.deepEqual(texts(special), ['peer']);
  assert.deepEqual(texts(general), ['other']);
});

test('a port without a socket refuses: a connected sender learns ECONNREFUSED, another does not', async () => {
  const hosts = new Hosts();
  const [client] = [hosts.add('client'), hosts.add('server')];
  const errors: (string | undefined)[] = [];
  const events = {
    onReadable: () => {},
    onWritable: () => {},
    onError: (error: Error) => errors.push(codeOf(error)),
  };
  const loose = client.network.udp.open(AF_INET);
  loose.events = events;
  loose.send(Buffer.from('x'), ['10.0.0.2', 53]);
  await hosts.after(1);
  assert.deepEqual(errors, []);
  const firm = client.network.udp.open(AF_INET);
  firm.connect(['10.0.0.2', 53]);
  assert.deepEqual(firm.sockname?.[0], '10.0.0.1');
  firm.events = events;
  firm.send(Buffer.from('x'), null);
  await hosts.after(1);
  assert.deepEqual(errors, ['ECONNREFUSED']);
});

test('a connected socket learns after 3 s that no host has the address of its peer', async () => {
  const hosts = new Hosts();
  const client = hosts.add('client');
  const socket = client.network.udp.open(AF_INET);
  let at = 0;
  socket.connect(['10.0.0.77', 53]);
  socket.events = {
    onReadable: () => {},
    onWritable: () => {},
    onError: (error) => {
      assert.equal(codeOf(error), 'EHOSTUNREACH');
      at = hosts.timeline.time();
    },
  };
  socket.send(Buffer.from('x'), null);
  await hosts.after(10);
  assert.equal(at, 3);
});

test('a broadcast needs its option, and reaches all hosts of the network and the sender', async () => {
  const hosts = new Hosts();
  const [one, two, three] = [hosts.add('one'), hosts.add('two'), hosts.add('three')];
  const far = hosts.add('far', ['10.0.1.1']);
  const sockets = [one, two, three, far].map((kernel) => bound(kernel, ['0.0.0.0', 67]));
  const sender = one.network.udp.open(AF_INET);
  for (const address of ['255.255.255.255', '10.0.0.255']) {
    sender.options.broadcast = false;
    assert.throws(
      () => sender.send(Buffer.from('x'), [address, 67]),
      (error) => codeOf(error) === 'EACCES',
    );
    sender.options.broadcast = true;
    sender.send(Buffer.from('all'), [address, 67]);
    await hosts.after(1);
    const all = address === '255.255.255.255';
    assert.deepEqual(sockets.map(texts), [['all'], ['all'], ['all'], all ? ['all'] : []]);
  }
});

test('a group reaches the hosts that have joined it, and the sender unless it does not want that', async () => {
  const hosts = new Hosts();
  const kernels = ['one', 'two', 'three'].map((name) => hosts.add(name));
  for (const [group, any] of [
    ['239.1.2.3', ['0.0.0.0', 5353]],
    ['ff05::1:3', ['::', 5353, 0, 0]],
  ] as [string, SocketAddress][]) {
    const sockets = kernels.map((kernel) => bound(kernel, any, { ...PLAIN, ipv6Only: true }));
    const [first, second, third] = sockets as [UdpSocket, UdpSocket, UdpSocket];
    first.join(group);
    second.join(group);
    const to: SocketAddress = any.length === 4 ? [group, 5353, 0, 0] : [group, 5353];
    first.send(Buffer.from('a'), to);
    await hosts.after(1);
    assert.deepEqual(sockets.map(texts), [['a'], ['a'], []]);
    first.options.multicastLoop = false;
    first.send(Buffer.from('b'), to);
    await hosts.after(1);
    assert.deepEqual(sockets.map(texts), [[], ['b'], []]);
    first.options.multicastHops = 0;
    first.send(Buffer.from('c'), to);
    second.leave(group);
    third.send(Buffer.from('d'), to);
    await hosts.after(1);
    assert.deepEqual(sockets.map(texts), [['d'], [], []]);
    assert.throws(
      () => second.leave(group),
      (error) => codeOf(error) === 'EADDRNOTAVAIL',
    );
    assert.throws(
      () => first.join(group),
      (error) => codeOf(error) === 'EADDRINUSE',
    );
    assert.throws(
      () => first.join('10.0.0.1'),
      (error) => codeOf(error) === 'EINVAL',
    );
  }
});

test('a program joins a group by the options of Linux', async () => {
  const hosts = new Hosts();
  const [one, two] = [hosts.add('one'), hosts.add('two')];
  const socket = bound(one, ['0.0.0.0', 5353]);
  socket.options.set(0, 35, Buffer.from([239, 1, 2, 3, 0, 0, 0, 0]));
  const six = bound(one, ['::', 5454, 0, 0], { ...PLAIN, ipv6Only: true });
  const group = Buffer.alloc(20);
  group.set([0xff, 0x05], 0);
  group[15] = 9;
  six.options.set(IPPROTO_IPV6, 20, group);
  two.network.udp.open(AF_INET).send(Buffer.from('four'), ['239.1.2.3', 5353]);
  two.network.udp.open(AF_INET6).send(Buffer.from('six'), ['ff05::9', 5454, 0, 0]);
  await hosts.after(1);
  assert.deepEqual(texts(socket), ['four']);
  assert.deepEqual(texts(six), ['six']);
});

test('datagram transports echo, and report refusals and datagrams that are too long', async () => {
  const hosts = new Hosts();
  const [a, b] = [new HostLoop(hosts.add('a')), new HostLoop(hosts.add('b'))];
  class Echo extends DatagramProtocol {
    transport: DatagramTransport | null = null;
    override connectionMade(transport: DatagramTransport): void {
      this.transport = transport;
    }
    override datagramReceived(data: Buffer, address: SocketAddress): void {
      this.transport?.sendto(data, address);
    }
  }
  class Client extends DatagramProtocol {
    readonly log: string[] = [];
    override datagramReceived(data: Buffer, address: SocketAddress): void {
      this.log.push(`${data} from ${address[0]}`);
    }
    override errorReceived(error: Error): void {
      this.log.push(codeOf(error) ?? '');
    }
    override connectionLost(error: Error | null): void {
      this.log.push(`lost ${error}`);
    }
  }
  const served = b.runUntilComplete(async () => {
    const [transport] = await b.createDatagramEndpoint(() => new Echo(), { localAddr: ['10.0.0.2', 53] });
    await sleep(2);
    transport.close();
    await sleep(10);
  });
  const log = await a.runUntilComplete(async () => {
    await sleep(1);
    const [transport, client] = await a.createDatagramEndpoint(() => new Client(), {
      remoteAddr: ['10.0.0.2', 53],
    });
    transport.sendto('hello');
    await sleep(0.1);
    transport.sendto(Buffer.alloc(65_508));
    await sleep(2);
    transport.sendto('anyone?');
    await sleep(1);
    transport.close();
    await sleep(1);
    return client.log;
  });
  await served;
  assert.deepEqual(log, ['hello from 10.0.0.2', 'EMSGSIZE', 'ECONNREFUSED', 'lost null']);
  a.close();
  b.close();
});

test('the table of sockets has the columns of Linux', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  listen(server, ['10.0.0.2', 80]);
  listen(server, ['::', 443, 0, 0]);
  bound(server, ['0.0.0.0', 53]);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.1);
  attempt.connection.write(Buffer.from('hello'));
  await hosts.after(0.1);
  const port = attempt.connection.ends.localPort;
  assert.equal(
    formatSockets(socketRows(server.network)),
    [
      'Active Internet connections (servers and established)',
      'Proto Recv-Q Send-Q Local Address           Foreign Address         State',
      'tcp        1      0 10.0.0.2:80             0.0.0.0:*               LISTEN',
      `tcp        5      0 10.0.0.2:80             10.0.0.1:${port}          ESTABLISHED`,
      'tcp6       0      0 :::443                  :::*                    LISTEN',
      'udp        0      0 0.0.0.0:53              0.0.0.0:*',
    ].join('\n'),
  );
  assert.equal(socketRows(client.network).length, 1);
});
