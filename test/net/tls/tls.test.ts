import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { SecureVersion, TLSSocket, TlsOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { Future, StreamProtocol, Transport } from '../../../src/index.ts';
import { AF_INET, NodeEventLoop, Protocol, sleep, TransportSocket } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { streamTransportChecks } from '../../helpers/check-stream-transport.ts';
import { collectGarbage } from '../../helpers/gc.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import { end, recordingServer, tlsPair, tlsRecorders } from './tls-peers.ts';

// --- checks for any transport ---

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const versions = { minVersion: version, maxVersion: version };
  const pair = (loop: Parameters<typeof tlsRecorders>[0]) =>
    tlsRecorders(loop, { server: { ...serverTls(), ...versions } });
  for (const [name, check] of Object.entries(streamTransportChecks(pair))) {
    test(`${version} transports: ${name}`, onNode(check));
  }
}

test(
  'getExtraInfo() of a TLS transport returns certificate, cipher, session, and the info of the transport below',
  onNode(async (loop) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as SecureVersion[]) {
      const client = { ...clientTls(), minVersion: version, maxVersion: version };
      const { near, far } = await tlsRecorders(loop, { client });
      const { transport } = near;
      assert.equal(transport.getExtraInfo('peercert')?.subject.CN, 'localhost');
      assert.equal(transport.getExtraInfo('cipher')?.version, version);
      assert.match(transport.getExtraInfo('cipher')?.name ?? '', /AES|CHACHA/);
      assert.equal(transport.getExtraInfo('compression', 'no'), null);
      const session = transport.getExtraInfo('sslObject') as TLSSocket;
      assert.deepEqual(
        [session.authorized, session.encrypted, session.isSessionReused()],
        [true, true, false],
      );
      assert.notEqual(transport.getExtraInfo('sslContext'), null);
      assert.equal(transport.getExtraInfo('pipe', 'none'), 'none');
      // A client that got no request for a certificate has presented none.
      assert.equal(far.transport.getExtraInfo('peercert'), null);
      assert.equal((far.transport.getExtraInfo('sslObject') as TLSSocket).authorized, false);

      const socket = transport.getExtraInfo('socket') as TransportSocket;
      assert.ok(socket instanceof TransportSocket);
      assert.equal(socket.family, AF_INET);
      assert.deepEqual(socket.getpeername(), transport.getExtraInfo('peername'));
      assert.deepEqual(transport.getExtraInfo('sockname'), far.transport.getExtraInfo('peername'));
      socket.setNoDelay(false);
      socket.setKeepAlive(true, 10);
      await end(near, far);
      // The info is still there afterwards.
      assert.equal(transport.getExtraInfo('peercert')?.subject.CN, 'localhost');
    }
  }),
);

