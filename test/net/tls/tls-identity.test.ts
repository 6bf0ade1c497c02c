/**
 * The identity of the peer: verified at every handshake, for the requested name, and also when a session is
 * resumed.
 */
import assert from 'node:assert/strict';
import { constants, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { ConnectionOptions, SecureVersion, TLSSocket, TlsOptions } from 'node:tls';
import { createSecureContext, TLSSocket as NodeTlsSocket } from 'node:tls';
import type { NodeEventLoop, Transport } from '../../../src/index.ts';
import { Protocol } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import {
  closedServer,
  closedSocket,
  end,
  nodeTlsClient,
  nodeTlsServer,
  recordingServer,
} from './tls-peers.ts';

const type = 'ERR_INVALID_ARG_TYPE';
const here = '127.0.0.1';

/** Options of a server that requests a certificate by {@link certificates.ca}. */
const asking: TlsOptions = { ...serverTls(), requestCert: true, ca: certificates.ca };

function sessionOf(transport: Transport): TLSSocket {
  return transport.getExtraInfo('sslObject') as TLSSocket;
}

/** Node 22.5 and later. */
type KeyCert = TLSSocket & { setKeyCert?(context: unknown): void };

// --- renegotiation ---

for (const [what, options] of [
  ['asks for certificates', asking],
  ['asks for no certificate', serverTls()],
  ['has a secure context of its own', createSecureContext(serverTls())],
] as [string, object][]) {
  test(
    `a server that ${what} ends the connection of a client that renegotiates`,
    onNode(async (loop) => {
      const { server, port, next } = await recordingServer(loop, options);
      const socket = await nodeTlsClient(port, { ...certificates.client, maxVersion: 'TLSv1.2' });
      const far = await next();
      socket.write('before');
      await far.untilReceived(6);
      socket.renegotiate({}, () => {});
      socket.write('after');
      await far.untilLost();
      assert.equal((far.exception as NodeJS.ErrnoException).code, 'ERR_TLS_RENEGOTIATION_DISABLED');
      assert.equal(far.text, 'before');
      await closedSocket(socket);
      server.close();
      await server.waitClosed();
    }),
  );
}

test(
  'a client of mutual TLS cannot change its identity: its data under another certificate is not received',
  onNode(async (loop, _reports) => {
    const { server, port, next } = await recordingServer(loop, { ...asking, maxVersion: 'TLSv1.2' });
    const socket: KeyCert = await nodeTlsClient(port, { ...certificates.client, maxVersion: 'TLSv1.2' });
    const far = await next();
    // Without it the client presents the same certificate again, which is rejected all the same.
    socket.setKeyCert?.(createSecureContext(certificates.selfSigned));
    socket.renegotiate({}, () => {});
    socket.write('after');
    await far.untilLost();
    assert.equal(far.text, '');
    assert.equal(far.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
    await closedSocket(socket);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a client verifies a server that renegotiates, and disconnects from one that has changed its identity',
  { skip: !('setKeyCert' in NodeTlsSocket.prototype) && 'needs TLSSocket.setKeyCert() of Node 22.5' },
  onNode(async (loop) => {
    // Otherwise the session would be resumed, with its certificate.
    const secureOptions = constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION;
    const options: TlsOptions = { ...serverTls(), maxVersion: 'TLSv1.2', secureOptions };
    const { server, port } = await nodeTlsServer(options, (socket) => {
      socket.on('data', () => {
        (socket as KeyCert).setKeyCert?.(createSecureContext(certificates.untrusted));
        socket.renegotiate({}, () => socket.write('by another'));
      });
    });
    const near = new Recorder();
    await loop.createConnection(() => near, here, port, { ssl: clientTls() });
    near.transport.write('renegotiate');
    await near.untilLost();
    assert.equal((near.exception as NodeJS.ErrnoException).code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    assert.equal(near.text, '');
    await closedServer(server);
  }),
);

test(
  'data that a client writes while its server renegotiates arrives after the new handshake, and in order',
  onNode(async (loop) => {
    let received = '';
    const { server, port } = await nodeTlsServer({ ...serverTls(), maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('data', (data) => {
        received += String(data);
        if (received === 'begin') {
          socket.write('answer');
          socket.renegotiate({}, () => {});
        } else if (received.length === 200_007) {
          socket.write('done');
        }
      });
    });
    const near = new Recorder();
    await loop.createConnection(() => near, here, port, { ssl: clientTls() });
    near.transport.write('begin');
    // With the answer comes the request of a new handshake.
    await near.untilReceived(6);
    near.transport.write('1');
    near.transport.write('x'.repeat(200_000));
    near.transport.write('2');
    await near.untilReceived(10);
    assert.equal(received, `begin1${'x'.repeat(200_000)}2`);
    near.transport.close();
    await near.untilLost();
    assert.equal(near.exception, null);
    await closedServer(server);
  }),
);

// --- names that no certificate has ---

test(
  'a certificate never matches an address with a zone or another spelling that it does not contain',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop);
    const before = socketCount();
    for (const serverHostname of ['fe80::1%lo', 'fe80::1%', '::2', '::ffff:1.2.3.4', '[::1]', '127.1']) {
      await assert.rejects(
        loop.createConnection(() => new Protocol(), here, port, { ssl: clientTls(), serverHostname }),
        { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
        serverHostname,
      );
    }
    await assertSockets(before, 'connections');
    server.close();
    await server.waitClosed();
  }),
);

test(
  'the certificate check ignores the zone of an address',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop);
    for (const serverHostname of ['::1%lo', '::1%1', '0:0::1']) {
      const options = { ssl: clientTls(), serverHostname };
      const [transport] = await loop.createConnection(() => new Protocol(), here, port, options);
      assert.equal(transport.isClosing(), false, serverHostname);
      await transport[Symbol.asyncDispose]();
    }
    server.close();
    await server.waitClosed();
  }),
);

