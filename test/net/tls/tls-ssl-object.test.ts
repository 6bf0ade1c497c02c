/** The `sslObject`: the methods of Node's `TLSSocket`, with the same answers for the same handshake. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import type { ConnectionOptions, SecureVersion, TLSSocket, TlsOptions } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { NodeEventLoop } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import { keyOf, sessionOf } from './outcomes.ts';
import { closedServer, closedSocket, end, recordingServer, tlsRecorders } from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];

/** Both sides of one session by Node, and what to call when they were compared. */
async function nodeSessions(
  server: TlsOptions,
  client: ConnectionOptions,
): Promise<{ near: TLSSocket; far: TLSSocket; close: () => Promise<void> }> {
  const listening = createTlsServer(server).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as { port: number };
  const accepted = once(listening, 'secureConnection');
  const near = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...client });
  const [far] = (await accepted) as [TLSSocket];
  for (const socket of [near, far]) socket.on('error', () => {});
  // Node emits the event before it sends the tickets. This data follows them.
  await new Promise(setImmediate);
  far.write('hello');
  await once(near, 'data');
  return {
    near,
    far,
    close: async () => {
      await closedSocket(near);
      await closedSocket(far);
      await closedServer(listening);
    },
  };
}

/** The same by gyre. */
async function gyreSessions(
  loop: NodeEventLoop,
  server: TlsOptions,
  client: ConnectionOptions,
): Promise<{ near: TLSSocket; far: TLSSocket; close: () => Promise<void> }> {
  const pair = await tlsRecorders(loop, { server, client });
  pair.far.transport.write('hello');
  await pair.near.untilReceived(5);
  return {
    near: sessionOf(pair.near.transport),
    far: sessionOf(pair.far.transport),
    close: () => end(pair.near, pair.far),
  };
}

/** The type of a value, and its length if it is bytes: sessions, for instance, differ in every handshake. */
function kindOf(value: unknown): string {
  return Buffer.isBuffer(value) ? `${value.length} bytes` : String(value);
}

/** Everything that a session answers, without the bytes that differ in each handshake. */
function answersOf(session: TLSSocket): Record<string, unknown> {
  return {
    peer: session.getPeerCertificate(),
    detailed: session.getPeerCertificate(true),
    own: session.getCertificate(),
    peerX509: session.getPeerX509Certificate()?.toString(),
    ownX509: session.getX509Certificate()?.toString(),
    isX509: session.getX509Certificate() instanceof X509Certificate,
    cipher: session.getCipher(),
    protocol: session.getProtocol(),
    ephemeral: keyOf(session.getEphemeralKeyInfo()),
    sigalgs: session.getSharedSigalgs(),
    finished: kindOf(session.getFinished()),
    peerFinished: kindOf(session.getPeerFinished()),
    session: typeof session.getSession(),
    ticket: typeof session.getTLSTicket(),
    reused: session.isSessionReused(),
    encrypted: session.encrypted,
    authorized: session.authorized,
    exported: kindOf(session.exportKeyingMaterial(20, 'label', Buffer.from('context'))),
    unsent: [511, 512, 16_384, 16_385, -1].map((size) => session.setMaxSendFragment(size)),
  };
}

const CASES: readonly (readonly [string, TlsOptions, ConnectionOptions])[] = [
  ['a server certificate', serverTls(), clientTls()],
  ['an RSA key with links to its authority', certificates.rsa, clientTls()],
  ['a chain', certificates.chained, clientTls()],
  [
    'a self-signed certificate without trust',
    certificates.selfSigned,
    { ...clientTls(), rejectUnauthorized: false },
  ],
  [
    'a certificate without a known issuer',
    certificates.untrusted,
    { ...clientTls(), rejectUnauthorized: false },
  ],
  [
    'certificates of both sides',
    { ...serverTls(), requestCert: true, ca: certificates.ca },
    { ...clientTls(), ...certificates.chained },
  ],
  [
    'a client without the requested certificate',
    { ...serverTls(), requestCert: true, rejectUnauthorized: false, ca: certificates.ca },
    clientTls(),
  ],
];

