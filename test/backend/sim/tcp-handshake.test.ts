import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYN } from '../../../src/backend/sim/fabric/packet.ts';
import { Hosts } from './hosts.ts';
import { codeOf, connect, connectedPair, listen, OPTIONS, Peer, Wire } from './wire.ts';

test('a connection opens by SYN, SYN ACK and ACK', async () => {
  const hosts = new Hosts();
  const wire = new Wire(hosts);
  const { near, far } = await connectedPair(hosts);
  assert.deepEqual(wire.take(), ['client SYN', 'server SYN ACK', 'client ACK']);
  assert.equal(near.state, 'ESTABLISHED');
  assert.equal(far.state, 'ESTABLISHED');
  assert.deepEqual(near.peername, ['10.0.0.2', 80]);
  assert.deepEqual(far.peername, near.sockname);
  assert.deepEqual(far.sockname, ['10.0.0.2', 80]);
});

test('the kernel chooses ephemeral ports from 32768 to 60999, by its seed', async () => {
  const ports = async (seed: number): Promise<number[]> => {
    const hosts = new Hosts(seed);
    const [client, server] = [hosts.add('client'), hosts.add('server')];
    listen(server, ['10.0.0.2', 80]);
    const attempts = Array.from({ length: 20 }, () => connect(client, ['10.0.0.2', 80]));
    await hosts.after(1);
    return attempts.map(({ connection }) => connection.ends.localPort);
  };
  const first = await ports(1);
  assert.equal(new Set(first).size, 20);
  assert.ok(first.every((port) => port >= 32_768 && port <= 60_999));
  assert.deepEqual(await ports(1), first);
  assert.notDeepEqual(await ports(2), first);
});

test('a port on which no socket listens refuses a connection after one round trip', async () => {
  const hosts = new Hosts();
  const [client] = [hosts.add('client'), hosts.add('server')];
  const wire = new Wire(hosts);
  const attempt = connect(client, ['10.0.0.2', 81]);
  await hosts.after(1);
  assert.equal(attempt.code, 'ECONNREFUSED');
  assert.equal((attempt.result as Error).message, 'connect ECONNREFUSED 10.0.0.2:81');
  assert.deepEqual(wire.take(), ['client SYN', 'server RST ACK']);
  assert.deepEqual(client.network.tcp.connections, []);
});

test('a SYN that is lost is sent again after 1, 2, 4, 8, 16 and 32 s, and fails after 127 s', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  listen(server, ['10.0.0.2', 80]);
  hosts.stop();
  const wire = new Wire(hosts);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(200);
  assert.deepEqual(wire.takeTimes(), [0, 1, 3, 7, 15, 31, 63]);
  assert.equal(attempt.code, 'ETIMEDOUT');
  assert.equal(attempt.at, 127);
});

test('an address that no host has is unreachable after 3 s', async () => {
  const hosts = new Hosts();
  const client = hosts.add('client');
  const attempt = connect(client, ['10.0.0.99', 80]);
  await hosts.after(10);
  assert.equal(attempt.code, 'EHOSTUNREACH');
  assert.equal(attempt.at, 3);
});

test('a host without an address of the family has no network of it', async () => {
  const hosts = new Hosts();
  const client = hosts.add('client', ['10.0.0.1']);
  hosts.add('server');
  const attempt = connect(client, ['fd00::2', 80, 0, 0]);
  await hosts.after(1);
  assert.equal(attempt.code, 'ENETUNREACH');
});

test('a host that is down answers nothing', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  server.host.crash();
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(200);
  assert.equal(attempt.code, 'ETIMEDOUT');
});

test('one connection more than the backlog waits, and then SYNs are dropped', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const listener = listen(server, ['10.0.0.2', 80], 1);
  const attempts = [1, 2, 3].map(() => connect(client, ['10.0.0.2', 80]));
  await hosts.after(0.5);
  assert.deepEqual(
    attempts.map(({ result }) => result !== null),
    [true, true, true],
  );
  assert.equal(listener.waiting, 2);
  const late = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.6);
  assert.equal(late.result, null);
  assert.ok(listener.accept() !== null && listener.accept() !== null);
  await hosts.after(3);
  assert.ok(late.at > 1.4 && late.at < 1.6, `connected at ${late.at}`);
});

test('a connection whose last ACK finds a full queue opens when there is room', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const listener = listen(server, ['10.0.0.2', 80], 0);
  const attempts = [connect(client, ['10.0.0.2', 80]), connect(client, ['10.0.0.2', 80])];
  await hosts.after(0.5);
  assert.ok(
    attempts.every(({ result }) => result !== null),
    'both clients believe to be connected',
  );
  assert.equal(listener.waiting, 1);
  attempts[1]?.connection.write(Buffer.from('early'));
  assert.ok(listener.accept() !== null);
  await hosts.after(3);
  const second = new Peer(listener.accept() ?? assert.fail('no second connection'));
  assert.equal(second.received.toString(), 'early');
});

test('a SYN ACK that is never answered is sent five times more, and forgotten after 63 s', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  listen(server, ['10.0.0.2', 80]);
  const wire = new Wire(hosts);
  hosts.stop((packet) => packet.destination === '10.0.0.1');
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.5);
  attempt.cancel();
  wire.take();
  await hosts.after(62);
  assert.equal(wire.take().length, 5);
  assert.equal(server.network.tcp.connections[0]?.state, 'SYN_RECV');
  await hosts.after(2);
  assert.deepEqual(server.network.tcp.connections, []);
});

