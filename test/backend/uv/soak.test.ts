/**
 * Everything that the native backend has at once, ended at any moment in any way, on a loop that is stopped
 * repeatedly: nothing crashes, hangs or is left. `GYRE_SOAK_SECONDS=600 GYRE_SOAK_SEED=7 npm test -- uv/soak`
 * runs it for longer.
 */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { Future, SubprocessTransport, Transport } from '../../../src/index.ts';
import {
  AF_INET,
  AF_UNIX,
  BufferedProtocol,
  CancelledError,
  DatagramProtocol,
  DEVNULL,
  PIPE,
  Protocol,
  Socket,
  SubprocessProtocol,
  sleep,
  UvEventLoop,
} from '../../../src/index.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import type { Held } from '../../fuzz/handles.ts';
import { held } from '../../fuzz/handles.ts';
import { Chance } from '../../helpers/chance.ts';
import { addressOf, listening, pipe, socketPair } from '../../helpers/descriptors.ts';
import { giveAway } from '../../helpers/give-away.ts';
import { hostPass } from '../../helpers/host-pass.ts';

const skip = whyNoNativeBackend()?.reason ?? false;
const SECONDS = Number(process.env.GYRE_SOAK_SECONDS ?? 3);
const SEED = Number(process.env.GYRE_SOAK_SEED ?? 1);

/** Events come within these seconds, however loaded the machine is. */
const SOON = ['data', 'datagrams', 'names', 'children', 'sockets', 'pipes'];

/** The number of actors at once. */
const CLIENTS = 40;

const DATA = Buffer.alloc(400_000, 'soak');
const SIZES = [1, 10, 1000, 16_000, 17_000, 70_000, 300_000];

/** Does something at random at each of its events. */
class Restless extends Protocol {
  readonly #chance: Chance;
  readonly #told: Record<string, number>;
  readonly lost: Future<void>;
  #transport: Transport | null = null;

  constructor(loop: UvEventLoop, chance: Chance, told: Record<string, number>) {
    super();
    this.#chance = chance;
    this.#told = told;
    this.lost = loop.createFuture<void>();
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.act('made');
  }

  override dataReceived(data: Buffer): void {
    if (this.#chance.of(200) === 0 && data.length > 0) {
      this.#note('given away');
      giveAway(data.buffer);
    }
    this.act('data');
  }

  override eofReceived(): boolean {
    this.act('eof');
    return this.#chance.of(2) === 0;
  }

  override pauseWriting(): void {
    this.act('pause');
  }

  override resumeWriting(): void {
    this.act('resume');
  }

  override connectionLost(): void {
    this.#note('lost');
    this.lost.setResult(undefined);
  }

  act(told: string): void {
    this.#note(told);
    const transport = this.#transport;
    if (transport === null) return;
    const chance = this.#chance;
    switch (chance.of(16)) {
      case 0:
        transport.close();
        return;
      case 1:
        transport.abort();
        return;
      case 2:
        if (transport.canWriteEof()) transport.writeEof();
        return;
      case 3:
        transport.pauseReading();
        return;
      case 4:
      case 5:
        transport.resumeReading();
        return;
      case 6:
        transport.getExtraInfo('socket')?.setNoDelay(chance.of(2) === 0);
        return;
      default:
        try {
          for (let i = 0; i <= chance.of(3); i++) transport.write(DATA.subarray(0, chance.one(SIZES)));
          if (chance.of(100) === 0) this.#writeWhatGoesAway(transport);
        } catch {
          // Its writing side was ended.
        }
    }
  }

  #writeWhatGoesAway(transport: Transport): void {
    const data = new Uint8Array(1_000_000);
    transport.write(data);
    giveAway(data.buffer);
  }

  #note(told: string): void {
    this.#told[told] = (this.#told[told] ?? 0) + 1;
  }
}

/** Does the same with memory of its own, which is transferred repeatedly. */
class RestlessBuffered extends BufferedProtocol {
  readonly #inner: Restless;
  readonly #chance: Chance;
  #room: Uint8Array = new Uint8Array(20_000);

  constructor(inner: Restless, chance: Chance) {
    super();
    this.#inner = inner;
    this.#chance = chance;
  }

