/**
 * No byte reaches the wrong peer. A thousand short connections, some cut off at any moment by either side,
 * reuse descriptors and ids at once. Each client sends numbered records with its own signature, and gets them
 * back. A foreign record, a gap or a repetition is a failure.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BaseEventLoop, Future, Transport } from '../../src/index.ts';
import { NodeEventLoop, Protocol, taskGroup, UvEventLoop } from '../../src/index.ts';
import { whyNoNativeBackend } from '../../src/loops/uv-event-loop.ts';
import { Chance } from '../helpers/chance.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { portOf } from '../helpers/pairs.ts';

const CONNECTIONS = 1000;
const AT_ONCE = 60;
const RECORD_BYTES = 16;

function record(client: number, sequence: number): Buffer {
  const buffer = Buffer.alloc(RECORD_BYTES);
  buffer.writeUInt32LE(client, 0);
  buffer.writeUInt32LE(sequence, 4);
  buffer.writeUInt32LE(Math.imul(client, 2_654_435_761) >>> 0, 8);
  buffer.writeUInt32LE((client ^ sequence) >>> 0, 12);
  return buffer;
}

class Client extends Protocol {
  readonly id: number;
  readonly #wanted: number;
  readonly #cutAfter: number;
  #received: Buffer = Buffer.alloc(0);
  #sequence: number = 0;
  #transport: Transport | null = null;
  wrong: string | null = null;
  done: boolean = false;
  readonly lost: Future<void>;

  constructor(loop: BaseEventLoop, id: number, wanted: number, cutAfter: number) {
    super();
    this.lost = loop.createFuture<void>();
    this.id = id;
    this.#wanted = wanted;
    this.#cutAfter = cutAfter;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    for (let i = 0; i < this.#wanted; i++) transport.write(record(this.id, i));
    if (this.#cutAfter === 0) transport.abort();
  }

  override dataReceived(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    while (this.#received.length >= RECORD_BYTES) {
      const expected = record(this.id, this.#sequence);
      const got = this.#received.subarray(0, RECORD_BYTES);
      if (!got.equals(expected)) this.wrong ??= `client ${this.id} got ${got.toString('hex')}`;
      this.#sequence++;
      this.#received = this.#received.subarray(RECORD_BYTES);
      if (this.#sequence === this.#cutAfter) this.#transport?.abort();
    }
    if (this.#sequence === this.#wanted) {
      this.done = true;
      this.#transport?.close();
    }
  }

  override connectionLost(): void {
    this.lost.setResult(undefined);
  }
}

/** Returns all data, and closes at random in the middle of it. */
class Echo extends Protocol {
  readonly #hangUpAfter: number;
  #records: number = 0;
  #transport: Transport | null = null;

  constructor(hangUpAfter: number) {
    super();
    this.#hangUpAfter = hangUpAfter;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
    this.#records += data.length / RECORD_BYTES;
    if (this.#records >= this.#hangUpAfter) this.#transport?.abort();
  }
}

async function storm(loop: BaseEventLoop, seed: number): Promise<number> {
  const chance = new Chance(seed);
  const server = await loop.createServer(
    () => new Echo(chance.once(10) ? 1 + chance.of(20) : Number.POSITIVE_INFINITY),
    '127.0.0.1',
    0,
    { backlog: 512 },
  );
  const port = portOf(server);
  let next = 0;
  let whole = 0;
  const one = async (): Promise<void> => {
    while (next < CONNECTIONS) {
      const id = next++;
      const wanted = 1 + chance.of(40);
      const client = new Client(loop, id, wanted, chance.once(6) ? chance.of(wanted) : -1);
      const connecting = loop.createConnection(() => client, '127.0.0.1', port);
      if (chance.once(12)) loop.callSoon(() => connecting.cancel());
      try {
        await connecting;
        await client.lost;
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_CANCELLED') throw error;
      }
      assert.equal(client.wrong, null);
      if (client.done) whole++;
    }
  };
  await taskGroup(async (group) => {
    for (let i = 0; i < AT_ONCE; i++) group.createTask(one);
  });
  server.close();
  server.abortClients();
  await server.waitClosed();
  return whole;
}

const loops: Record<string, () => BaseEventLoop> = {
  node: () => new NodeEventLoop(),
  uv: () => new UvEventLoop(),
};

for (const [name, makeLoop] of Object.entries(loops)) {
  const skip = name === 'uv' ? (whyNoNativeBackend()?.reason ?? false) : false;
  for (const seed of [1, 2]) {
    test(
      `no byte reaches the wrong peer, and no event a new connection (${name}, seed ${seed})`,
      { skip },
      () =>
        withLoop(makeLoop, async (loop) => {
          const whole = await loop.runUntilComplete(() => storm(loop, seed));
          assert.ok(whole > CONNECTIONS / 4, `only ${whole} of ${CONNECTIONS} came to their end`);
        }),
    );
  }
}
