/**
 * JavaScript can transfer the memory of a buffer at any time: by `structuredClone`, a byte stream,
 * `transfer()`. The native part reads into such memory and sends from it. It must not touch memory that was
 * transferred or freed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Future, Transport, TransportSocket } from '../../../src/index.ts';
import { Protocol, sleep, UvEventLoop } from '../../../src/index.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { collectGarbage } from '../../helpers/gc.ts';
import { giveAway } from '../../helpers/give-away.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import type { EventRecord } from './raw-addon.ts';
import { dataOf, MESSAGE, RawAddon, READ, WRITTEN } from './raw-addon.ts';
import { datagramPair, tcpPair } from './raw-pairs.ts';

const skip = whyNoNativeBackend()?.reason ?? false;
const EFAULT = -14;
const EMSGSIZE = -90;

/** Overwrites memory that was freed. */
async function reuseMemory(bytes: number): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await collectGarbage();
    Array.from({ length: 4 }, () => Buffer.alloc(bytes, 'wrong'));
  }
}

test('reads continue in other memory when the slab is transferred between any two of them', {
  skip,
}, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { listener, near, far } = await tcpPair(raw);
  addon.readStart(far);
  const seen = new Set<Buffer>();
  for (let i = 0; i < 20; i++) {
    const sent = Buffer.alloc(1000, `message ${i}, `);
    assert.equal(addon.tryWrite(near, sent), sent.length);
    const record = await raw.take(READ, far);
    const { slab } = record;
    assert.ok(dataOf(record).equals(sent), `message ${i}`);
    assert.ok(!seen.has(slab));
    seen.add(slab);
    // The next read would have followed this one.
    giveAway(slab.buffer);
    if (i % 5 === 0) await reuseMemory(300_000);
  }
  await raw.end([listener, near, far]);
});

test('datagrams continue in other memory when the slab is transferred', { skip }, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { near, far, to } = datagramPair(raw);
  addon.receiveStart(far);
  for (let i = 0; i < 20; i++) {
    addon.trySend(near, Buffer.from(`datagram ${i}`), to);
    const record = await raw.take(MESSAGE, far);
    assert.equal(dataOf(record).toString(), `datagram ${i}`);
    giveAway(record.slab.buffer);
  }
  await raw.end([near, far]);
});

test('a write whose memory is transferred while it waits fails, and the memory is not read', {
  skip,
}, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { listener, near, far } = await tcpPair(raw);
  const size = 20_000_000;
  const data = Buffer.alloc(size, 'x');
  const sent = addon.tryWrite(near, data);
  assert.ok(sent > 0 && sent < size);
  assert.equal(addon.write(near, data, sent), 0);
  giveAway(data.buffer);
  await reuseMemory(size);
  addon.readStart(far);
  assert.equal((await raw.take(WRITTEN, near)).a, EFAULT);
  addon.shutdown(near);
  let received = 0;
  for (;;) {
    while (raw.records.length === 0) await hostPass();
    const record = raw.records.shift() as EventRecord;
    if (record.kind !== READ) break;
    const part = dataOf(record);
    assert.ok(part.every((byte) => byte === 120));
    received += part.length;
  }
  assert.ok(received >= sent && received < size, `${sent} ${received} ${size}`);
  await raw.end([listener, near, far]);
});

test('a write in parts arrives whole, from any offset', { skip }, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { listener, near, far } = await tcpPair(raw);
  const size = 20_000_000;
  const data = Buffer.alloc(size);
  for (let i = 0; i < size; i += 4) data.writeUInt32LE(i, i);
  const sent = addon.tryWrite(near, data);
  assert.equal(addon.write(near, data, sent), 0);
  addon.readStart(far);
  let received = 0;
  while (received < size) {
    const part = dataOf(await raw.take(READ, far));
    assert.ok(part.equals(data.subarray(received, received + part.length)), `at ${received}`);
    received += part.length;
  }
  assert.equal((await raw.take(WRITTEN, near)).a, 0);
  for (const offset of [size, size - 1, size - 16 * 1024, size - 16 * 1024 - 1]) {
    assert.equal(addon.write(near, data, offset), 0);
    assert.equal((await raw.take(WRITTEN, near)).a, 0);
    for (received = offset; received < size; received += (await raw.take(READ, far)).c);
    assert.equal(received, size);
  }
  await raw.end([listener, near, far]);
});

