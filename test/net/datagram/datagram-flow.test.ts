import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { BaseEventLoop } from '../../../src/index.ts';
import { AF_INET, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET, Socket } from '../../../src/index.ts';
import { PendingDatagrams } from '../../../src/net/datagram/pending-datagrams.ts';
import { FlowControl } from '../../../src/net/flow-control.ts';
import { DatagramRecorder, endpoint } from '../../helpers/datagrams.ts';
import { onNode } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import type { FakeDatagram } from './fake-datagrams.ts';
import { FakeDatagramLoop, onFake } from './fake-datagrams.ts';

/** The bytes that a datagram counts for in addition to its data. */
const HEADER = 8;

// --- the queue alone ---

test('PendingDatagrams queues a datagram, then gives it to the host, one at a time', () => {
  const pending = new PendingDatagrams();
  assert.deepEqual([pending.size, pending.take()], [0, null]);
  const address = ['192.0.2.1', 1] as const;
  const data = Buffer.alloc(100);
  pending.push(data, address);
  pending.push(Buffer.alloc(0), null);
  assert.equal(pending.size, 100 + 2 * HEADER);
  const first = pending.take();
  // Nothing is copied.
  assert.deepEqual([first?.data === data, first?.address === address], [true, true]);
  assert.deepEqual([pending.take(), pending.size], [null, 100 + 2 * HEADER]);
  pending.left();
  assert.equal(pending.size, HEADER);
  assert.equal(pending.take()?.data.length, 0);
  assert.deepEqual([pending.take(), pending.size], [null, HEADER]);
  pending.left();
  assert.deepEqual([pending.take(), pending.size], [null, 0]);
});

test('PendingDatagrams.clear() drops queued datagrams and the one at the host', () => {
  const pending = new PendingDatagrams();
  pending.push(Buffer.alloc(1), null);
  pending.push(Buffer.alloc(2), null);
  pending.take();
  pending.clear();
  assert.deepEqual([pending.size, pending.take()], [0, null]);
  pending.left();
  pending.push(Buffer.alloc(3), null);
  assert.equal(pending.take()?.data.length, 3);
});

