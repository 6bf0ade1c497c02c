import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIN } from '../../../src/backend/sim/fabric/packet.ts';
import { Hosts } from './hosts.ts';
import { codeOf, connect, connectedPair, listen, OPTIONS, Peer, Wire } from './wire.ts';

const states = (pair: { near: { state: string }; far: { state: string } }): string[] => [
  pair.near.state,
  pair.far.state,
];

test('a close sends FIN, and the side that closes first waits 60 s in TIME_WAIT', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  const peer = new Peer(pair.far);
  const wire = new Wire(hosts);
  pair.near.close();
  assert.deepEqual(states(pair), ['FIN_WAIT1', 'ESTABLISHED']);
  await hosts.after(0.05);
  assert.deepEqual(states(pair), ['FIN_WAIT2', 'CLOSE_WAIT']);
  assert.ok(peer.ended);
  pair.far.close();
  assert.deepEqual(states(pair), ['FIN_WAIT2', 'LAST_ACK']);
  await hosts.after(0.01);
  assert.deepEqual(states(pair), ['TIME_WAIT', 'CLOSE']);
  assert.deepEqual(wire.take(), ['client FIN ACK', 'server ACK', 'server FIN ACK', 'client ACK']);
  await hosts.after(59);
  assert.equal(pair.near.state, 'TIME_WAIT');
  await hosts.after(2);
  assert.equal(pair.near.state, 'CLOSE');
  assert.deepEqual(pair.client.network.tcp.connections, []);
});

test('accepted bytes still arrive after a close, and the end behind them', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far);
  near.write(Buffer.alloc(131_072));
  near.close();
  await hosts.after(1);
  assert.equal(peer.received.length, 131_072);
  assert.ok(peer.ended);
  assert.equal(peer.error, null);
});

test('after the end of one direction the other still carries data', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  const [left, right] = [new Peer(pair.near), new Peer(pair.far)];
  pair.near.shutdownWrite();
  await hosts.after(1);
  assert.ok(right.ended);
  pair.far.write(Buffer.alloc(200_000));
  await hosts.after(100);
  assert.equal(left.received.length, 131_072);
  assert.deepEqual(states(pair), ['FIN_WAIT2', 'CLOSE_WAIT']);
  pair.far.shutdownWrite();
  await hosts.after(1);
  assert.ok(left.ended);
  assert.deepEqual(states(pair), ['TIME_WAIT', 'CLOSE']);
});

test('two sides that close at once pass through CLOSING into TIME_WAIT', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  pair.near.close();
  pair.far.close();
  assert.deepEqual(states(pair), ['FIN_WAIT1', 'FIN_WAIT1']);
  await hosts.after(0.0006);
  assert.deepEqual(states(pair), ['CLOSING', 'CLOSING']);
  await hosts.after(0.001);
  assert.deepEqual(states(pair), ['TIME_WAIT', 'TIME_WAIT']);
});

test('a close with unread data sends RST, and the peer learns of a reset', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  const peer = new Peer(pair.far);
  pair.far.write(Buffer.from('unread'));
  await hosts.after(0.1);
  const wire = new Wire(hosts);
  pair.near.close();
  await hosts.after(1);
  assert.deepEqual(wire.take(), ['client RST ACK']);
  assert.equal(peer.error, 'ECONNRESET');
  assert.deepEqual(states(pair), ['CLOSE', 'CLOSE']);
});

test('data for a closed socket is answered by RST', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  const peer = new Peer(pair.far);
  pair.near.close();
  await hosts.after(0.1);
  assert.deepEqual(states(pair), ['FIN_WAIT2', 'CLOSE_WAIT']);
  const wire = new Wire(hosts);
  pair.far.write(Buffer.from('too late'));
  await hosts.after(0.1);
  assert.deepEqual(wire.take(), ['server PSH ACK 1+8', 'client RST']);
  // The peer's side was ended already, so Linux reports a broken pipe.
  assert.equal(peer.error, 'EPIPE');
  assert.throws(
    () => pair.far.write(Buffer.from('again')),
    (error) => codeOf(error) === 'EPIPE',
  );
});

test('a reset sends RST at once, and drops what was not sent', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far, false);
  near.write(Buffer.alloc(262_144));
  await hosts.after(0.2);
  near.reset();
  await hosts.after(1);
  assert.equal(peer.error, 'ECONNRESET');
  assert.equal(far.readable, 131_072, 'data that had arrived can still be read');
  assert.equal(near.state, 'CLOSE');
});

test('SO_LINGER of zero makes a close a reset', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far);
  near.options.linger = 0;
  near.close();
  await hosts.after(1);
  assert.equal(peer.error, 'ECONNRESET');
});

