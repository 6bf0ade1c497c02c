/**
 * The native part reads straight into memory of JavaScript, which may have changed by the time data comes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Id } from '../../../src/backend/uv/addon.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { dataOf, RawAddon, READ, READ_INTO } from './raw-addon.ts';

const skip = whyNoNativeBackend()?.reason ?? false;
const INDEX_MASK = (1 << 20) - 1;

function pair(raw: RawAddon): [near: Id, far: Id] {
  const fds = raw.addon.socketPair() as [number, number];
  return [raw.addon.open(fds[0]), raw.addon.open(fds[1])];
}

test('readInto() reads once into the buffer, and then into a slab again', { skip }, async () => {
  const raw = new RawAddon();
  const [near, far] = pair(raw);
  const whole = new Uint8Array(100);
  raw.buffers[near & INDEX_MASK] = whole.subarray(10, 20);
  assert.equal(raw.addon.readInto(near, true), false);
  assert.equal(raw.addon.readInto(near, true), true);
  raw.addon.readStart(near);
  raw.addon.tryWrite(far, Buffer.from('0123456789abcdef'));
  assert.equal((await raw.take(READ_INTO, near)).a, 10);
  assert.equal(Buffer.from(whole).toString('latin1'), `${'\0'.repeat(10)}0123456789${'\0'.repeat(80)}`);
  assert.equal(dataOf(await raw.take(READ, near)).toString(), 'abcdef');
  assert.equal(raw.addon.readInto(near, false), false);
  await raw.end([near, far]);
});

/** The states of the buffer in which no byte of it may be touched. */
const GONE: Record<string, (raw: RawAddon, index: number) => void> = {
  nothing: (raw, index) => {
    delete raw.buffers[index];
  },
  'what is no buffer': (raw, index) => {
    raw.buffers[index] = 'text' as never;
  },
  'an array of words': (raw, index) => {
    raw.buffers[index] = new Uint16Array(8) as never;
  },
  'an empty buffer': (raw, index) => {
    raw.buffers[index] = new Uint8Array(0);
  },
  'memory that was given away': (raw, index) => {
    const buffer = new Uint8Array(64);
    raw.buffers[index] = buffer;
    structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
  },
  'memory that was cut off': (raw, index) => {
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: object,
    ) => ArrayBuffer & { resize(to: number): void };
    const memory = new Resizable(1 << 20, { maxByteLength: 1 << 20 });
    raw.buffers[index] = new Uint8Array(memory, 1 << 19, 1000);
    memory.resize(1000);
  },
};

for (const [what, change] of Object.entries(GONE)) {
  test(`readInto() of ${what} reads into a slab instead`, { skip }, async () => {
    const raw = new RawAddon();
    const [near, far] = pair(raw);
    raw.addon.readInto(near, true);
    change(raw, near & INDEX_MASK);
    raw.addon.readStart(near);
    raw.addon.tryWrite(far, Buffer.from('hello'));
    assert.equal(dataOf(await raw.take(READ, near)).toString(), 'hello');
    await raw.end([near, far]);
  });
}

test('readInto() reads into shared memory', { skip }, async () => {
  const raw = new RawAddon();
  const [near, far] = pair(raw);
  const memory = new Uint8Array(new SharedArrayBuffer(100), 50);
  raw.buffers[near & INDEX_MASK] = memory;
  raw.addon.readInto(near, true);
  raw.addon.readStart(near);
  raw.addon.tryWrite(far, Buffer.from('shared'));
  await raw.take(READ_INTO, near);
  assert.equal(Buffer.from(memory.subarray(0, 6)).toString(), 'shared');
  await raw.end([near, far]);
});
