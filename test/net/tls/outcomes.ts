/**
 * Compares gyre's TLS with `node:tls`: the same handshake between two sides of Node, and with gyre on either
 * side. Each side says what it has negotiated, or why it failed.
 */
import assert from 'node:assert/strict';
import type { CipherNameAndProtocol, ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { NodeEventLoop, Protocol, Transport } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import type { Reports } from '../../helpers/loop-fixture.ts';
import { Recorder } from '../../helpers/pairs.ts';
import { recordingServer } from './tls-peers.ts';

export type Maker = 'gyre' | 'node';

/** The options of one handshake. The client's name is localhost by default. */
export interface Case {
  server?: TlsOptions;
  client?: ConnectionOptions;
  /** The code of a gyre server where Node's server says only that the connection has ended. */
  code?: string;
}

/** An answer of a session, for the comparison of both engines. */
export interface Facts {
  protocol: string | null;
  cipher: CipherNameAndProtocol;
  alpn: string | false | null;
  servername: unknown;
  authorized: boolean;
  authorizationError: unknown;
  reused: boolean;
  /** Fingerprints of the certificates. */
  peer: string | undefined;
  own: string | undefined;
  ephemeral: unknown;
  sigalgs: string[] | undefined;
}

/** Values that differ in each handshake, and on which both sides must agree. */
interface Secrets {
  finished: string[];
  exported: string;
}

export interface Failure {
  code: string | undefined;
  reason: string | undefined;
  library: string | undefined;
}

export interface Side {
  facts: Facts | null;
  failure: Failure | null;
}

export interface Outcome {
  client: Side;
  server: Side;
}

type Seen = Side & { secrets: Secrets | null };

/** Reads everything that a session of TLS says of itself. */
export function factsOf(session: TLSSocket): Facts {
  const socket = session as TLSSocket & { servername: unknown };
  return {
    protocol: socket.getProtocol(),
    cipher: socket.getCipher(),
    alpn: socket.alpnProtocol,
    servername: socket.servername,
    authorized: socket.authorized,
    // Node has a code, or null, and its types say Error.
    authorizationError: socket.authorizationError ?? null,
    reused: socket.isSessionReused(),
    peer: socket.getPeerX509Certificate()?.fingerprint256,
    own: socket.getX509Certificate()?.fingerprint256,
    ephemeral: keyOf(socket.getEphemeralKeyInfo()),
    sigalgs: socket.getSharedSigalgs(),
  };
}

/**
 * Returns the key of a key exchange in one form: some versions of Node have a property without a value where
 * others have none. The native engine does not name the hybrid groups of OpenSSL 3.5.
 */
export function keyOf(key: object | null): object | null {
  if (key === null || (key as { type?: string }).type === 'TLSGroup') return key && {};
  return Object.fromEntries(Object.entries(key).filter(([, value]) => value !== undefined));
}

function secretsOf(session: TLSSocket, side: 'client' | 'server'): Secrets {
  const hex = (bytes: Buffer | undefined): string => bytes?.toString('hex') ?? 'none';
  const own = hex(session.getFinished());
  const peer = hex(session.getPeerFinished());
  return {
    finished: side === 'client' ? [own, peer] : [peer, own],
    exported: hex(session.exportKeyingMaterial(40, 'EXPORTER-gyre', Buffer.from('context'))),
  };
}

function seen(session: TLSSocket, side: 'client' | 'server'): Seen {
  return { facts: factsOf(session), failure: null, secrets: secretsOf(session, side) };
}

/** Codes that only say that the peer has gone. It depends on the kernel, which of them it is. */
const GONE: readonly (string | undefined)[] = ['ECONNRESET', 'EPIPE', 'ERR_TLS_TRUNCATED'];

function failed(error: unknown): Seen {
  const { code, reason, library } = (error ?? {}) as Partial<Failure>;
  const gone = error === null || error === undefined || GONE.includes(code);
  const failure = gone ? { code: 'gone', reason: undefined, library: undefined } : { code, reason, library };
  return { facts: null, failure, secrets: null };
}

/** Runs one handshake. The server speaks first, so that a failing server leaves nothing unread. */
export async function outcomeOf(
  loop: NodeEventLoop,
  reports: Reports,
  makers: { client: Maker; server: Maker },
  { server: serverOptions = serverTls(), client: clientOptions = clientTls() }: Case,
): Promise<Outcome> {
  const server =
    makers.server === 'gyre'
      ? await gyreServer(loop, reports, serverOptions)
      : await nodeServer(serverOptions);
  const options = { servername: 'localhost', ...clientOptions };
  const client =
    makers.client === 'gyre'
      ? await gyreClient(loop, server.port, options)
      : await nodeClient(server.port, options);
  const other = await server.seen;
  await server.close();
  assert.deepEqual(client.secrets, other.secrets, 'both sides have the same secrets');
  return { client: withoutSecrets(client), server: withoutSecrets(other) };
}

function withoutSecrets({ facts, failure }: Seen): Side {
  return { facts, failure };
}

interface Listening {
  port: number;
  seen: Promise<Seen>;
  close: () => Promise<void>;
}

async function gyreServer(loop: NodeEventLoop, reports: Reports, options: TlsOptions): Promise<Listening> {
  // In debug mode the loop reports why a handshake failed.
  loop.debug = true;
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  const { server, port, made } = await recordingServer(loop, options);
  const look = async (): Promise<Seen> => {
    for (;;) {
      const [report] = reports.take();
      if (report !== undefined) return failed(report.exception);
      const [recorder] = made;
      if (recorder !== undefined) return serve(recorder);
      await sleep(0.0005);
    }
  };
  return {
    port,
    seen: look(),
    close: async () => {
      server.close();
      server.abortClients();
      await server.waitClosed();
      loop.debug = false;
    },
  };
}

async function serve(recorder: Recorder): Promise<Seen> {
  recorder.transport.write('ping');
  await recorder.until(() => recorder.lost || recorder.received > 0);
  if (recorder.received === 0) return failed(recorder.exception);
  return seen(sessionOf(recorder.transport), 'server');
}

export function sessionOf(transport: Transport): TLSSocket & { servername: string | false | null } {
  return transport.getExtraInfo('sslObject') as TLSSocket & { servername: string | false | null };
}

async function nodeServer(options: TlsOptions): Promise<Listening> {
  const server = createTlsServer(options);
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const result = new Promise<Seen>((resolve) => {
    server.once('tlsClientError', (error) => resolve(failed(error)));
    server.once('secureConnection', (socket) => {
      socket.on('error', (error) => resolve(failed(error)));
      socket.once('close', () => resolve(failed(null)));
      socket.once('data', () => {
        resolve(seen(socket, 'server'));
        socket.end();
      });
      socket.write('ping');
    });
  });
  return {
    port: (server.address() as { port: number }).port,
    seen: result,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function gyreClient(loop: NodeEventLoop, port: number, options: ConnectionOptions): Promise<Seen> {
  const recorder = new Recorder();
  const connecting = loop.createConnection((): Protocol => recorder, '127.0.0.1', port, {
    ssl: options,
    // Without this, gyre rejects an empty name, because a program may have left it empty by mistake.
    ...(options.servername === '' ? { serverHostname: '' } : {}),
  });
  try {
    await connecting;
  } catch (error) {
    return failed(error);
  }
  await recorder.until(() => recorder.lost || recorder.received > 0);
  if (recorder.received === 0) return failed(recorder.exception);
  const result = seen(sessionOf(recorder.transport), 'client');
  recorder.transport.write('pong');
  recorder.transport.close();
  await recorder.untilLost();
  return result;
}

function nodeClient(port: number, options: ConnectionOptions): Promise<Seen> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, ...options });
    let result: Seen | null = null;
    let fault: unknown = null;
    socket.on('error', (error) => {
      fault = error;
    });
    socket.once('close', () => resolve(result ?? failed(fault)));
    socket.once('data', () => {
      result = seen(socket, 'client');
      socket.end('pong');
    });
  });
}