test(
  'connectionMade() comes after the handshake, with a new protocol, and a peer that fails it causes no protocol',
  onNode(async (loop) => {
    const made: string[] = [];
    const protocol = (name: string): StreamProtocol => {
      made.push(`${name} made`);
      return { connectionMade: (t) => void made.push(`${name}: ${t.getExtraInfo('cipher')?.version}`) };
    };
    const server = await loop.createServer(() => protocol('server'), '127.0.0.1', 0, { ssl: serverTls() });
    const port = portOf(server);
    await assert.rejects(loop.createConnection(() => protocol('refusing'), '127.0.0.1', port, { ssl: true }));
    assert.deepEqual(
      made.filter((line) => line.startsWith('refusing')),
      [],
    );
    const options = { ssl: clientTls() };
    const [transport] = await loop.createConnection(() => protocol('client'), '127.0.0.1', port, options);
    assert.deepEqual(made.slice(-2).includes('client: TLSv1.3'), true);
    transport.close();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a protocol factory or a connectionMade() that throws closes the TLS connection',
  onNode(async (loop, reports) => {
    const { server, port } = await recordingServer(loop);
    const fail = (): never => {
      throw new Error('no protocol');
    };
    const options = { ssl: clientTls() };
    await assert.rejects(loop.createConnection(fail, '127.0.0.1', port, options), /no protocol/);
    assert.deepEqual(reports.takeMessages(), []);
    const failing = { connectionMade: fail };
    await assert.rejects(
      loop.createConnection(() => failing, '127.0.0.1', port, options),
      /no protocol/,
    );
    assert.deepEqual(reports.takeMessages(), [
      'exception in protocol.connectionMade(): its connection is aborted',
    ]);
    server.close();
    await server.waitClosed();

    const refusing = await loop.createServer(fail, '127.0.0.1', 0, { ssl: serverTls() });
    const client = new Recorder();
    await loop.createConnection(() => client, '127.0.0.1', portOf(refusing), options);
    await client.untilLost();
    assert.deepEqual(reports.takeMessages(), [
      'exception in the protocol factory: the connection is aborted',
    ]);
    refusing.close();
    await refusing.waitClosed();
  }),
);

test(
  'data that arrives with the end of the handshake is delivered, and first',
  onNode(async (loop) => {
    // The server speaks first: its data may arrive with its last flight.
    const server = await loop.createServer(
      () => ({ connectionMade: (transport) => transport.write('welcome') }),
      '127.0.0.1',
      0,
      { ssl: serverTls() },
    );
    for (let i = 0; i < 20; i++) {
      const client = new Recorder();
      await loop.createConnection(() => client, '127.0.0.1', portOf(server), { ssl: clientTls() });
      await client.untilReceived(7);
      assert.equal(client.text, 'welcome');
      await end(client);
    }
    server.close();
    await server.waitClosed();
  }),
);

// --- authentication ---

test(
  'ALPN lets the server select among the client’s protocols',
  onNode(async (loop) => {
    const server = { ...serverTls(), ALPNProtocols: ['h2', 'http/1.1'] };
    for (const [offered, chosen] of [
      [['http/1.1'], 'http/1.1'],
      [['spdy', 'h2'], 'h2'],
      [undefined, false],
    ] as const) {
      const client = { ...clientTls(), ...(offered === undefined ? {} : { ALPNProtocols: [...offered] }) };
      const { near, far } = await tlsRecorders(loop, { server, client });
      for (const { transport } of [near, far]) {
        assert.equal((transport.getExtraInfo('sslObject') as TLSSocket).alpnProtocol, chosen);
      }
      await end(near, far);
    }
    const { server: closing, port } = await recordingServer(loop, server);
    await assert.rejects(
      loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: { ...clientTls(), ALPNProtocols: ['spdy'] },
      }),
      { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' },
    );
    closing.close();
    await closing.waitClosed();
    const ALPNCallback = ({ protocols }: { protocols: string[] }): string | undefined => protocols.at(-1);
    const chosen = await tlsRecorders(loop, {
      server: { ...serverTls(), ALPNCallback },
      client: { ...clientTls(), ALPNProtocols: ['a', 'b'] },
    });
    assert.equal((chosen.far.transport.getExtraInfo('sslObject') as TLSSocket).alpnProtocol, 'b');
    await end(chosen.near, chosen.far);
  }),
);

test(
  'requestCert makes the server require a certificate of the right authority, unless told otherwise',
  onNode(async (loop) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as SecureVersion[]) {
      const versions = { minVersion: version, maxVersion: version };
      const asking = { ...serverTls(), ...versions, requestCert: true, ca: certificates.ca };
      const { near, far } = await tlsRecorders(loop, {
        server: asking,
        client: { ...clientTls(), ...certificates.client },
      });
      assert.equal(far.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
      assert.equal((far.transport.getExtraInfo('sslObject') as TLSSocket).authorized, true);
      await end(near, far);

      const wrong = [
        {},
        { ...certificates.untrusted },
        { ...certificates.expired },
        { ...certificates.selfSigned },
      ];
      const { server, port, made } = await recordingServer(loop, asking);
      for (const shown of wrong) {
        const client = new Recorder();
        // By TLS 1.3 the client is done before the server has seen its certificate.
        const connecting = loop.createConnection(() => client, '127.0.0.1', port, {
          ssl: { ...clientTls(), ...shown },
        });
        const error = await connecting.then(
          async () => {
            await client.untilLost();
            return client.exception;
          },
          (refused: unknown) => refused,
        );
        assert.ok(error instanceof Error, `${version} ${Object.keys(shown).join()}`);
      }
      assert.equal(made.length, 0);
      server.close();
      await server.waitClosed();

      const lax = { ...asking, rejectUnauthorized: false };
      for (const shown of wrong) {
        const pair = await tlsRecorders(loop, { server: lax, client: { ...clientTls(), ...shown } });
        const session = pair.far.transport.getExtraInfo('sslObject') as TLSSocket;
        assert.equal(session.authorized, false);
        assert.equal(typeof session.authorizationError, 'string');
        await end(pair.near, pair.far);
      }
    }
  }),
);

