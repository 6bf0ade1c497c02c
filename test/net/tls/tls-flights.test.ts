/**
 * Handshakes that pass through a mangler: split, joined, changed, cut and mixed with other records. gyre
 * accepts what Node accepts, and fails with the same error and the same alert.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import type { SecureVersion, TLSSocket } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { NodeEventLoop } from '../../../src/index.ts';
import { Protocol, sleep } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import type { Reports } from '../../helpers/loop-fixture.ts';
import { onNode } from '../../helpers/pairs.ts';
import type { Mangler } from './hostile-tls.ts';
import {
  ALERT,
  CHANGE_CIPHER_SPEC,
  contentOf,
  DATA,
  END,
  HANDSHAKE,
  HostileTls,
  record,
  recordsOf,
  sealable,
} from './hostile-tls.ts';
import { recordingServer } from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];

/** The end of a handshake: the error of the victim, and the alert that the peer got. */
interface End {
  code: string | undefined;
  reason: string | undefined;
  alert: string | undefined;
}

/** Unifies what differs without a fault: the error of a peer that is gone depends on the kernel. */
function endOf(error: unknown, peer: HostileTls): End {
  const { code, reason } = (error ?? {}) as { code?: string; reason?: string };
  if (code === 'ECONNRESET' || code === 'EPIPE') return { code: 'gone', reason: undefined, alert: undefined };
  if (code === 'ERR_SSL_CALLBACK_FAILED') return { ...BAD_NAME, alert: peer.alert };
  return { code, reason, alert: peer.alert };
}

/**
 * How OpenSSL reports a malformed server name. On Node 22 and 24, the servers of `node:tls` have a callback
 * for the hello of a client, which refuses such a name before OpenSSL sees it. The native engine has none.
 */
const BAD_NAME = { code: 'ERR_SSL_BAD_EXTENSION', reason: 'bad extension' };

async function listening<S extends { listen(port: number, host: string): S }>(
  server: S & NodeJS.EventEmitter & { address(): unknown },
): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** Waits until the handshake is over on one of the sides, and ends the connection. */
async function untilOver(peer: HostileTls, victim: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    void victim.then(() => resolve());
    void peer.secured.then(() => resolve());
  });
  peer.finish();
  await victim;
  await peer.closed;
}

/** Asserts that two victims ended alike. An alert may be lost if the rest of the flight was left unread. */
function assertSame(ours: End, theirs: End, message: string): void {
  const alert = ours.alert ?? theirs.alert;
  assert.deepEqual({ ...ours, alert }, { ...theirs, alert: theirs.alert ?? alert }, message);
}

async function gyreServer(
  loop: NodeEventLoop,
  reports: Reports,
  version: SecureVersion,
  mangle: Mangler,
): Promise<End> {
  // In debug mode the loop reports why a handshake failed.
  loop.debug = true;
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  const { server, port, made } = await recordingServer(loop, { ...serverTls(), ...sealable(version) });
  const peer = new HostileTls(connect(port, '127.0.0.1'), false, version, mangle);
  let error: unknown = null;
  const victim = (async () => {
    while (made.length === 0) {
      const [report] = reports.take();
      if (report !== undefined) {
        error = report.exception;
        return;
      }
      await sleep(0.0005);
    }
  })();
  await untilOver(peer, victim);
  server.close();
  server.abortClients();
  await server.waitClosed();
  loop.debug = false;
  return endOf(error, peer);
}

async function nodeServer(version: SecureVersion, mangle: Mangler): Promise<End> {
  const server = createTlsServer({ ...serverTls(), ...sealable(version) });
  let error: unknown = null;
  const victim = new Promise<void>((resolve) => {
    server.once('tlsClientError', (fault) => {
      error = fault;
      resolve();
    });
    server.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.on('end', () => socket.end());
      resolve();
    });
  });
  const peer = new HostileTls(connect(await listening(server), '127.0.0.1'), false, version, mangle);
  await untilOver(peer, victim);
  server.close();
  return endOf(error, peer);
}

async function gyreClient(loop: NodeEventLoop, version: SecureVersion, mangle: Mangler): Promise<End> {
  const server = createServer();
  const port = await listening(server);
  const accepted = once(server, 'connection');
  const connecting = loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
    ssl: clientTls(),
    // Node's client sends this name too, and the flight of a server has an answer to a name.
    serverHostname: 'localhost',
  });
  const [socket] = await accepted;
  const peer = new HostileTls(socket, true, version, mangle);
  let error: unknown = null;
  const victim = connecting.then(
    ([transport]) => transport.abort(),
    (fault: unknown) => {
      error = fault;
    },
  );
  await untilOver(peer, Promise.resolve(victim));
  server.close();
  return endOf(error, peer);
}

async function nodeClient(version: SecureVersion, mangle: Mangler): Promise<End> {
  const server = createServer();
  const port = await listening(server);
  const accepted = once(server, 'connection');
  const client = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...clientTls() });
  let error: unknown = null;
  const victim = new Promise<void>((resolve) => {
    client.once('secureConnect', () => {
      client.destroy();
      resolve();
    });
    client.once('error', (fault) => {
      error = fault;
      resolve();
    });
  });
  const [socket] = await accepted;
  const peer = new HostileTls(socket, true, version, mangle);
  await untilOver(peer, victim);
  server.close();
  return endOf(error, peer);
}

