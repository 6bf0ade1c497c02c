import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { ConnectionOptions, Future, Transport } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AI_NUMERICHOST,
  allTasks,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NodeEventLoop,
  Protocol,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { hostPasses, pollingTurn } from '../../helpers/host-pass.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { closed, freePort, listeningNodeServer, onNode, Recorder } from '../../helpers/pairs.ts';
import { fakeNet } from '../fake-net.ts';
import { refusalsOf } from '../refusals.ts';
import { assertSockets, socketCount } from '../sockets.ts';

const factory = (): Protocol => new Protocol();

// --- successful connects ---

test(
  'createConnection() returns the transport and the protocol, whose connectionMade() was called',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const recorder = new Recorder();
    const connecting = loop.createConnection(() => recorder, '127.0.0.1', port);
    assert.deepEqual([...allTasks(loop)].includes(connecting as never), false);
    const [transport, protocol] = await connecting;
    assert.equal(protocol, recorder);
    assert.equal(recorder.transport, transport);
    assert.deepEqual(transport.getExtraInfo('peername'), ['127.0.0.1', port]);
    transport.close();
    await recorder.untilLost();
    await closed(server);
  }),
);

test('createConnection() may be called before the loop runs', async () => {
  const loop = new NodeEventLoop();
  const { server, port } = await listeningNodeServer();
  const recorder = new Recorder();
  const connecting = loop.createConnection(() => recorder, '127.0.0.1', port);
  await hostPasses();
  assert.deepEqual(recorder.log, []);
  const [transport] = await loop.runUntilComplete(connecting);
  await loop.runUntilComplete(() => transport[Symbol.asyncDispose]());
  loop.close();
  await closed(server);
});

test(
  'createConnection() without a host connects to this machine, by either family that has a listener',
  { skip: noIPv6 },
  onNode(async (loop) => {
    for (const address of ['127.0.0.1', '::1']) {
      for (const host of [null, '']) {
        const { server, port } = await listeningNodeServer(address);
        const [transport] = await loop.createConnection(factory, host, port);
        assert.equal(transport.getExtraInfo('peername')?.[0], address);
        await transport[Symbol.asyncDispose]();
        await closed(server);
      }
    }
  }),
);

test(
  'createConnection() resolves a name, and finds localhost with one family listening',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer('127.0.0.1');
    const [transport] = await loop.createConnection(factory, 'localhost', port);
    assert.equal(transport.getExtraInfo('peername')?.[0], '127.0.0.1');
    await transport[Symbol.asyncDispose]();
    await closed(server);
  }),
);

test(
  'createConnection() with family selects among the addresses of a host',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer('127.0.0.1');
    const [transport] = await loop.createConnection(factory, null, port, {
      family: AF_INET,
      proto: IPPROTO_TCP,
    });
    await transport[Symbol.asyncDispose]();
    await assert.rejects(loop.createConnection(factory, null, port, { family: AF_INET6 }), {
      code: 'ECONNREFUSED',
      address: '::1',
    });
    await closed(server);
  }),
);

test(
  'createConnection() with localAddr connects from that address',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer('127.0.0.1');
    const localPort = await freePort('127.0.0.1');
    const localAddr = ['127.0.0.1', localPort] as const;
    const recorder = new Recorder();
    const [transport] = await loop.createConnection(() => recorder, '127.0.0.1', port, { localAddr });
    assert.deepEqual(transport.getExtraInfo('sockname'), ['127.0.0.1', localPort]);
    transport.abort();
    await recorder.untilLost();

    // A documentation address, which no machine has.
    const elsewhere = loop.createConnection(factory, '127.0.0.1', port, { localAddr: ['192.0.2.1', 0] });
    await assert.rejects(elsewhere, { code: 'EADDRNOTAVAIL' });
    await closed(server);
  }),
);

// --- failed connects ---

test(
  'createConnection() fails with the system’s error for a refused connection, with address and port',
  { skip: noIPv6 },
  onNode(async (loop) => {
    const port = await freePort();
    await assert.rejects(loop.createConnection(factory, '127.0.0.1', port), {
      name: 'Error',
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.1',
      port,
    });
    // Both families refuse alike.
    await assert.rejects(loop.createConnection(factory, null, port), { name: 'Error', code: 'ECONNREFUSED' });
  }),
);