test('a closed socket whose peer does not end is forgotten after 60 s in FIN_WAIT2, one that is only shut down is not', async () => {
  for (const closes of [true, false]) {
    const hosts = new Hosts();
    const pair = await connectedPair(hosts);
    new Peer(pair.far);
    if (closes) pair.near.close();
    else pair.near.shutdownWrite();
    await hosts.after(50);
    assert.equal(pair.near.state, 'FIN_WAIT2');
    await hosts.after(20);
    assert.equal(pair.near.state, closes ? 'CLOSE' : 'FIN_WAIT2');
  }
});

test('a FIN that is lost is sent again, and given up 8 times later if no program has the socket', async () => {
  const hosts = new Hosts();
  const { near } = await connectedPair(hosts);
  hosts.stop();
  const wire = new Wire(hosts);
  near.close();
  await hosts.after(300);
  assert.equal(wire.segments.filter(({ flags }) => (flags & FIN) !== 0).length, 9);
  assert.equal(near.state, 'CLOSE');
});

test('a last ACK that is lost is sent again from TIME_WAIT', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  new Peer(pair.far);
  pair.near.close();
  await hosts.after(0.1);
  const heal = hosts.stop((packet) => packet.source === '10.0.0.1');
  pair.far.close();
  await hosts.after(0.1);
  assert.deepEqual(states(pair), ['TIME_WAIT', 'LAST_ACK']);
  heal();
  await hosts.after(1);
  assert.deepEqual(states(pair), ['TIME_WAIT', 'CLOSE']);
});

test('a peer may use the port of a connection in TIME_WAIT again', async () => {
  const hosts = new Hosts();
  const { client, server, near, far, listener } = await connectedPair(hosts);
  const { localPort } = near.ends;
  new Peer(near);
  far.close();
  await hosts.after(0.1);
  near.close();
  await hosts.after(0.1);
  assert.equal(far.state, 'TIME_WAIT');
  const { tcp } = client.network;
  let opened = false;
  tcp.connect(['10.0.0.2', 80], tcp.bind(['10.0.0.1', localPort], OPTIONS), (error) => {
    opened = error === null;
  });
  await hosts.after(0.1);
  assert.ok(opened && listener.acceptable);
  assert.equal(server.network.tcp.connections.length, 1);
});

test('the own port of a connection in TIME_WAIT cannot be used again for the same peer', async () => {
  const hosts = new Hosts();
  const { client, near, far } = await connectedPair(hosts);
  new Peer(far);
  near.close();
  await hosts.after(0.1);
  far.close();
  await hosts.after(0.1);
  const { tcp } = client.network;
  const again = (options: typeof OPTIONS): Promise<string | undefined> =>
    new Promise((resolve) => {
      const binding = tcp.bind(['10.0.0.1', near.ends.localPort], options);
      tcp.connect(['10.0.0.2', 80], binding, (error) => resolve(codeOf(error)));
      void hosts.after(1);
    });
  assert.throws(
    () => tcp.bind(['10.0.0.1', near.ends.localPort], { ...OPTIONS, reuseAddress: false }),
    (error) => codeOf(error) === 'EADDRINUSE',
  );
  near.options.reuseAddress = true;
  assert.equal(await again(OPTIONS), 'EADDRNOTAVAIL');
  await hosts.after(60);
  assert.equal(await again(OPTIONS), undefined);
});

test('a listening socket that closes resets the connections that wait', async () => {
  const hosts = new Hosts();
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const listener = listen(server, ['10.0.0.2', 80]);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.1);
  const peer = new Peer(attempt.connection);
  listener.close();
  await hosts.after(0.1);
  assert.equal(peer.error, 'ECONNRESET');
  const late = connect(client, ['10.0.0.2', 80]);
  await hosts.after(0.1);
  assert.equal(late.code, 'ECONNREFUSED');
});

test('a host that crashes sends nothing, and after its start answers by RST', async () => {
  const hosts = new Hosts();
  const { server, near, far } = await connectedPair(hosts);
  const peer = new Peer(near);
  new Peer(far);
  const wire = new Wire(hosts);
  server.host.crash();
  await hosts.after(10);
  assert.deepEqual(wire.take(), []);
  assert.equal(peer.error, null);
  near.write(Buffer.from('anyone?'));
  await hosts.after(1);
  assert.equal(peer.error, null);
  server.host.boot();
  await hosts.after(10);
  assert.equal(peer.error, 'ECONNRESET');
  assert.deepEqual(server.network.tcp.connections, []);
  assert.deepEqual(server.network.tcp.listeners, []);
});

