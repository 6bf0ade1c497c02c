/**
 * Many handles are ready in every poll phase, more than one phase has room for. Each has its turn after a
 * bounded number of phases, for any kind of handle and any competitors. The bound counts phases, so that it
 * holds on a machine of any speed.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Addon, Id } from '../../../src/backend/uv/addon.ts';
import { loadAddon } from '../../../src/backend/uv/addon.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import { ACCEPTED } from './raw-addon.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

const EVENT_WORDS = 5;
const AF_INET = 2;
const SOCK_STREAM = 1;
const READABLE = 1;
/** The number of phases in which each handle could have its turn, one after the other. */
const ROUNDS = 3;
/** Passes of the host without a poll phase of gyre: then no handle is ready. */
const PATIENCE = 1000;

interface Told {
  readonly id: Id;
  readonly kind: number;
  readonly a: number;
  readonly c: number;
}

/** A handle that is ready in every poll phase. */
abstract class Competitor {
  /** The id of its records. */
  id: Id = -1;
  /** The phase of its last turn. */
  lastTurn: number = 0;
  turns: number = 0;
  /** The handle is ready once, and then over. */
  readonly once: boolean = false;
  protected readonly addon: Addon;

  constructor(addon: Addon) {
    this.addon = addon;
  }

  abstract open(arena: Arena): Promise<void> | void;

  onRecord(_told: Told): void {}

  /** Makes it ready before the host polls again. */
  refill(): void {}

  close(): void {
    this.addon.close(this.id);
  }
}

/** Counts the poll phases for which each competitor waits. */
class Arena {
  readonly addon: Addon;
  phase: number = 0;
  /** In phases: the longest wait, and its handle. */
  longestWait: number = 0;
  slowest: string = 'nobody';
  #competitors: Competitor[] = [];
  #running: boolean = false;
  readonly #early: Told[] = [];

  constructor() {
    const { addon } = loadAddon((count) => this.#dispatch(count), [], []);
    assert.ok(addon !== null);
    this.addon = addon;
  }

  /** The content of the records before the arena runs. */
  async take(kind: number, id: Id): Promise<number> {
    for (;;) {
      const at = this.#early.findIndex((one) => one.kind === kind && one.id === id);
      if (at >= 0) return (this.#early.splice(at, 1)[0] as Told).a;
      await hostPass();
    }
  }

  async run(competitors: Competitor[], phases: number): Promise<void> {
    for (const one of competitors) await one.open(this);
    this.#competitors = competitors;
    this.#running = true;
    for (const one of competitors) one.refill();
    for (let idle = 0, seen = 0; this.phase < phases && idle < PATIENCE; idle++) {
      await hostPass();
      if (this.phase > seen) idle = 0;
      seen = this.phase;
    }
    this.#running = false;
    for (const one of competitors) one.close();
    while (this.addon.openCount() > 0) await hostPass();
  }

  #dispatch(count: number): void {
    const records = this.#records(count);
    if (!this.#running) {
      this.#early.push(...records);
      return;
    }
    this.phase++;
    for (const one of this.#competitors) this.#giveTurn(one, records);
    this.#competitors = this.#competitors.filter(({ once, lastTurn }) => !once || lastTurn === 0);
  }

  #giveTurn(one: Competitor, records: Told[]): void {
    const waited = this.phase - one.lastTurn;
    if (waited > this.longestWait) {
      this.longestWait = waited;
      this.slowest = one.constructor.name;
    }
    const own = records.filter(({ id }) => id === one.id);
    if (own.length === 0) return;
    one.lastTurn = this.phase;
    one.turns++;
    for (const told of own) one.onRecord(told);
    one.refill();
  }

  #records(count: number): Told[] {
    const { events } = this.addon;
    return Array.from({ length: count }, (_, i) => {
      const [id, kind, a, , c] = events.subarray(
        i * EVENT_WORDS,
        (i + 1) * EVENT_WORDS,
      ) as unknown as number[];
      return { id, kind, a, c } as Told;
    });
  }
}

// --- the competitors ---