test(
  'SNI lets the server select its certificate by the requested name',
  onNode(async (loop) => {
    const asked: string[] = [];
    const SNICallback = (name: string, done: (error: Error | null, context?: never) => void): void => {
      asked.push(name);
      const context = name === 'localhost' ? undefined : createSecureContext(certificates.other);
      // Later, because a context may have to be loaded.
      setImmediate(() => done(null, context as never));
    };
    const { server, port } = await recordingServer(loop, { ...serverTls(), SNICallback });
    for (const serverHostname of ['localhost', 'other.test', 'www.other.test']) {
      const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: clientTls(),
        serverHostname,
      });
      const names = transport.getExtraInfo('peercert')?.subjectaltname ?? '';
      assert.match(names, serverHostname === 'localhost' ? /localhost/ : /other\.test/);
      transport.close();
      await transport[Symbol.asyncDispose]();
    }
    // An address is no SNI name, so none is sent, and the certificate is matched against the address.
    const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
      ssl: clientTls(),
    });
    await transport[Symbol.asyncDispose]();
    assert.deepEqual(asked, ['localhost', 'other.test', 'www.other.test']);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'an SNI callback that fails or throws is reported, and fails its own handshake only',
  onNode(async (loop, reports) => {
    const SNICallback = (name: string, done: (error: Error | null) => void): void => {
      if (name === 'throws') throw new Error('SNI threw');
      done(name === 'fails' ? new Error('SNI failed') : null);
    };
    const { server, port } = await recordingServer(loop, { ...serverTls(), SNICallback });
    for (const serverHostname of ['throws', 'fails']) {
      await assert.rejects(
        loop.createConnection(() => new Protocol(), '127.0.0.1', port, { ssl: clientTls(), serverHostname }),
      );
      // The server's side may not have finished yet.
      const told = async (): Promise<Error[]> => {
        for (;;) {
          const found = reports.take().map(({ exception }) => exception as Error);
          if (found.length > 0) return found;
          await sleep(0.001);
        }
      };
      assert.deepEqual(
        (await told()).map(({ message }) => message),
        [serverHostname === 'fails' ? 'SNI failed' : 'SNI threw'],
      );
    }
    const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
      ssl: clientTls(),
      serverHostname: 'localhost',
    });
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'an ALPN callback that throws is reported, and fails its own handshake only',
  onNode(async (loop, reports) => {
    const ALPNCallback = ({ protocols }: { protocols: string[] }): string | undefined => {
      if (protocols[0] === 'throws') throw new Error('ALPN threw');
      return protocols[0];
    };
    const { server, port } = await recordingServer(loop, { ...serverTls(), ALPNCallback } as TlsOptions);
    const client = (protocol: string): Future<[Transport, Protocol]> =>
      loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: { ...clientTls(), ALPNProtocols: [protocol] },
      });
    await assert.rejects(client('throws'));
    // The server's side may not have finished yet.
    let told: Error[] = [];
    while (told.length === 0) {
      await sleep(0.001);
      told = reports.take().map(({ exception }) => exception as Error);
    }
    assert.deepEqual(
      told.map(({ message }) => message),
      ['ALPN threw'],
    );
    const [transport] = await client('works');
    assert.equal((transport.getExtraInfo('sslObject') as TLSSocket).alpnProtocol, 'works');
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
  }),
);

type Done = (error: Error | null, context?: unknown) => void;

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const takesTheFirst: string | false =
  (major >= 26 || (major === 24 && minor >= 22)) &&
  'Node takes the first answer and drops the second, from 24.22 and 26 on';

/** Ciphers without certificates, which call `pskCallback`. */
const preShared = { ciphers: 'PSK', maxVersion: 'TLSv1.2', pskIdentityHint: 'gyre' };

