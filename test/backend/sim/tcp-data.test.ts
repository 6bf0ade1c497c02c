import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ACK, FIN, PSH } from '../../../src/backend/sim/fabric/packet.ts';
import type { TcpConnection } from '../../../src/backend/sim/inet/tcp-connection.ts';
import { Hosts } from './hosts.ts';
import { codeOf, connect, connectedPair, listen, Peer, Wire } from './wire.ts';

const BUFFER = 131_072;

/** Writes everything, whenever there is room, and then FIN. */
function writeAll(connection: TcpConnection, data: Uint8Array): Peer {
  let sent = 0;
  const peer = new Peer(connection);
  const more = (): void => {
    if (connection.error !== null) return;
    while (sent < data.length) {
      const count = connection.write(data.subarray(sent, sent + 10_000));
      sent += count;
      if (count < Math.min(10_000, data.length - (sent - count))) return;
    }
    connection.shutdownWrite();
  };
  peer.onWritable = more;
  more();
  return peer;
}

test('data is cut into segments of 1460 bytes over IPv4, 1440 over IPv6, and 65495 within a host', async () => {
  for (const [host, size] of [
    ['10.0.0.2', 1460],
    ['fd00::2', 1440],
    ['127.0.0.1', 65_495],
  ] as const) {
    const hosts = new Hosts();
    const [client, server] = [hosts.add('client'), hosts.add('server')];
    const near = host === '127.0.0.1' ? server : client;
    const { near: connection, far } = await connectedPair(hosts, near, server, host);
    const peer = new Peer(far);
    const wire = new Wire(hosts);
    connection.write(Buffer.alloc(100_000));
    await hosts.after(1);
    const lengths = wire.segments.map(({ data }) => data.length).filter((length) => length > 0);
    assert.ok(
      lengths.slice(0, -1).every((length) => length === size),
      `${lengths}`,
    );
    assert.equal(peer.received.length, 100_000);
  }
});

test('the second of two segments is acknowledged at once, and a single one after 40 ms', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const [left, right] = [new Peer(near), new Peer(far)];
  // A side that answers acknowledges with its data.
  far.write(Buffer.alloc(1));
  await hosts.after(1);
  const wire = new Wire(hosts);
  near.write(Buffer.alloc(2920));
  await hosts.after(0.01);
  assert.deepEqual(wire.take(), ['client ACK 1+1460', 'client PSH ACK 1461+1460', 'server ACK']);
  const begin = hosts.timeline.time();
  near.write(Buffer.alloc(10));
  await hosts.after(1);
  assert.deepEqual(
    wire.times.map((time) => Math.round((time - begin) * 1e6)),
    [0, 40_500],
  );
  assert.deepEqual(wire.take(), ['client PSH ACK 2921+10', 'server ACK']);
  assert.equal(left.received.length + right.received.length, 2931);
});

test('an answer within 40 ms carries the acknowledgement', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const right = new Peer(far);
  right.onReadable = () => {
    for (let data = far.read(100); data !== null; data = far.read(100)) far.write(data);
  };
  const left = new Peer(near);
  let rounds = 0;
  left.onReadable = () => {
    for (let data = near.read(100); data !== null; data = near.read(100)) if (++rounds < 50) near.write(data);
  };
  const wire = new Wire(hosts);
  near.write(Buffer.from('ping'));
  await hosts.after(1);
  assert.equal(rounds, 50);
  const bare = wire.segments.filter(({ data }) => data.length === 0).length;
  assert.ok(bare <= 2, `${bare} segments without data`);
});

test('the first 16 segments of a side that only receives are acknowledged at once', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  new Peer(far);
  const wire = new Wire(hosts);
  for (let i = 0; i < 18; i++) {
    near.write(Buffer.alloc(10));
    await hosts.after(0.01);
  }
  const acks = wire.lines.filter((line) => line === 'server ACK').length;
  assert.equal(acks, 16);
});

