/**
 * Crowds of connections and datagrams are always ready, and others still get their turn soon: a reply, a
 * connection, a datagram and a timer. The test measures waits in passes of the host's loop, so that they are
 * the same on machines of any speed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BaseEventLoop, Server } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { addressOf, DatagramRecorder, endAll, endpointPair } from '../helpers/datagrams.ts';
import { hostPass } from '../helpers/host-pass.ts';
import { connectedPair, onNode, portOf, Recorder, recorders } from '../helpers/pairs.ts';

const BULK_SENDERS = 12;
const CONNECTING = 4;
const FLOODS = 3;
const PASSES = 120;
/**
 * Passes. A reply takes two turns, of the far side and of the near one, and in each the whole crowd may come
 * first. Some more passes are the steps without a crowd.
 */
const MOST_PASSES = 2 * (BULK_SENDERS + CONNECTING + FLOODS) + 10;

const BULK = Buffer.alloc(2 * 1024 * 1024);
const LARGE_DATAGRAM = Buffer.alloc(50_000);

/** Counts the host's passes, and the longest wait of each kind. */
class Passes {
  count: number = 0;
  readonly longest: Record<string, number> = {};
  readonly #pending: Map<string, number> = new Map();

  get over(): boolean {
    return this.count >= PASSES;
  }

  /** Runs `wait` again and again, and measures it. */
  async measure(what: string, wait: () => Promise<unknown>): Promise<void> {
    while (!this.over) {
      this.#pending.set(what, this.count);
      await wait();
      this.#note(what);
    }
    this.#pending.delete(what);
  }

  async run(each: () => void): Promise<void> {
    while (!this.over) {
      await hostPass();
      this.count++;
      each();
    }
    for (const what of this.#pending.keys()) this.#note(what);
  }

  atLeast(what: string, passes: number): void {
    this.longest[what] = Math.max(this.longest[what] ?? 0, passes);
  }

  #note(what: string): void {
    this.atLeast(what, this.count - (this.#pending.get(what) ?? this.count));
  }
}

/** A connection whose far side always has more to read. */
class Bulk extends Recorder {
  readonly #peer: Recorder;

  constructor(peer: Recorder) {
    super();
    this.#peer = peer;
  }

  override dataReceived(data: Buffer): void {
    this.#peer.transport.write(BULK.subarray(0, data.length));
  }
}

/** Begins with the first write of the near side. */
async function bulkSender(loop: BaseEventLoop): Promise<Recorder[]> {
  const near = new Recorder();
  const far = new Bulk(near);
  await connectedPair(loop, near, far);
  return [near, far];
}

class Flood extends DatagramRecorder {
  override datagramReceived(_data: Buffer, sender: readonly [string, number]): void {
    if (!this.transport.isClosing()) this.transport.sendto(LARGE_DATAGRAM, [sender[0], sender[1]]);
  }
}

/** Two endpoints that return to each other every datagram. */
async function flood(loop: BaseEventLoop): Promise<DatagramRecorder[]> {
  const make = async (): Promise<Flood> => {
    const options = { localAddr: ['127.0.0.1', 0] as const };
    return (await loop.createDatagramEndpoint(() => new Flood(), options))[1];
  };
  const [near, far] = [await make(), await make()];
  for (let i = 0; i < 3; i++) near.transport.sendto(LARGE_DATAGRAM, addressOf(far));
  return [near, far];
}

async function connectOnce(loop: BaseEventLoop, server: Server): Promise<void> {
  const near = new Recorder();
  await loop.createConnection(() => near, '127.0.0.1', portOf(server));
  await near.untilReceived(1);
  near.transport.abort();
  await near.untilLost();
}

/** Reports that it was accepted. */
class Greeter extends Recorder {
  override connectionMade(transport: Recorder['transport']): void {
    super.connectionMade(transport);
    transport.write('!');
  }
}

test(
  'endless senders do not delay a reply, a connection, a datagram or a timer',
  onNode(async (loop) => {
    const passes = new Passes();
    const server = await loop.createServer(() => new Greeter(), '127.0.0.1', 0);
    const ping = await recorders(loop);
    const quiet = await endpointPair(loop);
    const crowd: Recorder[] = [];
    const floods: DatagramRecorder[] = [];
    for (let i = 0; i < BULK_SENDERS; i++) crowd.push(...(await bulkSender(loop)));
    for (let i = 0; i < FLOODS; i++) floods.push(...(await flood(loop)));
    for (const one of crowd) if (!(one instanceof Bulk)) one.transport.write(BULK);

    const tasks = [
      loop.createTask(() =>
        passes.measure('reply', async () => {
          ping.near.transport.write('?');
          await ping.far.untilReceived(ping.far.received + 1);
          ping.far.transport.write('!');
          await ping.near.untilReceived(ping.near.received + 1);
        }),
      ),
      loop.createTask(() =>
        passes.measure('datagram', async () => {
          quiet.near.transport.sendto('?');
          await quiet.far.untilReceived(quiet.far.datagrams.length + 1);
        }),
      ),
      ...Array.from({ length: CONNECTING }, (_, i) =>
        loop.createTask(() => passes.measure(`connection ${i}`, () => connectOnce(loop, server))),
      ),
    ];
    let due = Number.POSITIVE_INFINITY;
    let overdue = 0;
    tasks.push(
      loop.createTask(async () => {
        while (!passes.over) {
          due = loop.time() + 0.001;
          overdue = 0;
          await sleep(0.001);
        }
      }),
    );
    await passes.run(() => {
      if (loop.time() >= due) passes.atLeast('timer', overdue++);
    });

    for (const { transport } of crowd) transport.abort();
    for (const one of crowd) await one.untilLost();
    await endAll(...floods);
    // Now there is no crowd.
    for (const task of tasks) await task;
    for (const { transport } of [ping.near, ping.far]) transport.abort();
    for (const one of [ping.near, ping.far]) await one.untilLost();
    await endAll(quiet.near, quiet.far);
    server.close();
    server.abortClients();
    await server.waitClosed();

    const late = Object.entries(passes.longest).filter(([, count]) => count > MOST_PASSES);
    assert.deepEqual(late, [], `passes: ${JSON.stringify(passes.longest)}`);
    assert.deepEqual(Object.keys(passes.longest).length, 3 + CONNECTING);
  }),
);
