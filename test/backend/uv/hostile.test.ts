/**
 * Arguments that gyre never passes: wrong types, hostile sizes, ids of other kinds and of closed handles. For
 * any result of a native function, the process lives, and continues to serve.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Addon, Id, NativeContext } from '../../../src/backend/uv/addon.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import * as certificates from '../../helpers/certificates.ts';
import { Chance } from '../../helpers/chance.ts';
import { hostPass, hostPasses } from '../../helpers/host-pass.ts';
import { tooFewDescriptors } from '../../helpers/machine.ts';
import { ACCEPTED, CONNECTED, dataOf, RawAddon, READ } from './raw-addon.ts';
import { tcpPair } from './raw-pairs.ts';

const skip = whyNoNativeBackend()?.reason ?? tooFewDescriptors(600);

// A directory in which sockets may have any name.
const folder = mkdtempSync(join(tmpdir(), 'gyre-hostile-'));
process.chdir(folder);
after(() => rmSync(folder, { recursive: true }));

const NATIVE = fileURLToPath(new URL('../../../native/build/gyre.node', import.meta.url));

/** The kinds of arguments. */
type Kind =
  | 'id'
  | 'fd'
  | 'bytes'
  | 'chunks'
  | 'address'
  | 'letters'
  | 'host'
  | 'text'
  | 'path'
  | 'int'
  | 'bool'
  | 'strings'
  | 'fds'
  | 'session'
  | 'context'
  | 'pem';

