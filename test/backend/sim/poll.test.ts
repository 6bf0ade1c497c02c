import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPipePair, openSocketPair } from '../../../src/backend/sim/handles/open-pipe.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import { openFile } from '../../../src/backend/sim/machine/open-file.ts';
import { SimulatedEventLoop } from '../../../src/entry/sim.ts';
import type { Transport } from '../../../src/index.ts';
import {
  AF_INET,
  AF_UNIX,
  SHUT_RDWR,
  SHUT_WR,
  SO_ERROR,
  SO_RCVBUF,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  Socket,
  sleep,
} from '../../../src/index.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { portOf, Recorder, recorders } from '../../helpers/pairs.ts';

function onSim(body: (loop: SimulatedEventLoop, kernel: Kernel) => Promise<void>): Promise<void> {
  return withLoop(
    () => new SimulatedEventLoop(),
    (loop) => {
      assert.ok(loop._backend instanceof SimBackend);
      const { kernel } = loop._backend;
      return loop.runUntilComplete(() => body(loop, kernel));
    },
  );
}

const MAKERS = [
  ['TCP', AF_INET, ['127.0.0.1', 0]],
  ['unix', AF_UNIX, '/tmp/socket'],
] as const;

test('a readiness that lasts is reported again and again, and does not stop virtual time', () =>
  onSim(async (loop, { host, machine }) => {
    const [from, to] = openSocketPair(host, machine.descriptors);
    let calls = 0;
    loop.addWriter(to, () => calls++);
    await sleep(0.001);
    loop.removeWriter(to);
    assert.ok(calls > 10 && calls < 1000, `${calls} calls`);
    const before = calls;
    await sleep(1);
    assert.equal(calls, before);
    for (const fd of [from, to]) machine.descriptors.close(fd);
  }));

test('a watcher learns of data, of the end and of a reader that has gone, and not before', () =>
  onSim(async (loop, { host, machine }) => {
    const { read, write } = openPipePair(host, machine.descriptors);
    const times: number[] = [];
    loop.addReader(read, () => {
      times.push(loop.time());
      loop.removeReader(read);
    });
    await sleep(10);
    assert.deepEqual(times, []);
    machine.descriptors.close(write);
    await sleep(1);
    assert.equal(times.length, 1);
    machine.descriptors.close(read);
    const other = openPipePair(host, machine.descriptors);
    machine.descriptors.close(other.read);
    const gone = loop.createFuture<void>();
    loop.addReader(other.write, () => {
      loop.removeReader(other.write);
      gone.setResult();
    });
    await gone;
    machine.descriptors.close(other.write);
  }));

test('a number that is no descriptor of the host cannot be watched or taken over, and a file is always ready', () =>
  onSim(async (loop, { machine }) => {
    assert.throws(() => loop.addReader(3, () => {}), { code: 'EBADF' });
    assert.throws(() => new Socket(undefined, undefined, undefined, { fileno: 3 }), { code: 'EBADF' });
    assert.throws(() => loop.connectReadPipe(() => ({}), 3), { name: 'TypeError' });
    machine.memory.writeFileSync('/tmp/file', 'x');
    const { fd } = openFile(machine.files, machine.descriptors, '/tmp/file');
    assert.throws(() => loop.addReader(fd, () => {}), { code: 'EPERM' });
    assert.throws(() => new Socket(undefined, undefined, undefined, { fileno: fd }), { code: 'ENOTSOCK' });
    assert.throws(() => loop.connectReadPipe(() => ({}), fd), { name: 'TypeError', message: /"pipe"/ });
    machine.descriptors.close(fd);
  }));