test(
  'createConnection() fails with the resolver’s error for a name that does not exist',
  onNode(async (loop) => {
    await assert.rejects(loop.createConnection(factory, 'no-such-name.invalid', 80), (error: Error) => {
      // A resolver that does not respond causes EAI_AGAIN.
      assert.match((error as NodeJS.ErrnoException).code as string, /^(ENOTFOUND|EAI_AGAIN)$/);
      assert.equal((error as NodeJS.ErrnoException).syscall, 'getaddrinfo');
      return true;
    });
    await assert.rejects(loop.createConnection(factory, 'localhost', 80, { flags: AI_NUMERICHOST }), {
      code: 'ENOTFOUND',
    });
  }),
);

test(
  'createConnection() fails if its factory throws or returns no protocol, and leaves no connection open',
  onNode(async (loop) => {
    const before = socketCount();
    const { server, port } = await listeningNodeServer();
    const bug = new Error('bug');
    const throwing = (): Protocol => {
      throw bug;
    };
    await assert.rejects(loop.createConnection(throwing, '127.0.0.1', port), bug);
    for (const wrong of [undefined, null, 1, 'x', Promise.resolve(new Protocol()), { dataReceived: true }]) {
      const peer = new Promise<void>((resolve) => {
        server.once('connection', (socket) => {
          socket.on('error', () => {});
          socket.on('close', () => resolve());
          socket.resume();
        });
      });
      await assert.rejects(
        loop.createConnection(() => wrong as never, '127.0.0.1', port),
        {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: /"protocolFactory\(\)/,
        },
      );
      await peer;
    }
    await closed(server);
    await assertSockets(before, 'a connection is left');
  }),
);

test(
  'createConnection() fails if connectionMade() throws, reports it and aborts the connection',
  onNode(async (loop, reports) => {
    const before = socketCount();
    const { server, port } = await listeningNodeServer();
    server.on('connection', (socket) => socket.on('error', () => {}).resume());
    const bug = new Error('bug');
    for (const abortFirst of [false, true]) {
      const recorder = new Recorder();
      const made = recorder.connectionMade;
      recorder.connectionMade = (transport) => {
        made.call(recorder, transport);
        if (abortFirst) transport.abort();
        throw bug;
      };
      await assert.rejects(
        loop.createConnection(() => recorder, '127.0.0.1', port),
        bug,
      );
      await recorder.untilLost();
      assert.equal(recorder.exception, bug);
      assert.equal(reports.take()[0]?.exception, bug);
    }
    await closed(server);
    await assertSockets(before, 'a connection is left');
  }),
);

// --- sock ---

test(
  'createConnection() makes a connected net.Socket a transport, with the socket’s unread data',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const accepted = new Promise<import('node:net').Socket>((resolve) => {
      server.once('connection', resolve);
    });
    const sock = connect(port, '127.0.0.1');
    const peer = await accepted;
    peer.write('early');
    await new Promise<void>((resolve) => {
      sock.once('readable', resolve);
    });
    const recorder = new Recorder();
    recorder.keepOpen = true;
    const connecting = loop.createConnection(() => recorder, null, null, { sock });
    assert.deepEqual(recorder.log, []);
    const [transport] = await connecting;
    await recorder.untilReceived(5);
    const taken = { code: 'ERR_INVALID_ARG_TYPE', message: /no other transport/ };
    assert.throws(() => loop.createConnection(() => new Recorder(), null, null, { sock }), taken);
    assert.throws(() => loop.connectAcceptedSocket(() => new Recorder(), sock), taken);
    peer.write(' and late');
    assert.equal(String(await recorder.untilReceived(14)), 'early and late');
    peer.end();
    await recorder.untilTold('eof');
    transport.write('half open');
    transport.close();
    const reply: Buffer[] = [];
    for await (const chunk of peer) reply.push(chunk as Buffer);
    assert.equal(Buffer.concat(reply).toString(), 'half open');
    await recorder.untilLost();
    await closed(server);
  }),
);

test(
  'createConnection() reports an end that its sock has seen before',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    server.once('connection', (socket) => socket.end());
    const sock = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    sock.resume();
    await new Promise<void>((resolve) => {
      sock.once('end', resolve);
    });
    const recorder = new Recorder();
    await loop.createConnection(() => recorder, null, null, { sock });
    await recorder.untilLost();
    assert.deepEqual(recorder.log, ['made', 'eof', 'lost']);
    await closed(server);
  }),
);

