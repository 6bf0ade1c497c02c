/**
 * A holder of little data holds little memory, although the host reads into large buffers and Node takes
 * small ones from a pool. Between the data of two holders so much else is received that they share no buffer.
 */
import assert from 'node:assert/strict';
import { existsSync, openSync } from 'node:fs';
import type { Socket as NodeSocket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { toDuplex } from '../../src/entry/node.ts';
import type { BaseEventLoop, Server, StreamReader, Transport } from '../../src/index.ts';
import { Protocol, startServer } from '../../src/index.ts';
import { serverTls } from '../helpers/certificates.ts';
import {
  addressOf,
  closedSocket,
  endAll,
  endpointPair,
  endpoint as endpointWith,
  nodeSocket,
} from '../helpers/datagrams.ts';
import { connectedSockets } from '../helpers/descriptors.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { cloggedPair, closed, isNative, makeLoop, onNode, portOf, Recorder } from '../helpers/pairs.ts';

/** Messages of the kernel: each read gives one. */
const MESSAGES = '/dev/kmsg';

const HOLDERS = 20;
/**
 * Bytes: a pool of Node's Buffers and some of gyre's may be under way, or just given up, whoever holds data.
 */
const POOLS_BYTES: number = Buffer.poolSize + 16 * 1024;
/** Bytes that a holder of a little data may keep beside an idle connection. */
const MOST_BYTES = 2048;
/** Text of so many bytes, so many times, uses up the buffers and pools of every size that are under way. */
const USED_UP: readonly (readonly [bytes: number, times: number])[] = [
  ...Array<[number, number]>(5).fill([60_000, 1]),
  [1000, 33],
  [250, 33],
  [60, 33],
];

/** Has each holder get its data, and so much else be received in between that no two share a buffer. */
async function assertKeepsLittle(
  loop: BaseEventLoop,
  hold: (i: number) => unknown,
  most: number = MOST_BYTES,
): Promise<void> {
  const { near, far } = await endpointPair(loop);
  const useUp = async (): Promise<void> => {
    for (const [bytes, times] of USED_UP) {
      for (let i = 0; i < times; i++) near.transport.sendto('x'.repeat(bytes));
      await far.untilReceived(times);
      for (const list of [far.log, far.datagrams, far.senders]) list.length = 0;
    }
    for (let used = 0; used <= Buffer.poolSize; used += 1000) Buffer.allocUnsafe(1000);
  };
  try {
    await useUp();
    const before = await arrayBuffers();
    for (let i = 0; i < HOLDERS; i++) {
      await hold(i);
      await useUp();
    }
    const each = ((await arrayBuffers()) - before - POOLS_BYTES) / HOLDERS;
    assert.ok(each <= most, `each holder keeps ${Math.round(each)} bytes`);
  } finally {
    await endAll(near, far);
  }
}

async function arrayBuffers(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** As many clients, of Node's own: nothing of ours holds their side. */
async function clientsOf(server: Server): Promise<NodeSocket[]> {
  const sockets: NodeSocket[] = [];
  for (let i = 0; i < HOLDERS; i++) {
    const socket = connect(portOf(server), '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    sockets.push(socket);
  }
  await hostPasses();
  return sockets;
}

async function endServer(server: Server, clients: NodeSocket[]): Promise<void> {
  server.close();
  server.abortClients();
  await server.waitClosed();
  for (const client of clients) await closed(client);
}

/** Each client sends `data`, of which a server then holds what it holds. */
async function assertServerKeepsLittle(
  loop: BaseEventLoop,
  server: Server,
  data: string,
  most?: number,
): Promise<void> {
  const clients = await clientsOf(server);
  const send = (i: number): Promise<void> => {
    clients[i]?.write(data);
    return hostPasses(5);
  };
  try {
    await assertKeepsLittle(loop, send, most);
  } finally {
    await endServer(server, clients);
  }
}

const SOME = 'A'.repeat(100);

/** Keeps what it got last, as one that waits for the rest of a message. */
class Keeper extends Protocol {
  rest: Buffer | null = null;
  override dataReceived(data: Buffer): void {
    this.rest = data;
  }
}

/** Has another connection read no more as soon as something comes, which it does not keep. */
class Pausing extends Protocol {
  transport: Transport | null = null;
  partner: Pausing | null = null;
  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }
  override dataReceived(): void {
    this.partner?.transport?.pauseReading();
  }
}

for (const [bytes, most] of [
  [1, MOST_BYTES],
  [100, 8 * 1024],
  [1000, 32 * 1024],
] as const) {
  test(
    `a protocol that keeps ${bytes} received bytes keeps ${most} bytes at most`,
    onNode(async (loop) => {
      const server = await loop.createServer(() => new Keeper(), '127.0.0.1', 0);
      await assertServerKeepsLittle(loop, server, 'G'.repeat(bytes), most);
    }),
  );
}

test(
  'data that the host has read before a pause, and hands over after it, keeps little memory',
  onNode(async (loop) => {
    const pairs: Pausing[] = [];
    const make = (): Pausing => {
      const one = new Pausing();
      const other = pairs.length % 2 === 0 ? null : (pairs.at(-1) as Pausing);
      if (other !== null) [one.partner, other.partner] = [other, one];
      pairs.push(one);
      return one;
    };
    const server = await loop.createServer(make, '127.0.0.1', 0);
    const clients = await clientsOf(server);
    const sendBoth = (i: number): Promise<void> => {
      // Both are read in one poll phase, and the first of them pauses the other.
      for (const client of clients.slice(2 * i, 2 * i + 2)) client.write(SOME);
      return hostPasses(5);
    };
    try {
      await assertKeepsLittle(loop, sendBoth);
    } finally {
      await endServer(server, clients);
    }
  }),
);

const LINE = `${'x'.repeat(999)}\n`;

for (const [what, data, read] of [
  ['half of a line for which a reader waits', SOME, (reader: StreamReader) => reader.readline()],
  ['half of a record for which a reader waits', SOME, (reader: StreamReader) => reader.readexactly(200)],
  ['data that nobody reads', SOME, () => null],
  ['the rest that a read has left', `line\n${SOME}`, (reader: StreamReader) => reader.read(5)],
  ['the rest that many reads have left', `${LINE.repeat(30)}${SOME}`, readLines],
] as const) {
  test(
    `${what} keeps little memory`,
    onNode(async (loop) => {
      const over = loop.createFuture<void>();
      const serve = async (reader: StreamReader): Promise<void> => {
        try {
          await read(reader);
        } catch {
          // Its connection was aborted.
        }
        await over;
      };
      try {
        await assertServerKeepsLittle(loop, await startServer(serve, '127.0.0.1', 0), data);
      } finally {
        over.setResult(undefined);
        await hostPasses();
      }
    }),
  );
}

async function readLines(reader: StreamReader): Promise<void> {
  for (let lines = 0; lines < 30; lines++) await reader.readline();
}

for (const [what, data] of [
  ['data', SOME],
  ['the rest of a line', `${LINE.repeat(10)}${SOME}`],
] as const) {
  test(
    `${what} that nobody reads keeps little memory in a duplex of toDuplex()`,
    onNode(async (loop) => {
      const duplexes: unknown[] = [];
      const make = (): Protocol => {
        const protocol = new Protocol();
        protocol.connectionMade = (transport) => {
          protocol.dataReceived = (received) => {
            const rest = received.subarray(received.length - SOME.length);
            duplexes.push(toDuplex(transport, { received: rest }).on('error', () => {}));
          };
          if (data === SOME) duplexes.push(toDuplex(transport).on('error', () => {}));
        };
        return protocol;
      };
      await assertServerKeepsLittle(loop, await loop.createServer(make, '127.0.0.1', 0), data);
    }),
  );
}

test(
  'a TLS handshake that has only begun keeps little memory',
  onNode(async (loop) => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0, { ssl: serverTls() });
    await assertServerKeepsLittle(loop, server, '\x16\x03');
  }),
);

