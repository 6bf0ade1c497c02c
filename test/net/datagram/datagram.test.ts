import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DatagramOptions } from '../../../src/index.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  AI_NUMERICHOST,
  AI_PASSIVE,
  allTasks,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NodeEventLoop,
  sleep,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import {
  addressOf,
  closedSocket,
  DatagramRecorder,
  endAll,
  endpoint,
  freeUdpPort,
  nodeSocket,
} from '../../helpers/datagrams.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import { onNode } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import { FakeDatagramLoop } from './fake-datagrams.ts';

const factory = (): object => ({});

// --- all combinations of addresses ---

test(
  'createDatagramEndpoint() makes the protocol without arguments, calls connectionMade() and returns the pair',
  onNode(async (loop) => {
    const steps: string[] = [];
    const recorder = new DatagramRecorder();
    const made = recorder.connectionMade;
    recorder.connectionMade = (transport) => {
      steps.push('made');
      made.call(recorder, transport);
    };
    const opening = loop.createDatagramEndpoint(
      (...args: unknown[]) => {
        steps.push(`factory of ${args.length}`);
        return recorder;
      },
      { localAddr: ['127.0.0.1', 0] },
    );
    assert.deepEqual([...allTasks(loop)].includes(opening as never), false);
    assert.deepEqual(steps, []);
    const [transport, protocol] = await opening;
    assert.deepEqual([protocol, recorder.transport], [recorder, transport]);
    assert.deepEqual(steps, ['factory of 0', 'made']);
    await endAll(recorder);
  }),
);

test('createDatagramEndpoint() may be called before the loop runs', async () => {
  const loop = new NodeEventLoop();
  const recorder = new DatagramRecorder();
  const opening = loop.createDatagramEndpoint(() => recorder, { family: AF_INET });
  await hostPasses();
  assert.deepEqual(recorder.log, []);
  await loop.runUntilComplete(opening);
  await loop.runUntilComplete(() => endAll(recorder));
  loop.close();
});

test(
  'createDatagramEndpoint() accepts a local address, a remote one, both, or only a family',
  onNode(async (loop) => {
    const port = await freeUdpPort();
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', port], proto: IPPROTO_UDP });
    assert.deepEqual(far.transport.getExtraInfo('sockname'), ['127.0.0.1', port]);
    assert.equal(far.transport.getExtraInfo('peername'), null);

    const localPort = await freeUdpPort();
    const both = await endpoint(loop, {
      localAddr: ['127.0.0.1', localPort],
      remoteAddr: ['127.0.0.1', port],
      proto: 0,
    });
    assert.deepEqual(both.transport.getExtraInfo('sockname'), ['127.0.0.1', localPort]);
    assert.deepEqual(both.transport.getExtraInfo('peername'), ['127.0.0.1', port]);
    both.transport.sendto('both');

    const four = await endpoint(loop, { family: AF_INET });
    const six = await endpoint(loop, { family: AF_INET6 });
    assert.equal(addressOf(four)[0], '0.0.0.0');
    assert.equal(addressOf(six)[0], '::');
    four.transport.sendto('neither', ['127.0.0.1', port]);
    six.transport.sendto('six', ['::ffff:127.0.0.1', port]);
    await far.untilReceived(3);
    assert.deepEqual(far.texts, ['both', 'neither', 'six']);
    assert.deepEqual(far.senders[0], ['127.0.0.1', localPort]);
    far.transport.sendto('answer', far.senders[1]);
    await four.untilReceived(1);
    await endAll(far, both, four, six);
  }),
);