test(
  'createConnection() rejects at the call a sock that is no connected byte stream',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const connecting = connect(port, '127.0.0.1');
    const options = (sock: unknown): ConnectionOptions => ({ sock });
    const refused = (sock: unknown): void => {
      assert.throws(() => loop.createConnection(factory, null, null, options(sock)), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"sock"/,
      });
    };
    for (const sock of ['x', {}, true, -1, 1.5, Number.NaN, server, connecting]) refused(sock);
    await new Promise<void>((resolve) => {
      connecting.once('connect', resolve);
    });
    connecting.setEncoding('utf8');
    refused(connecting);
    await closed(connecting);
    refused(connecting);
    await closed(server);
    assert.throws(() => loop.createConnection(factory, null, null, options(99_999)));
  }),
);

test(
  'createConnection() with sock rejects options that say where to connect',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const sock = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      sock.once('connect', resolve);
    });
    const code = 'ERR_INVALID_ARG_TYPE';
    const call = (host: string | null, to: number | null, options: ConnectionOptions) => (): unknown =>
      loop.createConnection(factory, host, to, { sock, ...options });
    assert.throws(call('127.0.0.1', null, {}), { code, message: /"host".*null, as sock is given/ });
    assert.throws(call(null, 80, {}), { code, message: /"port".*null, as sock is given/ });
    assert.throws(call(null, null, { family: AF_INET }), { code, message: /"options\.family".*absent/ });
    assert.throws(call(null, null, { proto: IPPROTO_TCP }), { code, message: /"options\.proto".*absent/ });
    assert.throws(call(null, null, { flags: 1 }), { code, message: /"options\.flags".*absent/ });
    assert.throws(call(null, null, { localAddr: ['127.0.0.1', 0] }), {
      code,
      message: /"options\.localAddr"/,
    });
    assert.equal(sock.destroyed, false);
    await closed(sock);
    await closed(server);
  }),
);

test(
  'createConnection() sets no-delay unless it is turned off',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    for (const noDelay of [undefined, true, false]) {
      const sock = connect(port, '127.0.0.1');
      await new Promise<void>((resolve) => {
        sock.once('connect', resolve);
      });
      const calls: unknown[] = [];
      const set = sock.setNoDelay.bind(sock);
      sock.setNoDelay = (on) => {
        calls.push(on);
        return set(on);
      };
      const options = noDelay === undefined ? { sock } : { sock, noDelay };
      const [transport] = await loop.createConnection(factory, null, null, options);
      assert.equal(calls.at(-1), noDelay ?? true);
      await transport[Symbol.asyncDispose]();
    }
    await closed(server);
  }),
);

test(
  'setKeepAlive() rounds fractions of a second up, because the system has none',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const sock = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      sock.once('connect', resolve);
    });
    const calls: unknown[][] = [];
    sock.setKeepAlive = (...args) => {
      calls.push(args);
      return sock;
    };
    const [transport] = await loop.createConnection(factory, null, null, { sock });
    const facts = transport.getExtraInfo('socket');
    for (const seconds of [0, 0.2, 1, 1.5]) facts?.setKeepAlive(true, seconds);
    facts?.setKeepAlive(false);
    assert.deepEqual(calls, [
      [true, 0],
      [true, 1000],
      [true, 1000],
      [true, 2000],
      [false, 0],
    ]);
    await transport[Symbol.asyncDispose]();
    await closed(server);
  }),
);

// --- cancels ---

test(
  'createConnection() with an aborted signal starts nothing',
  onNode(async (loop) => {
    const { loop: fake, net, close } = fakeNet();
    const signal = AbortSignal.abort('never');
    const connecting = fake.createConnection(factory, 'two', 80, { signal });
    assert.equal(connecting.cancelled(), true);
    assert.throws(() => connecting.result(), { code: 'ERR_CANCELLED', cause: 'never' });
    fake.createConnection(factory, '192.0.2.1', 80, { signal });
    assert.deepEqual(net.log, []);
    close();

    const { server, port } = await listeningNodeServer();
    const sock = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      sock.once('connect', resolve);
    });
    await assert.rejects(loop.createConnection(factory, null, null, { sock, signal }), { cause: 'never' });
    assert.equal(sock.destroyed, false);
    await closed(sock);
    await closed(server);
  }),
);

test(
  'createConnection() removes its listener from a signal when it succeeds, fails or is cancelled',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const { signal } = new AbortController();
    const listeners = (): number => getEventListeners(signal, 'abort').length;
    const connecting = loop.createConnection(factory, '127.0.0.1', port, { signal });
    assert.equal(listeners(), 1);
    const [transport] = await connecting;
    assert.equal(listeners(), 0);
    await transport[Symbol.asyncDispose]();
    await assert.rejects(loop.createConnection(factory, '127.0.0.1', await freePort(), { signal }));
    assert.equal(listeners(), 0);
    const cancelled = loop.createConnection(factory, 'localhost', port, { signal });
    cancelled.cancel();
    await assert.rejects(cancelled, { code: 'ERR_CANCELLED' });
    assert.equal(listeners(), 0);
    const opening = loop.createServer(factory, '127.0.0.1', 0, { signal });
    assert.equal(listeners(), 1);
    const own = await opening;
    own.close();
    assert.equal(listeners(), 0);
    await closed(server);
  }),
);