  override connectionMade(transport: Transport): void {
    this.#inner.connectionMade(transport);
  }

  override getBuffer(): Uint8Array {
    if (this.#room.length === 0 || this.#chance.of(4) === 0) {
      this.#room = new Uint8Array(1 + this.#chance.of(100_000));
    }
    return this.#room;
  }

  override bufferUpdated(): void {
    this.#inner.act('buffered');
    if (this.#chance.of(20) === 0) giveAway(this.#room.buffer);
  }

  override eofReceived(): boolean {
    return this.#inner.eofReceived();
  }

  override pauseWriting(): void {
    this.#inner.pauseWriting();
  }

  override resumeWriting(): void {
    this.#inner.resumeWriting();
  }

  override connectionLost(): void {
    this.#inner.connectionLost();
  }
}

class Soak {
  readonly #loop: UvEventLoop;
  readonly #chance: Chance;
  readonly told: Record<string, number> = {};
  readonly #path: string = join(tmpdir(), `gyre-soak-${process.pid}.sock`);
  readonly #live: Set<Restless> = new Set();
  #port: number = 0;
  over: boolean = false;

  constructor(loop: UvEventLoop, chance: Chance) {
    this.#loop = loop;
    this.#chance = chance;
  }

  async run(): Promise<void> {
    const loop = this.#loop;
    const tcp = await loop.createServer(() => this.#either(this.#restless()), '127.0.0.1', 0);
    const unix = await loop.createUnixServer(() => this.#restless(), this.#path);
    this.#port = (tcp.sockets[0]?.getsockname()?.[1] ?? 0) as number;
    const tasks = Array.from({ length: CLIENTS }, () => loop.createTask(() => this.#client()));
    tasks.push(loop.createTask(() => this.#datagrams()));
    tasks.push(loop.createTask(() => this.#names()));
    tasks.push(loop.createTask(() => this.#children()));
    tasks.push(loop.createTask(() => this.#prodder()));
    for (let i = 0; i < 3; i++) {
      tasks.push(loop.createTask(() => this.#pipes()));
      tasks.push(loop.createTask(() => this.#sockets()));
      tasks.push(loop.createTask(() => this.#watchers()));
    }
    for (const task of tasks) await task;
    for (const server of [tcp, unix]) {
      server.close();
      server.abortClients();
      await server.waitClosed();
    }
  }

  #restless(): Restless {
    const protocol = new Restless(this.#loop, this.#chance, this.told);
    this.#live.add(protocol);
    protocol.lost.addDoneCallback(() => this.#live.delete(protocol));
    return protocol;
  }

  #either(inner: Restless): Restless | RestlessBuffered {
    return this.#chance.of(3) === 0 ? new RestlessBuffered(inner, this.#chance) : inner;
  }

  /** Cancels some of the operations of `starting`, a little later. */
  async #maybeCancelled<T>(starting: Future<T>): Promise<T | null> {
    if (this.#chance.of(4) === 0) {
      const patience = this.#chance.of(3) === 0 ? 0 : this.#chance.of(2000) / 1e6;
      this.#loop.callLater(patience, () => starting.cancel());
    }
    try {
      return await starting;
    } catch (error) {
      if (error instanceof CancelledError) return null;
      // A unix server whose queue is full, and one that closed before the connect.
      const { code } = error as NodeJS.ErrnoException;
      if (['EAGAIN', 'ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(String(code))) return null;
      throw error;
    }
  }

  async #client(): Promise<void> {
    while (!this.over) {
      const protocol = this.#restless();
      const connecting =
        this.#chance.of(3) === 0
          ? this.#loop.createUnixConnection(() => protocol, this.#path)
          : this.#loop.createConnection(() => this.#either(protocol), '127.0.0.1', this.#port);
      const made = await this.#maybeCancelled(connecting);
      if (made === null) {
        this.#live.delete(protocol);
        await sleep(0);
        continue;
      }
      // An actor without events does not act: both sides may have paused.
      const patience = this.#chance.of(this.#chance.one([1000, 10_000, 200_000])) / 1e6;
      const end = this.#loop.callLater(patience, () => made[0].abort());
      await protocol.lost;
      end.cancel();
    }
  }

  /** Makes an actor act that had no event. */
  async #prodder(): Promise<void> {
    while (!this.over) {
      await sleep(this.#chance.of(1000) / 1e6);
      const live = [...this.#live];
      if (live.length > 0) this.#chance.one(live).act('prod');
    }
  }

  async #datagrams(): Promise<void> {
    while (!this.over) {
      const far = await this.#loop.createDatagramEndpoint(() => new DatagramProtocol(), {
        localAddr: ['127.0.0.1', 0],
      });
      const remoteAddr = far[0].getExtraInfo('sockname') as [string, number];
      const opening = this.#loop.createDatagramEndpoint(() => new DatagramProtocol(), { remoteAddr });
      const near = await this.#maybeCancelled(opening);
      for (let i = 0; i < 100 && near !== null; i++) {
        near[0].sendto(DATA.subarray(0, this.#chance.of(60_000)));
        if (this.#chance.of(10) === 0) await sleep(0);
        if (this.#chance.of(50) === 0) far[0].abort();
      }
      this.told.datagrams = (this.told.datagrams ?? 0) + 100;
      far[0].abort();
      if (this.#chance.of(2) === 0) near?.[0].abort();
      else near?.[0].close();
      await sleep(0);
    }
  }

  async #names(): Promise<void> {
    while (!this.over) {
      await this.#maybeCancelled(this.#loop.getaddrinfo('localhost', 80));
      await this.#maybeCancelled(this.#loop.getnameinfo(['127.0.0.1', 80]));
      this.told.names = (this.told.names ?? 0) + 2;
      await sleep(0.001);
    }
  }

  async #children(): Promise<void> {
    const commands = ['true', 'cat', 'head -c 300000 /dev/zero', 'sleep 100', 'exit 3', 'kill -9 $$'];
    while (!this.over) {
      const ended = this.#loop.createFuture<void>();
      class Watcher extends SubprocessProtocol {
        override connectionLost(): void {
          ended.setResult(undefined);
        }
      }
      const stdin = this.#chance.one([PIPE, DEVNULL]);
      const starting = this.#loop.subprocessShell(() => new Watcher(), this.#chance.one(commands), { stdin });
      const made = await this.#maybeCancelled(starting);
      this.told.children = (this.told.children ?? 0) + 1;
      if (made === null) continue;
      await this.#treat(made[0]);
      await ended;
    }
  }

  /**
   * Socket calls: they are cancelled, and sockets are closed during a call, so that their numbers are reused
   * at once.
   */
  async #sockets(): Promise<void> {
    const loop = this.#loop;
    while (!this.over) {
      const family = this.#chance.one([AF_INET, AF_UNIX]);
      const listener = listening(family);
      const near = new Socket(family);
      const accepting = loop.sockAccept(listener);
      const patience = loop.callLater(0.5, () => accepting.cancel());
      await this.#maybeCancelled(loop.sockConnect(near, addressOf(listener)));
      const accepted = await this.#maybeCancelled(accepting);
      patience.cancel();
      if (accepted !== null) await this.#transfer(near, accepted[0]);
      near.close();
      listener.close();
      this.told.sockets = (this.told.sockets ?? 0) + 1;
    }
  }

  async #transfer(near: Socket, far: Socket): Promise<void> {
    const loop = this.#loop;
    const room = Buffer.alloc(100_000);
    const calls: Future<unknown>[] = [
      loop.sockSendall(near, DATA.subarray(0, this.#chance.one(SIZES))),
      this.#chance.of(2) === 0 ? loop.sockRecv(far, 200_000) : loop.sockRecvInto(far, room),
      this.#chance.of(2) === 0 ? loop.sockRecv(near, 10) : loop.sockRecvInto(near, room),
    ];
    if (this.#chance.of(2) === 0) calls.push(loop.sockSendall(far, DATA.subarray(0, 5)));
    if (this.#chance.of(3) !== 0) await sleep(this.#chance.of(3000) / 1e6);
    const closesFirst = this.#chance.of(2) === 0;
    if (closesFirst) far.close();
    for (const call of calls) {
      call.cancel();
      await call.then(undefined, () => {});
    }
    if (!closesFirst) far.close();
  }

  /** Pipes and socket pairs, watched, and closed while they are watched. */
  async #watchers(): Promise<void> {
    const loop = this.#loop;
    while (!this.over) {
      const ends = this.#chance.of(2) === 0 ? pipe() : socketPair();
      loop.addReader(ends.from, () => {
        this.told.readable = (this.told.readable ?? 0) + 1;
        if (this.#chance.of(3) === 0) loop.removeReader(ends.from);
      });
      loop.addWriter(ends.to, () => {
        if (this.#chance.of(2) === 0) loop.removeWriter(ends.to);
        else ends.write('x');
      });
      await sleep(this.#chance.of(this.#chance.one([1, 2000, 50_000])) / 1e6);
      if (this.#chance.of(4) === 0) ends.close();
      loop.removeReader(ends.from);
      loop.removeWriter(ends.to);
      ends.close();
    }
  }

  /** Both ends of a pipe, which end in any order. */
  async #pipes(): Promise<void> {
    const loop = this.#loop;
    while (!this.over) {
      const { from, to } = pipe();
      const [reader, writer] = [this.#restless(), this.#restless()];
      // Their actions are here, because neither end has both directions.
      for (const one of [reader, writer]) this.#live.delete(one);
      const [reading] = await loop.connectReadPipe(
        () => ({ connectionLost: () => reader.connectionLost() }),
        from,
      );
      const [writing] = await loop.connectWritePipe(
        () => ({ connectionLost: () => writer.connectionLost() }),
        to,
      );
      for (let i = this.#chance.of(4); i > 0; i--) writing.write(DATA.subarray(0, this.#chance.one(SIZES)));
      if (this.#chance.of(3) === 0) reading.pauseReading();
      await sleep(this.#chance.of(5000) / 1e6);
      if (this.#chance.of(2) === 0) reading.close();
      if (this.#chance.of(2) === 0) writing.abort();
      else writing.close();
      await sleep(0);
      reading.close();
      writing.abort();
      await reader.lost;
      await writer.lost;
      this.told.pipes = (this.told.pipes ?? 0) + 1;
    }
  }

  async #treat(child: SubprocessTransport): Promise<void> {
    const stdin = child.getPipeTransport(0) as Transport | null;
    stdin?.write(DATA.subarray(0, this.#chance.one(SIZES)));
    await sleep(this.#chance.of(5000) / 1e6);
    const way = this.#chance.of(3);
    if (way === 0) stdin?.abort();
    else if (way === 1) child.terminate();
    child.close();
  }
}

test(`the native backend survives ${SECONDS} seconds of everything (seed ${SEED})`, {
  skip,
  timeout: (SECONDS + 120) * 1000,
}, async () => {
  new UvEventLoop().close();
  const chance = new Chance(SEED);
  const before = held();
  const loop = new UvEventLoop();
  loop.setExceptionHandler((_loop, context) => assert.fail(String(context.exception ?? context.message)));
  const soak = new Soak(loop, chance);
  const running = loop.createTask(() => soak.run());
  const end = loop.time() + SECONDS;
  // It stops repeatedly, and events wait meanwhile.
  while (loop.time() < end) {
    await loop.runUntilComplete(() => sleep(chance.of(20_000) / 1e6));
    for (let i = chance.of(4); i > 0; i--) await hostPass();
  }
  soak.over = true;
  await loop.runUntilComplete(running);
  loop.close();
  await untilGone(before);
  assert.ok((soak.told.lost ?? 0) > 20 * SECONDS, JSON.stringify(soak.told));
  for (const what of SECONDS < 30
    ? SOON
    : [...SOON, 'pause', 'resume', 'eof', 'readable', 'buffered', 'given away']) {
    assert.ok((soak.told[what] ?? 0) > 0, `no ${what}: ${JSON.stringify(soak.told)}`);
  }
});

/** The system closes in its own time, and threads resolve names that were cancelled. */
async function untilGone(before: Held): Promise<void> {
  let now = held();
  while (addon().openCount() > 0) await hostPass();
  for (let passes = 0; passes < 20_000 && now.descriptors > before.descriptors; passes++) {
    await hostPass();
    now = held();
  }
  assert.ok(
    now.descriptors <= before.descriptors && now.children <= before.children,
    JSON.stringify([before, now]),
  );
}