test(
  'createDatagramEndpoint() accepts names as hosts, or null for this machine',
  { skip: noIPv6 },
  onNode(async (loop) => {
    for (const family of [AF_INET, AF_INET6]) {
      const here = family === AF_INET ? '127.0.0.1' : '::1';
      for (const host of family === AF_INET ? ['localhost', null] : [null]) {
        const far = await endpoint(loop, { localAddr: [host, 0], family });
        assert.equal(addressOf(far)[0], here);
        const near = await endpoint(loop, { remoteAddr: [host, addressOf(far)[1]], family });
        assert.equal(near.transport.getExtraInfo('peername')?.[0], here);
        near.transport.sendto('x');
        near.transport.sendto('y', [here, addressOf(far)[1]]);
        await far.untilReceived(2);
        await endAll(near, far);
      }
    }
    const passive = await endpoint(loop, { localAddr: [null, 0], family: AF_INET, flags: AI_PASSIVE });
    assert.equal(addressOf(passive)[0], '0.0.0.0');
    await endAll(passive);
  }),
);

test(
  'createDatagramEndpoint() uses the addresses of the family that both names have',
  onNode(async (loop) => {
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const near = await endpoint(loop, { localAddr: [null, 0], remoteAddr: addressOf(far) });
    assert.equal(addressOf(near)[0], '127.0.0.1');
    const other = await endpoint(loop, {
      localAddr: ['127.0.0.1', 0],
      remoteAddr: ['localhost', addressOf(far)[1]],
    });
    assert.deepEqual(other.transport.getExtraInfo('peername'), addressOf(far));
    await endAll(near, far, other);
  }),
);