/** Every way to connect with awaits of its own at which it can be cancelled. */
const WAYS: Record<
  string,
  { host: string | null; listens: boolean; adopts?: boolean; options?: ConnectionOptions }
> = {
  'a literal address': { host: '127.0.0.1', listens: true },
  'both families': { host: null, listens: true },
  'both families at once': { host: null, listens: true, options: { happyEyeballsDelay: 0 } },
  'a name': { host: 'localhost', listens: true },
  'a name, from a name': { host: 'localhost', listens: true, options: { localAddr: ['localhost', 0] } },
  'a port where nobody listens': { host: '127.0.0.1', listens: false },
  'a socket': { host: null, listens: true, adopts: true },
};

for (const [name, way] of Object.entries(WAYS)) {
  for (const how of ['cancel()', 'cancel() of the awaiting task', 'signal'] as const) {
    test(
      `createConnection() (${name}) that is cancelled by ${how} after any number of turns leaves nothing open`,
      onNode(async (loop) => {
        const before = socketCount();
        const { server, port } = await listeningNodeServer();
        server.on('connection', (socket) => {
          socket.on('error', () => {});
          socket.resume();
          socket.on('end', () => socket.end());
        });
        const listening = socketCount();
        const target = way.listens ? port : await freePort();
        const outcomes = new Set<string>();
        for (let turns = 0; turns <= 20; turns++) {
          let made = 0;
          const make = (): Recorder => {
            made++;
            return new Recorder();
          };
          const controller = new AbortController();
          const options: ConnectionOptions = { ...way.options, signal: controller.signal };
          const sock = way.adopts ? connect(port, '127.0.0.1') : null;
          if (sock !== null) {
            options.sock = sock;
            await new Promise<void>((resolve) => {
              sock.once('connect', resolve);
            });
          }
          const connectTo = (): Future<[Transport, Recorder]> =>
            loop.createConnection(make, way.host, way.adopts ? null : target, options);
          const connecting =
            how === 'cancel() of the awaiting task'
              ? loop.createTask(async () => await connectTo())
              : connectTo();
          const settled = connecting.then(
            async ([transport, recorder]) => {
              transport.close();
              await recorder.untilLost();
              return 'connected';
            },
            (error) => String((error as NodeJS.ErrnoException).code),
          );
          for (let i = 0; i < turns; i++) await pollingTurn(loop);
          if (how === 'signal') controller.abort();
          else connecting.cancel();
          const outcome = await settled;
          outcomes.add(outcome);
          assert.equal(made, outcome === 'connected' ? 1 : 0, `${outcome} after ${turns} turns`);
          assert.ok(['connected', 'ERR_CANCELLED', 'ECONNREFUSED'].includes(outcome), outcome);
          // A task that never began has not taken the socket over.
          if (made === 0 && turns === 0) sock?.destroy();
          await pollingTurn(loop);
          assert.equal(loop._owned.resources.size, 0);
          await assertSockets(listening, `${outcome} after ${turns} turns`);
        }
        assert.ok(outcomes.has('ERR_CANCELLED'));
        await closed(server);
        await assertSockets(before, 'the server is left');
      }),
    );
  }
}

test(
  'a cancel in the factory or in connectionMade() comes too late, and createConnection() succeeds',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    for (const where of ['factory', 'connectionMade'] as const) {
      const controller = new AbortController();
      const recorder = new Recorder();
      const made = recorder.connectionMade;
      recorder.connectionMade = (transport) => {
        made.call(recorder, transport);
        if (where === 'connectionMade') controller.abort();
      };
      const [transport] = await loop.createConnection(
        () => {
          if (where === 'factory') controller.abort();
          return recorder;
        },
        '127.0.0.1',
        port,
        { signal: controller.signal },
      );
      assert.equal(transport.isClosing(), false);
      transport.close();
      await recorder.untilLost();
    }
    await closed(server);
  }),
);

// --- bad input ---