for (const version of VERSIONS) {
  for (const [what, server, client] of CASES) {
    test(
      `${version}: the sslObject of gyre answers as a TLSSocket of Node: ${what}`,
      onNode(async (loop) => {
        const options = [{ ...server, maxVersion: version }, client] as const;
        const ours = await gyreSessions(loop, ...options);
        const theirs = await nodeSessions(...options);
        assert.deepEqual(answersOf(ours.near), answersOf(theirs.near), 'the client');
        assert.deepEqual(answersOf(ours.far), answersOf(theirs.far), 'the server');
        await ours.close();
        await theirs.close();
      }),
    );
  }

  test(
    `${version}: both sides export the same key, which depends on label, context and length`,
    onNode(async (loop) => {
      const { near, far, close } = await gyreSessions(
        loop,
        { ...serverTls(), maxVersion: version },
        clientTls(),
      );
      const seen = new Set<string>();
      for (const [length, label, context] of [
        [32, 'EXPORTER-a', undefined],
        [32, 'EXPORTER-a', Buffer.alloc(0)],
        [32, 'EXPORTER-a', Buffer.from('context')],
        [32, 'EXPORTER-b', Buffer.from('context')],
        [1, 'EXPORTER-a', undefined],
        [1000, 'EXPORTER-a', undefined],
      ] as const) {
        const exported = [near, far].map((side) =>
          // Node's types want a context, which Node does not.
          side.exportKeyingMaterial(length, label, context as Buffer).toString('hex'),
        );
        assert.equal(exported[0], exported[1]);
        assert.equal(exported[0]?.length, 2 * length);
        seen.add(exported[0] as string);
      }
      // By TLS 1.3 no context and an empty one are the same.
      assert.equal(seen.size, version === 'TLSv1.3' ? 5 : 6);
      assert.deepEqual(near.getFinished(), far.getPeerFinished());
      assert.deepEqual(near.getPeerFinished(), far.getFinished());
      await close();
    }),
  );

  test(
    `${version}: the sslObject still knows names and answers null after the end of the connection`,
    onNode(async (loop) => {
      const { near, far, close } = await gyreSessions(
        loop,
        { ...serverTls(), maxVersion: version, ALPNProtocols: ['gyre'] },
        { ...clientTls(), ALPNProtocols: ['gyre'] },
      );
      await close();
      for (const side of [near, far] as (TLSSocket & { servername: unknown })[]) {
        assert.deepEqual([side.alpnProtocol, side.servername], ['gyre', 'localhost']);
        assert.deepEqual([side.encrypted, side.destroyed], [true, true]);
        assert.deepEqual(
          [
            side.getPeerCertificate(),
            side.getCertificate(),
            side.getCipher(),
            side.getProtocol(),
            side.getSession(),
            side.getFinished(),
            side.getSharedSigalgs(),
            side.isSessionReused(),
            side.getEphemeralKeyInfo(),
            side.getTLSTicket(),
            side.getX509Certificate(),
            side.getPeerX509Certificate(),
          ],
          [null, null, null, null, null, null, null, null, null, null, undefined, undefined],
        );
      }
    }),
  );
}