for (const [name, family, address] of MAKERS) {
  test(`a ${name} socket and a listening one can be handed to transports, which own their descriptors then`, () =>
    onSim(async (loop, { machine }) => {
      const listener = new Socket(family);
      listener.bind(address);
      listener.listen();
      const target = listener.getsockname() ?? assert.fail();
      const far = new Recorder();
      const fd = listener.fileno();
      const server =
        family === AF_UNIX
          ? await loop.createUnixServer(() => far, null, { sock: listener })
          : await loop.createServer(() => far, null, null, { sock: listener });
      assert.deepEqual([listener.fileno(), server.sockets[0]?.fileno()], [-1, fd]);
      const client = new Socket(family);
      await loop.sockConnect(client, target);
      const near = new Recorder();
      const [transport] = await loop.connectAcceptedSocket(() => near, client);
      assert.equal(client.fileno(), -1);
      transport.write('hello');
      assert.equal(String(await far.untilReceived(5)), 'hello');
      const taken = (transport as Transport).getExtraInfo('socket')?.fileno() as number;
      assert.throws(() => loop.addReader(taken, () => {}), { name: 'InvalidStateError' });
      transport.close();
      await Promise.all([near.untilLost(), far.untilLost()]);
      await server[Symbol.asyncDispose]();
      assert.equal(machine.descriptors.size, 0);
    }));

  test(`a copy of the descriptor of a ${name} transport reads its data, and outlives it`, () =>
    onSim(async (loop, { machine }) => {
      const far = new Recorder();
      const server =
        family === AF_UNIX
          ? await loop.createUnixServer(() => far, address as string)
          : await loop.createServer(() => far, '127.0.0.1', 0);
      const near = new Recorder();
      const [transport] =
        family === AF_UNIX
          ? await loop.createUnixConnection(() => near, address as string)
          : await loop.createConnection(() => near, '127.0.0.1', portOf(server));
      await far.untilTold('made');
      transport.pauseReading();
      const copy = transport.getExtraInfo('socket')?.dup() as Socket;
      far.transport.write('for the copy');
      assert.equal(String(await loop.sockRecv(copy, 100)), 'for the copy');
      transport.close();
      await near.untilLost();
      await loop.sockSendall(copy, 'still open');
      assert.equal(String(await far.untilReceived(10)), 'still open');
      copy.close();
      await far.untilLost();
      await server[Symbol.asyncDispose]();
      assert.equal(machine.descriptors.size, 0);
    }));

  test(`a ${name} socket without buffers has the errors of Linux`, () =>
    onSim(async (loop) => {
      using socket = new Socket(family);
      assert.throws(() => socket.getpeername(), { code: 'ENOTCONN' });
      assert.throws(() => socket.shutdown(SHUT_WR), { code: 'ENOTCONN' });
      await assert.rejects(async () => loop.sockRecv(socket, 1), { code: 'ENOTCONN' });
      await assert.rejects(async () => loop.sockAccept(socket), { code: 'EINVAL' });
      const free = family === AF_UNIX ? '/tmp/nobody' : (['127.0.0.1', 9] as const);
      const code = family === AF_UNIX ? 'ENOENT' : 'ECONNREFUSED';
      await assert.rejects(async () => loop.sockConnect(socket, free), { code, syscall: 'connect' });
      socket.bind(address);
      assert.throws(() => socket.bind(address), { code: 'EINVAL' });
      using second = new Socket(family);
      assert.throws(() => second.bind(socket.getsockname() as string), { code: 'EADDRINUSE' });
      assert.throws(() => socket.getsockopt(SOL_SOCKET, 12_345), { code: 'ENOPROTOOPT' });
    }));
}

test('options of a socket that were set before it connects are those of its connection', () =>
  onSim(async (loop) => {
    using listener = new Socket();
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, true);
    listener.bind(['127.0.0.1', 0]);
    listener.listen();
    using client = new Socket();
    client.setsockopt(SOL_SOCKET, SO_RCVBUF, 10_000);
    await loop.sockConnect(client, listener.getsockname() as readonly [string, number]);
    assert.equal(client.getsockopt(SOL_SOCKET, SO_RCVBUF), 20_000);
    assert.equal(listener.getsockopt(SOL_SOCKET, SO_REUSEADDR), 1);
    assert.equal(client.getsockopt(SOL_SOCKET, SO_ERROR), 0);
    assert.equal(client.getsockopt(SOL_SOCKET, SO_ERROR, 4).length, 4);
    const [server] = await loop.sockAccept(listener);
    server.close();
  }));