test(
  'createConnection() names the argument, the value and the accepted values at the call, and starts nothing',
  onNode(async (loop) => {
    const before = socketCount();
    const type = 'ERR_INVALID_ARG_TYPE';
    const range = 'ERR_OUT_OF_RANGE';
    const refuse = refusalsOf(loop.createConnection.bind(loop));
    for (const wrong of [undefined, null, new Protocol(), 'x', 1]) {
      refuse([wrong, '127.0.0.1', 1], type, /"protocolFactory".*a function/);
    }
    for (const wrong of [1, {}, true, ['127.0.0.1']]) refuse([factory, wrong, 1], type, /"host".*a string/);
    refuse([factory, '127.0.0.1\0.example', 1], range, /"host".*without NUL/);
    refuse([factory, '127.0.0.1'], type, /"port".*as no sock is given; got null/);
    refuse([factory, '127.0.0.1', null], type, /"port"/);
    for (const wrong of ['', {}, true])
      refuse([factory, '127.0.0.1', wrong], type, /"port".*a port, or the name of a service/);
    refuse([factory, '127.0.0.1', '65536'], range, /"port".*0 to 65535/);
    refuse([factory, '127.0.0.1', 'a\0b'], range, /"port".*without NUL/);
    for (const wrong of [-1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      refuse([factory, '127.0.0.1', wrong], range, /"port".*0 to 65535/);
    }
    for (const wrong of [null, 1, 'x', []]) refuse([factory, null, 1, wrong], type, /"options".*an object/);
    const options: [unknown, string, RegExp][] = [
      [{ prot: 1 }, type, /"options\.prot".*known options: family/],
      [{ tls: true }, type, /"options\.tls".*absent/],
      [{ family: AF_UNIX }, range, /"options\.family".*AF_INET6; got 1/],
      [{ family: 'IPv4' }, range, /"options\.family".*got "IPv4"/],
      [{ proto: IPPROTO_UDP }, range, /"options\.proto".*IPPROTO_TCP or 0; got 17/],
      [{ flags: -1 }, range, /"options\.flags"/],
      [{ flags: 'x' }, type, /"options\.flags"/],
      [{ localAddr: '127.0.0.1' }, type, /"options\.localAddr".*\[host, port\] pair/],
      [{ localAddr: ['127.0.0.1'] }, type, /"options\.localAddr".*got an array of 1/],
      [{ localAddr: [1, 1] }, type, /"options\.localAddr\[0\]"/],
      [{ localAddr: ['127.0.0.1', -1] }, range, /"options\.localAddr\[1\]"/],
      [{ localAddr: null }, type, /"options\.localAddr"/],
      [{ happyEyeballsDelay: Number.NaN }, range, /"options\.happyEyeballsDelay"/],
      [{ happyEyeballsDelay: '1' }, type, /"options\.happyEyeballsDelay".*seconds or null/],
      [{ interleave: -1 }, range, /"options\.interleave"/],
      [{ interleave: 0.5 }, range, /"options\.interleave"/],
      [{ interleave: '1' }, type, /"options\.interleave"/],
      [{ noDelay: 1 }, type, /"options\.noDelay".*a boolean/],
      [{ signal: {} }, type, /"options\.signal".*an AbortSignal/],
    ];
    for (const [wrong, code, message] of options) refuse([factory, '127.0.0.1', 1, wrong], code, message);
    // Combinations that exclude each other.
    refuse([factory, '127.0.0.1', 1, { family: AF_INET6 }], range, /"host".*an IPv6 address or a name/);
    refuse([factory, '::1', 1, { family: AF_INET }], range, /"host".*an IPv4 address or a name/);
    refuse([factory, '::1', 1, { localAddr: ['127.0.0.1', 0] }], range, /"options\.localAddr\[0\]".*an IPv6/);
    refuse(
      [factory, 'localhost', 1, { family: AF_INET, localAddr: ['::1', 0] }],
      range,
      /"options\.localAddr\[0\]".*an IPv4/,
    );
    assert.equal(loop._owned.tasks.size, 1);
    assert.equal(loop._owned.resources.size, 0);
    await assertSockets(before, 'something was started');
  }),
);

test('createConnection() on a closed loop, and on one without TCP, throws at the call', () => {
  const loop = new NodeEventLoop();
  loop.close();
  assert.throws(() => loop.createConnection(factory, '127.0.0.1', 1), { code: 'ERR_LOOP_CLOSED' });
  const sim = bareLoop();
  assert.throws(() => sim.createConnection(factory, '127.0.0.1', 1), {
    code: 'ERR_UNSUPPORTED',
    message: /sim backend has no TCP; NodeEventLoop has it/,
  });
  sim.close();
});