// On the loopback interface the kernel accepts each datagram at once. So this test covers only the copy, not
// the wait.
test('a datagram is copied before it may have to wait', { skip }, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { near, far, to } = datagramPair(raw);
  const data = Buffer.from(new ArrayBuffer(2000)).fill('z');
  assert.equal(addon.send(near, data, to), 0);
  giveAway(data.buffer);
  await reuseMemory(2000);
  addon.receiveStart(far);
  assert.ok(dataOf(await raw.take(MESSAGE, far)).equals(Buffer.alloc(2000, 'z')));
  // Larger than a datagram can be.
  assert.equal(addon.send(near, Buffer.alloc(100_000), to), EMSGSIZE);
  await raw.end([near, far]);
});

/** Collects the received text. `done` is this text, or the code of the error that ended the connection. */
class Reader extends Protocol {
  readonly #onData: (data: Buffer) => void;
  readonly done: Future<string>;
  #text: string = '';

  constructor(loop: UvEventLoop, onData: (data: Buffer) => void = () => {}) {
    super();
    this.#onData = onData;
    this.done = loop.createFuture<string>();
  }

  override dataReceived(data: Buffer): void {
    this.#text += data.toString();
    this.#onData(data);
  }

  override connectionLost(error: Error | null): void {
    this.done.setResult((error as NodeJS.ErrnoException | null)?.code ?? this.#text);
  }
}

/** Sends data over two connections at once, and returns the received data of both. */
async function both(loop: UvEventLoop, onData: (data: Buffer) => void): Promise<[string, string]> {
  const readers = [new Reader(loop, onData), new Reader(loop)];
  const waiting = [...readers];
  const server = await loop.createServer(() => waiting.shift() as Reader, '127.0.0.1', 0);
  const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
  const near: Transport[] = [];
  for (let i = 0; i < 2; i++) {
    near.push((await loop.createConnection(() => new Protocol(), '127.0.0.1', port))[0]);
    while (waiting.length > 1 - i) await sleep(0.001);
  }
  for (const [i, transport] of near.entries()) transport.write(`data of ${i}`);
  for (const transport of near) transport.close();
  const texts = await Promise.all(readers.map(({ done }) => done));
  server.close();
  await server.waitClosed();
  return texts as [string, string];
}

test('a receiver that transfers the memory of its data takes nothing from others', { skip }, async () => {
  const loop = new UvEventLoop();
  let refused = 0;
  const texts = await loop.runUntilComplete(() =>
    both(loop, (data) => {
      try {
        // Node 20 copies memory that may not be transferred; later versions throw.
        structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
      } catch {
        refused++;
      }
    }),
  );
  assert.deepEqual(texts, ['data of 0', 'data of 1']);
  assert.ok(refused < 2);
  loop.close();
});

test('a transfer that does take shared memory fails the others one by one, and the loop continues', {
  skip,
}, async () => {
  const loop = new UvEventLoop();
  const texts = await loop.runUntilComplete(() => both(loop, (data) => giveAway(data.buffer)));
  assert.equal(texts[0], 'data of 0');
  // The other data came in the same poll phase, whose slab was transferred, or in the next one.
  assert.ok(['EFAULT', 'data of 1'].includes(texts[1]), texts[1]);
  assert.deepEqual(await loop.runUntilComplete(() => both(loop, () => {})), ['data of 0', 'data of 1']);
  loop.close();
});

/**
 * Writes more than the kernel accepts, and then parts of these sizes. The last part is transferred while it
 * waits. Returns how the connection ends.
 */
async function writeAndTransfer(loop: UvEventLoop, sizes: readonly number[]): Promise<string> {
  let far: Transport | undefined;
  class Slow extends Protocol {
    override connectionMade(transport: Transport): void {
      far = transport;
      transport.pauseReading();
    }
  }
  const near = new Reader(loop);
  const server = await loop.createServer(() => new Slow(), '127.0.0.1', 0);
  const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
  const [transport] = await loop.createConnection(() => near, '127.0.0.1', port);
  while (far === undefined) await sleep(0.001);
  transport.write(Buffer.alloc(20_000_000));
  const chunks = sizes.map((size) => new Uint8Array(size));
  for (const chunk of chunks) transport.write(chunk);
  giveAway((chunks.at(-1) as Uint8Array).buffer);
  far.resumeReading();
  const end = await near.done;
  far.abort();
  server.close();
  await server.waitClosed();
  return end;
}

for (const sizes of [[1000], [1000, 1000], [100_000, 100_000]]) {
  test(`a queued part that is transferred ends the connection (${sizes.join()})`, {
    skip,
  }, async () => {
    const loop = new UvEventLoop();
    assert.equal(await loop.runUntilComplete(() => writeAndTransfer(loop, sizes)), 'EFAULT');
    loop.close();
  });
}
