import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { NodeEventLoop, Protocol } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { closed, listeningNodeServer, onNode } from '../../helpers/pairs.ts';
import { fakeNet } from '../fake-net.ts';
import { assertSockets, socketCount } from '../sockets.ts';

const type = 'ERR_INVALID_ARG_TYPE';
const range = 'ERR_OUT_OF_RANGE';
const factory = (): Protocol => new Protocol();

test('createConnection() rejects meaningless TLS options at the call, and starts nothing', async () => {
  const { loop, net, close } = fakeNet();
  // The fake network has no TLS, so an accepted option ends with that error.
  const cases: [unknown, string, RegExp][] = [
    // Without ssl.
    [{ serverHostname: 'localhost' }, type, /"options\.serverHostname".*without ssl.*"localhost"/],
    [{ ssl: false, serverHostname: '' }, type, /"options\.serverHostname".*without ssl/],
    [{ ssl: null, sslHandshakeTimeout: 1 }, type, /"options\.sslHandshakeTimeout".*without ssl/],
    [{ sslShutdownTimeout: 1 }, type, /"options\.sslShutdownTimeout".*without ssl/],
    // The values of ssl.
    [{ ssl: 1 }, type, /"options\.ssl".*true, tls\.ConnectionOptions or a tls\.SecureContext; got 1/],
    [{ ssl: 'yes' }, type, /"options\.ssl"/],
    [{ ssl: [] }, type, /"options\.ssl"/],
    [{ ssl: () => {} }, type, /"options\.ssl"/],
    [{ ssl: true, serverHostname: 5 }, type, /"options\.serverHostname".*a string/],
    [{ ssl: true, serverHostname: null }, type, /"options\.serverHostname".*a string/],
    // The timeouts.
    [{ ssl: true, sslHandshakeTimeout: 0 }, range, /"options\.sslHandshakeTimeout".*more than 0 seconds/],
    [{ ssl: true, sslHandshakeTimeout: -1 }, range, /"options\.sslHandshakeTimeout"/],
    [{ ssl: true, sslHandshakeTimeout: Number.NaN }, range, /"options\.sslHandshakeTimeout"/],
    [{ ssl: true, sslHandshakeTimeout: '1' }, type, /"options\.sslHandshakeTimeout"/],
    [{ ssl: true, sslShutdownTimeout: 0 }, range, /"options\.sslShutdownTimeout"/],
    [{ ssl: true, sslShutdownTimeout: null }, type, /"options\.sslShutdownTimeout"/],
  ];
  for (const [options, code, message] of cases) {
    assert.throws(() => loop.createConnection(factory, 'example.org', 443, options as object), {
      code,
      message,
    });
  }
  assert.throws(() => loop.createConnection(factory, 'example.org', 443, { ssl: true }), {
    code: 'ERR_UNSUPPORTED',
    message: /no TLS; NodeEventLoop has it/,
  });
  assert.deepEqual(net.log, []);
  close();
});

test(
  'createConnection() with ssl uses the host as name, and throws without one',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const message = /"options\.serverHostname".*the name that the certificate must have.*'' for any/;
    for (const host of [null, '']) {
      assert.throws(() => loop.createConnection(factory, host, port, { ssl: true }), { code: type, message });
    }
    const { Socket } = await import('node:net');
    const sock = new Socket();
    assert.throws(() => loop.createConnection(factory, null, null, { ssl: true, sock }), {
      code: type,
      message,
    });
    assert.throws(() => loop.createUnixConnection(factory, '/tmp/none', { ssl: true }), {
      code: type,
      message,
    });
    await closed(server);
  }),
);