test("Nagle's algorithm keeps a short segment back until everything before is acknowledged", async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  new Peer(far);
  far.write(Buffer.alloc(1));
  await hosts.after(1);
  const wire = new Wire(hosts);
  near.write(Buffer.alloc(10));
  near.write(Buffer.alloc(10));
  near.write(Buffer.alloc(10));
  await hosts.after(1);
  const data = (lines: string[]): string[] => lines.filter((line) => line.includes('+'));
  assert.deepEqual(data(wire.take()), ['client PSH ACK 1+10', 'client PSH ACK 11+20']);
  near.options.setNoDelay(true);
  near.write(Buffer.alloc(10));
  near.write(Buffer.alloc(10));
  await hosts.after(1);
  assert.deepEqual(data(wire.take()), ['client PSH ACK 31+10', 'client PSH ACK 41+10']);
});

test('a write accepts what fits into the send buffer, and the receive window stops the sender', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const reader = new Peer(far, false);
  const writer = new Peer(near);
  assert.equal(near.write(Buffer.alloc(200_000)), BUFFER);
  assert.equal(near.write(Buffer.alloc(1)), 0);
  assert.equal(near.writable, false);
  await hosts.after(1);
  assert.equal(far.readable, BUFFER, 'the receive buffer is full');
  assert.equal(writer.writable, 1);
  assert.equal(near.write(Buffer.alloc(200_000)), BUFFER);
  await hosts.after(1);
  assert.equal(far.readable, BUFFER);
  assert.equal(near.sendQueue, BUFFER);
  assert.equal(writer.writable, 1);
  reader.reads = true;
  reader.onReadable();
  await hosts.after(1);
  assert.equal(reader.received.length, 2 * BUFFER);
  assert.equal(writer.writable, 2);
  assert.equal(near.sendQueue, 0);
});

test('a closed window is probed after 200 ms, then half as often each time, for ever', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  new Peer(far, false);
  near.write(Buffer.alloc(BUFFER));
  await hosts.after(0.1);
  const wire = new Wire(hosts);
  near.write(Buffer.alloc(100));
  const begin = hosts.timeline.time();
  await hosts.after(3600);
  const probes = wire.times.filter((_, i) => wire.lines[i] === 'client ACK').map((time) => time - begin);
  const gaps = probes.map((time, i) => time - (probes[i - 1] ?? 0));
  assert.ok(gaps[0] !== undefined && gaps[0] > 0.19 && gaps[0] < 0.22, `${gaps[0]}`);
  assert.ok(
    gaps.slice(1, 9).every((gap, i) => Math.abs(gap / (gaps[i] as number) - 2) < 0.01),
    `${gaps}`,
  );
  assert.ok(
    gaps.slice(11).every((gap) => Math.abs(gap - 120) < 0.01),
    `${gaps}`,
  );
  assert.ok(gaps.length > 30, 'as long as the peer answers');
  assert.equal(near.state, 'ESTABLISHED');
});

test('a peer that does not answer probes is given up after 15 of them', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  new Peer(far, false);
  const writer = new Peer(near);
  near.write(Buffer.alloc(BUFFER));
  await hosts.after(0.1);
  near.write(Buffer.alloc(100));
  hosts.stop();
  await hosts.after(2000);
  assert.equal(writer.error, 'ETIMEDOUT');
});

test('a reader that reads in small pieces opens the window in large steps', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  new Peer(far, false);
  near.write(Buffer.alloc(BUFFER));
  await hosts.after(0.1);
  near.write(Buffer.alloc(BUFFER));
  await hosts.after(0.1);
  const wire = new Wire(hosts);
  let got = 0;
  while (got < BUFFER) got += far.read(100)?.length ?? 0;
  await hosts.after(0.1);
  const updates = wire.lines.filter((line) => line === 'server ACK').length;
  assert.ok(updates < 100, `${updates} acknowledgements`);
  assert.ok(wire.segments.every(({ data }) => data.length === 0 || data.length > 1000));
});

