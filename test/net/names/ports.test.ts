/** Ports by number, in digits, and by the name of a service. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Names } from '../../../src/backend/backend.ts';
import type { AddressInfo } from '../../../src/index.ts';
import {
  AF_INET,
  IPPROTO_TCP,
  IPPROTO_UDP,
  Protocol,
  SO_BROADCAST,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  Socket,
} from '../../../src/index.ts';
import { addressOf, endAll, endpoint } from '../../helpers/datagrams.ts';
import { listening, noNative, onUv } from '../../helpers/descriptors.ts';
import { onNode, portOf } from '../../helpers/pairs.ts';
import { FakeDatagramLoop } from '../datagram/fake-datagrams.ts';
import { fakeNet } from '../fake-net.ts';

const here = '127.0.0.1';
const factory = (): Protocol => new Protocol();

test(
  'createConnection(), createServer() and createDatagramEndpoint() accept a port in digits',
  onNode(async (loop) => {
    const server = await loop.createServer(factory, here, '0');
    const options = { localAddr: [here, '0'] } as const;
    const [transport] = await loop.createConnection(factory, here, String(portOf(server)), options);
    assert.equal(transport.getExtraInfo('peername')?.[1], portOf(server));
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();

    const far = await endpoint(loop, options);
    const near = await endpoint(loop, { remoteAddr: [here, String(addressOf(far)[1])] });
    near.transport.sendto('hello');
    await far.untilReceived(1);
    await endAll(near, far);
  }),
);

test(
  'a service name that is unknown fails with the resolver’s error',
  onNode(async (loop) => {
    const unknown = 'gyre-knows-no-such-service';
    const expected = { code: 'EAI_SERVICE', syscall: 'getaddrinfo' };
    await assert.rejects(loop.createConnection(factory, here, unknown), expected);
    await assert.rejects(loop.createServer(factory, here, unknown), expected);
    await assert.rejects(loop.createServer(factory, null, unknown), expected);
    await assert.rejects(
      loop.createDatagramEndpoint(() => ({}), { localAddr: [here, unknown] }),
      expected,
    );
    await assert.rejects(
      loop.createDatagramEndpoint(() => ({}), { remoteAddr: [here, unknown] }),
      expected,
    );
  }),
);

test('createConnection() asks the system for the port of a TCP service, also with an address literal', async () => {
  const { loop, net, close } = fakeNet();
  const asked = loop.runUntilComplete(loop.createConnection(factory, here, 'http', { family: AF_INET }));
  await net.asked(1);
  assert.deepEqual(net.queries, [
    { host: here, port: 'http', family: AF_INET, type: SOCK_STREAM, proto: IPPROTO_TCP, flags: 0 },
  ]);
  net.answer(0, new Error('enough'));
  await assert.rejects(asked, /enough/);
  close();
});

test('createDatagramEndpoint() asks the system for the port of a UDP service, and uses the answer', async () => {
  const loop = new FakeDatagramLoop();
  const queries: unknown[] = [];
  const resolve: Names['resolve'] = (query, onDone) => {
    queries.push(query);
    const { type, proto } = query;
    const found: AddressInfo = { family: AF_INET, type, proto, canonname: '', sockaddr: [here, 123] };
    setImmediate(onDone, null, [found]);
    return { cancel: () => {} };
  };
  Object.assign(loop._backend, { names: { resolve } });
  await loop.runUntilComplete(async () => {
    const opening = loop.createDatagramEndpoint(() => ({}), { remoteAddr: [here, 'ntp'] });
    while (loop.fake.targets.length === 0) await new Promise(setImmediate);
    assert.deepEqual(queries, [
      { host: here, port: 'ntp', family: 0, type: SOCK_DGRAM, proto: IPPROTO_UDP, flags: 0 },
    ]);
    assert.deepEqual(loop.fake.targets[0]?.remote, [here, 123]);
    opening.cancel();
  });
  loop.close();
});

test(
  'sockConnect() accepts a port in digits, and the name of a service',
  { skip: noNative },
  onUv(async (loop) => {
    using listener = listening();
    using socket = new Socket();
    const port = String(listener.getsockname()?.[1]);
    await loop.sockConnect(socket, [here, port]);
    assert.deepEqual(socket.getpeername(), listener.getsockname());
    using other = new Socket();
    await assert.rejects(loop.sockConnect(other, [here, 'gyre-knows-no-such-service']), {
      code: 'EAI_SERVICE',
    });
  }),
);

// --- broadcast ---

test(
  'remoteAddr and sendto() accept the host <broadcast> for 255.255.255.255',
  onNode(async (loop, reports) => {
    const to = await endpoint(loop, { remoteAddr: ['<broadcast>', 9], allowBroadcast: true });
    assert.equal(to.transport.getExtraInfo('sockname')?.length, 2);
    to.transport.sendto('x');
    to.transport.sendto('x', ['<broadcast>', 9]);
    to.transport.sendto('x', ['255.255.255.255', 9]);
    assert.throws(() => to.transport.sendto('x', [here, 9]), { message: /255\.255\.255\.255:9/ });
    // Without the permission the system's error names the address.
    await assert.rejects(
      loop.createDatagramEndpoint(() => ({}), { remoteAddr: ['<broadcast>', 9] }),
      { code: 'EACCES', address: '255.255.255.255' },
    );
    const six = await endpoint(loop, { localAddr: ['::1', 0] });
    assert.throws(() => six.transport.sendto('x', ['<broadcast>', 9]), { code: 'ERR_OUT_OF_RANGE' });
    await endAll(to, six);
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test(
  'sockSendto() accepts the host <broadcast>',
  { skip: noNative },
  onUv(async (loop) => {
    using socket = new Socket(AF_INET, SOCK_DGRAM);
    await assert.rejects(loop.sockSendto(socket, 'x', ['<broadcast>', 9]), { code: 'EACCES' });
    socket.setsockopt(SOL_SOCKET, SO_BROADCAST, 1);
    // A machine without a network has no route for it.
    const sent = await loop.sockSendto(socket, 'x', ['<broadcast>', 9]).catch((error) => error.code);
    assert.ok(sent === 1 || sent === 'ENETUNREACH', String(sent));
  }),
);