/** Every function of the native part. */
const SIGNATURES: Record<string, Kind[]> = {
  close: ['id'],
  fileno: ['id'],
  openCount: [],
  failedAt: [],
  readStart: ['id'],
  readStop: ['id'],
  readInto: ['id', 'bool'],
  tryWrite: ['id', 'bytes'],
  tryWriteArena: ['id', 'int'],
  tryWriteAll: ['id', 'chunks', 'int', 'int', 'int'],
  write: ['id', 'bytes', 'int'],
  shutdown: ['id'],
  reset: ['id'],
  sockname: ['id'],
  peername: ['id'],
  setNoDelay: ['id', 'bool'],
  setKeepAlive: ['id', 'bool', 'int'],
  open: ['fd'],
  openConnected: ['fd'],
  tcpConnect: ['host', 'int', 'int', 'host', 'int'],
  unixConnect: ['path'],
  tcpListen: ['host', 'int', 'int', 'int', 'bool', 'bool'],
  unixListen: ['path', 'int'],
  listenOn: ['fd', 'int'],
  listenerStart: ['id', 'int'],
  acceptStart: ['id'],
  acceptStop: ['id'],
  packAddress: ['host', 'int', 'int'],
  unpackAddress: ['address'],
  datagram: ['int', 'address', 'address', 'bool', 'bool'],
  datagramOpen: ['fd'],
  receiveStart: ['id'],
  receiveStop: ['id'],
  trySend: ['id', 'bytes', 'address'],
  send: ['id', 'bytes', 'address'],
  sendAll: ['letters'],
  getaddrinfo: ['host', 'text', 'int', 'int', 'int', 'int'],
  takeAddresses: ['id'],
  getnameinfo: ['host', 'int', 'int', 'int'],
  takeNames: ['id'],
  forget: ['id'],
  spawn: ['strings', 'strings', 'strings', 'text', 'fds', 'int', 'int', 'bool'],
  pid: ['id'],
  kill: ['id', 'int'],
  socketPair: [],
  pipe: [],
  closeFd: ['fd'],
  hasPidfd: [],
  pollOpen: [],
  pollWant: ['id', 'fd', 'int', 'int'],
  usesDescriptor: ['fd'],
  pipeOpen: ['fd', 'bool', 'bool'],
  pipeTells: ['id'],
  pipeStands: ['id'],
  socketOpen: ['int', 'int', 'int'],
  socketAdopt: ['fd'],
  socketDuplicate: ['fd'],
  socketRelease: ['fd'],
  socketName: ['fd'],
  socketPeer: ['fd'],
  socketBind: ['fd', 'address'],
  socketConnect: ['fd', 'address'],
  socketListen: ['fd', 'int'],
  socketAccept: ['fd'],
  socketShutdown: ['fd', 'int'],
  socketReadable: ['fd'],
  socketRecv: ['fd', 'bytes', 'int'],
  socketRecvFrom: ['fd', 'bytes', 'int'],
  socketSend: ['fd', 'bytes', 'int'],
  socketSendTo: ['fd', 'bytes', 'address'],
  socketSendFile: ['fd', 'fd', 'int', 'int'],
  socketGetOption: ['fd', 'int', 'int', 'bytes'],
  socketSetOption: ['fd', 'int', 'int', 'bytes'],
  tlsAvailable: [],
  tlsContext: ['int', 'int', 'int', 'int'],
  tlsRoots: ['pem'],
  tlsUseRoots: ['context'],
  tlsAddCa: ['context', 'pem'],
  tlsAddCrl: ['context', 'pem'],
  tlsPartialChain: ['context'],
  tlsUseCertificate: ['context', 'pem'],
  tlsUseKey: ['context', 'pem', 'bytes'],
  tlsUsePfx: ['context', 'pem', 'bytes'],
  tlsCiphers: ['context', 'text'],
  tlsSuites: ['context', 'text'],
  tlsGroups: ['context', 'text'],
  tlsSigalgs: ['context', 'text'],
  tlsDh: ['context', 'pem'],
  tlsProtocols: ['context', 'bytes', 'bool'],
  tlsVerify: ['context', 'bool'],
  tlsResumption: ['context', 'bytes', 'bytes', 'int'],
  tlsOpen: ['context', 'bool', 'host', 'bytes'],
  tlsDecrypt: ['session', 'bytes'],
  tlsEncrypt: ['session', 'id', 'chunks'],
  tlsEnd: ['session'],
  tlsFuse: ['session', 'id'],
  tlsVerified: ['session'],
  tlsTakePlain: [],
  tlsTakeOutput: ['session'],
  tlsTakeNotes: ['session'],
  tlsFault: ['session'],
  tlsWatch: ['session', 'int'],
  tlsServername: ['session'],
  tlsAlpn: ['session'],
  tlsProtocol: ['session'],
  tlsCipher: ['session'],
  tlsPeerCertificates: ['session'],
  tlsCertificate: ['session'],
  tlsVerifyError: ['session'],
  tlsSession: ['session'],
  tlsTicket: ['session'],
  tlsIsReused: ['session'],
  tlsFinished: ['session', 'bool'],
  tlsExportKey: ['session', 'int', 'text', 'bytes'],
  tlsEphemeralKey: ['session'],
  tlsSharedSigalgs: ['session'],
  tlsSetMaxSendFragment: ['session', 'int'],
};

/** Functions of the build for tests. */
const TESTS_OWN = ['failAllocation'];

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** An array that changes the world when it is read. */
function trapped(length: number, trap: () => unknown): unknown[] {
  const array: unknown[] = Array(length).fill(Buffer.from('x'));
  Object.defineProperty(array, length - 1, { get: trap });
  return array;
}

/** Values for every argument. */
function anything(): unknown[] {
  return [
    ...[undefined, null, true, false, '', 'x', '\0', 'a\0b', 'x'.repeat(100_000), '\ud800'],
    ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300, 10n, Symbol('x')],
    ...[2 ** 31, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 + 7, 2 ** 53],
    ...[{}, [], [[]], [undefined], [1, 'x'], Array(2 ** 32 - 1), () => {}, /x/, new Date(0)],
    ...[new Uint8Array(0), new Uint8Array(1), Buffer.alloc(100), detached(), new Uint8Array(64).subarray(3)],
    ...[new Int8Array(9), new Float64Array(9), new BigUint64Array(9), new DataView(new ArrayBuffer(9))],
    ...[new ArrayBuffer(64), new Uint8Array(new SharedArrayBuffer(64)), new Uint8ClampedArray(64)],
    ...[new Proxy([], {}), Array(300).fill(Buffer.from('x')), Array(300).fill('x'), new Int32Array(3)],
    trapped(3, () => {
      throw new Error('looked at');
    }),
  ];
}