test('a lost segment is sent again after 200 ms, then half as often, and after 15 times the connection fails', async () => {
  const hosts = new Hosts();
  const { near } = await connectedPair(hosts);
  const peer = new Peer(near);
  hosts.stop();
  const wire = new Wire(hosts);
  const begin = hosts.timeline.time();
  near.write(Buffer.from('lost'));
  await hosts.after(2000);
  const times = wire.takeTimes().map((time) => time - begin);
  const gaps = times.map((time, i) => time - (times[i - 1] ?? 0)).slice(1);
  assert.equal(gaps.length, 15);
  assert.ok(
    gaps.every((gap, i) => Math.abs(gap - Math.min(0.2015 * 2 ** i, 120)) < 0.01 * gap),
    `${gaps}`,
  );
  assert.equal(peer.error, 'ETIMEDOUT');
  assert.deepEqual(near.state, 'CLOSE');
});

test('a timeout that the network has explained by an unreachable host fails by EHOSTUNREACH', async () => {
  const hosts = new Hosts();
  const { near, client } = await connectedPair(hosts);
  const peer = new Peer(near);
  hosts.stop();
  near.write(Buffer.from('lost'));
  await hosts.after(1);
  const { local, localPort, remote, remotePort } = near.ends;
  const about = {
    protocol: 'tcp' as const,
    source: local,
    sourcePort: localPort,
    destination: remote,
    destinationPort: remotePort,
    flags: ACK | PSH,
    seq: 0,
    ack: 0,
    window: 0,
    data: Buffer.from('lost'),
  };
  client.network.receive({
    protocol: 'icmp',
    source: local,
    destination: local,
    reason: 'host-unreachable',
    about,
  });
  assert.equal(peer.error, null, 'a report alone ends no connection');
  await hosts.after(2000);
  assert.equal(peer.error, 'EHOSTUNREACH');
});

test('the timeout follows the round trip: a slow link causes no second copy', async () => {
  const hosts = new Hosts();
  hosts.shape((_packet, verdict) => {
    verdict.latency = 0.4;
  });
  const [client, server] = [hosts.add('client'), hosts.add('server')];
  const listener = listen(server, ['10.0.0.2', 80]);
  const attempt = connect(client, ['10.0.0.2', 80]);
  await hosts.after(3);
  const peer = new Peer(listener.accept() ?? assert.fail());
  const wire = new Wire(hosts);
  for (let i = 0; i < 20; i++) {
    attempt.connection.write(Buffer.alloc(10));
    await hosts.after(1);
  }
  assert.equal(wire.segments.filter(({ data }) => data.length > 0).length, 20);
  assert.equal(peer.received.length, 200);
});

test('the third repeated acknowledgement brings a lost segment back before its timeout', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far);
  let count = 0;
  hosts.stop((packet) => packet.protocol === 'tcp' && packet.data.length > 0 && ++count === 2);
  const begin = hosts.timeline.time();
  let done = 0;
  const onReadable = peer.onReadable.bind(peer);
  peer.onReadable = () => {
    onReadable();
    done = hosts.timeline.time();
  };
  near.write(Buffer.alloc(10 * 1460));
  await hosts.after(1);
  assert.equal(peer.received.length, 10 * 1460);
  assert.ok(done - begin < 0.005, `took ${done - begin} s`);
});

test('segments that come out of order, twice, or overlapping are delivered once and in order', async () => {
  const hosts = new Hosts(3);
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far);
  let count = 0;
  hosts.shape((packet, verdict) => {
    if (packet.protocol !== 'tcp') return;
    verdict.reordered = true;
    verdict.latency = [0.003, 0.001, 0.002][count++ % 3] as number;
    verdict.copies = [0.0001, 0.01];
  });
  const data = Buffer.from(Array.from({ length: 50_000 }, (_, i) => i % 251));
  near.write(data);
  await hosts.after(2);
  assert.ok(peer.received.equals(data));
});

test('an outage of a minute delays data, and loses none', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const data = Buffer.from(Array.from({ length: 400_000 }, (_, i) => i % 253));
  const peer = new Peer(far);
  writeAll(near, data);
  await hosts.after(0.0008);
  const heal = hosts.stop();
  await hosts.after(60);
  assert.ok(peer.received.length < data.length);
  heal();
  await hosts.after(120);
  assert.ok(peer.received.equals(data));
  assert.ok(peer.ended);
});