// --- the manglers ---

/** Changes the first flight only. */
const first =
  (change: (flight: Buffer) => Buffer[]): Mangler =>
  (flight, index) =>
    index === 0 ? change(flight) : [flight];

/** Changes the handshake records of a flight that are not encrypted. */
function inClear(flight: Buffer, change: (content: Buffer) => Buffer[]): Buffer {
  return Buffer.concat(
    recordsOf(flight).flatMap((one, i, all) => {
      const encrypted = all.slice(0, i).some(([type]) => type === CHANGE_CIPHER_SPEC);
      return one[0] === HANDSHAKE && !encrypted ? change(contentOf(one)) : [one];
    }),
  );
}

const pieces = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

/** Changes a byte of the first flight, and ends the connection behind it: the victim may wait for more. */
const flip =
  (at: number, bit: number): Mangler =>
  (flight, index) => {
    if (index > 0 || at >= flight.length) return [flight];
    const copy = Buffer.from(flight);
    copy[at] = (copy[at] as number) ^ bit;
    return [copy, END];
  };

const isHello = (flight: Buffer): boolean => contentOf(flight)[0] === 1;

const manglers: readonly (readonly [string, Mangler])[] = [
  ['in segments of a byte', (flight) => pieces(flight, 1)],
  ['in segments of 7 bytes', (flight) => pieces(flight, 7)],
  [
    'with a fragment for each byte of a message',
    (flight) => [inClear(flight, (content) => pieces(content, 1).map((piece) => record(HANDSHAKE, piece)))],
  ],
  [
    'with fragments of 100 bytes',
    (flight) => [inClear(flight, (content) => pieces(content, 100).map((piece) => record(HANDSHAKE, piece)))],
  ],
  [
    'with its messages in one record',
    first((flight) => {
      const records = recordsOf(flight);
      const rest = records.findIndex(([type]) => type !== HANDSHAKE);
      const joined = records.slice(0, rest < 0 ? records.length : rest).map(contentOf);
      return [record(HANDSHAKE, Buffer.concat(joined)), ...(rest < 0 ? [] : records.slice(rest))];
    }),
  ],
  ['after an empty handshake record', first((flight) => [record(HANDSHAKE, Buffer.alloc(0)), flight])],
  ['after a type that does not exist', first((flight) => [record(99, Buffer.from('x')), flight])],
  ['after data', first((flight) => [record(DATA, Buffer.from('early')), flight])],
  ['after a change of ciphers', first((flight) => [record(CHANGE_CIPHER_SPEC, Buffer.from([1])), flight])],
  [
    'after an invalid change of ciphers',
    first((flight) => [record(CHANGE_CIPHER_SPEC, Buffer.from([2])), flight]),
  ],
  ['after a warning', first((flight) => [record(ALERT, Buffer.from([1, 90])), flight])],
  ['after a fatal alert', first((flight) => [record(ALERT, Buffer.from([2, 40])), flight])],
  ['after the end of TLS', first((flight) => [record(ALERT, Buffer.from([1, 0])), flight])],
  ['after HTTP', first((flight) => [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), flight])],
  ['after a line of SMTP', first((flight) => [Buffer.from('220 mail.test ESMTP ready\r\n'), flight])],
  [
    'after an SSL 2 hello',
    first((flight) => [Buffer.from('802b0100020012000000100100800700c0', 'hex'), flight]),
  ],
  // The flight of a server completes the handshake, and a client notices the second one afterwards.
  ['twice', first((flight) => [isHello(flight) ? Buffer.concat([flight, flight]) : flight])],
  [
    'with data before its Finished message',
    (flight, index) => [...(index === 1 ? [record(DATA, Buffer.alloc(40, 'x'))] : []), flight],
  ],
  ['with a record of the wrong version', flip(1, 2)],
  ['with a record that is too long', first((flight) => [record(HANDSHAKE, Buffer.alloc(17_000)), flight])],
  [
    'with a message that is far too long',
    first(() => [record(HANDSHAKE, Buffer.from([1, 255, 255, 255, 0, 0])), END]),
  ],
  ['of zeros', first((flight) => [Buffer.alloc(flight.length), END])],
  // Its header, its message type and length, the version, the session's id, ciphers and extensions.
  ...[0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 43, 76, 77, 78, 79, 80, 90, 100, 120].map(
    (at) => [`with byte ${at} changed`, flip(at, at % 2 === 0 ? 1 : 0x40)] as const,
  ),
];

for (const version of VERSIONS) {
  for (const [how, mangle] of manglers) {
    test(
      `${version}: gyre and Node treat a peer alike whose handshake comes ${how}`,
      onNode(async (loop, reports) => {
        assertSame(
          await gyreServer(loop, reports, version, mangle),
          await nodeServer(version, mangle),
          'a client',
        );
        assertSame(await gyreClient(loop, version, mangle), await nodeClient(version, mangle), 'a server');
      }),
    );
  }
}