const PAIRINGS: readonly { client: Maker; server: Maker }[] = [
  { client: 'gyre', server: 'node' },
  { client: 'node', server: 'gyre' },
];

/**
 * Returns the body of a test, for `onNode()`: gyre on either side has the same outcome as Node on both.
 *
 * @param check checks Node's outcome, so that a case cannot lose its point unseen
 */
export function agrees(
  one: Case,
  check: (outcome: Outcome) => void,
): (loop: NodeEventLoop, reports: Reports) => Promise<void> {
  return async (loop, reports) => {
    const expected = await outcomeOf(loop, reports, { client: 'node', server: 'node' }, one);
    check(expected);
    for (const makers of PAIRINGS) {
      const outcome = await outcomeOf(loop, reports, makers, one);
      if (makers.server === 'gyre' && one.code !== undefined) {
        assert.deepEqual([expected.server.failure?.code, outcome.server.failure?.code], ['gone', one.code]);
        outcome.server.failure = expected.server.failure;
      }
      assert.deepEqual(outcome, expected, `client by ${makers.client}, server by ${makers.server}`);
    }
  };
}

/** A check for {@link agrees}: both sides are connected, and have these facts. */
export function connected(facts: Partial<Facts> = {}): (outcome: Outcome) => void {
  return ({ client, server }) => {
    assert.deepEqual([client.failure, server.failure], [null, null]);
    for (const [name, value] of Object.entries(facts)) {
      assert.deepEqual(client.facts?.[name as keyof Facts], value, name);
    }
  };
}

/** A check for {@link agrees}: both sides fail, with these codes. */
export function refused(client: RegExp, server: RegExp): (outcome: Outcome) => void {
  return (outcome) => {
    assert.match(String(outcome.client.failure?.code), client);
    assert.match(String(outcome.server.failure?.code), server);
  };
}
