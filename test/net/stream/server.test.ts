import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { leaks } from '../../../src/entry/testing.ts';
import type { Server, Transport } from '../../../src/index.ts';
import { NodeEventLoop, Protocol, sleep } from '../../../src/index.ts';
import { ca, serverTls } from '../../helpers/certificates.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import {
  closed,
  isNative,
  listeningNodeServer,
  makeLoop,
  onNode,
  portOf,
  Recorder,
} from '../../helpers/pairs.ts';
import { assertSockets, canCount, socketCount } from '../sockets.ts';

const factory = (): Protocol => new Protocol();

/** A foreign client that is connected, and reads. */
async function dial(port: number, host: string = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.resume();
  return socket;
}

/** A server with a recorder for each connection. */
async function recording(loop: NodeEventLoop): Promise<{
  server: Server;
  port: number;
  accepted: Recorder[];
  client: () => Promise<[Socket, Recorder]>;
}> {
  const accepted: Recorder[] = [];
  const server = await loop.createServer(
    () => {
      const recorder = new Recorder();
      accepted.push(recorder);
      return recorder;
    },
    '127.0.0.1',
    0,
  );
  const port = portOf(server);
  const client = async (): Promise<[Socket, Recorder]> => {
    const count = accepted.length;
    const socket = await dial(port);
    while (accepted.length === count) await sleep(0);
    return [socket, accepted[count] as Recorder];
  };
  return { server, port, accepted, client };
}

// --- starting ---