/** A set of handles of each kind, open, ended and closed. */
class World {
  readonly raw: RawAddon = new RawAddon();
  readonly ids: Id[] = [];
  /** A client and a server after their handshake, and a client that waits for the first answer. */
  readonly sessions: Id[] = [];
  readonly contexts: NativeContext[] = [];
  fds: number[] = [];
  #made: number = 0;

  async make(): Promise<void> {
    const { addon } = this.raw;
    const { listener, port, near, far } = await tcpPair(this.raw);
    const gone = addon.tcpConnect('127.0.0.1', port, 0, null, 0);
    await this.raw.take(CONNECTED, gone);
    addon.close(gone);
    await hostPass();
    const connecting = addon.tcpConnect('127.0.0.1', port, 0, null, 0);
    const datagram = addon.datagram(
      2,
      addon.packAddress('127.0.0.1', 0, 0) as Uint8Array,
      null,
      false,
      false,
    );
    const lookup = addon.getaddrinfo('localhost', '80', 0, 0, 0, 0);
    const answered = addon.getnameinfo('127.0.0.1', 80, 0, 3);
    const poll = addon.pollOpen();
    const closing = addon.datagram(2, null, null, false, false);
    addon.close(closing);
    this.ids.push(listener, near, far, gone, connecting, datagram, lookup, answered, poll, closing);
    // An old kernel has no descriptors of processes, and neither has valgrind.
    if (addon.hasPidfd()) this.ids.push(this.#child());
    for (const id of this.ids) assert.ok(id >= 0, String(this.ids));
    this.#openSessions();
    this.ids.push(...this.sessions);
    this.#made = this.ids.length;
    this.#openDescriptors();
  }

  #openSessions(): void {
    const { addon } = this.raw;
    const [server, client] = [newContext(addon), newContext(addon)];
    assert.equal(addon.tlsUseCertificate(server, Buffer.from(certificates.server.cert)), null);
    assert.equal(addon.tlsUseKey(server, Buffer.from(certificates.server.key), null), null);
    const far = addon.tlsOpen(server, true, null, null);
    const near = addon.tlsOpen(client, false, 'localhost', null);
    let bits = addon.tlsDecrypt(near, Buffer.alloc(0));
    for (let from = near, to = far; bits & OUTPUT; [from, to] = [to, from]) {
      bits = addon.tlsDecrypt(to, addon.tlsTakeOutput(from) as Buffer);
    }
    const waiting = addon.tlsOpen(client, false, null, null);
    addon.tlsDecrypt(waiting, Buffer.alloc(0));
    assert.equal(addon.tlsProtocol(far), 'TLSv1.3');
    this.sessions.push(near, far, waiting);
    this.contexts.push(server, client);
  }

  /** Descriptors that a function may close, or keep. */
  #openDescriptors(): void {
    const { addon } = this.raw;
    this.fds.push(...(addon.socketPair() as number[]), ...(addon.pipe() as number[]));
    this.fds.push(openSync(devNull, 'r+'), openSync(process.execPath, 'r'));
    this.fds.push(addon.socketOpen(2, 1, 0), addon.socketOpen(2, 2, 0), addon.socketOpen(1, 2, 0));
  }

  #child(): Id {
    return this.raw.addon.spawn(
      ['/bin/sleep'],
      ['sleep', '100'],
      [],
      null,
      new Int32Array(3).fill(-1),
      -1,
      -1,
      false,
    );
  }

  /** Closes everything but the first handles. */
  closeSome(): void {
    for (const id of this.ids.splice(this.#made)) this.#close(id);
    for (const fd of this.fds.splice(0)) this.raw.addon.closeFd(fd);
    this.#closeAccepted();
    this.#openDescriptors();
  }

  /** Closes everything that is left. */
  async end(): Promise<void> {
    for (const id of this.ids) this.#close(id);
    for (const fd of this.fds) this.raw.addon.closeFd(fd);
    this.#closeAccepted();
    await this.raw.untilOpen(0);
  }

  #close(id: Id): void {
    const { addon } = this.raw;
    addon.kill(id, 9);
    addon.forget(id);
    // A child is watched until it is reaped.
    if (addon.pid(id) < 0) addon.close(id);
  }

  #closeAccepted(): void {
    const { addon, records } = this.raw;
    for (const { kind, a } of records.splice(0)) if (kind === ACCEPTED && a >= 0) addon.close(a);
  }
}

