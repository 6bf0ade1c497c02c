import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { devNull } from 'node:os';
import { test } from 'node:test';
import type { Server, ServerOptions } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AI_PASSIVE,
  LoopError,
  NodeEventLoop,
  Protocol,
  SOCK_STREAM,
  TransportSocket,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { pollingTurn } from '../../helpers/host-pass.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import {
  assertFileno,
  closed,
  freePort,
  listeningNodeServer,
  onNode,
  portOf,
  Recorder,
} from '../../helpers/pairs.ts';
import { refusalsOf } from '../refusals.ts';
import { assertSockets, socketCount } from '../sockets.ts';

const factory = (): Protocol => new Protocol();

const addressesOf = (server: Server): unknown[] => server.sockets.map((socket) => socket.getsockname());

/** Returns a foreign client's connection, or the code of its error. */
function dial(port: number, host: string = '127.0.0.1'): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
  });
}

async function reachable(port: number, host?: string): Promise<boolean> {
  const socket = await dial(port, host);
  if (typeof socket === 'string') return false;
  await closed(socket);
  return true;
}

async function end(server: Server): Promise<void> {
  server.close();
  server.abortClients();
  await server.waitClosed();
}

// --- addresses ---

for (const host of [null, '', ['']] as const) {
  test(
    `createServer() with host ${JSON.stringify(host)} listens on all interfaces, with a socket for each family and one port`,
    { skip: noIPv6 },
    onNode(async (loop) => {
      const server = await loop.createServer(factory, host, 0);
      const port = portOf(server);
      assert.deepEqual(addressesOf(server), [
        ['0.0.0.0', port],
        ['::', port, 0, 0],
      ]);
      assert.ok(port > 0);
      assert.ok(await reachable(port, '127.0.0.1'));
      assert.ok(await reachable(port, '::1'));
      await end(server);
      assert.equal(await reachable(port, '127.0.0.1'), false);
      assert.equal(await reachable(port, '::1'), false);
    }),
  );
}

test(
  'createServer() with family opens one of the two sockets',
  onNode(async (loop) => {
    for (const [family, address] of [
      [AF_INET, '0.0.0.0'],
      [AF_INET6, '::'],
    ] as const) {
      const server = await loop.createServer(factory, null, 0, { family });
      assert.equal(server.sockets.length, 1);
      assert.equal(server.sockets[0]?.getsockname()?.[0], address);
      assert.equal(await reachable(portOf(server), '127.0.0.1'), family === AF_INET);
      await end(server);
    }
  }),
);

test(
  'createServer() with several hosts opens a socket for each address once, all with the same port',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const server = await loop.createServer(factory, ['127.0.0.1', '::1', '127.0.0.1', '127.0.0.2'], 0);
    const port = portOf(server);
    assert.deepEqual(addressesOf(server), [
      ['127.0.0.1', port],
      ['::1', port, 0, 0],
      ['127.0.0.2', port],
    ]);
    assert.ok(await reachable(port, '127.0.0.2'));
    await end(server);
  }),
);

test(
  'createServer() resolves a name, and uses the given port',
  onNode(async (loop) => {
    const port = await freePort();
    const server = await loop.createServer(factory, 'localhost', port, { family: AF_INET });
    assert.deepEqual(addressesOf(server), [['127.0.0.1', port]]);
    await end(server);
    // At once again, thanks to SO_REUSEADDR.
    await end(await loop.createServer(factory, 'localhost', port, { family: AF_INET, reuseAddress: true }));
  }),
);

test(
  'server.sockets have their addresses, and none of the methods of a connection',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const server = await loop.createServer(factory, ['127.0.0.1', '::1'], 0);
    const [v4, v6] = server.sockets as [TransportSocket, TransportSocket];
    assert.ok(v4 instanceof TransportSocket && v6 instanceof TransportSocket);
    assert.deepEqual([v4.family, v6.family, v4.type], [AF_INET, AF_INET6, SOCK_STREAM]);
    assert.equal(v4.getpeername(), null);
    assertFileno(loop, v4.fileno());
    assert.throws(() => v4.setNoDelay(true), { code: 'ERR_UNSUPPORTED' });
    assert.throws(() => v4.setKeepAlive(true), { code: 'ERR_UNSUPPORTED' });
    await end(server);
    assert.deepEqual(server.sockets, []);
    assert.deepEqual(v4.getsockname()?.[0], '127.0.0.1');
    assertFileno(loop, v4.fileno(), false);
  }),
);

// --- errors ---