test('PendingDatagrams loses, doubles and reorders nothing, and pause and resume alternate, for any order of calls', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ send: fc.integer({ min: 0, max: 2000 }) }) },
    { weight: 3, arbitrary: fc.constantFrom('take' as const, 'left' as const) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
    { weight: 1, arbitrary: fc.record({ high: fc.integer({ min: 0, max: 10_000 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const pending = new PendingDatagrams();
      const flow = new FlowControl();
      let queued: number[] = [];
      let host: number | null = null;
      let paused = false;
      for (const one of steps) {
        if (one === 'take') {
          const taken = pending.take()?.data.length ?? null;
          assert.equal(taken, host === null ? (queued[0] ?? null) : null);
          if (taken !== null) host = queued.shift() ?? null;
        } else if (one === 'left') {
          pending.left();
          host = null;
        } else if (one === 'clear') {
          pending.clear();
          queued = [];
          host = null;
        } else if ('high' in one) {
          flow.setLimits(one);
        } else {
          pending.push(Buffer.alloc(one.send), null);
          queued.push(one.send);
        }
        const waiting: number[] = host === null ? queued : [host, ...queued];
        const size = waiting.reduce((sum, bytes) => sum + bytes + HEADER, 0);
        assert.equal(pending.size, size);
        const told = flow.update(pending.size);
        if (told !== null) {
          assert.equal(told, paused ? 'resume' : 'pause');
          paused = !paused;
        }
        if (size > flow.high) assert.equal(paused, true);
        if (size <= flow.low) assert.equal(paused, false);
      }
    }),
  );
});

// --- a fake host ---

/** A datagram that the host did not accept. */
async function clogged(
  loop: FakeDatagramLoop,
): Promise<{ raw: FakeDatagram; recorder: DatagramRecorder; transport: DatagramRecorder['transport'] }> {
  const { raw, recorder } = await loop.openFake();
  raw.takesAll = false;
  return { raw, recorder, transport: recorder.transport };
}

async function lose(raw: FakeDatagram, recorder: DatagramRecorder): Promise<void> {
  recorder.transport.abort();
  raw.events.onClose(null);
  await recorder.untilLost();
}

test(
  'datagrams that the kernel does not accept pause the protocol once above the high-water mark, and resume it once at the low one',
  onFake(async (loop) => {
    const { raw, recorder, transport } = await clogged(loop);
    assert.deepEqual(transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
    transport.setWriteBufferLimits({ high: 4 * (100 + HEADER), low: 2 * (100 + HEADER) });
    for (let i = 0; i < 4; i++) transport.sendto(Buffer.alloc(100));
    assert.deepEqual([transport.getWriteBufferSize(), recorder.log], [4 * (100 + HEADER), ['made']]);
    transport.sendto('');
    assert.deepEqual(recorder.log, ['made', 'pause']);
    transport.sendto(Buffer.alloc(100));
    raw.events.onSent(null);
    raw.events.onSent(null);
    raw.events.onSent(null);
    assert.deepEqual([transport.getWriteBufferSize(), recorder.log], [2 * 108 + HEADER, ['made', 'pause']]);
    raw.events.onSent(null);
    assert.deepEqual(
      [transport.getWriteBufferSize(), recorder.log],
      [108 + HEADER, ['made', 'pause', 'resume']],
    );
    raw.events.onSent(null);
    raw.events.onSent(null);
    assert.deepEqual([transport.getWriteBufferSize(), recorder.log], [0, ['made', 'pause', 'resume']]);
    assert.deepEqual(raw.calls, ['send 100', 'send 100', 'send 100', 'send 100', 'send 0', 'send 100']);
    await lose(raw, recorder);
  }),
);

test(
  'each waiting datagram pauses the protocol when both marks are zero, even an empty one',
  onFake(async (loop) => {
    const { raw, recorder, transport } = await clogged(loop);
    transport.setWriteBufferLimits({ high: 0 });
    transport.sendto('');
    transport.sendto('');
    raw.events.onSent(null);
    assert.deepEqual(recorder.log, ['made', 'pause']);
    raw.events.onSent(null);
    assert.deepEqual(recorder.log, ['made', 'pause', 'resume']);
    await lose(raw, recorder);
  }),
);

test(
  'setWriteBufferLimits() applies at once to waiting datagrams',
  onFake(async (loop) => {
    const { raw, recorder, transport } = await clogged(loop);
    transport.sendto(Buffer.alloc(1000));
    transport.setWriteBufferLimits({ high: 100 });
    transport.setWriteBufferLimits({ high: 50 });
    assert.deepEqual(recorder.log, ['made', 'pause']);
    transport.setWriteBufferLimits();
    assert.deepEqual(recorder.log, ['made', 'pause', 'resume']);
    await lose(raw, recorder);
  }),
);

test(
  'waiting datagrams leave in order and one by one, as soon as the host accepts more',
  onFake(async (loop) => {
    const { raw, recorder, transport } = await clogged(loop);
    for (const length of [1, 2, 3, 4]) transport.sendto(Buffer.alloc(length));
    assert.deepEqual(raw.calls, ['send 1']);
    raw.events.onSent(null);
    assert.deepEqual(raw.calls, ['send 1', 'send 2']);
    raw.takesAll = true;
    transport.sendto('');
    assert.deepEqual(raw.calls, ['send 1', 'send 2']);
    raw.events.onSent(null);
    assert.deepEqual(raw.calls, ['send 1', 'send 2', 'send 3', 'send 4', 'send 0']);
    assert.equal(transport.getWriteBufferSize(), 0);
    await lose(raw, recorder);
  }),
);

test(
  'a waiting datagram that cannot be sent is reported, and no longer counts',
  onFake(async (loop) => {
    const { raw, recorder, transport } = await clogged(loop);
    transport.sendto('one');
    transport.sendto('two');
    raw.events.onSent(Object.assign(new Error('send EHOSTUNREACH'), { code: 'EHOSTUNREACH' }));
    assert.deepEqual([recorder.codes, transport.getWriteBufferSize()], [['EHOSTUNREACH'], 3 + HEADER]);
    assert.equal(transport.isClosing(), false);
    raw.events.onSent(null);
    await lose(raw, recorder);
  }),
);

test(
  'close() waits until all datagrams have left, and abort() does not, even after close()',
  onFake(async (loop) => {
    for (const gentle of [true, false]) {
      const { raw, recorder, transport } = await clogged(loop);
      transport.sendto('one');
      transport.sendto('two');
      transport.close();
      transport.close();
      assert.deepEqual(raw.calls, ['send 3', 'receiveStop']);
      raw.events.onMessage(Buffer.from('late'), ['192.0.2.2', 2]);
      raw.events.onSent(null);
      assert.deepEqual(raw.calls, ['send 3', 'receiveStop', 'send 3']);
      assert.equal(transport.getWriteBufferSize(), 3 + HEADER);
      if (gentle) {
        raw.events.onSent(null);
      } else {
        transport.abort();
        transport.abort();
        assert.equal(transport.getWriteBufferSize(), 0);
      }
      assert.deepEqual(raw.calls, ['send 3', 'receiveStop', 'send 3', 'close']);
      assert.deepEqual(recorder.log, ['made']);
      raw.events.onClose(null);
      assert.equal(recorder.lost, false);
      await recorder.untilLost();
      assert.deepEqual([recorder.log, recorder.exception], [['made', 'lost'], null]);
    }
  }),
);

test(
  'an endpoint that closes still pauses and resumes its protocol, and calls nothing but the end after abort()',
  onFake(async (loop) => {
    for (const ending of ['close', 'abort'] as const) {
      const { raw, recorder, transport } = await clogged(loop);
      transport.setWriteBufferLimits({ high: 0 });
      transport.sendto('one');
      transport[ending]();
      if (ending === 'abort') {
        raw.events.onSent(null);
        raw.events.onError(new Error('late'));
        transport.setWriteBufferLimits({ high: 10 });
      } else {
        raw.events.onSent(null);
      }
      raw.events.onClose(null);
      await recorder.untilLost();
      assert.deepEqual(
        recorder.log,
        ending === 'close' ? ['made', 'pause', 'resume', 'lost'] : ['made', 'pause', 'lost'],
      );
    }
  }),
);

test(
  'a protocol that throws in errorReceived() is aborted, and gets nothing more but the end',
  onFake(async (loop, reports) => {
    const bug = new Error('bug');
    const recorder = new DatagramRecorder();
    recorder.errorReceived = () => {
      throw bug;
    };
    const { raw } = await loop.openFake(undefined, recorder);
    const { transport } = recorder;
    raw.takesAll = false;
    transport.setWriteBufferLimits({ high: 0 });
    transport.sendto('one');
    transport.sendto('two');
    raw.events.onSent(new Error('failed'));
    assert.deepEqual(raw.calls, ['send 3', 'close']);
    raw.events.onClose(null);
    await recorder.untilLost();
    assert.deepEqual(recorder.log, ['made', 'pause', 'lost']);
    assert.equal(recorder.exception, bug);
    assert.deepEqual(reports.takeMessages(), [
      'exception in protocol.errorReceived(): its endpoint is aborted',
    ]);
  }),
);

test(
  'an endpoint starts to receive after connectionMade(), unless that has closed it',
  onFake(async (loop) => {
    const open = await loop.openFake();
    assert.deepEqual(open.callsAtOpening, ['receiveStart']);
    await lose(open.raw, open.recorder);
    const recorder = new DatagramRecorder();
    const made = recorder.connectionMade;
    recorder.connectionMade = (transport) => {
      made.call(recorder, transport);
      transport.close();
    };
    const closed = await loop.openFake(undefined, recorder);
    assert.deepEqual(closed.callsAtOpening, ['receiveStop', 'close']);
    closed.raw.events.onClose(null);
    await recorder.untilLost();
  }),
);

test(
  'a protocol that throws in pauseWriting() is aborted',
  onFake(async (loop, reports) => {
    const bug = new Error('bug');
    const recorder = new DatagramRecorder();
    recorder.pauseWriting = () => {
      throw bug;
    };
    const { raw } = await loop.openFake(undefined, recorder);
    raw.takesAll = false;
    recorder.transport.setWriteBufferLimits({ high: 0 });
    recorder.transport.sendto('one');
    assert.deepEqual([raw.calls, recorder.transport.getWriteBufferSize()], [['send 3', 'close'], 0]);
    recorder.transport.sendto('dropped');
    raw.events.onClose(null);
    await recorder.untilLost();
    assert.deepEqual([recorder.log, recorder.exception], [['made', 'lost'], bug]);
    assert.deepEqual(reports.takeMessages(), [
      'exception in protocol.pauseWriting(): its endpoint is aborted',
    ]);
  }),
);

test('a stopped loop delays resumes and the end, and skips a pause that is over by then', async () => {
  const loop = new FakeDatagramLoop();
  const { raw, recorder } = await loop.runUntilComplete(() => loop.openFake());
  const { transport } = recorder;
  raw.takesAll = false;
  transport.setWriteBufferLimits({ high: 0 });
  transport.sendto('one');
  raw.events.onSent(null);
  raw.events.onMessage(Buffer.from('first'), ['192.0.2.2', 2]);
  assert.deepEqual(raw.calls, ['send 3', 'receiveStop']);
  assert.deepEqual(recorder.log, ['made']);
  await loop.runUntilComplete(() => recorder.untilReceived(1));
  assert.deepEqual(recorder.log, ['made', 'pause', 'resume', 'datagram']);
  assert.deepEqual(raw.calls, ['send 3', 'receiveStop', 'receiveStart']);
  transport.close();
  raw.events.onClose(null);
  assert.equal(recorder.lost, false);
  await loop.runUntilComplete(() => recorder.untilLost());
  loop.close();
});

// --- a kernel with back-pressure ---

/** The address of a missing neighbour: the kernel keeps datagrams to it for seconds, until it knows. */
function nobody(): string | null {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address, netmask } of addresses ?? []) {
      const last = Number(address.split('.')[3]);
      if (family !== 'IPv4' || internal || !netmask.startsWith('255.255.255.0')) continue;
      return address.replace(/\d+$/, String(last < 128 ? last + 101 : last - 101));
    }
  }
  return null;
}

