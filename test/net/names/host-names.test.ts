/**
 * Names beyond ASCII: every function with a host passes the name in ASCII to the system and the certificate
 * check.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { AF_INET, Protocol, SOCK_STREAM, Socket } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { addressOf, endAll, endpoint } from '../../helpers/datagrams.ts';
import { noNative, onUv } from '../../helpers/descriptors.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import { fakeNet } from '../fake-net.ts';
import { recordingServer } from '../tls/tls-peers.ts';

/** `localhost` in full-width letters, which the hosts file does not have. */
const LOCALHOST = 'ｌｏｃａｌｈｏｓｔ';
const factory = (): Protocol => new Protocol();

test('createConnection() resolves its host and that of localAddr in ASCII', async () => {
  const { loop, net, close } = fakeNet();
  net.names = { 'xn--bcher-kva.example': ['192.0.2.1'], 'local.example': ['192.0.2.9'] };
  net.onAttempt = (attempt) => {
    setImmediate(() => {
      const stream = attempt.connect();
      stream.abort = () => stream.events?.onClose(null);
    });
  };
  const localAddr: [string, number] = ['ＬＯＣＡＬ.Example', 0];
  const [transport] = await loop.runUntilComplete(
    loop.createConnection(factory, 'bücher.example', 80, { localAddr }),
  );
  assert.deepEqual(
    net.queries.map(({ host }) => host),
    ['xn--bcher-kva.example', 'local.example'],
  );
  transport.abort();
  await loop.runUntilComplete(transport[Symbol.asyncDispose]());
  close();
});

test(
  'createServer() and createConnection() accept a name in full-width letters',
  onNode(async (loop) => {
    const server = await loop.createServer(factory, LOCALHOST, 0, { family: AF_INET });
    assert.equal(server.sockets[0]?.getsockname()?.[0], '127.0.0.1');
    for (const host of [LOCALHOST, 'LOCALＨＯＳＴ', '１２７．０．０．１']) {
      const [transport] = await loop.createConnection(factory, host, portOf(server), { family: AF_INET });
      assert.equal(transport.getExtraInfo('peername')?.[0], '127.0.0.1');
      await transport[Symbol.asyncDispose]();
    }
    server.close();
    await server.waitClosed();
  }),
);

test(
  'createDatagramEndpoint() accepts a name in full-width letters',
  onNode(async (loop) => {
    const far = await endpoint(loop, { localAddr: [LOCALHOST, 0], family: AF_INET });
    const near = await endpoint(loop, { remoteAddr: [LOCALHOST, addressOf(far)[1]], family: AF_INET });
    near.transport.sendto('hello');
    await far.untilReceived(1);
    assert.deepEqual(far.texts, ['hello']);
    await endAll(near, far);
  }),
);

test(
  'getaddrinfo() resolves names in ASCII, and accepts an address in full-width digits',
  onNode(async (loop) => {
    for (const host of [LOCALHOST, '１２７．０．０．１']) {
      const found = await loop.getaddrinfo(host, 80, { family: AF_INET, type: SOCK_STREAM });
      assert.deepEqual(
        found.map(({ sockaddr }) => sockaddr),
        [['127.0.0.1', 80]],
      );
    }
    // The error names the name that was looked up.
    await assert.rejects(loop.getaddrinfo('bücher.invalid', 80), { hostname: 'xn--bcher-kva.invalid' });
  }),
);

test(
  'sockConnect() resolves names in ASCII',
  { skip: noNative },
  onUv(async (loop) => {
    using listener = new Socket();
    listener.bind(['127.0.0.1', 0]);
    listener.listen();
    using socket = new Socket();
    await loop.sockConnect(socket, [LOCALHOST, listener.getsockname()?.[1] as number]);
    assert.deepEqual(socket.getpeername(), listener.getsockname());
  }),
);

test(
  'createConnection() with ssl sends and verifies the name in ASCII, of the host or of serverHostname',
  onNode(async (loop) => {
    const { server, port, next } = await recordingServer(loop, serverTls());
    for (const [host, options] of [
      [LOCALHOST, { family: AF_INET }],
      ['127.0.0.1', { serverHostname: LOCALHOST }],
      ['127.0.0.1', { serverHostname: 'ｌocalhost.' }],
      ['127.0.0.1', { serverHostname: 'localhost.' }],
    ] as [string, object][]) {
      const near = new Recorder();
      await loop.createConnection(() => near, host, port, { ssl: clientTls(), ...options });
      const far = await next();
      const { servername } = far.transport.getExtraInfo('sslObject') as TLSSocket & { servername: string };
      assert.equal(servername, 'localhost');
      near.transport.close();
      await near.untilLost();
      await far.untilLost();
    }
    const near = new Recorder();
    await loop.createConnection(() => near, '127.0.0.1', port, {
      ssl: { ...clientTls(), servername: LOCALHOST },
    });
    near.transport.abort();
    await near.untilLost();
    // A single dot is a name that no certificate has, and not a request for none.
    await assert.rejects(
      loop.createConnection(factory, '127.0.0.1', port, { ssl: clientTls(), serverHostname: '.' }),
      { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    );
    server.close();
    server.abortClients();
    await server.waitClosed();
  }),
);

test(
  'every function with a host rejects at the call a name without an ASCII form',
  onNode(async (loop) => {
    const expected = { code: 'ERR_OUT_OF_RANGE', message: /must be a host name or an address/ };
    for (const host of ['bü/cher', 'ü@localhost', '\u00ad', 'bücher\0.example']) {
      const calls = [
        () => loop.createConnection(factory, host, 1),
        () => loop.createConnection(factory, '127.0.0.1', 1, { localAddr: [host, 0] }),
        () => loop.createConnection(factory, '127.0.0.1', 1, { ssl: true, serverHostname: host }),
        () => loop.createConnection(factory, '127.0.0.1', 1, { ssl: { servername: host } }),
        () => loop.createServer(factory, host, 0),
        () => loop.createServer(factory, ['127.0.0.1', host], 0),
        () => loop.createDatagramEndpoint(() => ({}), { localAddr: [host, 0] }),
        () => loop.createDatagramEndpoint(() => ({}), { remoteAddr: [host, 1] }),
        () => loop.getaddrinfo(host, 1),
      ];
      for (const call of calls) assert.throws(call, expected);
    }
    assert.throws(() => loop.createConnection(factory, '127.0.0.1', 1, { ssl: { servername: 5 } }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"options\.ssl\.servername"/,
    });
  }),
);