/** The bit of a step that has ciphertext for the peer. */
const OUTPUT = 4;

function newContext(addon: Addon): NativeContext {
  const context = addon.tlsContext(0, 0, 0, 0);
  assert.ok(context);
  return context;
}

/** Returns the values for `kind` that do no harm to the test: no descriptor of the process itself. */
function values(kind: Kind, world: World): unknown[] {
  const { addon } = world.raw;
  switch (kind) {
    case 'id':
      return [...world.ids, ...world.ids.map((id) => id + (1 << 20)), 1 << 20, (1 << 20) - 1, 5000];
    case 'fd':
      return [...world.fds, 1_000_000, 2 ** 31 - 1];
    case 'bytes':
      return [Buffer.from('bytes'), Buffer.alloc(200_000)];
    case 'chunks':
      return [[Buffer.from('a'), Buffer.from('b')], Array(65).fill(Buffer.alloc(1000))];
    case 'address':
      return [
        null,
        addon.packAddress('127.0.0.1', 9, 0),
        addon.packAddress('::1', 9, 0),
        Buffer.alloc(32, 255),
        // A path of a unix socket, which is longer.
        Buffer.alloc(32, 1).fill(0, 1, 2),
      ];
    case 'letters':
      writeLetters(addon.outbox, world.ids);
      return [0, 8, 16, 24, 48, 4096, 65_536, 65_537];
    case 'host':
      return [null, '127.0.0.1', '::1', 'fe80::1', '1.2.3', 'localhost'];
    case 'text':
      return [null, '80', 'http', '/tmp'];
    case 'path':
      return ['/nowhere/at/all', '\0gyre-hostile', 'x'.repeat(107), 'x'.repeat(108), 'ü'.repeat(54)];
    case 'int':
      return [0, 1, 2, 9, 80, 65_535, 65_536, 70_000];
    case 'bool':
      return [true, false];
    case 'strings':
      return [['/bin/true'], ['/bin/true', ''], ['/nowhere'], [], ['a=b']];
    case 'fds':
      return [new Int32Array([-1, -1, -1]), new Int32Array([-2, -3, 99]), new Int32Array(0)];
    case 'session':
      return [...world.sessions, ...world.ids, 5000];
    case 'context':
      return [...world.contexts, newContext(addon)];
    case 'pem':
      return [certificates.server.cert, certificates.server.key, certificates.ca, 'no PEM'].map((text) =>
        Buffer.from(text),
      );
  }
}

/** Datagrams, whole and cut, to every id, with impossible lengths, in an outbox that is full of them. */
function writeLetters(outbox: Uint8Array, ids: readonly Id[]): void {
  const words = new Int32Array(outbox.buffer);
  const lengths = [8, 0, 32, -1, 2 ** 31 - 1, 70_000, 8, 8];
  for (let at = 0, i = 0; at + 16 <= words.length; at += 16, i++) {
    words.fill(-1, at, at + 16);
    words.set([ids[i % ids.length] as Id, i < ids.length ? 48 : (lengths[i % 8] as number), i & 1, 0], at);
    words.set([2, 0x0100_007f], at + 4);
  }
}