const neighbour = process.platform === 'linux' ? nobody() : null;
const withoutNeighbour: string | false =
  neighbour === null && 'needs Linux and an interface in a network of 256 addresses';

/** Opens an endpoint that sends to it. The kernel keeps few of its datagrams. */
async function toNeighbour(loop: BaseEventLoop): Promise<DatagramRecorder> {
  const remoteAddr: [string, number] = [neighbour as string, 9];
  if (loop._backend.sockets === null) {
    const near = await endpoint(loop, { remoteAddr });
    near.transport.getExtraInfo('rawSocket')?.setSendBufferSize(4096);
    return near;
  }
  const sock = new Socket(AF_INET, SOCK_DGRAM);
  sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
  await loop.sockConnect(sock, remoteAddr);
  return endpoint(loop, { sock: sock.detach() });
}

test(
  'close() waits for a kernel that accepts no more: all datagrams have left or failed before the end',
  { skip: withoutNeighbour },
  onNode(async (loop) => {
    const near = await toNeighbour(loop);
    const { transport } = near;
    transport.setWriteBufferLimits({ high: 2000, low: 1000 });
    let sent = 0;
    for (; !near.log.includes('pause'); sent++) transport.sendto(Buffer.alloc(1000));
    assert.ok(sent < 100, `the kernel took ${sent}`);
    assert.equal(transport.getWriteBufferSize(), 2 * (1000 + HEADER));
    transport.close();
    assert.equal(transport.isClosing(), true);
    await near.untilLost();
    assert.equal(transport.getWriteBufferSize(), 0);
    assert.equal(near.exception, null);
    assert.deepEqual(
      near.log.filter((word) => word !== 'error'),
      ['made', 'pause', 'resume', 'lost'],
    );
  }),
);