for (const [what, dataOf] of [
  ['a small part of a read buffer', (data: Buffer) => data],
  ['text', String],
] as const) {
  test(
    `${what} that waits to be written keeps little memory`,
    onNode(async (loop) => {
      const clogged = await cloggedPair(loop);
      const makeRelay = (): Protocol => {
        const relay = new Protocol();
        relay.dataReceived = (data) => clogged.near.transport.write(dataOf(data));
        return relay;
      };
      const server = await loop.createServer(makeRelay, '127.0.0.1', 0);
      try {
        await assertServerKeepsLittle(loop, server, SOME);
      } finally {
        for (const recorder of [clogged.near, clogged.far]) {
          recorder.transport.abort();
          await recorder.untilLost();
        }
      }
    }),
  );
}

test(
  'a protocol that keeps a datagram of one byte keeps little memory',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    try {
      await assertKeepsLittle(loop, async (i) => {
        near.transport.sendto('G');
        await far.untilReceived(i + 1);
      });
    } finally {
      await endAll(near, far);
    }
  }),
);

test('data and datagrams that come while the loop is stopped keep little memory', () =>
  withLoop(makeLoop, async (loop) => {
    const { server, clients, endpoint, socket } = await loop.runUntilComplete(async () => {
      const serving = await loop.createServer(() => new Keeper(), '127.0.0.1', 0);
      return {
        server: serving,
        clients: await clientsOf(serving),
        endpoint: await endpointWith(loop, { localAddr: ['127.0.0.1', 0] }),
        socket: await nodeSocket(),
      };
    });
    const [, port] = addressOf(endpoint);
    const send = (i: number): Promise<void> => {
      clients[i]?.write(SOME);
      socket.send(SOME, port, '127.0.0.1');
      return hostPasses(5);
    };
    const other = makeLoop();
    try {
      await other.runUntilComplete(() => assertKeepsLittle(other, send));
    } finally {
      other.close();
      await loop.runUntilComplete(async () => {
        await endServer(server, clients);
        await endAll(endpoint);
        await closedSocket(socket);
      });
    }
  }));

test(
  'data that a call of a socket has received keeps little memory',
  { skip: !isNative && 'the portable backend has no sockets without buffers' },
  onNode(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const kept: Buffer[] = [];
    try {
      await assertKeepsLittle(loop, async () => {
        await loop.sockSendall(near, SOME);
        kept.push(await loop.sockRecv(far, 1000));
      });
    } finally {
      near.close();
      far.close();
    }
    assert.equal(kept.length, HOLDERS);
  }),
);

test(
  'a message of a device keeps little memory',
  { skip: !existsSync(MESSAGES) && `${MESSAGES} is not there` },
  onNode(async (loop) => {
    const near = new Recorder();
    const [transport] = await loop.connectReadPipe(() => near, openSync(MESSAGES, 'r'));
    const [message] = await near.untilReceived(1).then(() => near.chunks);
    transport.close();
    await near.untilLost();
    const { length, buffer } = message as Buffer;
    assert.ok(buffer.byteLength <= 64 * length + MOST_BYTES, `${length} bytes of ${buffer.byteLength}`);
  }),
);