for (const [what, code, callback] of [
  [
    'a protocol that the client has not offered',
    'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
    { ALPNCallback: () => 'other' },
  ],
  [
    'a promise of a protocol',
    'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
    { ALPNCallback: async () => 'offered' },
  ],
  [
    'what is no secure context',
    'ERR_INVALID_ARG_TYPE',
    { SNICallback: (_name: string, done: Done) => done(null, {}) },
  ],
  [
    'the certificate in place of a secure context',
    'ERR_INVALID_ARG_TYPE',
    { SNICallback: (_name: string, done: Done) => done(null, certificates.other.cert) },
  ],
  [
    'twice',
    'ERR_MULTIPLE_CALLBACK',
    { SNICallback: (_name: string, done: Done) => [done(null), done(null)] },
  ],
  ['what is no key', 'ERR_INVALID_ARG_TYPE', { ...preShared, pskCallback: () => 5 }],
  [
    'a key that is too long',
    'ERR_INVALID_ARG_VALUE',
    { ...preShared, pskCallback: () => Buffer.alloc(1000) },
  ],
] as const) {
  const [name] = Object.keys(callback).slice(-1);
  test(
    `a server whose ${name} returns ${what} fails that handshake, and reports it`,
    { skip: what === 'twice' && takesTheFirst },
    onNode(async (loop, reports) => {
      const { server, port } = await recordingServer(loop, { ...serverTls(), ...callback } as TlsOptions);
      const client = {
        ...clientTls(),
        ALPNProtocols: ['offered'],
        ...(name === 'pskCallback' ? { ...preShared, checkServerIdentity: () => undefined } : {}),
        pskCallback: () => ({ psk: Buffer.alloc(16), identity: 'client' }),
      };
      const connecting = loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: client,
        serverHostname: 'localhost',
      });
      await assert.rejects(connecting);
      // The server's side may not have finished yet.
      let told = reports.take();
      for (; told.length === 0; told = reports.take()) await sleep(0.001);
      assert.deepEqual(
        told.map(({ message, exception }) => [message, (exception as { code?: string }).code]),
        [['a TLS handshake failed: the connection is aborted', code]],
      );
      assert.equal(told[0]?.server, server);
      assert.equal(server.isServing(), true);
      server.close();
      await server.waitClosed();
    }),
  );
}

test(
  'an ALPN callback that returns undefined rejects the client, and nothing is reported',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop, { ...serverTls(), ALPNCallback: () => undefined });
    await assert.rejects(
      loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: { ...clientTls(), ALPNProtocols: ['a'] },
      }),
      { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' },
    );
    server.close();
    await server.waitClosed();
  }),
);