test('createDatagramEndpoint() tries the first address of each family in the resolver’s order, until one opens', async () => {
  const loop = new FakeDatagramLoop();
  const { fake } = loop;
  const resolve = (query: { host: string }, onDone: (error: null, found: object[]) => void): object => {
    const v6 = { sockaddr: ['2001:db8::1', 0, 0, 0] };
    const v4 = { sockaddr: ['192.0.2.7', 0] };
    const found = query.host === 'both.test' ? [v6, { sockaddr: ['2001:db8::2', 0, 0, 0] }, v4] : [v4, v6];
    setImmediate(() => onDone(null, found));
    return { cancel: () => {} };
  };
  Object.assign(fake, { names: { resolve } });
  const attempts = async (options: DatagramOptions): Promise<unknown[]> => {
    const seen: unknown[] = [];
    const failing = loop
      .runUntilComplete(() => loop.createDatagramEndpoint(factory, options))
      .then(
        () => 'opened',
        (error: unknown) => error,
      );
    for (let code = 0; code < 2; code++) {
      while (fake.openings.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const { family, local, remote } = fake.targets.shift() as (typeof fake.targets)[0];
      seen.push([family, local, remote]);
      const failure = Object.assign(new Error(`bind E${code}`), { code: `E${code}`, syscall: 'bind' });
      fake.openings.shift()?.onError(failure);
    }
    seen.push(await failing);
    return seen;
  };
  const [six, four, failure] = await attempts({ remoteAddr: ['both.test', 53] });
  assert.deepEqual(six, [AF_INET6, null, ['2001:db8::1', 53, 0, 0]]);
  assert.deepEqual(four, [AF_INET, null, ['192.0.2.7', 53]]);
  assert.ok(failure instanceof AggregateError);
  assert.deepEqual([(failure as unknown as { code: string }).code, failure.errors.length], ['E0', 2]);
  // The local host's order decides.
  const [first, second] = await attempts({
    localAddr: ['four-first.test', 5],
    remoteAddr: ['both.test', 53],
  });
  assert.deepEqual(first, [AF_INET, ['192.0.2.7', 5], ['192.0.2.7', 53]]);
  assert.deepEqual(second, [AF_INET6, ['2001:db8::1', 5, 0, 0], ['2001:db8::1', 53, 0, 0]]);
  loop.close();
});

test('createDatagramEndpoint() that is cancelled while it opens the first address opens no other', async () => {
  const loop = new FakeDatagramLoop();
  const { fake } = loop;
  await loop.runUntilComplete(async () => {
    const opening = loop.createDatagramEndpoint(factory, { remoteAddr: [null, 9] });
    while (fake.openings.length === 0) await null;
    opening.cancel();
    await assert.rejects(opening, { code: 'ERR_CANCELLED' });
  });
  assert.deepEqual([fake.openings.length, fake.log], [1, ['cancel']]);
  loop.close();
});

test(
  'createDatagramEndpoint() fails with the system’s error for unusable addresses, and leaves no socket',
  onNode(async (loop) => {
    const before = socketCount();
    const taken = await nodeSocket();
    const { port } = taken.address();
    await assert.rejects(loop.createDatagramEndpoint(factory, { localAddr: ['127.0.0.1', port] }), {
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: '127.0.0.1',
      port,
    });
    await assert.rejects(loop.createDatagramEndpoint(factory, { localAddr: ['192.0.2.99', 0] }), {
      code: 'EADDRNOTAVAIL',
    });
    await assert.rejects(
      loop.createDatagramEndpoint(factory, { localAddr: ['127.0.0.1', 0], remoteAddr: ['203.0.113.1', 9] }),
      (error: NodeJS.ErrnoException) => error.syscall === 'connect',
    );
    await assert.rejects(
      loop.createDatagramEndpoint(factory, { remoteAddr: ['no-such-host.invalid', 9] }),
      (error) => /ENOTFOUND|EAI_AGAIN/.test(String((error as NodeJS.ErrnoException).code)),
    );
    await assert.rejects(
      loop.createDatagramEndpoint(factory, { remoteAddr: ['localhost', 9], flags: AI_NUMERICHOST }),
      { code: 'ENOTFOUND' },
    );
    await assert.rejects(
      loop.createDatagramEndpoint(factory, { localAddr: ['localhost', 9], remoteAddr: ['2001:db8::1', 9] }),
      { name: 'RangeError', message: /an address of the same family as 2001:db8::1/ },
    );
    await closedSocket(taken);
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'createDatagramEndpoint() closes the socket if its protocol factory fails',
  onNode(async (loop) => {
    const before = socketCount();
    const bug = new Error('bug');
    const factories: [() => object, object][] = [
      [
        () => {
          throw bug;
        },
        bug,
      ],
      [() => 5 as never, { name: 'TypeError' }],
      [() => Promise.resolve({}), { name: 'TypeError' }],
      [() => ({ datagramReceived: 5 }), { name: 'TypeError' }],
    ];
    for (const [make, error] of factories) {
      await assert.rejects(loop.createDatagramEndpoint(make, { family: AF_INET }), error);
    }
    await assertSockets(before, 'a socket is left');
  }),
);

// --- wrong arguments ---

test(
  'createDatagramEndpoint() rejects wrong arguments at the call',
  onNode(async (loop) => {
    const type = 'ERR_INVALID_ARG_TYPE';
    const range = 'ERR_OUT_OF_RANGE';
    const wrong: [unknown, string, RegExp][] = [
      [{}, range, /"options.family" argument must be AF_INET or AF_INET6, as there is no address/],
      [{ family: AF_UNSPEC }, range, /as there is no address/],
      [{ family: 99 }, range, /options.family/],
      [{ family: AF_UNIX }, 'ERR_UNSUPPORTED', /unix/],
      [{ family: AF_INET, proto: IPPROTO_TCP }, range, /options.proto/],
      [{ family: AF_INET, flags: -1 }, range, /options.flags/],
      [{ family: AF_INET, reusePort: 1 }, type, /options.reusePort/],
      [{ family: AF_INET, allowBroadcast: 'yes' }, type, /options.allowBroadcast/],
      [{ family: AF_INET, signal: {} }, type, /options.signal/],
      [{ family: AF_INET, reuseAddress: true }, type, /options.reuseAddress.*known options/],
      [5, type, /options/],
      [{ localAddr: '127.0.0.1' }, type, /options.localAddr/],
      [{ localAddr: null }, type, /options.localAddr/],
      [{ localAddr: ['127.0.0.1'] }, type, /options.localAddr/],
      [{ localAddr: ['127.0.0.1', 1, 2] }, type, /options.localAddr/],
      [{ localAddr: ['127.0.0.1', 1, 0, 0] }, range, /options.localAddr\[0\].*IPv6/],
      [{ localAddr: ['localhost', 1, 0, 0] }, range, /options.localAddr\[0\].*IPv6/],
      [{ localAddr: [null, 1, 0, 0] }, range, /options.localAddr\[0\].*IPv6/],
      [{ localAddr: ['::1', 1, 1, 0] }, range, /options.localAddr\[2\]/],
      [{ localAddr: ['::1', 1, 0, '0'] }, type, /options.localAddr\[3\]/],
      [{ localAddr: ['::1', 1, 0, 0], family: AF_INET }, range, /options.localAddr\[0\]/],
      [{ localAddr: [undefined, 1] }, type, /options.localAddr\[0\]/],
      [{ localAddr: ['', 1] }, range, /options.localAddr\[0\].*'0.0.0.0' and '::'/],
      [{ localAddr: ['a\0b', 1] }, range, /options.localAddr\[0\]/],
      [{ localAddr: ['127.0.0.1', ''] }, type, /options.localAddr\[1\].*the name of a service/],
      [{ localAddr: ['127.0.0.1', '65536'] }, range, /options.localAddr\[1\]/],
      [{ remoteAddr: ['127.0.0.1', '0'] }, range, /options.remoteAddr\[1\].*from 1/],
      [{ localAddr: ['127.0.0.1', 65_536] }, range, /options.localAddr\[1\]/],
      [{ localAddr: ['::1', 0], family: AF_INET }, range, /options.localAddr\[0\]/],
      [{ remoteAddr: 80 }, type, /options.remoteAddr/],
      [{ remoteAddr: ['127.0.0.1', 0] }, range, /options.remoteAddr\[1\].*from 1/],
      [{ remoteAddr: ['127.0.0.1', null] }, type, /options.remoteAddr\[1\]/],
      [{ remoteAddr: ['127.0.0.1', 9], family: AF_INET6 }, range, /options.remoteAddr\[0\]/],
      [{ localAddr: ['::1', 0], remoteAddr: ['127.0.0.1', 9] }, range, /options.localAddr\[0\]/],
      [{ localAddr: ['::1', 0, 0, 0], remoteAddr: ['127.0.0.1', 9] }, range, /options.localAddr\[0\]/],
    ];
    for (const [options, code, message] of wrong) {
      assert.throws(
        () => loop.createDatagramEndpoint(factory, options as DatagramOptions),
        { code, message },
        JSON.stringify(options),
      );
    }
    for (const make of [null, undefined, {}, 'x']) {
      assert.throws(() => loop.createDatagramEndpoint(make as never, { family: AF_INET }), { code: type });
    }
  }),
);

test('createDatagramEndpoint() on a backend without UDP, and on a closed loop, throws at the call', () => {
  const sim = bareLoop();
  assert.throws(() => sim.createDatagramEndpoint(factory, { family: AF_INET }), {
    code: 'ERR_UNSUPPORTED',
    message: /no UDP/,
  });
  sim.close();
  const loop = new NodeEventLoop();
  loop.close();
  assert.throws(() => loop.createDatagramEndpoint(factory, { family: AF_INET }), { code: 'ERR_LOOP_CLOSED' });
});

// --- shared ports, broadcast ---

test(
  'reusePort lets endpoints share a port, or throws at the call on other hosts',
  onNode(async (loop) => {
    if (!loop._backend.reusePort) {
      assert.throws(
        () => loop.createDatagramEndpoint(factory, { localAddr: ['127.0.0.1', 0], reusePort: true }),
        {
          code: 'ERR_UNSUPPORTED',
          message: /Node 22.12/,
        },
      );
      return;
    }
    const one = await endpoint(loop, { localAddr: ['127.0.0.1', 0], reusePort: true });
    const other = await endpoint(loop, { localAddr: addressOf(one), reusePort: true });
    await assert.rejects(loop.createDatagramEndpoint(factory, { localAddr: addressOf(one) }), {
      code: 'EADDRINUSE',
    });
    const senders = await Promise.all(
      Array.from({ length: 40 }, () => endpoint(loop, { remoteAddr: addressOf(one) })),
    );
    for (const { transport } of senders) transport.sendto('x');
    while (one.datagrams.length + other.datagrams.length < 40) await sleep(0.001);
    // The kernel selects by the sender's address: all 40 at one receiver is practically impossible.
    assert.ok(one.datagrams.length > 0 && other.datagrams.length > 0);
    await endAll(one, other, ...senders);
  }),
);

test(
  'sendto() to a broadcast address fails without allowBroadcast',
  onNode(async (loop) => {
    // The broadcast address of the loopback: a machine may have no other network.
    const near = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    near.transport.sendto('x', ['127.255.255.255', 9]);
    await near.untilTold('error');
    assert.deepEqual(near.codes, ['EACCES']);
    await endAll(near);
    await assert.rejects(loop.createDatagramEndpoint(factory, { remoteAddr: ['127.255.255.255', 9] }), {
      code: 'EACCES',
    });
  }),
);

test(
  'allowBroadcast reaches a whole network, and any peer may answer',
  onNode(async (loop) => {
    // Linux treats the end of the loopback's own network as a broadcast address, too.
    const broadcast = '127.255.255.255';
    const far = await endpoint(loop, { localAddr: ['0.0.0.0', 0], allowBroadcast: true });
    const remoteAddr = [broadcast, addressOf(far)[1]] as const;
    const near = await endpoint(loop, { remoteAddr, allowBroadcast: true });
    // A connected socket would receive only from the broadcast address, which never sends.
    assert.equal(near.transport.getExtraInfo('peername'), null);
    near.transport.sendto('who is there?');
    near.transport.sendto('you?', remoteAddr);
    assert.throws(() => near.transport.sendto('x', ['127.0.0.1', remoteAddr[1]]), RangeError);
    await far.untilReceived(2);
    assert.deepEqual(far.texts, ['who is there?', 'you?']);
    far.transport.sendto('me', far.senders[0]);
    await near.untilReceived(1);
    assert.deepEqual([near.texts, near.senders], [['me'], [['127.0.0.1', remoteAddr[1]]]]);
    await endAll(near, far);
  }),
);

// --- a given socket ---

test(
  'createDatagramEndpoint() takes a bound dgram.Socket over as sock, and closes it with the endpoint',
  { skip: noIPv6 },
  onNode(async (loop) => {
    for (const host of ['127.0.0.1', '::1']) {
      const before = socketCount();
      const sock = await nodeSocket(host);
      const far = await endpoint(loop, { sock });
      assert.equal(far.transport.getExtraInfo('rawSocket'), sock);
      assert.deepEqual(addressOf(far), [host, sock.address().port]);
      const near = await endpoint(loop, { remoteAddr: addressOf(far) });
      near.transport.sendto('question');
      near.transport.sendto('');
      await far.untilReceived(2);
      far.transport.sendto('answer', far.senders[0]);
      far.transport.sendto('', far.senders[0]);
      // Node's own look-up takes a tick even for a literal address, and until then the socket counts.
      assert.ok(far.transport.getWriteBufferSize() > 0);
      far.transport.close();
      await near.untilReceived(2);
      assert.deepEqual(near.texts, ['answer', '']);
      await far.untilLost();
      assert.throws(() => sock.address());
      await endAll(near);
      await assertSockets(before, 'a socket is left');
    }
  }),
);

test(
  'an endpoint over a connected sock sends to its peer only, and gets refusals',
  onNode(async (loop) => {
    const port = await freeUdpPort();
    const sock = createSocket('udp4');
    await new Promise<void>((resolve) => {
      sock.connect(port, '127.0.0.1', resolve);
    });
    const near = await endpoint(loop, { sock });
    assert.deepEqual(near.transport.getExtraInfo('peername'), ['127.0.0.1', port]);
    assert.throws(() => near.transport.sendto('x', ['127.0.0.1', port === 9 ? 10 : 9]), RangeError);
    near.transport.sendto('anybody?', ['127.0.0.1', port]);
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await near.untilTold('error');
    assert.deepEqual(near.codes, ['ECONNREFUSED']);
    await endAll(near);
  }),
);

test(
  'an endpoint over a connected sock drops datagrams that others sent before it was connected',
  onNode(async (loop) => {
    const stranger = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const sock = await nodeSocket();
    const here = ['127.0.0.1', sock.address().port] as const;
    // The datagram is in the kernel now, and no poll comes before the socket is connected and taken over.
    stranger.transport.sendto('from a stranger', here);
    const connected = new Promise<void>((resolve) => {
      sock.connect(addressOf(far)[1], '127.0.0.1', resolve);
    });
    await connected;
    const near = await endpoint(loop, { sock });
    far.transport.sendto('from the peer', here);
    await near.untilReceived(1);
    assert.deepEqual([near.texts, near.senders], [['from the peer'], [addressOf(far)]]);
    await endAll(near, far, stranger);
  }),
);

test(
  'an endpoint over a foreign sock reports a datagram that is too long, and sends the later ones',
  onNode(async (loop) => {
    const sock = await nodeSocket();
    const near = await endpoint(loop, { sock });
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    near.transport.sendto(Buffer.alloc(70_000), addressOf(far));
    near.transport.sendto('short', addressOf(far));
    near.transport.close();
    await near.untilLost();
    await far.untilReceived(1);
    assert.deepEqual([near.codes, far.texts], [['EMSGSIZE'], ['short']]);
    await endAll(far);
  }),
);

test(
  'createDatagramEndpoint() rejects at the call a sock that is not bound, has an owner, or comes with an address',
  onNode(async (loop) => {
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const unbound = createSocket('udp4');
    const closed = await nodeSocket();
    await closedSocket(closed);
    for (const sock of [unbound, closed, {}, 5, 'udp4', true]) {
      assert.throws(() => loop.createDatagramEndpoint(factory, { sock }), { ...type, message: /"sock"/ });
    }
    unbound.close();
    const sock = await nodeSocket();
    const others: DatagramOptions[] = [
      { localAddr: ['127.0.0.1', 0] },
      { remoteAddr: ['127.0.0.1', 9] },
      { family: AF_INET },
      { proto: IPPROTO_UDP },
      { flags: AI_NUMERICHOST },
      { reusePort: true },
      { allowBroadcast: true },
    ];
    for (const other of others) {
      assert.throws(() => loop.createDatagramEndpoint(factory, { sock, ...other }), {
        ...type,
        message: /absent, as sock is given/,
      });
    }
    const near = await endpoint(loop, { sock, family: 0, reusePort: false });
    assert.throws(() => loop.createDatagramEndpoint(factory, { sock }), {
      ...type,
      message: /no other endpoint/,
    });
    await endAll(near);
  }),
);

test(
  'a sock that its owner closes before the endpoint is made ends the endpoint',
  onNode(async (loop) => {
    const sock = await nodeSocket();
    const recorder = new DatagramRecorder();
    const opening = loop.createDatagramEndpoint(() => recorder, { sock });
    sock.close();
    await opening;
    await recorder.untilLost();
    assert.deepEqual([recorder.log, recorder.exception], [['made', 'lost'], null]);
  }),
);

test(
  'datagrams between bind and connectionMade() are not lost',
  onNode(async (loop) => {
    const sock = await nodeSocket();
    const { port } = sock.address();
    const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', port] });
    const far = new DatagramRecorder();
    const opening = loop.createDatagramEndpoint(() => far, { sock });
    for (let i = 0; i < 10; i++) near.transport.sendto(`${i}`);
    await opening;
    await far.untilReceived(10);
    assert.equal(far.texts.join(''), '0123456789');
    await endAll(near, far);
  }),
);

// --- multicast ---

const GROUP = '239.192.7.7';

for (const way of ['sock', 'rawSocket'] as const) {
  test(
    `multicast works by ${way === 'sock' ? 'a socket of one’s own' : "getExtraInfo('rawSocket')"}`,
    onNode(async (loop) => {
      const members: DatagramRecorder[] = [];
      for (let i = 0; i < 2; i++) {
        const sock = await nodeSocket('0.0.0.0', { reuseAddr: true });
        if (way === 'sock') sock.addMembership(GROUP, '127.0.0.1');
        const member = await endpoint(loop, { sock });
        if (way === 'rawSocket')
          member.transport.getExtraInfo('rawSocket')?.addMembership(GROUP, '127.0.0.1');
        members.push(member);
      }
      const near = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
      const raw = near.transport.getExtraInfo('rawSocket');
      raw?.setMulticastInterface('127.0.0.1');
      raw?.setMulticastTTL(1);
      for (const member of members) {
        near.transport.sendto('to the group', [GROUP, addressOf(member)[1]]);
        await member.untilReceived(1);
        assert.deepEqual([member.texts, member.senders], [['to the group'], [addressOf(near)]]);
        member.transport.sendto('answer', member.senders[0]);
      }
      await near.untilReceived(2);
      const [left] = members as [DatagramRecorder];
      left.transport.getExtraInfo('rawSocket')?.dropMembership(GROUP, '127.0.0.1');
      await endAll(near, ...members);
    }),
  );
}

// --- cancellation ---

test(
  'createDatagramEndpoint() with an aborted signal starts nothing, a later abort cancels it, and no listener stays',
  onNode(async (loop) => {
    const before = socketCount();
    let made = 0;
    const counting = (): object => ({ made: made++ });
    const reason = new Error('why');
    const sock = await nodeSocket();
    const early = loop.createDatagramEndpoint(counting, { sock, signal: AbortSignal.abort(reason) });
    await assert.rejects(early, { code: 'ERR_CANCELLED', cause: reason });
    assert.equal(typeof sock.address().port, 'number');
    await closedSocket(sock);

    const controller = new AbortController();
    const opening = loop.createDatagramEndpoint(counting, { family: AF_INET, signal: controller.signal });
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
    controller.abort(reason);
    await assert.rejects(opening, { code: 'ERR_CANCELLED', cause: reason });
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);

    const { signal } = new AbortController();
    const near = new DatagramRecorder();
    await loop.createDatagramEndpoint(() => near, { family: AF_INET, signal });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await endAll(near);
    assert.equal(made, 0);
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'createDatagramEndpoint() that is cancelled at any moment closes its socket, or succeeds',
  onNode(async (loop) => {
    const before = socketCount();
    const port = await freeUdpPort();
    const forms: (() => Promise<DatagramOptions>)[] = [
      async () => ({ localAddr: ['127.0.0.1', port] }),
      async () => ({ localAddr: ['127.0.0.1', 0], remoteAddr: ['127.0.0.1', port] }),
      async () => ({ localAddr: ['localhost', port], family: AF_INET }),
      async () => ({ remoteAddr: ['localhost', port] }),
      async () => ({ localAddr: ['192.0.2.99', port] }),
      async () => ({ sock: await nodeSocket() }),
    ];
    let opened = 0;
    let cancelled = 0;
    for (const form of forms) {
      for (let microtasks = 0; microtasks < 12; microtasks += 2) {
        for (let turns = 0; turns < 5; turns++) {
          const recorder = new DatagramRecorder();
          const opening = loop.createDatagramEndpoint(() => recorder, await form());
          for (let i = 0; i < turns; i++) await sleep(0);
          for (let i = 0; i < microtasks; i++) await null;
          opening.cancel();
          const outcome = await opening.then(
            () => 'opened',
            (error: NodeJS.ErrnoException) => error.code,
          );
          if (outcome === 'opened') {
            opened++;
            await endAll(recorder);
          } else {
            if (outcome === 'ERR_CANCELLED') cancelled++;
            assert.deepEqual(recorder.log, []);
          }
        }
      }
    }
    assert.ok(opened > 0 && cancelled > 0, `${opened} opened, ${cancelled} cancelled`);
    // Every socket was closed: its port is free.
    await endAll(await endpoint(loop, { localAddr: ['127.0.0.1', port] }));
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'a task that is cancelled while it awaits an endpoint leaves none',
  onNode(async (loop) => {
    const before = socketCount();
    for (let turns = 0; turns < 6; turns++) {
      const task = loop.createTask(async () => {
        const [transport] = await loop.createDatagramEndpoint(factory, { remoteAddr: ['127.0.0.1', 9] });
        try {
          await sleep(3600);
        } finally {
          await transport[Symbol.asyncDispose]();
        }
      });
      for (let i = 0; i < turns; i++) await sleep(0);
      task.cancel();
      await assert.rejects(task, { code: 'ERR_CANCELLED' });
    }
    await assertSockets(before, 'a socket is left');
  }),
);

// --- the system's errors ---

test('createDatagramEndpoint() without descriptors or permission fails with the system’s error, and leaves nothing', {
  skip: process.platform === 'linux' ? false : 'looks into /proc, which only Linux has',
}, async () => {
  const child = fileURLToPath(new URL('./datagram-limits.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  // More than Node and the loader need to start.
  const command = `ulimit -n 128; exec '${process.execPath}' ${loaderOptions.join(' ')} '${child}'`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd });
  const { reserved, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { exhausted: 'EMFILE', afterwards: 'opened' });
  // A machine may allow low ports for every user.
  const free = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1')) <= 7;
  assert.equal(reserved, free ? 'opened' : 'EACCES');
});

// --- with a socket of Node's own ---

test(
  'an endpoint talks to a peer that does not use gyre, in thousands of datagrams',
  onNode(async (loop) => {
    const socket = await nodeSocket();
    socket.on('message', (data, { address, port }) => socket.send(data, port, address));
    const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', socket.address().port] });
    for (let i = 0; i < 2000; i++) {
      near.transport.sendto(`${i}`);
      // A kernel would lose more datagrams on the way.
      if (i % 50 === 49) await near.untilReceived(i + 1);
    }
    assert.deepEqual(
      near.texts,
      Array.from({ length: 2000 }, (_, i) => `${i}`),
    );
    await endAll(near);
    await closedSocket(socket);
  }),
);

test(
  'two loops in one thread talk to each other by datagrams',
  onNode(async (loop) => {
    const other = new NodeEventLoop();
    const far = new DatagramRecorder();
    const running = other.runUntilComplete(async () => {
      await other.createDatagramEndpoint(() => far, { localAddr: ['127.0.0.1', 0] });
      await far.untilReceived(1);
      far.transport.sendto('answer', far.senders[0]);
      await endAll(far);
    });
    await far.untilTold('made');
    const near = await endpoint(loop, { remoteAddr: addressOf(far) });
    near.transport.sendto('question');
    await near.untilReceived(1);
    await running;
    assert.deepEqual([far.texts, near.texts], [['question'], ['answer']]);
    other.close();
    await endAll(near);
  }),
);

test(
  'a leak report in debug mode says where the endpoint was opened',
  onNode(async (_loop) => {
    const other = new NodeEventLoop();
    other.debug = true;
    // A busy machine makes callbacks slow, which debug mode reports.
    other.slowCallbackDuration = Number.POSITIVE_INFINITY;
    const traces: (string | undefined)[] = [];
    other.setExceptionHandler((_l, context) => void traces.push(context.sourceTraceback));
    await other.runUntilComplete(async () => {
      await other.createDatagramEndpoint(factory, { family: AF_INET });
    });
    other.close();
    assert.match(String(traces[0]), /attach/);
  }),
);
