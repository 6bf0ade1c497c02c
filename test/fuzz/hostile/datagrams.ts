/**
 * A datagram socket and hostile senders. Each datagram must be whole, and come from the sender that it names.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { DatagramTransport, SocketAddress } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import { piece } from './content.ts';
import type { World } from './world.ts';
import { Fault, Planned } from './world.ts';

const HOST = '127.0.0.1';
const HEADER_BYTES = 8;
const MOST_BYTES = 60_000;

/** A datagram that names its sender and its number. */
function datagram(port: number, number: number, length: number): Buffer {
  const data = Buffer.concat([Buffer.alloc(HEADER_BYTES), piece(port, number, length)]);
  data.writeUInt32LE(port, 0);
  data.writeUInt32LE(number, 4);
  return data;
}

function check(data: Uint8Array, address: SocketAddress): void {
  const buffer = Buffer.from(data);
  if (buffer.length < HEADER_BYTES) return;
  const port = buffer.readUInt32LE(0);
  const expected = datagram(port, buffer.readUInt32LE(4), buffer.length - HEADER_BYTES);
  if (port !== address[1]) throw new Fault(`a datagram of ${port} came from ${address}`);
  if (!expected.equals(buffer)) throw new Fault(`a datagram of ${port} has other bytes`);
}

export async function exchangeDatagrams(world: World): Promise<void> {
  const { loop } = world;
  const chance = world.chanceOf(world.serial());
  const lost = loop.createFuture<void>();
  let transport: DatagramTransport | null = null;
  let sent = 0;
  let port = 0;
  const send = (address: SocketAddress): void => {
    if (transport === null || transport.isClosing()) return;
    transport.sendto(datagram(port, sent++, chance.of(2) === 0 ? 10 : chance.of(MOST_BYTES)), address);
  };
  const [opened] = await loop.createDatagramEndpoint(
    () => ({
      connectionMade: (made: DatagramTransport) => {
        transport = made;
        port = (made.getExtraInfo('sockname') as [string, number])[1];
      },
      datagramReceived: (data: Buffer, address: SocketAddress) => {
        world.saw('datagrams');
        check(data, address);
        switch (chance.of(40)) {
          case 0:
            transport?.close();
            return;
          case 1:
            transport?.abort();
            return;
          case 2:
            if (chance.once(4)) throw new Planned();
            return;
          default:
            for (let i = chance.of(4); i > 0; i--) send(address);
        }
      },
      connectionLost: () => lost.setResult(undefined),
    }),
    { localAddr: [HOST, 0] },
  );
  const peer = createSocket('udp4');
  const faults: Fault[] = [];
  peer.on('error', () => {});
  peer.on('message', (data, { address, port: from }) => {
    try {
      check(data, [address, from]);
    } catch (error) {
      faults.push(error as Fault);
    }
  });
  peer.bind(0, HOST);
  await once(peer, 'listening');
  const theirs = peer.address().port;
  for (let i = 0; i < chance.of(200) && !opened.isClosing(); i++) {
    const length = chance.one([0, 1, 100, 1400, 30_000, MOST_BYTES]);
    // Empty ones and parts of a header come as well.
    const data = chance.once(10) ? Buffer.alloc(chance.of(HEADER_BYTES)) : datagram(theirs, i, length);
    peer.send(data, port, HOST);
    if (chance.once(3)) send([HOST, theirs]);
    if (chance.once(5)) await sleep(0);
  }
  opened.abort();
  await lost;
  peer.close();
  if (faults[0] !== undefined) throw faults[0];
}