test(
  'checkServerIdentity() that throws, or returns a value that is no Error, fails its own handshake only',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop, serverTls());
    const connect = (checkServerIdentity: () => unknown): Promise<[Transport, Protocol]> =>
      Promise.resolve(
        loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
          ssl: { ...clientTls(), checkServerIdentity },
        }),
      );
    const fault = new Error('the check threw');
    await assert.rejects(
      connect(() => {
        throw fault;
      }),
      fault,
    );
    const odd = Promise.resolve();
    await assert.rejects(
      connect(() => odd),
      { message: 'checkServerIdentity failed', cause: odd },
    );
    const [transport] = await connect(() => undefined);
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a client rejects a certificate without trust, past its time, or for another name',
  onNode(async (loop, reports) => {
    const here = '127.0.0.1';
    const refused: [certificates.Pair, { ssl: unknown; serverHostname?: string }, string][] = [
      [certificates.server, { ssl: true }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [certificates.untrusted, { ssl: clientTls() }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [certificates.selfSigned, { ssl: clientTls() }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      [certificates.expired, { ssl: clientTls() }, 'CERT_HAS_EXPIRED'],
      [certificates.other, { ssl: clientTls() }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      [
        certificates.server,
        { ssl: clientTls(), serverHostname: 'example.org' },
        'ERR_TLS_CERT_ALTNAME_INVALID',
      ],
      [certificates.server, { ssl: clientTls(), serverHostname: '::2' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      [certificates.untrusted, { ssl: clientTls(), serverHostname: '' }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [
        certificates.server,
        { ssl: createSecureContext(clientTls()), serverHostname: 'x' },
        'ERR_TLS_CERT_ALTNAME_INVALID',
      ],
      [
        certificates.server,
        { ssl: { ...clientTls(), checkServerIdentity: () => new Error('not the one') } },
        'not the one',
      ],
    ];
    const accepted: [certificates.Pair, { ssl: unknown; serverHostname?: string }][] = [
      [certificates.server, { ssl: clientTls() }],
      [certificates.server, { ssl: createSecureContext(clientTls()) }],
      [certificates.server, { ssl: { secureContext: createSecureContext(clientTls()) } }],
      [certificates.server, { ssl: clientTls(), serverHostname: '::1' }],
      [certificates.server, { ssl: clientTls(), serverHostname: 'LOCALHOST' }],
      [certificates.other, { ssl: clientTls(), serverHostname: '' }],
      [certificates.other, { ssl: { ...clientTls(), servername: 'other.test' } }],
      [certificates.untrusted, { ssl: { rejectUnauthorized: false } }],
      [certificates.other, { ssl: { ...clientTls(), checkServerIdentity: () => undefined } }],
    ];
    for (const [certificate, options, code] of refused) {
      const { server, port, made } = await recordingServer(loop, certificate);
      const before = socketCount();
      let protocols = 0;
      const factory = (): Protocol => {
        protocols++;
        return new Protocol();
      };
      const connecting = loop.createConnection(factory, here, port, options);
      await assert.rejects(connecting, (error: Error & { code?: string }) => {
        assert.equal(error.code ?? error.message, code);
        return true;
      });
      assert.equal(protocols, 0);
      server.close();
      for (const recorder of made) await recorder.untilLost();
      await server.waitClosed();
      await assertSockets(before - 1, code);
    }
    for (const [certificate, options] of accepted) {
      const { server, port } = await recordingServer(loop, certificate);
      const [transport] = await loop.createConnection(() => new Protocol(), here, port, options);
      await transport[Symbol.asyncDispose]();
      server.close();
      await server.waitClosed();
    }
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test(
  'a server reports in debug mode why a handshake failed, and is silent otherwise',
  onNode(async (loop, reports) => {
    for (const debug of [false, true]) {
      loop.debug = debug;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      const { server, port } = await recordingServer(loop);
      await assert.rejects(
        loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
          ssl: { ...clientTls(), minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_CCM_SHA256' },
        }),
      );
      server.close();
      await server.waitClosed();
      const told = reports.take();
      assert.deepEqual(
        told.map(({ message }) => message),
        debug ? ['a TLS handshake failed: the connection is aborted'] : [],
      );
      for (const { exception } of told) assert.match((exception as { code: string }).code, /^ERR_SSL_/);
    }
    loop.debug = false;
  }),
);

test(
  'the peer of a failed handshake gets the alert',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop, { ...serverTls(), minVersion: 'TLSv1.3' });
    await assert.rejects(
      loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        ssl: { ...clientTls(), maxVersion: 'TLSv1.2' },
      }),
      { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' },
    );
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a TLS session is resumed, also with a client certificate',
  onNode(async (loop) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as SecureVersion[]) {
      const asking = { ...serverTls(), requestCert: true, ca: certificates.ca, maxVersion: version };
      const { server, port, next } = await recordingServer(loop, asking);
      const ssl = { ...clientTls(), ...certificates.client };
      const first = new Recorder();
      await loop.createConnection(() => first, '127.0.0.1', port, { ssl, serverHostname: 'localhost' });
      const session = new Promise<Buffer>((resolve) => {
        (first.transport.getExtraInfo('sslObject') as TLSSocket).once('session', resolve);
      });
      const far = await next();
      far.transport.write('hello');
      await first.untilReceived(5);
      // By TLS 1.2 the session came with the handshake.
      const again =
        version === 'TLSv1.3'
          ? await session
          : ((first.transport.getExtraInfo('sslObject') as TLSSocket).getSession() as Buffer);
      await end(first, far);
      const second = new Recorder();
      await loop.createConnection(() => second, '127.0.0.1', port, {
        ssl: { ...ssl, session: again },
        serverHostname: 'localhost',
      });
      const resumed = await next();
      assert.equal((second.transport.getExtraInfo('sslObject') as TLSSocket).isSessionReused(), true);
      assert.equal(resumed.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
      await end(second, resumed);
      server.close();
      await server.waitClosed();
    }
  }),
);

// --- load ---

/** Returns bytes without repetition. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let x = 1;
  for (let i = 0; i < length; i += 4) {
    x = (x * 1_664_525 + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(x, i);
  }
  return bytes;
}

test(
  'much data in both directions at once arrives whole over TLS',
  onNode(async (loop) => {
    const piece = noise(1024 * 1024);
    const pieces = 24;
    const sum = createHash('sha256');
    for (let i = 0; i < pieces; i++) sum.update(piece);
    const wanted = sum.digest('hex');
    class Sum extends Recorder {
      readonly hash = createHash('sha256');
      override dataReceived(data: Buffer): void {
        this.hash.update(data);
        this.received += data.length;
        if (this.received === pieces * piece.length) super.dataReceived(Buffer.alloc(0));
      }
    }
    const near = new Sum();
    const { far } = await tlsPair(loop, near);
    const other = new Sum();
    far.transport.setProtocol(other);
    const send = async (transport: Transport): Promise<void> => {
      for (let i = 0; i < pieces; i++) {
        transport.write(piece);
        while (transport.getWriteBufferSize() > 4 * piece.length) await sleep(0);
      }
    };
    await Promise.all([send(near.transport), send(far.transport)]);
    const all = pieces * piece.length;
    await Promise.all([near.until(() => near.received === all), other.until(() => other.received === all)]);
    assert.deepEqual([near.hash.digest('hex'), other.hash.digest('hex')], [wanted, wanted]);
    near.transport.close();
    await near.untilLost();
    await other.untilLost();
    assert.deepEqual([near.exception, other.exception], [null, null]);
  }),
);

test(
  'a clogged TLS connection keeps its data once: waiting data is not encrypted',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    far.transport.pauseReading();
    const piece = Buffer.alloc(1024 * 1024, 'clog');
    // The kernel's buffer is full by now.
    for (let i = 0; i < 64; i++) near.transport.write(piece);
    await sleep(0.2);
    await collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const size = near.transport.getWriteBufferSize();
    // The same buffer, a thousand times.
    for (let i = 0; i < 1024; i++) near.transport.write(piece);
    await sleep(0.2);
    await collectGarbage();
    assert.equal(near.transport.getWriteBufferSize(), size + 1024 * piece.length);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes for what waits`);
    near.transport.abort();
    far.transport.abort();
    await near.untilLost();
    await far.untilLost();
  }),
);

test(
  'a paused TLS reader stops the sender, and unread data is not kept in memory',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    far.transport.pauseReading();
    const piece = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    // A writer that respects the water marks can write until the kernel's buffer is full, and then no more.
    for (let idle = 0; idle < 500; idle++) {
      while (!near.paused) {
        near.transport.write(piece);
        written += piece.length;
        idle = 0;
      }
      await sleep(idle < 100 ? 0 : 0.001);
    }
    assert.ok(written < 48 * 1024 * 1024, `${written} bytes were taken from the writer`);
    assert.equal(far.received, 0);
    far.transport.resumeReading();
    await far.untilReceived(written);
    await end(near, far);
  }),
);

test(
  'a BufferedProtocol over TLS gets all data in its own memory, also when it pauses in the middle',
  onNode(async (loop) => {
    const buffer = Buffer.alloc(1000);
    const parts: Buffer[] = [];
    let transport!: Transport;
    let lost = false;
    const protocol: StreamProtocol = {
      connectionMade: (made: Transport) => {
        transport = made;
      },
      getBuffer: () => buffer,
      bufferUpdated: (length: number) => {
        parts.push(Buffer.from(buffer.subarray(0, length)));
        if (parts.length % 7 === 0) {
          transport.pauseReading();
          loop.callSoon(() => transport.resumeReading());
        }
      },
      connectionLost: () => {
        lost = true;
      },
    };
    const { far } = await tlsPair(loop, protocol);
    const data = noise(200_000);
    far.transport.write(data);
    far.transport.close();
    await far.untilLost();
    while (!lost) await sleep(0);
    assert.deepEqual(Buffer.concat(parts), data);
  }),
);

test(
  'pauseReading() and resumeReading() within one piece lose nothing and keep the order',
  onNode(async (loop) => {
    const near = new Recorder();
    const { far } = await tlsPair(loop, near);
    let count = 0;
    const received = near.dataReceived;
    near.dataReceived = (data) => {
      received.call(near, data);
      if (++count % 2 === 0) return;
      near.transport.pauseReading();
      near.transport.resumeReading();
      near.transport.pauseReading();
      loop.callSoon(() => near.transport.resumeReading());
    };
    const data = noise(2_000_000);
    far.transport.write(data);
    await near.untilReceived(data.length);
    assert.ok(Buffer.concat(near.chunks).equals(data));
    far.transport.close();
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'data', 'eof', 'lost']);
    await far.untilLost();
  }),
);

test(
  'TLS works inside TLS',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    const inner = new Recorder();
    const innerFar = new Recorder();
    const accepting = loop.startTls(far.transport, innerFar, serverTls(certificates.other), {
      serverSide: true,
    });
    const connecting = loop.startTls(near.transport, inner, clientTls(), { serverHostname: 'other.test' });
    const [transport, farTransport] = await Promise.all([connecting, accepting]);
    assert.match(transport.getExtraInfo('peercert')?.subjectaltname ?? '', /other\.test/);
    assert.deepEqual(transport.getExtraInfo('peername'), near.transport.getExtraInfo('peername'));
    assert.ok(transport.getExtraInfo('socket') instanceof TransportSocket);
    const data = noise(3_000_000);
    transport.write(data);
    farTransport.write('answer');
    await innerFar.untilReceived(data.length);
    await inner.untilReceived(6);
    assert.ok(Buffer.concat(innerFar.chunks).equals(data));
    transport.close();
    await inner.until(() => inner.lost);
    await innerFar.until(() => innerFar.lost);
    assert.deepEqual([inner.exception, innerFar.exception, inner.text], [null, null, 'answer']);
  }),
);

test('hundreds of handshakes leave no socket, listener, warning or memory behind', async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(String(warning));
  process.on('warning', onWarning);
  try {
    await onNode(async (loop) => {
      const { server, port, made } = await recordingServer(loop);
      const secureContext = createSecureContext(clientTls());
      const options = { ssl: secureContext, serverHostname: 'localhost' };
      const connections = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i += 20) {
          const transports = await Promise.all(
            Array.from({ length: 20 }, async () => {
              const [transport] = await loop.createConnection(
                () => new Protocol(),
                '127.0.0.1',
                port,
                options,
              );
              return transport;
            }),
          );
          await Promise.all(transports.map((transport) => transport[Symbol.asyncDispose]()));
        }
        for (const recorder of made.splice(0)) await recorder.untilLost();
      };
      await connections(100);
      const sockets = socketCount();
      const handles = process.getActiveResourcesInfo().length;
      await collectGarbage();
      const heap = process.memoryUsage().heapUsed;
      await connections(400);
      await assertSockets(sockets, 'sockets');
      for (let i = 0; i < 10; i++) await sleep(0.01);
      await collectGarbage();
      const grown = process.memoryUsage().heapUsed - heap;
      assert.ok(grown < 2 * 1024 * 1024, `the heap has grown by ${grown} bytes`);
      assert.ok(process.getActiveResourcesInfo().length <= handles + 2);
      assert.equal(loop._owned.unreported.size, 0);
      server.close();
      await server.waitClosed();
    })();
    assert.deepEqual(warnings, []);
  } finally {
    process.removeListener('warning', onWarning);
  }
});

// --- the loop ---

test('loop.close() names a TLS connection once, and a handshake as such', async () => {
  const loop = new NodeEventLoop();
  const messages: string[] = [];
  loop.setExceptionHandler((_loop, { message }) => messages.push(message));
  await loop.runUntilComplete(async () => {
    const { near, far } = await tlsRecorders(loop);
    void near;
    void far;
    const { port } = await recordingServer(loop);
    const connecting = loop.createConnection(() => new Protocol(), '127.0.0.1', port, { ssl: clientTls() });
    connecting._ignoreException();
    while (![...loop._owned.resources].some((owned) => owned._describe().includes('handshake')))
      await sleep(0);
  });
  const before = socketCount();
  assert.ok(before >= 4);
  loop.close();
  const connections = messages.filter((message) => message.includes('a connection with'));
  assert.equal(connections.length, 2, messages.join('\n'));
  assert.ok(
    messages.some((message) => /a TLS handshake with 127\.0\.0\.1:\d+ was still under way/.test(message)),
  );
  await assertSockets(before - 5, 'sockets');
});