test('any schedule of losses, copies and delays delivers exactly the bytes that were written', async () => {
  const fate = fc.record({
    lost: fc.nat({ max: 9 }).map((n) => n < 2),
    latency: fc.double({ min: 0.0001, max: 0.3, noNaN: true }),
    copies: fc.array(fc.double({ min: 0, max: 0.5, noNaN: true }), { maxLength: 2 }),
  });
  const run = fc.asyncProperty(
    fc.nat(),
    fc.array(fate, { minLength: 1, maxLength: 40 }),
    fc.tuple(fc.nat({ max: 60_000 }), fc.nat({ max: 60_000 })),
    fc.boolean(),
    async (seed, fates, lengths, noDelay) => {
      const hosts = new Hosts(seed);
      const { near, far } = await connectedPair(hosts);
      near.options.setNoDelay(noDelay);
      let count = 0;
      hosts.shape((_packet, verdict) => {
        const { lost, latency, copies } = fates[count++ % fates.length] as (typeof fates)[number];
        verdict.reordered = true;
        verdict.latency = latency;
        verdict.copies = copies;
        // Every 7th gets through, so that the connection lives.
        if (lost && count % 7 !== 0) verdict.drop('test');
      });
      const sent = lengths.map((length, i) =>
        Buffer.from(Array.from({ length }, (_, j) => (j * (i + 3)) % 251)),
      );
      const peers = [writeAll(near, sent[0] as Buffer), writeAll(far, sent[1] as Buffer)];
      // Each segment has 15 tries, which take a quarter of an hour.
      await hosts.after(200_000);
      for (const [i, peer] of peers.entries()) {
        const written = sent[1 - i] as Buffer;
        const got = peer.received;
        assert.ok(got.equals(written.subarray(0, got.length)), 'wrong bytes');
        // A peer that has given up, or whose TIME_WAIT is over, answers by RST.
        assert.ok([null, 'ETIMEDOUT', 'ECONNRESET'].includes(peer.error), `${peer.error}`);
        // A side that only receives does not learn that the other has given up.
        if (peers.some(({ error }) => error !== null)) continue;
        assert.ok(got.length === written.length && peer.ended, `${got.length} of ${written.length} bytes`);
      }
    },
  );
  await fc.assert(run, { numRuns: 60 });
});

test('the memory of written data can be reused at once, and received data belongs to the receiver', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far);
  let lost = true;
  // The acknowledgement is lost, so the segment is sent again after the receiver has transferred its memory.
  hosts.stop((packet) => lost && packet.source === '10.0.0.2');
  const data = Buffer.alloc(1000, 'a');
  near.write(data);
  data.fill('b');
  await hosts.after(0.01);
  const [chunk] = peer.chunks as [Buffer];
  assert.equal(chunk.toString(), 'a'.repeat(1000));
  assert.equal(chunk.buffer.byteLength, 1000, 'no other data is in the memory');
  structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
  lost = false;
  near.write(Buffer.from('next'));
  await hosts.after(3);
  assert.equal(Buffer.concat(peer.chunks.slice(1)).toString(), 'next');
});

test('a write after the end of writing fails by EPIPE', async () => {
  const hosts = new Hosts();
  const { near } = await connectedPair(hosts);
  near.shutdownWrite();
  assert.throws(
    () => near.write(Buffer.from('x')),
    (error) => codeOf(error) === 'EPIPE',
  );
});

test('a FIN travels with the last data, if it may be sent', async () => {
  const hosts = new Hosts();
  const { near, far } = await connectedPair(hosts);
  const peer = new Peer(far, false);
  near.write(Buffer.alloc(BUFFER));
  await hosts.after(0.1);
  near.write(Buffer.from('last'));
  near.shutdownWrite();
  const wire = new Wire(hosts);
  peer.reads = true;
  peer.onReadable();
  await hosts.after(0.1);
  const last = wire.segments.find(({ data }) => data.length === 4);
  assert.equal(last?.flags, ACK | PSH | FIN);
  assert.ok(peer.ended);
});