test(
  'abort() does not wait for a kernel that accepts no more',
  { skip: withoutNeighbour },
  onNode(async (loop) => {
    const near = await toNeighbour(loop);
    const { transport } = near;
    for (let i = 0; i < 12; i++) transport.sendto(Buffer.alloc(1000));
    assert.ok(transport.getWriteBufferSize() > 0);
    const since = loop.time();
    transport.abort();
    assert.equal(transport.getWriteBufferSize(), 0);
    await near.untilLost();
    // Seconds: it would take three until the kernel gives the neighbour up.
    assert.ok(loop.time() - since < 2);
    assert.deepEqual([near.log, near.exception], [['made', 'lost'], null]);
  }),
);

// --- a host that never sends at once ---

test('an endpoint counts, reports and flushes all datagrams if the host queues each of them', async () => {
  const child = fileURLToPath(new URL('./datagram-queued.child.ts', import.meta.url));
  // Node's own switch: each send goes through libuv's queue, and is over a poll later.
  const args = ['--test-udp-no-try-send', ...loaderOptions, child];
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 60_000 });
  assert.deepEqual(JSON.parse(stdout), {
    sizeAfterSending: 20 * (1000 + HEADER),
    toldAfterSending: ['made', 'pause'],
    // The datagram that fails is above the high-water mark by itself.
    near: ['made', 'pause', 'error', 'resume', 'lost'],
    codes: ['EMSGSIZE'],
    received: [...Array(20).fill(1000), 0],
    sizeAtTheEnd: 0,
  });
});