test(
  'the sslObject rejects unusable arguments with the codes of Node',
  onNode(async (loop) => {
    const ours = await gyreSessions(loop, serverTls(), clientTls());
    const theirs = await nodeSessions(serverTls(), clientTls());
    const calls: readonly ((session: TLSSocket) => unknown)[] = [
      (session) => session.exportKeyingMaterial('20' as never, 'label', undefined as never),
      (session) => session.exportKeyingMaterial(0, 'label', undefined as never),
      (session) => session.exportKeyingMaterial(-1, 'label', undefined as never),
      (session) => session.exportKeyingMaterial(2.5, 'label', undefined as never),
      (session) => session.exportKeyingMaterial(20, 5 as never, undefined as never),
      (session) => session.exportKeyingMaterial(20, 'label', 'context' as never),
      (session) => session.setMaxSendFragment('512' as never),
      (session) => session.setMaxSendFragment(1.5),
      (session) => session.renegotiate(null as never, () => undefined),
      (session) => session.renegotiate({}, 5 as never),
    ];
    const codeOf = (call: () => unknown): unknown => {
      try {
        call();
        return 'no error';
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    for (const call of calls) {
      assert.equal(
        codeOf(() => call(ours.near)),
        codeOf(() => call(theirs.near)),
        String(call),
      );
    }
    await ours.close();
    await theirs.close();
  }),
);

test(
  'a fragment size of the sslObject limits the records that it sends',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    sessionOf(near.transport).setMaxSendFragment(512);
    const sizes: number[] = [];
    const { dataReceived } = far;
    far.dataReceived = (data) => {
      sizes.push(data.length);
      dataReceived.call(far, data);
    };
    near.transport.write(Buffer.alloc(5000, 'x'));
    await far.untilReceived(5000);
    assert.equal(far.text, 'x'.repeat(5000));
    await end(near, far);
  }),
);

test(
  'destroy() of the sslObject ends the connection: the peer sees it, and the protocol gets the error',
  onNode(async (loop) => {
    for (const error of [undefined, new Error('no more')]) {
      const { near, far } = await tlsRecorders(loop);
      const session = sessionOf(near.transport);
      const closing = once(session, 'close').catch(() => {});
      session.on('error', () => {});
      session.destroy(error);
      await near.untilLost();
      if (error === undefined) {
        assert.equal((near.exception as NodeJS.ErrnoException).code, 'ERR_SOCKET_CLOSED');
      } else {
        assert.equal(near.exception, error);
      }
      assert.equal(session.destroyed, true);
      await closing;
      await far.untilLost();
      far.transport.abort();
    }
  }),
);

for (const version of VERSIONS) {
  test(
    `${version}: a client gets the session of its server by the event, and resumes it`,
    onNode(async (loop) => {
      const { server, port, next } = await recordingServer(loop, { ...serverTls(), maxVersion: version });
      let stored: Buffer | undefined;
      const connect = async (session?: Buffer): Promise<{ near: Recorder; far: Recorder }> => {
        const near = new Recorder();
        await loop.createConnection(() => near, '127.0.0.1', port, {
          ssl: { ...clientTls(), ...(session === undefined ? {} : { session }) },
          serverHostname: 'localhost',
        });
        const tls = sessionOf(near.transport);
        tls.on('session', (given: Buffer) => {
          stored = given;
          near.note('session');
        });
        // By TLS 1.2 it came with the handshake.
        if (version === 'TLSv1.2') stored = tls.getSession();
        return { near, far: await next() };
      };
      const first = await connect();
      first.far.transport.write('hello');
      await first.near.untilReceived(5);
      if (version === 'TLSv1.3') await first.near.untilTold('session');
      assert.ok(stored !== undefined);
      assert.equal(sessionOf(first.near.transport).isSessionReused(), false);
      await end(first.near, first.far);

      const second = await connect(stored);
      const again = sessionOf(second.near.transport);
      assert.deepEqual(
        [again.isSessionReused(), sessionOf(second.far.transport).isSessionReused()],
        [true, true],
      );
      // The verification is a part of the session. The certificate is, too, but Node does not show it.
      assert.equal(again.authorized, true);
      assert.equal(again.getPeerCertificate().subject?.CN ?? 'localhost', 'localhost');
      await end(second.near, second.far);

      const third = await connect(Buffer.from('no session at all')).catch(
        (error: NodeJS.ErrnoException) => error,
      );
      // Node throws for such bytes; its later versions ignore them.
      if (third instanceof Error) assert.match(String(third.code), /^ERR_/);
      else {
        assert.equal(sessionOf(third.near.transport).isSessionReused(), false);
        await end(third.near, third.far);
      }
      server.close();
      server.abortClients();
      await server.waitClosed();
      assert.equal(portOf(server), undefined);
    }),
  );
}