test('a process that dies closes its sockets: FIN, or RST with unread data', async () => {
  const hosts = new Hosts();
  const pair = await connectedPair(hosts);
  const unread = connect(pair.client, ['10.0.0.2', 80]);
  const waiting = connect(pair.client, ['10.0.0.2', 80]);
  await hosts.after(0.1);
  const read = pair.listener.accept();
  unread.connection.write(Buffer.from('unread'));
  await hosts.after(0.1);
  assert.equal(read?.readable, 6);
  const peers = [pair.near, unread.connection, waiting.connection].map((one) => new Peer(one));
  pair.server.network.killPrograms();
  await hosts.after(0.1);
  assert.deepEqual(
    peers.map(({ ended, error }) => error ?? ended),
    [true, 'ECONNRESET', 'ECONNRESET'],
  );
});

test('keep-alive probes after 7200 s of silence, every 75 s, and gives up after 9', async () => {
  const hosts = new Hosts();
  const { near } = await connectedPair(hosts);
  const peer = new Peer(near);
  near.options.setKeepAlive(true, 0);
  hosts.stop();
  const wire = new Wire(hosts);
  const begin = hosts.timeline.time();
  await hosts.after(7199);
  assert.deepEqual(wire.take(), []);
  await hosts.after(700);
  const probes = wire.lines.filter((line) => line === 'client ACK').length;
  assert.equal(probes, 9);
  assert.equal(wire.lines.at(-1), 'client RST ACK');
  assert.equal(peer.error, 'ETIMEDOUT');
  assert.ok(Math.abs((wire.times.at(-1) as number) - begin - 7200 - 9 * 75) < 1);
});

test('keep-alive with a delay probes every second, 10 times, as libuv sets it', async () => {
  const hosts = new Hosts();
  const { near } = await connectedPair(hosts);
  const peer = new Peer(near);
  near.options.setKeepAlive(true, 5);
  await hosts.after(3600);
  assert.equal(peer.error, null, 'a peer that answers stays');
  const heal = hosts.stop();
  await hosts.after(5);
  heal();
  await hosts.after(100);
  assert.equal(peer.error, null, 'the outage was shorter');
  hosts.stop();
  await hosts.after(16);
  assert.equal(peer.error, 'ETIMEDOUT');
});

test('an RST that is not in order is challenged, and does not end the connection', async () => {
  const hosts = new Hosts();
  const { client, near, far } = await connectedPair(hosts);
  const peer = new Peer(near);
  const { local, localPort, remote, remotePort } = near.ends;
  far.write(Buffer.from('x'));
  const wire = new Wire(hosts);
  await hosts.after(0.1);
  const base = wire.segments.find(({ sourcePort }) => sourcePort === 80)?.ack ?? 0;
  wire.take();
  for (const seq of [0, 500_000, base]) {
    client.network.receive({
      protocol: 'tcp',
      source: remote,
      sourcePort: remotePort,
      destination: local,
      destinationPort: localPort,
      flags: 0x04,
      seq,
      ack: 0,
      window: 0,
      data: new Uint8Array(0),
    });
  }
  assert.equal(peer.error, null);
});

test('any order of closes ends both sides, in the states that RFC 9293 permits', async () => {
  const actions = {
    near: (pair: Awaited<ReturnType<typeof connectedPair>>) => pair.near.close(),
    far: (pair: Awaited<ReturnType<typeof connectedPair>>) => pair.far.close(),
    nearEnd: (pair: Awaited<ReturnType<typeof connectedPair>>) => pair.near.shutdownWrite(),
    farEnd: (pair: Awaited<ReturnType<typeof connectedPair>>) => pair.far.shutdownWrite(),
  };
  const names = Object.keys(actions) as (keyof typeof actions)[];
  for (const first of names) {
    for (const second of names) {
      for (const pause of [0, 0.0003, 0.0007, 0.1]) {
        const hosts = new Hosts();
        const pair = await connectedPair(hosts);
        const peers = [new Peer(pair.near), new Peer(pair.far)];
        actions[first](pair);
        if (pause > 0) await hosts.after(pause);
        actions[second](pair);
        await hosts.after(0.1);
        pair.near.close();
        pair.far.close();
        await hosts.after(200);
        const label = `${first}, ${pause} s, ${second}`;
        assert.deepEqual(states(pair), ['CLOSE', 'CLOSE'], label);
        assert.ok(
          peers.every(({ error }) => error === null),
          label,
        );
        assert.deepEqual(pair.client.network.tcp.connections, [], label);
      }
    }
  }
});
