/** Callbacks for names that answer late or never, several names at once, and sessions with old keys. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { SecureContext, SecureVersion, TlsOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { NodeEventLoop } from '../../../src/index.ts';
import { Protocol, sleep } from '../../../src/index.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, Recorder } from '../../helpers/pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import { HostileTls } from './hostile-tls.ts';
import { sessionOf } from './outcomes.ts';
import { end, recordingServer } from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const here = '127.0.0.1';

type Answer = (error: Error | null, context?: SecureContext) => void;

for (const version of VERSIONS) {
  test(
    `${version}: a server whose SNI callback answers late or never survives clients that leave meanwhile`,
    onNode(async (loop, reports) => {
      const answers: Answer[] = [];
      const SNICallback = (_name: string, answer: Answer): void => void answers.push(answer);
      const { server, port, made } = await recordingServer(loop, {
        ...serverTls(),
        SNICallback,
        maxVersion: version,
      } as TlsOptions);
      const before = socketCount();
      for (const how of ['end', 'reset'] as const) {
        const socket = connect(port, here);
        const peer = new HostileTls(socket, false, version);
        const asked = answers.length;
        while (answers.length === asked) await sleep(0.001);
        if (how === 'end') peer.finish();
        else socket.resetAndDestroy();
        await peer.closed;
        // The first client gets no answer at all.
        if (how === 'reset') answers.at(-1)?.(null, createSecureContext(certificates.other));
        peer.destroy();
      }
      await assertSockets(before, 'the connections of clients that left');
      assert.equal(made.length, 0);
      server.close();
      await server.waitClosed();
      assert.deepEqual(reports.takeMessages(), []);
    }),
  );

  test(
    `${version}: an SNI callback that never answers ends with the handshake timeout`,
    onNode(async (loop) => {
      const { server, port } = await recordingServer(
        loop,
        { ...serverTls(), SNICallback: () => {}, maxVersion: version },
        { sslHandshakeTimeout: 0.05 },
      );
      await assert.rejects(
        loop.createConnection(() => new Protocol(), here, port, {
          ssl: clientTls(),
          serverHostname: 'localhost',
        }),
        { code: 'ECONNRESET' },
      );
      server.close();
      await server.waitClosed();
    }),
  );

  test(
    `${version}: clients that connect at once for several names get the certificates of their names`,
    onNode(async (loop) => {
      const contexts: Record<string, SecureContext> = {
        'other.test': createSecureContext(certificates.other),
        localhost: createSecureContext(certificates.rsa),
      };
      const SNICallback = (name: string, answer: Answer): void => {
        // The answers come in another order than the questions.
        const tell = (): void => answer(null, contexts[name]);
        if (name === 'localhost') setImmediate(() => setImmediate(tell));
        else tell();
      };
      const { server, port } = await recordingServer(loop, {
        ...serverTls(),
        SNICallback,
        maxVersion: version,
      });
      const names = ['localhost', 'other.test', 'localhost', 'other.test', 'localhost', 'other.test'];
      const transports = await Promise.all(
        names.map(async (serverHostname) => {
          const [transport] = await loop.createConnection(() => new Protocol(), here, port, {
            ssl: clientTls(),
            serverHostname,
          });
          return transport;
        }),
      );
      assert.deepEqual(
        transports.map((transport) => transport.getExtraInfo('peercert')?.subject.CN),
        names,
      );
      for (const transport of transports) await transport[Symbol.asyncDispose]();
      server.close();
      await server.waitClosed();
    }),
  );

  test(
    `${version}: a session is resumed with the ticket keys of its server, and with no others`,
    onNode(async (loop) => {
      const keys = [randomBytes(48), randomBytes(48)] as const;
      const options = { ...serverTls(), maxVersion: version };
      const first = await visit(loop, { ...options, ticketKeys: keys[0] });
      assert.equal(first.reused, false);
      const again = await visit(loop, { ...options, ticketKeys: keys[0] }, first.session);
      assert.equal(again.reused, true);
      const rotated = await visit(loop, { ...options, ticketKeys: keys[1] }, first.session);
      assert.equal(rotated.reused, false);
      const elsewhere = { ...options, ticketKeys: keys[0], sessionIdContext: 'another server' };
      assert.equal((await visit(loop, elsewhere, first.session)).reused, false);
    }),
  );
}

/** Connects to a server with these options, and returns the session for the next visit. */
async function visit(
  loop: NodeEventLoop,
  options: TlsOptions,
  session?: Buffer,
): Promise<{ reused: boolean; session: Buffer }> {
  const { server, port, next } = await recordingServer(loop, options);
  const near = new Recorder();
  const ssl = { ...clientTls(), ...(session === undefined ? {} : { session }) };
  await loop.createConnection(() => near, here, port, { ssl, serverHostname: 'localhost' });
  const far = await next();
  far.transport.write('hello');
  await near.untilReceived(5);
  const tls = sessionOf(near.transport);
  const visited = { reused: tls.isSessionReused(), session: tls.getSession() as Buffer };
  await end(near, far);
  server.close();
  await server.waitClosed();
  return visited;
}
