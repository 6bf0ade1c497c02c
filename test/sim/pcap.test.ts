import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, openConnection, sleep, startServer } from '../../src/index.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gyre-pcap-'));
after(() => rmSync(folder, { recursive: true }));

/** TCP over both families, a datagram, and a datagram to a closed port. */
async function capture(name: string): Promise<string> {
  const pcap = path.join(folder, name);
  const epoch = new Date('2025-03-01T12:00:00.250Z');
  await simulate({ seed: 1, pcap, epoch, onReport: () => {} }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    void server.run(async () => {
      const listener = await startServer(
        async (reader, writer) => {
          writer.write(await reader.readline());
          writer.close();
        },
        null,
        80,
      );
      await getRunningLoop().createDatagramEndpoint(() => ({}), { localAddr: ['0.0.0.0', 40000] });
      await listener.serveForever();
    });
    await sleep(1);
    await client.run(async () => {
      const loop = getRunningLoop();
      for (const address of server.addresses) {
        const [reader, writer] = await openConnection(address, 80);
        writer.write(`hello ${address}\n`);
        await reader.read();
        writer.close();
        await writer.waitClosed();
      }
      for (const port of [40000, 40001]) {
        const remoteAddr: [string, number] = [server.addresses[0] as string, port];
        const [transport] = await loop.createDatagramEndpoint(() => ({}), { remoteAddr });
        transport.sendto('odd');
        await sleep(0.1);
        transport.close();
      }
      await sleep(100);
    });
  });
  return pcap;
}

interface Parsed {
  readonly time: number;
  readonly family: number;
  readonly protocol: number;
  readonly payload: Buffer;
  /** Zero for a right one. */
  readonly checksums: number[];
}

/** Reads a capture file, as the specification of the format says. */
function parse(file: string): Parsed[] {
  const bytes = readFileSync(file);
  assert.deepEqual([bytes.readUInt32LE(0), bytes.readUInt32LE(20)], [0xa1b23c4d, 101]);
  const packets: Parsed[] = [];
  for (let at = 24; at < bytes.length; ) {
    const time = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) / 1e9;
    const length = bytes.readUInt32LE(at + 8);
    assert.equal(bytes.readUInt32LE(at + 12), length);
    packets.push(parsePacket(time, bytes.subarray(at + 16, at + 16 + length)));
    at += 16 + length;
  }
  return packets;
}

function parsePacket(time: number, packet: Buffer): Parsed {
  const family = (packet[0] as number) >> 4;
  const headerLength = family === 4 ? 20 : 40;
  const payload = packet.subarray(headerLength);
  const stated = family === 4 ? packet.readUInt16BE(2) - 20 : packet.readUInt16BE(4);
  assert.equal(payload.length, stated);
  const protocol = packet[family === 4 ? 9 : 6] as number;
  const addresses = family === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(protocol, 0);
  pseudo.writeUInt16BE(payload.length, 2);
  const covered = protocol === 1 ? payload : Buffer.concat([addresses, pseudo, payload]);
  const own = family === 4 ? [complement(packet.subarray(0, 20))] : [];
  return { time, family, protocol, payload, checksums: [...own, complement(covered)] };
}

/** The checksum over data with its checksum is zero. */
function complement(bytes: Buffer): number {
  let sum = 0;
  for (const [i, byte] of bytes.entries()) sum += i % 2 === 0 ? byte * 256 : byte;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

test('a capture file has the packets of a world, with the headers and checksums of the real ones', async () => {
  const packets = parse(await capture('run.pcap'));
  assert.deepEqual(new Set(packets.flatMap(({ checksums }) => checksums)), new Set([0]));
  assert.deepEqual(new Set(packets.map(({ family }) => family)), new Set([4, 6]));
  const protocols = packets.map(({ protocol }) => protocol);
  assert.deepEqual(
    protocols.filter((protocol) => protocol !== 6),
    [17, 17, 1],
  );
  const [syn, synAck] = packets as [Parsed, Parsed];
  assert.equal(syn.time.toFixed(4), (Date.parse('2025-03-01T12:00:01.250Z') / 1000).toFixed(4));
  assert.equal(synAck.time.toFixed(4), (syn.time + 0.0005).toFixed(4));
  assert.equal(syn.payload.readUInt16BE(2), 80);
  assert.deepEqual([syn.payload[13], synAck.payload[13]], [2, 18]);
  assert.equal(synAck.payload.readUInt32BE(8), (syn.payload.readUInt32BE(4) + 1) >>> 0);
  assert.ok(packets.some(({ payload }) => payload.subarray(20).toString() === 'hello 10.0.0.1\n'));
});

const hasTshark = spawnSync('tshark', ['--version']).error === undefined;

test('Wireshark reads a capture file without a complaint', {
  skip: hasTshark ? false : 'tshark is not installed',
}, async () => {
  const file = await capture('tshark.pcap');
  const options = [
    '-o',
    'ip.check_checksum:TRUE',
    '-o',
    'tcp.check_checksum:TRUE',
    '-o',
    'udp.check_checksum:TRUE',
  ];
  const tshark = (...args: string[]): string[] =>
    execFileSync('tshark', ['-r', file, ...options, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .split('\n')
      .filter((line) => line !== '');
  const bad =
    'ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0';
  assert.deepEqual(tshark('-Y', `${bad} || _ws.malformed || tcp.analysis.flags`), []);
  assert.equal(tshark().length, parse(file).length);
  const data = tshark('-Y', 'tcp.len > 0', '-T', 'fields', '-e', 'tcp.payload');
  assert.ok(data.includes(Buffer.from('hello fd00::1\n').toString('hex')));
  assert.deepEqual(
    tshark('-Y', 'icmp', '-T', 'fields', '-e', 'icmp.type', '-e', 'icmp.code', '-e', 'udp.dstport'),
    ['3\t3\t40001'],
  );
  assert.deepEqual(tshark('-Y', 'tcp.flags.syn == 1', '-T', 'fields', '-e', 'tcp.options.wscale.shift'), [
    '7',
    '7',
    '7',
    '7',
  ]);
});

test('a capture file is closed when the simulation fails', async () => {
  const pcap = path.join(folder, 'failed.pcap');
  const failing = simulate({ seed: 1, pcap }, async () => {
    throw new Error('failed');
  });
  await assert.rejects(failing, { message: 'failed' });
  assert.deepEqual(parse(pcap), []);
});

test('a capture file that cannot be written is an error of simulate()', async () => {
  const pcap = path.join(folder, 'missing', 'run.pcap');
  await assert.rejects(
    simulate({ seed: 1, pcap }, async () => {}),
    { code: 'ENOENT' },
  );
  await assert.rejects(
    simulate({ seed: 1, pcap: 5 } as never, async () => {}),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
});
