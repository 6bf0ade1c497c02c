import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOPBACK_SECONDS } from '../../../src/backend/sim/fabric/fabric.ts';
import type { LocalChannel } from '../../../src/backend/sim/local/local-channel.ts';
import { localConnection, localPipe } from '../../../src/backend/sim/local/local-channel.ts';
import { EventLog, onKernel } from './kernels.ts';

const NAMES = { sockname: '', peername: '/server' };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const read = (channel: LocalChannel, length: number = 1 << 20): string | null => {
  const data = channel.read(length);
  return data === null ? null : Buffer.from(data).toString();
};

test('data of a local connection arrives after the time of the loopback, in order and as one stream', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    const events = new EventLog();
    far.events = events;
    assert.equal(near.write(bytes('one ')), 4);
    assert.equal(near.write(bytes('two')), 3);
    assert.equal(far.readable, 0);
    await idle();
    assert.equal(host.time(), LOOPBACK_SECONDS);
    assert.deepEqual([far.readable, events.log], [7, ['readable']]);
    assert.deepEqual([read(far, 2), read(far), read(far)], ['on', 'e two', null]);
    assert.deepEqual(
      [near.peername, near.sockname, far.peername, far.sockname],
      ['/server', '', '', '/server'],
    );
  }));

test('the memory of data that was read is not that of data which is still unread', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    near.write(bytes('first second'));
    await idle();
    const first = far.read(6) as Uint8Array;
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
    assert.equal(read(far), 'second');
  }));

test('a full buffer accepts a part, and its writer learns once when there is room', () =>
  onKernel(async ({ host }, idle) => {
    const [from, to] = localPipe(host);
    const events = new EventLog();
    to.events = events;
    assert.equal(to.write(new Uint8Array(100_000)), 65_536);
    assert.deepEqual([to.writable, to.write(bytes('x'))], [false, 0]);
    await idle();
    assert.deepEqual(events.log, []);
    assert.equal(from.read(10_000)?.length, 10_000);
    from.read(10_000);
    await idle();
    assert.deepEqual([to.writable, events.log], [true, ['writable']]);
  }));

test('a pipe accepts a short write as a whole or not at all', () =>
  onKernel(async ({ host }, idle) => {
    const [from, to] = localPipe(host);
    assert.equal(to.write(new Uint8Array(65_000)), 65_000);
    assert.equal(to.write(new Uint8Array(4096)), 0);
    assert.equal(to.write(new Uint8Array(100)), 100);
    await idle();
    assert.equal(from.readable, 65_100);
  }));

test('the end of a stream follows its data, and the other direction goes on', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    near.write(bytes('last'));
    near.shutdownWrite();
    assert.throws(() => near.write(bytes('more')), { code: 'EPIPE', syscall: 'write' });
    await idle();
    assert.deepEqual([far.ended, read(far), far.ended], [false, 'last', true]);
    far.write(bytes('answer'));
    await idle();
    assert.equal(read(near), 'answer');
  }));

test('the peer of a closed connection reads its data and the end, and cannot write', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    near.write(bytes('last'));
    near.close();
    assert.throws(() => far.write(bytes('x')), { code: 'EPIPE' });
    await idle();
    assert.deepEqual([read(far), far.ended, far.error, far.hungUp], ['last', true, null, true]);
  }));

test('a connection that is closed with unread data is reset for its peer, behind the last data', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    const events = new EventLog();
    far.events = events;
    far.write(bytes('never read'));
    near.write(bytes('last'));
    near.close();
    await idle();
    assert.deepEqual([read(far), far.ended], ['last', false]);
    await idle();
    assert.deepEqual(
      [events.log, (far.error as { code?: string }).code],
      [['readable', 'ECONNRESET'], 'ECONNRESET'],
    );
  }));

test('the write end of a pipe learns that its reader has gone, and then fails with EPIPE', () =>
  onKernel(async ({ host }, idle) => {
    const [from, to] = localPipe(host);
    const events = new EventLog();
    to.events = events;
    to.write(new Uint8Array(70_000));
    from.close();
    await idle();
    assert.deepEqual(events.log, ['writable', 'readable']);
    assert.deepEqual([to.ended, to.writable], [true, true]);
    assert.throws(() => to.write(bytes('x')), { code: 'EPIPE' });
  }));

test('a read pipe cannot be written', () =>
  onKernel(({ host }) => {
    const [from, to] = localPipe(host);
    assert.throws(() => from.write(bytes('x')), { code: 'EBADF' });
    assert.deepEqual([from.direction, to.direction, to.read(1)], ['read', 'write', null]);
  }));

test('nothing that is on its way arrives after the host has crashed', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    near.write(bytes('lost'));
    host.crash();
    await idle();
    assert.equal(far.readable, 0);
  }));

test('after a shutdown of reading, what has arrived can be read, and then the end', () =>
  onKernel(async ({ host }, idle) => {
    const [near, far] = localConnection(host, NAMES);
    near.write(bytes('arrived'));
    await idle();
    near.write(bytes('on its way'));
    far.shutdownRead();
    await idle();
    assert.deepEqual([read(far), far.ended, read(far)], ['arrived', true, null]);
    assert.throws(() => near.write(bytes('x')), { code: 'EPIPE' });
    far.write(bytes('the other way'));
    await idle();
    assert.equal(read(near), 'the other way');
  }));