test(
  'createConnection() rejects at the call Node’s connection options, and callbacks that are no function',
  onNode(async (loop) => {
    const before = socketCount();
    const connect = (ssl: object) => loop.createConnection(factory, '127.0.0.1', 9, { ssl });
    const serve = (ssl: object) => loop.createServer(factory, '127.0.0.1', 0, { ssl });
    for (const name of ['host', 'port', 'path', 'socket', 'lookup', 'timeout', 'signal']) {
      const message = new RegExp(`"ssl\\.${name}".*of the connection, not of TLS`);
      assert.throws(() => connect({ ...clientTls(), [name]: 1 }), { code: type, message });
    }
    for (const name of ['handshakeTimeout', 'pauseOnConnect', 'noDelay', 'isServer']) {
      const message = new RegExp(`"ssl\\.${name}".*of the connection, not of TLS`);
      assert.throws(() => serve({ ...serverTls(), [name]: 1 }), { code: type, message });
    }
    assert.throws(() => connect({ checkServerIdentity: true }), {
      code: type,
      message: /checkServerIdentity/,
    });
    for (const name of ['SNICallback', 'ALPNCallback', 'pskCallback']) {
      assert.throws(() => serve({ ...serverTls(), [name]: 'x' }), { code: type, message: new RegExp(name) });
    }
    assert.throws(() => serve({ ...serverTls(), ALPNCallback: () => 'a', ALPNProtocols: ['a'] }), {
      code: type,
      message: /"ssl\.ALPNCallback"/,
    });
    assert.throws(() => serve({ secureContext: createSecureContext(serverTls()) }), {
      code: type,
      message: /"ssl\.secureContext"/,
    });
    await assertSockets(before, 'nothing was opened');
  }),
);

test(
  'createConnection() and createServer() reject unusable keys and certificates at the call',
  onNode(async (loop) => {
    const before = socketCount();
    const serve = (ssl: unknown) => loop.createServer(factory, '127.0.0.1', 0, { ssl });
    const connect = (ssl: unknown) => loop.createConnection(factory, '127.0.0.1', 9, { ssl });
    assert.throws(() => serve(true), {
      code: type,
      message: /"options\.ssl".*with a key and a certificate, or a tls.SecureContext; got true/,
    });
    assert.throws(() => serve({}), { code: type, message: /"ssl\.cert".*the certificate of the server/ });
    assert.throws(() => serve({ ...serverTls(), key: 'no key' }), { code: /PEM|DECODER|ERR_OSSL/ });
    assert.throws(() => serve({ ...serverTls(), cert: 'no certificate' }), { code: /PEM|ERR_OSSL/ });
    assert.throws(() => serve({ cert: certificates.server.cert, key: certificates.other.key }), {
      code: /KEY_VALUES_MISMATCH/,
    });
    assert.throws(() => serve({ ...serverTls(), minVersion: 'SSLv9' }), { code: /ERR_TLS/ });
    assert.throws(() => serve({ ...serverTls(), cert: 5 }), { code: type });
    assert.throws(() => connect({ ca: 'nobody', key: 'no key' }), { code: /PEM|DECODER|ERR_OSSL/ });
    assert.throws(() => connect({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2', secureProtocol: 'x' }), {
      code: /ERR_TLS/,
    });
    await assertSockets(before, 'nothing was opened');
  }),
);

test('createServer() rejects TLS options of a client', () => {
  const loop = new NodeEventLoop();
  const options = { ssl: serverTls(), serverHostname: 'localhost' };
  assert.throws(() => loop.createServer(factory, '127.0.0.1', 0, options as object), {
    code: type,
    message: /"options\.serverHostname".*absent/,
  });
  assert.throws(() => loop.createServer(factory, '127.0.0.1', 0, { sslHandshakeTimeout: 5 }), {
    code: type,
    message: /without ssl/,
  });
  loop.close();
});

test('createServer() with ssl on a loop without TLS throws at the call', () => {
  const loop = bareLoop();
  assert.throws(() => loop.createServer(factory, '127.0.0.1', 0, { ssl: serverTls() }), {
    code: 'ERR_UNSUPPORTED',
  });
  loop.close();
});