test('a shutdown in both directions wakes a call that waits for data', () =>
  onSim(async (loop, { host, machine }) => {
    const [near, far] = openSocketPair(host, machine.descriptors);
    using socket = new Socket(undefined, undefined, undefined, { fileno: near });
    assert.deepEqual([socket.family, socket.type], [AF_UNIX, SOCK_STREAM]);
    const receiving = loop.sockRecv(socket, 10);
    socket.shutdown(SHUT_RDWR);
    assert.equal((await receiving).length, 0);
    machine.descriptors.close(far);
  }));

test('a datagram socket reports a refused port at its next call', () =>
  onSim(async (loop) => {
    using socket = new Socket(AF_INET, SOCK_DGRAM);
    await loop.sockConnect(socket, ['127.0.0.1', 9]);
    await loop.sockSendall(socket, 'anybody?');
    await assert.rejects(async () => loop.sockRecv(socket, 10), { code: 'ECONNREFUSED' });
  }));

for (const waits of [true, false]) {
  const when = waits ? 'to a call that waits' : 'to the next call';
  test(`a reset connection gives its data, then ECONNRESET once ${when}, and then the end`, () =>
    onSim(async (loop) => {
      const far = new Recorder();
      const server = await loop.createServer(() => far, '127.0.0.1', 0);
      using client = new Socket();
      await loop.sockConnect(client, ['127.0.0.1', portOf(server)]);
      await far.untilTold('made');
      far.transport.write('last');
      const receiving = waits ? loop.sockRecv(client, 2) : null;
      await sleep(0.1);
      far.transport.abort();
      await far.untilLost();
      if (!waits) await sleep(0.1);
      if (receiving !== null) assert.equal(String(await receiving), 'la');
      else assert.equal(String(await loop.sockRecv(client, 2)), 'la');
      assert.equal(String(await loop.sockRecv(client, 100)), 'st');
      await assert.rejects(async () => loop.sockRecv(client, 100), { code: 'ECONNRESET', syscall: 'recv' });
      assert.equal((await loop.sockRecv(client, 100)).length, 0);
      await assert.rejects(async () => loop.sockSendall(client, 'x'), { code: 'EPIPE', syscall: 'send' });
      await server[Symbol.asyncDispose]();
    }));
}

test('a call that waits on a copy of a descriptor is told, although a transport takes the socket over and closes', () =>
  onSim(async (loop, { host, machine }) => {
    const [near, far] = openSocketPair(host, machine.descriptors);
    const copy = new Socket(undefined, undefined, undefined, { fileno: machine.descriptors.duplicate(near) });
    const receiving = loop.sockRecv(copy, 100);
    const recorder = new Recorder();
    const [transport] = await loop.connectAcceptedSocket(() => recorder, near);
    transport.pauseReading();
    transport.close();
    await recorder.untilLost();
    using other = new Socket(undefined, undefined, undefined, { fileno: far });
    await loop.sockSendall(other, 'still there');
    assert.equal(String(await receiving), 'still there');
    copy.close();
  }));

test('a server without a free descriptor reports EMFILE, and serves again when there is one', () =>
  onSim(async (loop, { machine }) => {
    const { near, far } = await recorders(loop);
    const server = await loop.createServer(() => new Recorder(), '127.0.0.1', 0);
    machine.descriptors.limit = machine.descriptors.size + 1;
    const reports: unknown[] = [];
    loop.setExceptionHandler((_loop, { exception }) => reports.push((exception as { code?: string }).code));
    const [second] = await loop.createConnection(() => new Recorder(), '127.0.0.1', portOf(server));
    await sleep(0.1);
    assert.deepEqual(reports, ['EMFILE']);
    machine.descriptors.limit = 100;
    await sleep(5);
    await second[Symbol.asyncDispose]();
    near.transport.close();
    await Promise.all([near.untilLost(), far.untilLost()]);
    server.abortClients();
    await server[Symbol.asyncDispose]();
  }));
