/**
 * Records that no honest peer sends, after the handshake: gyre accepts what Node accepts, and fails with the
 * same error and the same alert.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import type { SecureVersion, TLSSocket } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { NodeEventLoop } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode, Recorder } from '../../helpers/pairs.ts';
import { ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, HostileTls, record, sealable } from './hostile-tls.ts';
import { recordingServer } from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const CLOSE_NOTIFY = Buffer.from([1, 0]);

/** The state of the victim after an attack. */
interface Damage {
  text: string;
  code: string | undefined;
  reason: string | undefined;
  /** The alert that the attacker gets. */
  alert: string | undefined;
}

type Attack = (peer: HostileTls) => readonly Buffer[];

/** Runs the attack. It ends with the end of TLS, if the victim has not failed by then. */
async function run(peer: HostileTls, attack: Attack): Promise<void> {
  await peer.takeOver();
  await peer.send([...attack(peer), peer.seal(ALERT, CLOSE_NOTIFY)]);
}

function damageOf(text: string, error: unknown, alert: string | undefined): Damage {
  const { code, reason } = (error ?? {}) as { code?: string; reason?: string };
  return { text, code, reason, alert };
}

// --- the victims ---

async function gyreServer(loop: NodeEventLoop, version: SecureVersion, attack: Attack): Promise<Damage> {
  const { server, port, next } = await recordingServer(loop, { ...serverTls(), ...sealable(version) });
  const peer = new HostileTls(connect(port, '127.0.0.1'), false, version);
  const [far] = await Promise.all([next(), run(peer, attack)]);
  await far.untilLost();
  await peer.closed;
  server.close();
  await server.waitClosed();
  return damageOf(far.text, far.exception, peer.alert);
}

async function nodeServer(version: SecureVersion, attack: Attack): Promise<Damage> {
  const server = createTlsServer({ ...serverTls(), ...sealable(version) }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'secureConnection');
  const { port } = server.address() as { port: number };
  const peer = new HostileTls(connect(port, '127.0.0.1'), false, version);
  const running = run(peer, attack);
  const [socket] = (await accepted) as [TLSSocket];
  const seen = watch(socket);
  await running;
  await peer.closed;
  await seen.closed;
  server.close();
  return damageOf(seen.text(), seen.error(), peer.alert);
}

async function gyreClient(loop: NodeEventLoop, version: SecureVersion, attack: Attack): Promise<Damage> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const near = new Recorder();
  const { port } = server.address() as { port: number };
  const connecting = loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
  const [socket] = await accepted;
  const peer = new HostileTls(socket, true, version);
  await Promise.all([connecting, run(peer, attack)]);
  await near.untilLost();
  await peer.closed;
  server.close();
  return damageOf(near.text, near.exception, peer.alert);
}

async function nodeClient(version: SecureVersion, attack: Attack): Promise<Damage> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const { port } = server.address() as { port: number };
  const client = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...clientTls() });
  const seen = watch(client);
  const [socket] = await accepted;
  const peer = new HostileTls(socket, true, version);
  await run(peer, attack);
  await peer.closed;
  await seen.closed;
  server.close();
  return damageOf(seen.text(), seen.error(), peer.alert);
}

function watch(socket: TLSSocket): { text: () => string; error: () => unknown; closed: Promise<unknown> } {
  const chunks: Buffer[] = [];
  let fault: unknown;
  socket.on('data', (data: Buffer) => chunks.push(data));
  socket.on('end', () => socket.end());
  socket.on('error', (error) => {
    fault ??= error;
    // Node leaves the socket open after such an error. The alert leaves first.
    setImmediate(() => socket.destroy());
  });
  return {
    text: () => Buffer.concat(chunks).toString(),
    error: () => fault,
    closed: new Promise((resolve) => socket.once('close', resolve)),
  };
}

// --- the attacks ---

function repeat(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
}