test(
  'createServer() fails with EADDRINUSE for a port in use, and leaves no socket open',
  onNode(async (loop) => {
    const before = socketCount();
    const { server: taken, port } = await listeningNodeServer('127.0.0.2');
    const open = socketCount();
    await assert.rejects(loop.createServer(factory, '127.0.0.2', port), {
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: '127.0.0.2',
      port,
    });
    await assert.rejects(loop.createServer(factory, ['127.0.0.1', '::1', '127.0.0.2'], port), {
      code: 'EADDRINUSE',
    });
    await assertSockets(open, 'a socket is left');
    assert.equal(await reachable(port, '127.0.0.1'), false);
    assert.equal(loop._owned.resources.size, 0);
    await closed(taken);
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'createServer() fails with the system’s errors for a foreign address and an unknown name',
  onNode(async (loop) => {
    const before = socketCount();
    await assert.rejects(loop.createServer(factory, '192.0.2.1', 0), { code: 'EADDRNOTAVAIL' });
    await assert.rejects(loop.createServer(factory, ['127.0.0.1', '192.0.2.1'], 0), {
      code: 'EADDRNOTAVAIL',
    });
    // A machine without IPv6 is served by IPv4 alone. Without any address the call fails.
    await assert.rejects(loop.createServer(factory, '2001:db8::1', 0), { code: 'EADDRNOTAVAIL' });
    await assert.rejects(loop.createServer(factory, ['2001:db8::1', '2001:db8::2'], 0), {
      code: 'EADDRNOTAVAIL',
    });
    const server = await loop.createServer(factory, ['127.0.0.1', '2001:db8::1'], 0);
    assert.equal(server.sockets.length, 1);
    await end(server);
    await assert.rejects(loop.createServer(factory, 'no-such-name.invalid', 0), (error: Error) =>
      /^(ENOTFOUND|EAI_AGAIN)$/.test(String((error as NodeJS.ErrnoException).code)),
    );
    await assertSockets(before, 'a socket is left');
  }),
);

// --- options ---

test(
  'createServer() passes backlog to the system',
  onNode(async (loop) => {
    // The kernel rounds and caps it, so only the ends of the range can be tested: both must work.
    for (const backlog of [1, 100, 0x7fffffff]) {
      const server = await loop.createServer(factory, '127.0.0.1', 0, { backlog });
      assert.ok(await reachable(portOf(server)));
      await end(server);
    }
  }),
);

test(
  'createServer() sets keepAlive for each accepted connection',
  onNode(async (loop) => {
    for (const keepAlive of [true, false]) {
      const foreign = createServer();
      await new Promise<void>((resolve) => {
        foreign.listen(0, '127.0.0.1', resolve);
      });
      const calls: unknown[] = [];
      // Before gyre's listener, so that it sees the socket as it was accepted.
      foreign.on('connection', (socket) => {
        const set = socket.setKeepAlive.bind(socket);
        socket.setKeepAlive = (...args) => {
          calls.push(args[0]);
          return set(...args);
        };
      });
      const far = new Recorder();
      const server = await loop.createServer(() => far, null, null, { sock: foreign, keepAlive });
      assert.ok(await reachable(portOf(server)));
      await far.untilLost();
      assert.deepEqual(calls, keepAlive ? [true] : []);
      await end(server);
    }
  }),
);

test(
  'createServer() rejects reuseAddress: false, because the host cannot do it',
  onNode(async (loop) => {
    assert.throws(() => loop.createServer(factory, '127.0.0.1', 0, { reuseAddress: false }), {
      name: 'LoopError',
      code: 'ERR_UNSUPPORTED',
      message: /reuseAddress/,
    });
  }),
);

test('createServer() with reusePort lets two servers share a port, or is rejected on other platforms', async (context) => {
  await onNode(async (loop) => {
    if (!loop._backend.reusePort) {
      assert.throws(
        () => loop.createServer(factory, '127.0.0.1', 0, { reusePort: true }),
        (error) =>
          error instanceof LoopError && error.code === 'ERR_UNSUPPORTED' && /22\.12/.test(error.message),
      );
      context.diagnostic(`Node ${process.versions.node} on ${process.platform} has no reusePort`);
      return;
    }
    const first = await loop.createServer(factory, '127.0.0.1', 0, { reusePort: true });
    const port = portOf(first);
    const second = await loop.createServer(factory, '127.0.0.1', port, { reusePort: true });
    assert.deepEqual(addressesOf(second), addressesOf(first));
    await assert.rejects(loop.createServer(factory, '127.0.0.1', port), { code: 'EADDRINUSE' });
    await end(first);
    assert.ok(await reachable(port));
    await end(second);
  })();
});

// --- sock ---

test(
  'createServer() takes a listening net.Server over as sock',
  onNode(async (loop) => {
    const foreign = createServer();
    await new Promise<void>((resolve) => {
      foreign.listen(0, '127.0.0.1', resolve);
    });
    const far = new Recorder();
    far.keepOpen = true;
    const server = await loop.createServer(() => far, null, null, { sock: foreign });
    assert.deepEqual(addressesOf(server), [['127.0.0.1', (foreign.address() as { port: number }).port]]);
    const again = { sock: foreign };
    assert.throws(() => loop.createServer(() => far, null, null, again), { code: 'ERR_INVALID_ARG_TYPE' });
    const socket = (await dial(portOf(server))) as Socket;
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.end('question');
    await far.untilTold('eof');
    assert.equal(far.text, 'question');
    // Half-open, although the server was made without it.
    far.transport.write('answer');
    far.transport.close();
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    assert.equal(Buffer.concat(chunks).toString(), 'answer');
    await far.untilLost();
    await end(server);
    assert.equal(foreign.listening, false);
  }),
);

test(
  'createServer() rejects at the call a sock that does not listen',
  onNode(async (loop) => {
    const foreign = createServer();
    const file = openSync(devNull, 'r');
    const closed = openSync(devNull, 'r');
    closeSync(closed);
    for (const sock of ['x', {}, true, -1, 1.5, Number.NaN, foreign, file, closed]) {
      assert.throws(() => loop.createServer(factory, null, null, { sock }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"sock"/,
      });
    }
    closeSync(file);
    for (const [name, value] of Object.entries({ family: AF_INET, flags: AI_PASSIVE, reusePort: true })) {
      const options = { sock: 3, [name]: value };
      if (name === 'reusePort' && !loop._backend.reusePort) continue;
      assert.throws(() => loop.createServer(factory, null, null, options), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(`options\\.${name}`),
      });
    }
    assert.throws(() => loop.createServer(factory, '127.0.0.1', null, { sock: 3 }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"host".*as sock is given/,
    });
    assert.throws(() => loop.createServer(factory, null, 80, { sock: 3 }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /as sock is given; got 80/,
    });
    assert.equal(loop._owned.resources.size, 0);
  }),
);

// --- cancels ---

const WAYS: Record<string, { host: string | string[] | null; taken?: boolean; options?: ServerOptions }> = {
  'one address': { host: '127.0.0.1' },
  'all interfaces': { host: null },
  'four addresses': { host: ['127.0.0.1', '::1', '127.0.0.2', '127.0.0.3'] },
  'a name': { host: 'localhost' },
  'a port that is taken': { host: ['127.0.0.1', '127.0.0.2'], taken: true },
};

for (const [name, way] of Object.entries(WAYS)) {
  for (const how of ['cancel()', 'cancel() of the awaiting task', 'signal'] as const) {
    test(
      `createServer() (${name}) that is cancelled by ${how} after any number of turns leaves nothing open`,
      onNode(async (loop) => {
        const before = socketCount();
        const taken = way.taken ? await listeningNodeServer('127.0.0.2') : null;
        const open = socketCount();
        const outcomes = new Set<string>();
        for (const turns of steps()) {
          // A name takes its time on a loaded machine.
          if (turns > 20 && outcomes.size === 2) break;
          const controller = new AbortController();
          const options = { ...way.options, signal: controller.signal };
          const listen = (): ReturnType<NodeEventLoop['createServer']> =>
            loop.createServer(factory, way.host, taken?.port ?? 0, options);
          const opening =
            how === 'cancel() of the awaiting task' ? loop.createTask(async () => await listen()) : listen();
          const settled = opening.then(
            async (server) => {
              server.close();
              await server.waitClosed();
              return 'served';
            },
            (error) => String((error as NodeJS.ErrnoException).code),
          );
          for (let i = 0; i < turns; i++) await pollingTurn(loop);
          if (how === 'signal') controller.abort();
          else opening.cancel();
          const outcome = await settled;
          outcomes.add(outcome);
          assert.ok(['served', 'ERR_CANCELLED', 'EADDRINUSE'].includes(outcome), outcome);
          await pollingTurn(loop);
          assert.equal(loop._owned.resources.size, 0);
          await assertSockets(open, `${outcome} after ${turns} turns`);
        }
        assert.ok(outcomes.has('ERR_CANCELLED'), 'it was never cancelled in time');
        assert.equal(outcomes.size, 2);
        if (taken !== null) await closed(taken.server);
        await assertSockets(before, 'a server is left');
      }),
    );
  }
}

/** The numbers of turns before the cancel: first each, then at growing distances. */
function* steps(): Generator<number> {
  for (let turns = 0; turns <= 20; turns++) yield turns;
  for (let turns = 21; turns < 100_000; turns = Math.ceil(turns * 1.5)) yield turns;
}

test(
  'createServer() with an aborted signal opens nothing',
  onNode(async (loop) => {
    const before = socketCount();
    const signal = AbortSignal.abort('never');
    const opening = loop.createServer(factory, null, 0, { signal });
    assert.equal(opening.cancelled(), true);
    await assert.rejects(opening, { code: 'ERR_CANCELLED', cause: 'never' });
    await assertSockets(before, 'a socket was opened');
  }),
);

// --- bad input ---

test(
  'createServer() names the argument, the value and the accepted values at the call, and opens nothing',
  onNode(async (loop) => {
    const before = socketCount();
    const type = 'ERR_INVALID_ARG_TYPE';
    const range = 'ERR_OUT_OF_RANGE';
    const refuse = refusalsOf(loop.createServer.bind(loop));
    for (const wrong of [undefined, null, new Protocol(), 'x']) {
      refuse([wrong, '127.0.0.1', 1], type, /"protocolFactory".*a function/);
    }
    for (const wrong of [1, {}, true, [1], [null]]) refuse([factory, wrong, 1], type, /"host".*a string/);
    refuse([factory, [], 1], type, /"host".*an array of hosts, or null; got an array of 0/);
    refuse([factory, ['127.0.0.1', 'a\0b'], 1], range, /"host".*without NUL/);
    refuse([factory, '127.0.0.1'], type, /"port".*got null/);
    for (const wrong of ['', {}, true])
      refuse([factory, null, wrong], type, /"port".*a port, or the name of a service/);
    refuse([factory, null, '65536'], range, /"port".*0 to 65535/);
    for (const wrong of [-1, 65_536, 1.5, Number.NaN])
      refuse([factory, null, wrong], range, /"port".*0 to 65535/);
    for (const wrong of [null, 1, 'x', []]) refuse([factory, null, 1, wrong], type, /"options".*an object/);
    const options: [unknown, string, RegExp][] = [
      [{ reuse_port: true }, type, /"options\.reuse_port".*known options: family/],
      [{ tls: true }, type, /"options\.tls".*absent/],
      [{ family: AF_UNIX }, range, /"options\.family"/],
      [{ flags: 0x10000 }, range, /"options\.flags"/],
      [{ backlog: 0 }, range, /"options\.backlog".*1 to/],
      [{ backlog: -1 }, range, /"options\.backlog"/],
      [{ backlog: Number.NaN }, range, /"options\.backlog"/],
      [{ backlog: '100' }, type, /"options\.backlog"/],
      [{ reuseAddress: 1 }, type, /"options\.reuseAddress".*a boolean/],
      [{ reusePort: 'yes' }, type, /"options\.reusePort".*a boolean/],
      [{ keepAlive: null }, type, /"options\.keepAlive".*a boolean/],
      [{ startServing: 0 }, type, /"options\.startServing".*a boolean/],
      [{ signal: 'x' }, type, /"options\.signal".*an AbortSignal/],
    ];
    for (const [wrong, code, message] of options) refuse([factory, '127.0.0.1', 0, wrong], code, message);
    refuse([factory, '127.0.0.1', 0, { family: AF_INET6 }], range, /"host".*an IPv6 address or a name/);
    refuse(
      [factory, ['127.0.0.1', '::1'], 0, { family: AF_INET }],
      range,
      /"host".*an IPv4 address or a name/,
    );
    assert.equal(loop._owned.tasks.size, 1);
    assert.equal(loop._owned.resources.size, 0);
    await assertSockets(before, 'something was opened');
  }),
);

test('createServer() on a closed loop, and on one without TCP, throws at the call', () => {
  const loop = new NodeEventLoop();
  loop.close();
  assert.throws(() => loop.createServer(factory, '127.0.0.1', 0), { code: 'ERR_LOOP_CLOSED' });
  const sim = bareLoop();
  assert.throws(() => sim.createServer(factory, '127.0.0.1', 0), { code: 'ERR_UNSUPPORTED' });
  sim.close();
});