test('two hosts that connect to each other at once get one connection', async () => {
  const hosts = new Hosts();
  const [left, right] = [hosts.add('left'), hosts.add('right')];
  const ends = [left, right].map((kernel, i) => {
    const { tcp } = kernel.network;
    const binding = tcp.bind([`10.0.0.${i + 1}`, 1000], OPTIONS);
    const attempt = { error: null as Error | null, opened: false };
    tcp.connect([`10.0.0.${2 - i}`, 1000], binding, (error, channel) => {
      attempt.error = error;
      attempt.opened = channel !== null;
    });
    return attempt;
  });
  await hosts.after(1);
  assert.deepEqual(ends, [
    { error: null, opened: true },
    { error: null, opened: true },
  ]);
  const [connection] = left.network.tcp.connections;
  const peer = new Peer(right.network.tcp.connections[0] ?? assert.fail());
  connection?.write(Buffer.from('hello'));
  await hosts.after(1);
  assert.equal(peer.received.toString(), 'hello');
});

test('a socket that connects to its own port is connected to itself, as on Linux', async () => {
  const hosts = new Hosts();
  const kernel = hosts.add('host');
  const { tcp } = kernel.network;
  let opened = false;
  tcp.connect(['127.0.0.1', 1000], tcp.bind(['127.0.0.1', 1000], OPTIONS), (error) => {
    opened = error === null;
  });
  await hosts.after(1);
  assert.ok(opened);
  const [connection] = tcp.connections;
  const peer = new Peer(connection ?? assert.fail());
  connection?.write(Buffer.from('me'));
  await hosts.after(1);
  assert.equal(peer.received.toString(), 'me');
});

test('a connect that is cancelled calls nothing, and leaves nothing behind', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const listener = listen(server, ['10.0.0.2', 80]);
  for (const seconds of [0, 0.0004, 0.0006, 0.0011]) {
    const attempt = connect(client, ['10.0.0.2', 80]);
    if (seconds > 0) await hosts.after(seconds);
    const wasDone = attempt.result !== null;
    attempt.cancel();
    await hosts.after(2);
    assert.equal(attempt.result !== null, wasDone);
    listener.accept()?.close();
    await hosts.after(61);
    assert.deepEqual(client.network.tcp.connections, []);
    assert.deepEqual(server.network.tcp.connections, []);
  }
});

test('a connect that is cancelled behind its handshake sends FIN, as close() does', async () => {
  const hosts = new Hosts();
  const wire = new Wire(hosts);
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  listen(server, ['10.0.0.2', 80]);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.0011);
  wire.take();
  attempt.cancel();
  await hosts.after(1);
  assert.deepEqual(wire.take(), ['client FIN ACK', 'server ACK']);
});

test('a connection to 0.0.0.0 goes to 127.0.0.1, and its local address is a loopback address', async () => {
  const hosts = new Hosts();
  const kernel = hosts.add('host');
  listen(kernel, ['0.0.0.0', 80]);
  const attempt = connect(kernel, ['0.0.0.0', 80]);
  const named = connect(kernel, ['10.0.0.1', 80]);
  await hosts.after(1);
  assert.deepEqual(attempt.connection.peername, ['127.0.0.1', 80]);
  assert.equal(attempt.connection.sockname[0], '127.0.0.1');
  assert.equal(named.connection.sockname[0], '10.0.0.1');
});

test('a socket that is bound to loopback cannot connect to another host', async () => {
  const hosts = new Hosts();
  const [client] = [hosts.add('client'), hosts.add('server')];
  const { tcp } = client.network;
  let code: string | undefined;
  tcp.connect(['10.0.0.2', 80], tcp.bind(['127.0.0.1', 0], OPTIONS), (error) => {
    code = codeOf(error);
  });
  await hosts.after(1);
  assert.equal(code, 'EINVAL');
});

test('an IPv6 socket for all addresses also accepts IPv4, unless it is for IPv6 only', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const { tcp } = server.network;
  const listener = tcp.listen(tcp.bind(['::', 80, 0, 0], { ...OPTIONS, ipv6Only: false }), 10);
  listen(server, ['::', 81, 0, 0]);
  const [four, six, mapped, only] = [
    connect(client, ['10.0.0.2', 80]),
    connect(client, ['fd00::2', 80, 0, 0]),
    connect(client, ['::ffff:10.0.0.2', 80, 0, 0]),
    connect(client, ['10.0.0.2', 81]),
  ];
  await hosts.after(1);
  assert.equal(only?.code, 'ECONNREFUSED');
  assert.deepEqual(six?.connection.peername, ['fd00::2', 80, 0, 0]);
  assert.deepEqual(four?.connection.peername, ['10.0.0.2', 80]);
  assert.deepEqual(mapped?.connection.peername, ['::ffff:10.0.0.2', 80, 0, 0]);
  const accepted = [listener.accept(), listener.accept(), listener.accept()].map((one) => one?.sockname[0]);
  assert.deepEqual(accepted.sort(), ['::ffff:10.0.0.2', '::ffff:10.0.0.2', 'fd00::2']);
});

test('sequence numbers start anywhere, and wrap around', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const hosts = new Hosts(seed);
    const wire = new Wire(hosts);
    const { near, far } = await connectedPair(hosts);
    const first = wire.segments.find(({ flags }) => flags === SYN)?.seq as number;
    assert.ok(Number.isInteger(first) && first >= 0 && first < 2 ** 32);
    const peer = new Peer(far);
    near.write(Buffer.alloc(100_000, seed));
    await hosts.after(1);
    assert.equal(peer.received.length, 100_000);
  }
});