for (const [host, what] of [
  [here, 'an address'],
  ['localhost', 'a name'],
] as const) {
  test(
    `a client rejects a server that authenticates by a shared key instead of a certificate, for ${what}`,
    onNode(async (loop) => {
      const psk = randomBytes(16);
      const preShared = { ciphers: 'PSK', maxVersion: 'TLSv1.2' as SecureVersion };
      const server = await loop.createServer(() => new Protocol(), here, 0, {
        ssl: { ...preShared, pskCallback: () => psk },
      });
      const ssl = { ...preShared, pskCallback: () => ({ psk, identity: 'me' }) };
      const connect = (options: object) =>
        loop.createConnection(() => new Protocol(), here, portOf(server), {
          serverHostname: host,
          ...options,
        });
      await assert.rejects(connect({ ssl }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      // A program that trusts the key says so.
      const [transport] = await connect({ ssl: { ...ssl, checkServerIdentity: () => undefined } });
      await transport[Symbol.asyncDispose]();
      const [other] = await connect({ ssl, serverHostname: '' });
      await other[Symbol.asyncDispose]();
      server.close();
      await server.waitClosed();
    }),
  );
}

// --- sessions that are resumed ---

/** Connects to a server with `options`, and returns the session for another connection. */
async function sessionFrom(
  loop: NodeEventLoop,
  options: TlsOptions,
  client: ConnectionOptions,
): Promise<Buffer> {
  const { server, port, next } = await recordingServer(loop, options);
  const near = new Recorder();
  await loop.createConnection(() => near, here, port, { ssl: client, serverHostname: 'localhost' });
  const tls = sessionOf(near.transport);
  let session = options.maxVersion === 'TLSv1.2' ? (tls.getSession() as Buffer) : null;
  tls.once('session', (later: Buffer) => {
    session ??= later;
  });
  const far = await next();
  far.transport.write('hello');
  await near.untilReceived(5);
  await end(near, far);
  server.close();
  await server.waitClosed();
  assert.ok(session !== null);
  return session;
}

/** Returns how a server with `options` treats a client that resumes a session. */
async function resume(
  loop: NodeEventLoop,
  options: TlsOptions,
  client: ConnectionOptions,
  serverHostname: string = 'localhost',
): Promise<'resumed' | 'accepted anew' | 'refused'> {
  const greeting = { connectionMade: (transport: Transport) => transport.write('hello') };
  const server = await loop.createServer(() => greeting, here, 0, { ssl: options });
  const near = new Recorder();
  try {
    const connecting = loop.createConnection(() => near, here, portOf(server), {
      ssl: client,
      serverHostname,
    });
    const [transport] = await connecting;
    // By TLS 1.3 the client is done before the server has seen its certificate.
    await near.until(() => near.lost || near.received > 0);
    if (near.received === 0) return 'refused';
    return sessionOf(transport).isSessionReused() ? 'resumed' : 'accepted anew';
  } catch {
    return 'refused';
  } finally {
    server.close();
    server.abortClients();
    await server.waitClosed();
    if (near.log.length > 0) await near.untilLost();
  }
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as SecureVersion[]) {
  test(
    `servers with shared ticket keys resume each other’s sessions if they verify clients alike: ${maxVersion}`,
    onNode(async (loop) => {
      const shared = { ...asking, maxVersion, ticketKeys: randomBytes(48) };
      const client = { ...clientTls(), ...certificates.client };
      const session = await sessionFrom(loop, shared, client);
      assert.equal(await resume(loop, shared, { ...client, session }), 'resumed');

      // Another authority: it has not issued the session's certificate.
      const others = { ...shared, ca: certificates.selfSigned.cert };
      assert.equal(await resume(loop, others, { ...client, session }), 'refused');
      // Lists of authorities with one in common.
      const both = { ...shared, ca: [certificates.ca, certificates.selfSigned.cert] };
      assert.equal(await resume(loop, both, { ...client, session }), 'accepted anew');
    }),
  );

  test(
    `a session of a server without client certificates does not replace a certificate: ${maxVersion}`,
    onNode(async (loop) => {
      const lax = { ...serverTls(), ca: certificates.ca, maxVersion, ticketKeys: randomBytes(48) };
      const session = await sessionFrom(loop, lax, clientTls());
      const strict = { ...lax, requestCert: true };
      assert.equal(await resume(loop, strict, { ...clientTls(), session }), 'refused');
      assert.equal(
        await resume(loop, strict, { ...clientTls(), ...certificates.client, session }),
        'accepted anew',
      );
    }),
  );

  test(
    `a session for one name of a server does not replace the certificate for another name: ${maxVersion}`,
    onNode(async (loop) => {
      const contexts = {
        localhost: createSecureContext({ ...serverTls(), ca: certificates.ca }),
        'other.test': createSecureContext({ ...certificates.other, ca: certificates.selfSigned.cert }),
      };
      const SNICallback: TlsOptions['SNICallback'] = (name, done) =>
        done(null, contexts[name as keyof typeof contexts]);
      const options = { ...asking, maxVersion, ticketKeys: randomBytes(48), SNICallback };
      const client = { ...clientTls(), ...certificates.client };
      const session = await sessionFrom(loop, options, client).catch(() => undefined);
      assert.equal(await resume(loop, options, { ...client, session }, 'other.test'), 'refused');
      assert.equal(await resume(loop, options, { ...client, session }, 'localhost'), 'accepted anew');
    }),
  );
}

// --- options ---

test(
  'a boolean TLS option accepts nothing else: 1 and "yes" would silently mean no',
  onNode(async (loop) => {
    const factory = (): Protocol => new Protocol();
    for (const name of [
      'requestCert',
      'rejectUnauthorized',
      'honorCipherOrder',
      'requestOCSP',
      'enableTrace',
    ]) {
      for (const value of [1, 0, 'yes', '', null, {}]) {
        const expected = { code: type, message: new RegExp(`"ssl\\.${name}".*a boolean`) };
        assert.throws(
          () => loop.createServer(factory, here, 0, { ssl: { ...serverTls(), [name]: value } }),
          expected,
        );
        assert.throws(
          () => loop.createConnection(factory, here, 9, { ssl: { ...clientTls(), [name]: value } }),
          expected,
        );
      }
      // The same as an absent option.
      const server = await loop.createServer(factory, here, 0, {
        ssl: { ...serverTls(), [name]: undefined },
      });
      assert.ok(portOf(server) > 0);
      server.close();
    }
  }),
);

test(
  'ALPNProtocols accepts names of 1 to 255 bytes, or the encoded list, and rejects anything else at the call',
  onNode(async (loop) => {
    const factory = (): Protocol => new Protocol();
    for (const ALPNProtocols of ['h2', 5, null, {}, ['h2', 5], [''], ['x'.repeat(256)], [null]]) {
      const expected = { code: type, message: /"ssl\.ALPNProtocols"/ };
      assert.throws(
        () => loop.createServer(factory, here, 0, { ssl: { ...serverTls(), ALPNProtocols } }),
        expected,
      );
      assert.throws(
        () => loop.createConnection(factory, here, 9, { ssl: { ...clientTls(), ALPNProtocols } }),
        expected,
      );
    }
  }),
);

test(
  'changes to TLS options after the call have no effect',
  onNode(async (loop) => {
    const names = ['first'];
    const bytes = Buffer.from('\x05first');
    const options: TlsOptions = { ...serverTls(), ALPNProtocols: names };
    const { server, port, next } = await recordingServer(loop, options);
    for (const ALPNProtocols of [names, bytes]) {
      const near = new Recorder();
      const ssl: ConnectionOptions = { ...clientTls(), ALPNProtocols };
      const connecting = loop.createConnection(() => near, here, port, { ssl, serverHostname: 'localhost' });
      names[0] = 'other';
      bytes.write('other', 1);
      options.requestCert = true;
      ssl.ca = [];
      await connecting;
      const far = await next();
      assert.equal(sessionOf(far.transport).alpnProtocol, 'first');
      await end(near, far);
      names[0] = 'first';
      bytes.write('first', 1);
    }
    server.close();
    await server.waitClosed();
  }),
);