const BULK = Buffer.alloc(256 * 1024);
const BYTE = Buffer.alloc(1);

/** A connection whose peer has always written as much as the kernel takes. */
class BulkSender extends Competitor {
  received: number = 0;
  #peer: Id = -1;

  override async open(arena: Arena): Promise<void> {
    const { addon } = this;
    const listener = addon.tcpListen('127.0.0.1', 0, 0, 16, true, false);
    const [, port] = addon.sockname(listener) as [string, number];
    this.#peer = addon.tcpConnect('127.0.0.1', port, 0, null, 0);
    this.id = await arena.take(ACCEPTED, listener);
    addon.close(listener);
    addon.readStart(this.id);
  }

  override onRecord({ c: length }: Told): void {
    this.received += length;
  }

  override refill(): void {
    while (this.addon.tryWrite(this.#peer, BULK) === BULK.length);
  }

  override close(): void {
    this.addon.reset(this.#peer);
    super.close();
  }
}

/** A connection whose peer writes a byte once the last one has arrived. */
class Ping extends Competitor {
  #peer: number = -1;

  override open(): void {
    const [ours, theirs] = this.addon.socketPair() as [number, number];
    this.id = this.addon.open(ours);
    this.#peer = theirs;
    this.addon.readStart(this.id);
  }

  override refill(): void {
    this.addon.socketSend(this.#peer, BYTE, 0);
  }

  override close(): void {
    this.addon.closeFd(this.#peer);
    super.close();
  }
}

let names = 0;

/** A listener at which a crowd waits. */
class AcceptFlood extends Competitor {
  readonly #path: string = `\0gyre-fairness-${process.pid}-${names++}`;

  override open(): void {
    this.id = this.addon.unixListen(this.#path, 512);
  }

  override onRecord({ a: accepted }: Told): void {
    this.addon.close(accepted);
  }

  override refill(): void {
    for (let i = 0; i < 100; i++) this.addon.close(this.addon.unixConnect(this.#path));
  }
}

/** An attempt to connect, and the next one once it has succeeded. */
class Connecting extends Competitor {
  #listener: number = -1;
  #port: number = 0;

  override open(): void {
    const { addon } = this;
    this.#listener = addon.socketOpen(AF_INET, SOCK_STREAM, 0);
    addon.socketBind(this.#listener, addon.packAddress('127.0.0.1', 0, 0) as Uint8Array);
    addon.socketListen(this.#listener, 16);
    this.#port = (addon.socketName(this.#listener) as [string, number])[1];
  }

  override refill(): void {
    const { addon } = this;
    const accepted = addon.socketAccept(this.#listener);
    if (typeof accepted !== 'number') addon.closeFd(accepted[0]);
    addon.reset(this.id);
    this.id = addon.tcpConnect('127.0.0.1', this.#port, 0, null, 0);
  }

  override close(): void {
    this.addon.closeFd(this.#listener);
    super.close();
  }
}

abstract class DatagramFlood extends Competitor {
  #sender: Id = -1;
  #to: Uint8Array | null = null;

  override open(): void {
    const { addon } = this;
    this.id = addon.datagram(AF_INET, addon.packAddress('127.0.0.1', 0, 0) as Uint8Array, null, false, false);
    this.#sender = addon.datagram(AF_INET, null, null, false, false);
    this.#to = addon.packAddress(...(addon.sockname(this.id) as [string, number]), 0) as Uint8Array;
    addon.receiveStart(this.id);
  }

  protected send(count: number, bytes: number): void {
    const data = BULK.subarray(0, bytes);
    for (let i = 0; i < count; i++) this.addon.trySend(this.#sender, data, this.#to);
  }

  override close(): void {
    this.addon.close(this.#sender);
    super.close();
  }
}

class SmallDatagrams extends DatagramFlood {
  override refill(): void {
    this.send(200, 8);
  }
}

class LargeDatagrams extends DatagramFlood {
  override refill(): void {
    this.send(3, 60_000);
  }
}

/** A foreign socket that can always be read. */
class Polled extends Competitor {
  #ends: readonly [number, number] = [-1, -1];

  override open(): void {
    const { addon } = this;
    this.#ends = addon.socketPair() as [number, number];
    addon.socketSend(this.#ends[1], BYTE, 0);
    this.id = addon.pollOpen();
    addon.pollWant(this.id, this.#ends[0], READABLE, 1);
  }

  override close(): void {
    for (const fd of this.#ends) this.addon.closeFd(fd);
    super.close();
  }
}

/** A write that had to wait for the kernel, and can continue now. */
class Writing extends Competitor {
  #reader: number = -1;
  readonly #room: Buffer = Buffer.alloc(BULK.length);

  override open(): void {
    const [ours, theirs] = this.addon.socketPair() as [number, number];
    this.id = this.addon.open(ours);
    this.#reader = theirs;
  }

  /** Data that fits into the kernel's buffer only when that is empty again. */
  override refill(): void {
    const { addon } = this;
    this.#readAll();
    const sent = addon.tryWrite(this.id, BULK);
    assert.equal(addon.write(this.id, BULK, sent), 0);
    this.#readAll();
  }

  #readAll(): void {
    while (this.addon.socketRecv(this.#reader, this.#room, this.#room.length) > 0);
  }

  override close(): void {
    this.addon.closeFd(this.#reader);
    super.close();
  }
}

/** A child that has ended. */
class Exited extends Competitor {
  override readonly once: boolean = true;

  override open(): void {
    const { addon } = this;
    const none = new Int32Array([-1, -1, -1]);
    this.id = addon.spawn(['/bin/true', '/usr/bin/true'], ['true'], [], null, none, -1, -1, false);
    assert.ok(this.id >= 0);
  }

  /** Without a poll phase between. */
  override refill(): void {
    const pid = this.addon.pid(this.id);
    while (pid > 0 && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
  }
}

const KINDS = [
  BulkSender,
  Ping,
  AcceptFlood,
  Connecting,
  SmallDatagrams,
  LargeDatagrams,
  Polled,
  Writing,
  Exited,
];

interface Outcome {
  readonly arena: Arena;
  readonly competitors: readonly Competitor[];
}

/** Lets `count` handles of each kind compete. */
async function compete(counts: readonly number[], phases?: number): Promise<Outcome> {
  const arena = new Arena();
  const competitors = KINDS.flatMap((Kind, i) =>
    Array.from({ length: counts[i] ?? 0 }, () => new Kind(arena.addon)),
  );
  await arena.run(competitors, phases ?? ROUNDS * competitors.length);
  return { arena, competitors };
}

function assertWait({ arena: { longestWait, slowest, phase } }: Outcome, most: number): void {
  assert.ok(
    longestWait <= most,
    `${slowest} waited ${longestWait} of ${phase} phases, and ${most} are enough`,
  );
}

test('sixteen bulk senders and a ping all have their turns, and the senders equally many', {
  skip,
}, async () => {
  const outcome = await compete([16, 1]);
  assertWait(outcome, 17);
  const senders = outcome.competitors.filter((one) => one instanceof BulkSender);
  const turns = senders.map((one) => one.turns);
  assert.ok(Math.max(...turns) - Math.min(...turns) <= 2, turns.join(' '));
});

test('a crowd of handles delays no other handle’s turn beyond the bound', {
  skip,
  timeout: 600_000,
}, async () => {
  const hasPidfd = new Arena().addon.hasPidfd();
  const most = [10, 3, 3, 2, 3, 6, 2, 6, hasPidfd ? 2 : 0];
  const crowd = fc.tuple(...most.map((max) => fc.integer({ min: 0, max })));
  const property = fc.asyncProperty(crowd, async (counts) => {
    assertWait(
      await compete(counts),
      counts.reduce((all, one) => all + one, 1),
    );
  });
  await fc.assert(property, { numRuns: 10 });
});

test('more ready handles than one epoll call returns all have their turns', { skip }, async () => {
  // A round of them fits into two phases: the bulk senders fill one, and the others need few records.
  assertWait(await compete([6, 1200], 20), 6);
});