/** Calls the function, and keeps its results for the end of the world. */
function call(world: World, name: string, args: unknown[]): void {
  const { addon } = world.raw;
  const fn = (addon as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
  let answer: unknown;
  try {
    answer = fn?.(...args);
  } catch (error) {
    // Only an error that the arguments themselves throw.
    assert.match((error as Error).message, /looked at/);
    return;
  }
  if (OPENS_DESCRIPTORS.has(name)) world.fds.push(...[answer].flat().filter(isDescriptor));
  else if (OPENS.has(name) && (answer as number) >= 0) world.ids.push(answer as Id);
  // It belongs to a handle now, or will.
  if (name === 'closeFd' || (TAKES_OVER.has(name) && (answer as number) >= 0)) {
    world.fds = world.fds.filter((fd) => fd !== args[0]);
  }
}

const OPENS = new Set(
  ['tcpConnect', 'unixConnect', 'tcpListen', 'unixListen', 'listenOn', 'open', 'openConnected'].concat([
    'datagram',
    'datagramOpen',
    'getaddrinfo',
    'getnameinfo',
    'spawn',
    'pollOpen',
    'pipeOpen',
    'tlsOpen',
  ]),
);
const TAKES_OVER = new Set(['listenOn', 'open', 'openConnected', 'datagramOpen', 'pipeOpen']);
const OPENS_DESCRIPTORS = new Set(['socketPair', 'pipe', 'socketOpen', 'socketAccept']);

function isDescriptor(value: unknown): value is number {
  return typeof value === 'number' && value > 2;
}

/** Checks that two ends of a new connection still reach each other. */
async function serves({ raw }: World): Promise<void> {
  const { addon } = raw;
  const { listener, near, far } = await tcpPair(raw);
  addon.readStart(far);
  assert.equal(addon.tryWrite(near, Buffer.from('still here')), 10);
  assert.equal(dataOf(await raw.take(READ, far)).toString(), 'still here');
  for (const id of [listener, near, far]) addon.close(id);
}

/** Runs `body`, and asserts that the native part still works afterwards. */
async function inAWorld(body: (world: World) => Promise<void> | void): Promise<void> {
  const world = new World();
  await world.make();
  await body(world);
  await hostPasses(3);
  await serves(world);
  await world.end();
}

test('this file tests every function of the native part', { skip }, () => {
  const functions = Object.entries(new RawAddon().addon).filter(([, value]) => typeof value === 'function');
  const names = functions.map(([name]) => name).filter((name) => !TESTS_OWN.includes(name));
  assert.deepEqual(names.sort(), Object.keys(SIGNATURES).sort());
});

test('every native function survives every wrong value in place of each argument', { skip }, async () => {
  for (const [name, kinds] of Object.entries(SIGNATURES)) {
    await inAWorld((world) => {
      call(world, name, []);
      for (const at of kinds.keys()) {
        for (const value of anything()) {
          const args = kinds.map((kind) => values(kind, world)[0]);
          args[at] = value;
          call(world, name, args);
        }
        // Some arguments are missing, others are too many.
        call(
          world,
          name,
          kinds.slice(0, at).map((kind) => values(kind, world)[0]),
        );
      }
      call(world, name, [...kinds.map((kind) => values(kind, world)[0]), ...Array(20).fill(1)]);
    });
  }
});

test('every native function survives ids of each kind, open, closing and closed', { skip }, async () => {
  for (const [name, kinds] of Object.entries(SIGNATURES)) {
    if (!kinds.includes('id')) continue;
    await inAWorld((world) => {
      for (const id of values('id', world)) {
        call(world, name, [id, ...kinds.slice(1).map((kind) => values(kind, world)[0])]);
      }
    });
  }
});

/** `npm run fuzz` gives another seed each time. */
const SEEDS = process.env.GYRE_HOSTILE_SEED ? [Number(process.env.GYRE_HOSTILE_SEED)] : [1, 2, 3];
const CALLS = 20_000;
/** Well below the limit of descriptors of a process. */
const MOST_OPEN = 200;

for (const seed of SEEDS) {
  test(`the native part survives ${CALLS} calls in any order, with any arguments (seed ${seed})`, {
    skip,
  }, async () => {
    const chance = new Chance(seed);
    const names = Object.keys(SIGNATURES).filter((name) => name !== 'spawn');
    await inAWorld(async (world) => {
      const hostile = anything();
      for (let i = 0; i < CALLS; i++) {
        // A child costs a millisecond.
        const name = chance.once(200) ? 'spawn' : chance.one(names);
        const kinds = SIGNATURES[name] as Kind[];
        call(
          world,
          name,
          kinds.map((kind) => chance.one(chance.once(8) ? hostile : values(kind, world))),
        );
        if (chance.once(50)) await hostPass();
        if (world.ids.length + world.fds.length > MOST_OPEN) world.closeSome();
      }
    });
  });
}

test('the native part does not close a descriptor again at the end of its thread', { skip }, async () => {
  // The child closes a socket by its number. A file that reuses the number must stay open.
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads');
    const addon = require(workerData).open(() => {}, [], []);
    const fd = addon.socketOpen(2, 1, 0);
    addon.closeFd(fd);
    parentPort.postMessage(fd);
    parentPort.once('message', () => process.exit());`,
    { eval: true, workerData: process.env.GYRE_NATIVE ?? NATIVE },
  );
  const [fd] = await once(worker, 'message');
  const opened: number[] = [];
  while (!opened.includes(fd) && opened.length < 100) opened.push(openSync(devNull, 'r'));
  assert.ok(opened.includes(fd));
  worker.postMessage('end');
  await once(worker, 'exit');
  for (const one of opened) closeSync(one);
});

test('the native part survives an array that closes its own connection, or detaches its data, while it is read', {
  skip,
}, async () => {
  await inAWorld(({ raw: { addon }, ids }) => {
    const near = ids[1] as Id;
    const victim = Buffer.alloc(1_000_000, 'secret');
    const steals = trapped(3, () => {
      structuredClone(victim.buffer, { transfer: [victim.buffer] });
      return Buffer.from('x');
    });
    steals[0] = victim;
    assert.equal(addon.tryWriteAll(near, steals as Uint8Array[], 0, 3, 0), 2);
    const closes = trapped(3, () => {
      addon.close(near);
      return Buffer.from('x');
    });
    assert.equal(addon.tryWriteAll(near, closes as Uint8Array[], 0, 3, 0), -9);
  });
});

/** The initial size of a table. */
const ROOM = 256;

test('the native part reuses an id only after many others, and an old id reaches no handle', {
  skip,
}, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const seen = new Set<Id>();
  /** By index: the time of its last use. */
  const used = new Map<number, number>();
  // Generations have 11 bits: see gyre.h. A single index would have used all of them.
  const OPENED = 2500;
  for (let i = 0; i < OPENED; i++) {
    const id = addon.datagram(2, null, null, false, false);
    seen.add(id);
    const index = id & ((1 << 20) - 1);
    const before = used.get(index);
    assert.ok(
      before === undefined || i - before === ROOM,
      `index ${index} after ${i - (before ?? 0)} others`,
    );
    used.set(index, i);
    const fd = addon.fileno(id);
    assert.ok(fd > 2);
    addon.close(id);
    // Not even while it is being closed.
    assert.equal(addon.fileno(id), -1);
    assert.equal(addon.receiveStart(id), -9);
    await raw.untilOpen(0);
  }
  assert.equal(seen.size, OPENED);
});

const big = process.env.GYRE_NATIVE === undefined ? 2 ** 32 : 0;

test('the native part writes 4 GiB in one piece', {
  skip: skip || (big === 0 && 'shadow memory for 4 GiB is too much'),
}, async () => {
  await inAWorld(async ({ raw, ids }) => {
    const { addon } = raw;
    const near = ids[1] as Id;
    const far = ids[2] as Id;
    // Untouched zeroes cost no memory.
    const huge = new Uint8Array(big);
    const sent = addon.tryWrite(near, huge);
    assert.ok(sent > 0 && sent < big, `${sent}`);
    assert.equal(addon.write(near, huge, sent), 0);
    addon.readStart(far);
    for (let received = 0; received < 64 * 1024 * 1024; ) received += (await raw.take(READ, far)).c;
    addon.reset(far);
  });
});

test('socketSendFile() of a socket that blocks, to a peer that does not read, returns at once', {
  skip,
}, () => {
  const { addon } = new RawAddon();
  const [near, far] = addon.socketPair() as [number, number];
  const file = openSync(process.execPath, 'r');
  const sent = addon.socketSendFile(near, file, 0, 2 ** 31 - 1);
  assert.ok(sent > 0 && sent < 2 ** 26, String(sent));
  for (const fd of [near, far]) addon.closeFd(fd);
  closeSync(file);
});