function flipped(sealed: Buffer, at: number): Buffer {
  const copy = Buffer.from(sealed);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

const KEY_UPDATE = Buffer.from([24, 0, 0, 1, 0]);
const KEY_UPDATE_REQUEST = Buffer.from([24, 0, 0, 1, 1]);
const EMPTY = Buffer.alloc(0);

const attacks: readonly (readonly [string, Attack])[] = [
  [
    'a thousand records of a byte in one segment',
    (peer) => [repeat(1000, (i) => peer.seal(DATA, `${i % 10}`))],
  ],
  [
    'a record in segments of a byte',
    (peer) => [...peer.seal(DATA, 'slow but sure')].map((byte) => Buffer.from([byte])),
  ],
  [
    'two records, split at every place',
    (peer) =>
      Array.from({ length: 60 }).flatMap((_, at) => {
        const both = Buffer.concat([peer.seal(DATA, 'a'), peer.seal(DATA, 'b')]);
        return [both.subarray(0, at), both.subarray(at)];
      }),
  ],
  ['the largest record', (peer) => [peer.seal(DATA, Buffer.alloc(16_384, 'x'))]],
  ['a record that is a byte too long', (peer) => [peer.seal(DATA, Buffer.alloc(16_385, 'x'))]],
  ['a record that is far too long', (peer) => [peer.seal(DATA, Buffer.alloc(20_000, 'x'))]],
  [
    'empty records among others',
    (peer) => [Buffer.concat([peer.seal(DATA, EMPTY), peer.seal(DATA, 'x'), peer.seal(DATA, EMPTY)])],
  ],
  ['a hundred empty records', (peer) => [repeat(100, () => peer.seal(DATA, EMPTY))]],
  ['a record with a changed tag', (peer) => [peer.seal(DATA, 'ok'), flipped(peer.seal(DATA, 'bad'), 20)]],
  ['a record with a changed type', (peer) => [flipped(peer.seal(DATA, 'bad'), 0)]],
  ['a record with a changed length', (peer) => [flipped(peer.seal(DATA, 'bad'), 4)]],
  ['a record of another version', (peer) => [flipped(peer.seal(DATA, 'bad'), 1)]],
  ['a record of a later version', (peer) => [flipped(peer.seal(DATA, 'bad'), 2)]],
  [
    'a record that is sent twice',
    (peer) => {
      const sealed = peer.seal(DATA, 'once');
      return [sealed, sealed];
    },
  ],
  ['a record that is missing', (peer) => [peer.seal(DATA, 'first'), peer.seal(DATA, 'lost').subarray(0, 0)]],
  ['records in another order', (peer) => [peer.seal(DATA, '1'), peer.seal(DATA, '2')].reverse()],
  ['data without encryption', () => [record(DATA, Buffer.from('in clear'))]],
  ['an empty record without encryption', () => [record(DATA, EMPTY)]],
  ['a type that does not exist', (peer) => [peer.seal(99, 'what')]],
  ['a header of a type that does not exist', () => [record(99, Buffer.alloc(30))]],
  ['plain HTTP', () => [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')]],
  ['a change of ciphers without encryption', () => [record(CHANGE_CIPHER_SPEC, Buffer.from([1]))]],
  ['a change of ciphers', (peer) => [peer.seal(CHANGE_CIPHER_SPEC, Buffer.from([1]))]],
  // Alerts.
  ['an alert that is fatal', (peer) => [peer.seal(DATA, 'x'), peer.seal(ALERT, Buffer.from([2, 40]))]],
  ['an alert that is fatal and unknown', (peer) => [peer.seal(ALERT, Buffer.from([2, 200]))]],
  [
    'a warning without renegotiation',
    (peer) => [peer.seal(ALERT, Buffer.from([1, 100])), peer.seal(DATA, 'x')],
  ],
  ['ten warnings', (peer) => [repeat(10, () => peer.seal(ALERT, Buffer.from([1, 90])))]],
  ['an alert of a byte', (peer) => [peer.seal(ALERT, Buffer.from([1]))]],
  ['an alert of three bytes', (peer) => [peer.seal(ALERT, Buffer.from([1, 90, 0]))]],
  ['an alert of an unknown level', (peer) => [peer.seal(ALERT, Buffer.from([3, 40]))]],
  ['an empty alert', (peer) => [peer.seal(ALERT, EMPTY)]],
  ['an alert without encryption', () => [record(ALERT, Buffer.from([2, 40]))]],
  [
    'data and garbage behind the end of TLS, in one segment',
    (peer) => [
      Buffer.concat([
        peer.seal(DATA, 'before'),
        peer.seal(ALERT, CLOSE_NOTIFY),
        peer.seal(DATA, 'after'),
        Buffer.from('and garbage'),
      ]),
    ],
  ],
  // Handshake messages.
  ['an empty handshake record', (peer) => [peer.seal(HANDSHAKE, EMPTY)]],
  ['an unknown handshake message', (peer) => [peer.seal(HANDSHAKE, Buffer.from([77, 0, 0, 0]))]],
  [
    'a handshake message that is far too long',
    (peer) => [peer.seal(HANDSHAKE, Buffer.from([4, 255, 255, 255]))],
  ],
  [
    'a second Finished message',
    (peer) => [peer.seal(HANDSHAKE, Buffer.from([20, 0, 0, 12, ...Buffer.alloc(12)]))],
  ],
  ['a HelloRequest', (peer) => [peer.seal(HANDSHAKE, Buffer.from([0, 0, 0, 0]))]],
  [
    'a message in two records with data between',
    (peer) => [
      peer.seal(HANDSHAKE, KEY_UPDATE.subarray(0, 2)),
      peer.seal(DATA, 'between'),
      peer.seal(HANDSHAKE, KEY_UPDATE.subarray(2)),
    ],
  ],
];

/** By TLS 1.2 alone. By TLS 1.3, Node 26 may miss the end of TLS after this warning. */
const attacks12: readonly (readonly [string, Attack])[] = [
  ['a warning', (peer) => [peer.seal(ALERT, Buffer.from([1, 90])), peer.seal(DATA, 'after')]],
];

/** By TLS 1.3 alone. */
const attacks13: readonly (readonly [string, Attack])[] = [
  ['a padded record', (peer) => [peer.seal(DATA, 'padded', 1000), peer.seal(DATA, '!', 16_000)]],
  ['a record of padding only', (peer) => [peer.seal(0, EMPTY, 50)]],
  ['more padding than a record holds', (peer) => [peer.seal(DATA, 'x', 16_384)]],
  [
    'new keys in the middle of a segment',
    (peer) => {
      const parts = [peer.seal(DATA, 'old '), peer.seal(HANDSHAKE, KEY_UPDATE)];
      peer.updateKeys();
      parts.push(peer.seal(DATA, 'new '), peer.seal(HANDSHAKE, KEY_UPDATE));
      peer.updateKeys();
      return [Buffer.concat([...parts, peer.seal(DATA, 'newest')])];
    },
  ],
  [
    'requests for new keys',
    (peer) =>
      Array.from({ length: 20 }, (_, i) => {
        const request = peer.seal(HANDSHAKE, KEY_UPDATE_REQUEST);
        peer.updateKeys();
        return Buffer.concat([request, peer.seal(DATA, `${i},`)]);
      }),
  ],
  [
    'new keys in two records',
    (peer) => {
      const parts = [
        peer.seal(HANDSHAKE, KEY_UPDATE.subarray(0, 2)),
        peer.seal(HANDSHAKE, KEY_UPDATE.subarray(2)),
      ];
      peer.updateKeys();
      return [...parts, peer.seal(DATA, 'whole')];
    },
  ],
  [
    'two requests for new keys in one record',
    (peer) => [peer.seal(HANDSHAKE, Buffer.concat([KEY_UPDATE, KEY_UPDATE]))],
  ],
  [
    'a request for new keys of an unknown kind',
    (peer) => [peer.seal(HANDSHAKE, Buffer.from([24, 0, 0, 1, 2]))],
  ],
  ['data with the old keys', (peer) => [peer.seal(HANDSHAKE, KEY_UPDATE), peer.seal(DATA, 'old')]],
  ['a ticket', (peer) => [peer.seal(HANDSHAKE, Buffer.from([4, 0, 0, 5, 0, 0, 0, 0, 0]))]],
  ['a request for a certificate', (peer) => [peer.seal(HANDSHAKE, Buffer.from([13, 0, 0, 3, 0, 0, 0]))]],
  ['a ClientHello', (peer) => [peer.seal(HANDSHAKE, Buffer.from([1, 0, 0, 2, 3, 3]))]],
];

/**
 * A server of the portable engine takes any handshake message of TLS 1.2 for a renegotiation, as soon as it
 * begins, and sends no alert.
 */
function asRenegotiation(ours: Damage, theirs: Damage): Damage {
  if (theirs.code !== 'ERR_SSL_UNEXPECTED_MESSAGE' || ours.code !== 'ERR_TLS_RENEGOTIATION_DISABLED') {
    return theirs;
  }
  return { ...ours, text: theirs.text };
}

for (const version of VERSIONS) {
  for (const [name, attack] of [...attacks, ...(version === 'TLSv1.3' ? attacks13 : attacks12)]) {
    test(
      `${version}: gyre and Node treat a peer alike that sends ${name}`,
      onNode(async (loop) => {
        const server = await gyreServer(loop, version, attack);
        assert.deepEqual(server, asRenegotiation(server, await nodeServer(version, attack)), 'a client');
        assert.deepEqual(
          await gyreClient(loop, version, attack),
          await nodeClient(version, attack),
          'a server',
        );
      }),
    );
  }
}