test(
  'createServer() with startServing: false binds its sockets, and startServing() accepts, and may be called twice',
  onNode(async (loop) => {
    const before = socketCount();
    const server = await loop.createServer(factory, ['127.0.0.1', '::1'], 0, { startServing: false });
    assert.equal(server.isServing(), false);
    const port = portOf(server);
    assert.ok(port > 0);
    assert.deepEqual(
      server.sockets.map((socket) => socket.getsockname()),
      [
        ['127.0.0.1', port],
        ['::1', port, 0, 0],
      ],
    );
    await assertSockets(before + (canCount ? 2 : 0), 'two sockets are bound');
    await server.startServing();
    assert.equal(server.isServing(), true);
    assert.equal(portOf(server), port);
    await server.startServing();
    assert.equal(server.sockets.length, 2);
    await closed(await dial(port));
    server.close();
    server.abortClients();
    assert.deepEqual(server.sockets, []);
    await server.waitClosed();
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'a client before startServing() is refused on the native backend, and waits on the portable one',
  onNode(async (loop) => {
    const made: string[] = [];
    const protocol = (): Protocol => ({ connectionMade: () => void made.push('made') });
    const server = await loop.createServer(protocol, '127.0.0.1', 0, {
      startServing: false,
      backlog: 2,
    });
    const early = new Recorder();
    const connecting = loop.createConnection(() => early, '127.0.0.1', portOf(server));
    if (isNative) {
      await assert.rejects(connecting, { code: 'ECONNREFUSED' });
    } else {
      await connecting;
      await hostPasses();
      // No more than can wait in the kernel: more clients are refused.
      const others = Array.from({ length: 3 }, () => new Recorder());
      for (const other of others) await loop.createConnection(() => other, '127.0.0.1', portOf(server));
      while (!others.some(({ lost }) => lost)) await hostPasses(1);
      for (const other of others) if (!other.lost) other.transport.abort();
    }
    assert.deepEqual(made, []);
    await server.startServing();
    const late = new Recorder();
    await loop.createConnection(() => late, '127.0.0.1', portOf(server));
    while (made.length < (isNative ? 1 : 2)) await hostPasses(1);
    server.close();
    server.abortClients();
    await late.untilLost();
    if (!isNative) await early.untilLost();
    await server.waitClosed();
  }),
);

test(
  'startServing() fails for the second of two servers at one port, which can be started later',
  { skip: !isNative && 'on the portable backend a server listens from the beginning' },
  onNode(async (loop) => {
    const before = socketCount();
    const first = await loop.createServer(factory, '127.0.0.1', 0, { startServing: false });
    const port = portOf(first);
    const second = await loop.createServer(factory, '127.0.0.1', port, { startServing: false });
    await first.startServing();
    await assert.rejects(second.startServing(), { code: 'EADDRINUSE', syscall: 'listen', port });
    assert.deepEqual([second.isServing(), second.sockets], [false, []]);
    await assertSockets(before + (canCount ? 1 : 0), 'a socket is left');
    first.close();
    await second.startServing();
    assert.deepEqual([second.isServing(), portOf(second)], [true, port]);
    second.close();
    await second.waitClosed();
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'createServer() with startServing: false fails for a port in use',
  onNode(async (loop) => {
    const before = socketCount();
    const { server: taken, port } = await listeningNodeServer('127.0.0.2');
    const open = socketCount();
    await assert.rejects(
      loop.createServer(factory, ['127.0.0.1', '127.0.0.2'], port, { startServing: false }),
      {
        code: 'EADDRINUSE',
      },
    );
    await assertSockets(open, 'a socket is left');
    await closed(taken);
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'createServer() with startServing: false that is cancelled at any moment leaves nothing open',
  onNode(async (loop) => {
    const before = socketCount();
    for (let turns = 0; turns < 6; turns++) {
      const creating = loop.createServer(factory, ['127.0.0.1', '::1'], 0, { startServing: false });
      for (let i = 0; i < turns; i++) await sleep(0);
      creating.cancel();
      const server = await creating.catch(() => null);
      server?.close();
      assert.equal(loop._owned.resources.size, 0);
      await assertSockets(before, `cancelled after ${turns} turns`);
    }
  }),
);

test(
  'a server with a given listening socket lists it before it serves, and then serves the waiting clients',
  onNode(async (loop) => {
    const { server: listening, port } = await listeningNodeServer();
    const made: string[] = [];
    const protocol = { connectionMade: () => void made.push('made') };
    const server = await loop.createServer(() => protocol, null, null, {
      sock: listening,
      startServing: false,
    });
    assert.deepEqual(server.sockets[0]?.getsockname(), ['127.0.0.1', port]);
    const early = new Recorder();
    await loop.createConnection(() => early, '127.0.0.1', port);
    await hostPasses();
    assert.deepEqual(made, []);
    await server.startServing();
    while (made.length < 1) await hostPasses(1);
    server.close();
    server.abortClients();
    await early.untilLost();
    await server.waitClosed();
  }),
);

test(
  'address() returns the same as that of net.Server, and getLoop() the loop',
  onNode(async (loop) => {
    const server = await loop.createServer(factory, ['127.0.0.1', '::1'], 0);
    assert.deepEqual(server.address(), { address: '127.0.0.1', family: 'IPv4', port: portOf(server) });
    assert.equal(server.getLoop(), loop);
    server.close();
    assert.equal(server.address(), null);
    const six = await loop.createServer(factory, '::1', 0, { startServing: false });
    assert.deepEqual(six.address(), { address: '::1', family: 'IPv6', port: portOf(six) });
    six.close();
    assert.equal(six.getLoop(), loop);
  }),
);

test(
  'close() during startServing() makes it fail, and leaves nothing open',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const before = socketCount();
    for (let turns = 0; turns < 6; turns++) {
      const server = await loop.createServer(factory, ['127.0.0.1', '::1'], 0, { startServing: false });
      const starting = server.startServing();
      for (let i = 0; i < turns; i++) await sleep(0);
      const wasServing = server.isServing();
      server.close();
      if (wasServing) await starting;
      else await assert.rejects(starting, { name: 'LoopError', code: 'ERR_TRANSPORT_CLOSED' });
      await server.waitClosed();
      assert.equal(server.isServing(), false);
      assert.equal(loop._owned.resources.size, 0);
      await assertSockets(before, `closed after ${turns} turns`);
    }
  }),
);

test(
  'startServing() of a closed server throws',
  onNode(async (loop) => {
    const server = await loop.createServer(factory, '127.0.0.1', 0);
    server.close();
    server.close();
    for (const method of ['startServing', 'serveForever'] as const) {
      assert.throws(() => server[method](), {
        name: 'LoopError',
        code: 'ERR_TRANSPORT_CLOSED',
        message: new RegExp(`${method}\\(\\): this server is closed`),
      });
    }
    await server.waitClosed();
  }),
);

test('loop.close() closes a server that was never started, and names it', async () => {
  const before = socketCount();
  const loop = new NodeEventLoop();
  const reports: string[] = [];
  loop.setExceptionHandler((_loop, { message }) => reports.push(message));
  const server = await loop.runUntilComplete(() =>
    loop.createServer(factory, '127.0.0.1', 0, { startServing: false }),
  );
  loop.close();
  assert.match(
    reports.join(),
    /^the event loop was closed, but a server was still bound to 127\.0\.0\.1:\d+$/,
  );
  assert.throws(() => server.startServing(), { code: 'ERR_LOOP_CLOSED' });
  assert.throws(() => server.serveForever(), { code: 'ERR_LOOP_CLOSED' });
  assert.deepEqual(server.sockets, []);
  await assertSockets(before, 'a socket is left');
});

// --- ending ---

test(
  'close() stops listening and leaves connections open, and waitClosed() waits for them',
  onNode(async (loop) => {
    const { server, port, client } = await recording(loop);
    const [socket, far] = await client();
    server.close();
    assert.equal(server.isServing(), false);
    assert.deepEqual(server.sockets, []);
    await assert.rejects(dial(port), { code: 'ECONNREFUSED' });
    const waiting = [server.waitClosed(), server.waitClosed()];
    const given = server.waitClosed();
    given.cancel();
    socket.write('still served');
    await far.untilReceived(12);
    for (let i = 0; i < 10; i++) await sleep(0);
    assert.deepEqual(
      waiting.map((future) => future.done()),
      [false, false],
    );
    socket.end();
    await far.untilLost();
    await Promise.all(waiting);
    assert.equal(given.cancelled(), true);
    await server.waitClosed();
    await closed(socket);
  }),
);

test(
  'waitClosed() of an open server waits for its close, too',
  onNode(async (loop) => {
    const { server } = await recording(loop);
    const waiting = server.waitClosed();
    for (let i = 0; i < 10; i++) await sleep(0);
    assert.equal(waiting.done(), false);
    server.close();
    await waiting;
  }),
);

test(
  'closeClients() closes every connection after its written data, and the server continues',
  onNode(async (loop) => {
    const { server, client } = await recording(loop);
    const clients = [await client(), await client(), await client()];
    const texts = clients.map(([socket]) => {
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      return once(socket, 'end').then(() => text);
    });
    for (const [, far] of clients) far.transport.write('goodbye');
    server.closeClients();
    assert.deepEqual(await Promise.all(texts), ['goodbye', 'goodbye', 'goodbye']);
    for (const [socket, far] of clients) {
      await far.untilLost();
      assert.equal(far.exception, null);
      await closed(socket);
    }
    assert.equal(server.isServing(), true);
    const [socket, far] = await client();
    server.close();
    server.closeClients();
    await server.waitClosed();
    assert.equal(far.lost, true);
    await closed(socket);
  }),
);

test(
  'abortClients() resets every connection, also clogged ones',
  onNode(async (loop) => {
    const { server, client } = await recording(loop);
    const [reading, one] = await client();
    const [clogged, two] = await client();
    clogged.pause();
    two.transport.write(Buffer.alloc(64 * 1024 * 1024));
    const failed = once(reading, 'error');
    server.close();
    server.abortClients();
    await server.waitClosed();
    assert.deepEqual([one.exception, two.exception], [null, null]);
    assert.equal(((await failed) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
    await closed(reading);
    await closed(clogged);
  }),
);

test(
  'close() and closeClients() work in each method of the server’s protocols',
  onNode(async (loop) => {
    for (const method of ['connectionMade', 'dataReceived', 'connectionLost'] as const) {
      let server: Server | null = null;
      const made: Recorder[] = [];
      const make = (): Recorder => {
        const far = new Recorder();
        made.push(far);
        const told = far[method] as (arg: unknown) => void;
        far[method] = (arg: unknown) => {
          told.call(far, arg);
          server?.close();
          server?.closeClients();
        };
        return far;
      };
      server = await loop.createServer(make, '127.0.0.1', 0);
      const socket = await dial(portOf(server));
      socket.end('x');
      await server.waitClosed();
      assert.deepEqual([server.isServing(), made.map(({ lost }) => lost)], [false, [true]]);
      await closed(socket);
    }
  }),
);

test(
  '`await using` closes a server and its connections',
  onNode(async (loop) => {
    const { server, client } = await recording(loop);
    const [socket, far] = await client();
    const disposed = server[Symbol.asyncDispose]();
    assert.equal(server.isServing(), false);
    socket.end();
    await disposed;
    assert.equal(far.lost, true);
    await closed(socket);
  }),
);

// --- serveForever ---

test(
  'serveForever() serves until it is cancelled, then closes the server and its connections and waits for them',
  onNode(async (loop) => {
    const { server, client } = await recording(loop);
    const forever = loop.createTask(async () => await server.serveForever());
    const [socket, far] = await client();
    const [clogged, stuck] = await client();
    clogged.pause();
    stuck.transport.write(Buffer.alloc(64 * 1024 * 1024));
    far.transport.write('goodbye');
    forever.cancel();
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.equal(String(data), 'goodbye');
    await once(socket, 'end');
    assert.equal(server.isServing(), false);
    await far.untilLost();
    // The other client has not read everything yet.
    for (let i = 0; i < 10; i++) await sleep(0);
    assert.equal(forever.done(), false);
    clogged.resume();
    await assert.rejects(forever, { code: 'ERR_CANCELLED' });
    assert.deepEqual([far.exception, stuck.exception], [null, null]);
    await closed(socket);
    await closed(clogged);
  }),
);

test(
  'serveForever() starts a server, and throws CancelledError when the server is closed',
  onNode(async (loop) => {
    const server = await loop.createServer(factory, '127.0.0.1', 0, { startServing: false });
    const forever = server.serveForever();
    while (!server.isServing()) await sleep(0);
    assert.throws(() => server.serveForever(), { name: 'LoopError', code: 'ERR_LOOP_RUNNING' });
    server.close();
    await assert.rejects(forever, { code: 'ERR_CANCELLED' });
  }),
);

test(
  'serveForever() that is cancelled after any number of turns leaves nothing open',
  onNode(async (loop) => {
    const before = socketCount();
    for (let turns = 0; turns <= 10; turns++) {
      const server = await loop.createServer(factory, ['127.0.0.1', '::1'], 0, { startServing: false });
      const forever = server.serveForever();
      for (let i = 0; i < turns; i++) await sleep(0);
      forever.cancel();
      await assert.rejects(forever, { code: 'ERR_CANCELLED' });
      assert.equal(server.isServing(), false);
      await server.waitClosed();
      await assertSockets(before, `cancelled after ${turns} turns`);
    }
  }),
);

test(
  'serveForever() fails with the system’s error if it cannot listen',
  { skip: !isNative && 'on the portable backend a server listens from the beginning' },
  onNode(async (loop) => {
    const taken = await loop.createServer(factory, '127.0.0.1', 0, { startServing: false });
    const server = await loop.createServer(factory, '127.0.0.1', portOf(taken), { startServing: false });
    await taken.startServing();
    await assert.rejects(server.serveForever(), { code: 'EADDRINUSE' });
    taken.close();
  }),
);

// --- accepting ---

test(
  'a server’s factory that throws or returns no protocol is reported, and closes that connection only',
  onNode(async (loop, reports) => {
    const bug = new Error('bug');
    const made: unknown[] = [
      () => {
        throw bug;
      },
      () => undefined,
      () => Promise.resolve(new Protocol()),
      () => ({ connectionMade: 'no function' }),
    ];
    const good = new Recorder();
    const server = await loop.createServer(
      () => {
        const make = made.shift() as (() => never) | undefined;
        return make === undefined ? good : make();
      },
      '127.0.0.1',
      0,
    );
    for (let i = 0; i < 4; i++) {
      const socket = connect(portOf(server), '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'close').catch(() => {});
    }
    const told = reports.take();
    assert.deepEqual(
      told.map(({ message }) => message),
      Array(4).fill('exception in the protocol factory: the connection is aborted'),
    );
    assert.equal(told[0]?.exception, bug);
    assert.ok(told.every((report) => report.server === server));
    for (const { exception } of told.slice(1)) assert.match(String(exception), /"protocolFactory\(\)/);
    const socket = await dial(portOf(server));
    await good.untilTold('made');
    server.close();
    server.abortClients();
    await server.waitClosed();
    await closed(socket);
  }),
);

test(
  'each connection of a server has a protocol of its own, and no-delay',
  onNode(async (loop) => {
    const { server, accepted, client } = await recording(loop);
    const sockets = [];
    for (let i = 0; i < 5; i++) sockets.push((await client())[0]);
    sockets.forEach((socket, i) => {
      socket.write(`I am ${i}`);
    });
    for (const far of accepted) await far.untilReceived(6);
    assert.deepEqual(
      accepted.map(({ text }) => text),
      ['I am 0', 'I am 1', 'I am 2', 'I am 3', 'I am 4'],
    );
    server.close();
    server.closeClients();
    await server.waitClosed();
    for (const socket of sockets) await closed(socket);
  }),
);

test(
  'the factory and protocols of a server run in the async context of createServer()',
  onNode(async (loop) => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const look = (): void => {
      seen.push(storage.getStore());
    };
    const server = await storage.run('the creator', () =>
      loop.createServer(
        () => {
          look();
          return { connectionMade: look, dataReceived: look, connectionLost: look };
        },
        '127.0.0.1',
        0,
      ),
    );
    const socket = await storage.run('the client', () => dial(portOf(server)));
    socket.end('x');
    // A connection that is not accepted yet would be refused.
    while (seen.length < 1) await sleep(0);
    server.close();
    while (seen.length < 4) await sleep(0);
    await server.waitClosed();
    assert.deepEqual(seen, Array(4).fill('the creator'));
    await closed(socket);
  }),
);

test(
  'a client that connects while other sockets of the server still open waits, or is turned away if they fail',
  onNode(async (loop) => {
    const before = socketCount();
    for (const fails of [false, true]) {
      const { server: taken, port } = await listeningNodeServer('127.0.0.3');
      if (!fails) await closed(taken);
      const made: Recorder[] = [];
      const make = (): Recorder => {
        made.push(new Recorder());
        return made.at(-1) as Recorder;
      };
      const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.4', '127.0.0.5', '127.0.0.6', '127.0.0.3'];
      const opening = loop.createServer(make, hosts, port);
      const outcome = opening.then(
        () => 'served',
        () => 'failed',
      );
      // As soon as the first of its sockets listens, and mostly before the sixth does. A server that fails
      // may be faster.
      let socket: Socket | null = null;
      while (socket === null && !(fails && opening.done())) {
        socket = await dial(port).catch(() => null);
      }
      if (socket === null) {
        assert.equal(await outcome, 'failed');
        assert.equal(made.length, 0);
        await closed(taken);
        continue;
      }
      assert.equal(made.length === 0 || opening.done(), true, 'a protocol was made before the server serves');
      const ended = once(socket, 'close').catch(() => {});
      if (fails) {
        assert.equal(await outcome, 'failed');
        await ended;
        assert.equal(made.length, 0);
        await closed(taken);
      } else {
        assert.equal(await outcome, 'served');
        while (made.length === 0) await sleep(0);
        const server = opening.result();
        server.close();
        server.abortClients();
        await server.waitClosed();
      }
      await closed(socket);
    }
    await assertSockets(before, 'a socket is left');
  }),
);

// --- a loop that does not run ---

test('clients that connect while the loop is stopped are served in its next run, in order', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { server, port, accepted } = await loop.runUntilComplete(() => recording(loop));
      const sockets = [];
      for (let i = 0; i < 3; i++) {
        const socket = await dial(port);
        socket.write(`${i}`);
        sockets.push(socket);
      }
      await hostPasses();
      assert.equal(accepted.length, 0);
      await loop.runUntilComplete(async () => {
        while (accepted.length < 3) await sleep(0);
        for (const far of accepted) await far.untilReceived(1);
        assert.deepEqual(
          accepted.map(({ text }) => text),
          ['0', '1', '2'],
        );
        server.close();
        server.closeClients();
        await server.waitClosed();
      });
      for (const socket of sockets) await closed(socket);
    },
  ));

for (const ending of ['the server', 'the loop'] as const) {
  test(`clients that connected while the loop was stopped are turned away when ${ending} is closed instead`, () =>
    withLoop(
      () => new NodeEventLoop(),
      async (loop, reports) => {
        const before = socketCount();
        const { server, port, accepted } = await loop.runUntilComplete(() => recording(loop));
        const sockets = [await dial(port), await dial(port)];
        await hostPasses();
        const ended = sockets.map((socket) => once(socket, 'close').catch(() => {}));
        if (ending === 'the server') {
          server.close();
          await loop.runUntilComplete(server.waitClosed());
        } else {
          loop.close();
          assert.deepEqual(reports.takeMessages(), [
            `the event loop was closed, but a server was still listening on 127.0.0.1:${port}`,
          ]);
        }
        await Promise.all(ended);
        assert.deepEqual(accepted, []);
        await assertSockets(before, 'a socket is left');
      },
    ));
}

test('waitClosed() outside of the loop ends when the loop is closed', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const { server, client } = await loop.runUntilComplete(() => recording(loop));
      const { server: idle } = await loop.runUntilComplete(() => recording(loop));
      const [socket] = await loop.runUntilComplete(client);
      const waiting = Promise.all([server.waitClosed(), idle.waitClosed()]).then(() => 'closed');
      loop.close();
      assert.equal(await waiting, 'closed');
      assert.equal(reports.take().length, 3);
      await closed(socket);
    },
  ));

test(
  'transports of a server may outlive it',
  onNode(async (loop) => {
    const { server, client } = await recording(loop);
    const [socket, far] = await client();
    server.close();
    const transport: Transport = far.transport;
    transport.write('after the server');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.equal(String(data), 'after the server');
    transport.close();
    await server.waitClosed();
    await closed(socket);
  }),
);

// --- leak reports ---

for (const debug of [false, true]) {
  const name = debug ? ', in debug mode also where that was made' : '';
  test(`an accepted connection is reported with its server and its owner${name}`, () =>
    withLoop(makeLoop, async (loop, reports) => {
      loop.debug = debug;
      const recorder = new Recorder();
      const secure = new Recorder();
      const serve = async (): Promise<[number, number]> => {
        const plain = await loop.createServer(() => recorder, '127.0.0.1', 0);
        const tls = await loop.createServer(() => secure, '127.0.0.1', 0, { ssl: serverTls() });
        return [portOf(plain), portOf(tls)];
      };
      const [port, tlsPort] = await loop.runUntilComplete(loop.createTask(serve, { name: 'main' }));
      const clients = await loop.runUntilComplete(async () => {
        const all = [
          await dial(port),
          await dial(tlsPort),
          connectTls({ port: tlsPort, host: '127.0.0.1', ca }),
        ];
        for (const client of all) client.on('error', () => {});
        await Promise.all([recorder.untilTold('made'), secure.untilTold('made')]);
        // The handshake of the silent client has begun, too.
        while (!leaks(loop).some(({ description }) => description.includes('handshake'))) await sleep(0);
        return all;
      });
      loop.close();

      const found = reports.take().filter(({ message }) => message.includes('accepted'));
      const of = (client: Socket): string => `127.0.0.1:${client.localPort}`;
      const [plain, silent, encrypted] = clients as [Socket, Socket, Socket];
      assert.deepEqual(
        found.map(({ message, owner }) => [message, owner]).sort(),
        [
          [`a TLS handshake with ${of(silent)} was still under way`, tlsPort],
          [`a connection with ${of(plain)} was still open`, port],
          [`a connection with ${of(encrypted)} was still open`, tlsPort],
        ]
          .map(([what, at]) => [
            `the event loop was closed, but ${what}, accepted by the server on 127.0.0.1:${at}`,
            'createServer of task main',
          ])
          .sort(),
      );
      for (const { sourceTraceback, ageSeconds } of found) {
        assert.ok((ageSeconds as number) >= 0);
        if (!debug) assert.equal(sourceTraceback, undefined);
        // The call of createServer() above, and the task of that call.
        else
          assert.match(sourceTraceback ?? '', /createServer.*at serve .*by task createServer of task main/s);
      }
      for (const client of clients) client.destroy();
    }));
}
