/**
 * TLS by `node:tls`, without a socket: a `TLSSocket` over a stream in memory. What the peer sent goes into
 * that stream and comes out of the `TLSSocket` decrypted; and the other way round.
 *
 * Facts. Over a stream that is no socket Node hands ciphertext over by 160 KiB at most and then goes through
 * the host's loop once more; so whoever gives it little at a time keeps little in memory. The end of that
 * stream would be taken for the end of TLS, so it never ends. A server's `TLSSocket` without a `tls.Server`
 * leaves looking at the client's certificate to its maker, and tells of its handshake by `secure`, of errors
 * after it by `_tlsError`.
 */

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import type { ConnectionOptions, PeerCertificate, TLSSocketOptions } from 'node:tls';
import { checkServerIdentity, connect, TLSSocket } from 'node:tls';
import * as workerThreads from 'node:worker_threads';
import { hostSetImmediate } from '../../base/host.ts';
import type { RawTls, TlsEvents, TlsTarget } from '../backend.ts';
import type { NodeTlsContext } from './tls-context.ts';

export function wrapTls({ context, serverHostname }: TlsTarget, events: TlsEvents): RawTls {
  return new NodeTls(context as NodeTlsContext, serverHostname, events);
}

class NodeTls implements RawTls {
  readonly #context: NodeTlsContext;
  readonly #pipe: CipherPipe;
  readonly #socket: TLSSocket;
  #events: TlsEvents | null;

  constructor(context: NodeTlsContext, serverHostname: string | null, events: TlsEvents) {
    this.#context = context;
    this.#events = events;
    this.#pipe = new CipherPipe((data) => this.#events?.onEncrypted(data));
    const socket = context.serverSide
      ? this.#accept(this.#pipe, context)
      : this.#connect(this.#pipe, context, serverHostname);
    this.#socket = socket;
    socket.on('data', (data: Buffer) => {
      keepShared(data);
      this.#events?.onDecrypted(data);
    });
    socket.once('end', () => this.#events?.onEnd());
    socket.on('error', this.#onError);
    socket.once('close', this.#onClose);
    // Of the session, not of the pipe below: Deno never ends that.
    socket.once('finish', () => this.#events?.onEnded());
    this.#pipe.on('error', ignore);
  }

  decrypt(data: Uint8Array): void {
    this.#pipe.push(data);
  }

  decryptEnd(): void {
    // What was decrypted is told by now, but its end takes a tick.
    hostSetImmediate(() => {
      if (!this.#socket.readableEnded) this.#events?.onTruncated();
    });
  }

  encrypt(chunks: Uint8Array[]): void {
    const socket = this.#socket;
    const last = chunks.length - 1;
    socket.cork();
    for (let i = 0; i < last; i++) socket.write(chunks[i] as Uint8Array);
    socket.write(chunks[last] as Uint8Array, this.#onWritten);
    socket.uncork();
  }

  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#events = null;
    this.#socket.destroy();
    this.#pipe.destroy();
  }

  #connect(pipe: CipherPipe, context: NodeTlsContext, serverHostname: string | null): TLSSocket {
    const socket = connect(clientOptions(context, serverHostname, pipe));
    return socket.once(
      'secureConnect',
      this.#guarded(() => this.#onSecure()),
    );
  }

  #accept(pipe: CipherPipe, { options, secureContext }: NodeTlsContext): TLSSocket {
    // As a `tls.Server` takes them: nothing but these values asks for less.
    const requestCert = options.requestCert === true;
    const rejectUnauthorized = options.rejectUnauthorized !== false;
    const socket = new TLSSocket(pipe, {
      ...options,
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized,
    } as TLSSocketOptions);
    // Errors after the handshake, which Node keeps to itself as long as no `tls.Server` has answered the
    // socket.
    socket.on('_tlsError', this.#onError);
    // A client of TLS 1.2 could show another certificate. OpenSSL 3 refuses to renegotiate, too, unless it is
    // told otherwise, as by Node.
    socket.disableRenegotiation?.();
    socket.on(
      'secure',
      this.#guarded(() => {
        const error = requestCert ? clientError(socket) : null;
        socket.authorized = requestCert && error === null;
        if (error !== null) socket.authorizationError = error.code as unknown as Error;
        if (error !== null && rejectUnauthorized) this.#fail(error);
        else this.#onSecure();
      }),
    );
    return socket;
  }

  /** Node would throw it through the middle of the session. */
  #guarded(listener: () => void): () => void {
    return () => {
      try {
        listener();
      } catch (error) {
        this.#fail(error as Error);
      }
    };
  }

  #onSecure(): void {
    const socket = this.#socket;
    const certificate: PeerCertificate | null = socket.getPeerCertificate();
    const extra = {
      sslObject: socket,
      sslContext: this.#context.secureContext,
      peercert: certificate?.raw === undefined ? null : certificate,
      cipher: socket.getCipher(),
      compression: null,
    };
    this.#events?.onSecure({ extra });
  }

  #onWritten = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#events?.onDrained();
  };

  #onError = (error: Error): void => this.#fail(error);

  /** Ended by somebody who got hold of the `sslObject`. */
  #onClose = (): void => {
    if (this.#events === null || this.#socket.readableEnded) return;
    this.#fail(Object.assign(new Error('the TLS session was destroyed'), { code: 'ERR_SOCKET_CLOSED' }));
  };

  #fail(error: Error): void {
    const events = this.#events;
    this.close();
    events?.onError(error, this.#context.ownErrors.has(error) || isAboutAnAnswer(error));
  }
}

/** The encrypted side. */
class CipherPipe extends Duplex {
  readonly #onEncrypted: (data: Buffer) => void;

  constructor(onEncrypted: (data: Buffer) => void) {
    super();
    this.#onEncrypted = onEncrypted;
  }

  override _read(): void {}

  override _write(data: Buffer, _encoding: string, done: () => void): void {
    this.#onEncrypted(data);
    done();
  }
}

function clientOptions(
  { options, secureContext }: NodeTlsContext,
  serverHostname: string | null,
  socket: Duplex,
): ConnectionOptions {
  const isAddress = serverHostname !== null && isIP(serverHostname) !== 0;
  return {
    ...options,
    checkServerIdentity: options.checkServerIdentity ?? (serverHostname === null ? anyName : checkIdentity),
    secureContext,
    socket,
    // Node takes the name to look for from here; SNI must be no address, which is then looked for as the
    // host.
    servername: isAddress ? '' : (serverHostname ?? ''),
    ...(isAddress ? { host: serverHostname } : {}),
  };
}

/** What is wrong with the certificate of a client that was asked for one, as a `tls.Server` sees it. */
function clientError(socket: TLSSocket): (Error & { code?: string }) | null {
  // No public property says so.
  const { verifyError } = (
    socket as unknown as { ssl: { verifyError(): (Error & { code?: string }) | null } }
  ).ssl;
  const error = verifyError.call((socket as unknown as { ssl: object }).ssl);
  if (error !== null && error !== undefined) return error;
  // OpenSSL finds nothing wrong with a session that was resumed without a certificate.
  if (socket.getPeerCertificate()?.raw !== undefined) return null;
  return Object.assign(new Error('the client has shown no certificate'), {
    code: 'UNABLE_TO_GET_ISSUER_CERT',
  });
}

/** Node's words for what a callback among the options has answered. No peer can bring these about. */
const ANSWER_ERRORS: readonly string[] = [
  'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_MULTIPLE_CALLBACK',
];

function isAboutAnAnswer({ code }: Error & { code?: string }): boolean {
  return code !== undefined && ANSWER_ERRORS.includes(code);
}

/**
 * Closes most ways to transfer memory that `data` is a part of. Node 24 decrypts for all TLS connections of a thread into
 * the same 64 KiB, as long as there is room: transferred by one program, they would be missing for every other
 * connection, and Node would throw at its next read.
 */
function keepShared(data: Buffer): void {
  if (data.length === data.buffer.byteLength) return;
  // Other hosts may lack the function.
  workerThreads.markAsUntransferable?.(data.buffer);
}

function anyName(): undefined {}

/** Never throws: see `guardCallbacks()` in tls-context.ts. */
function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  try {
    return isIP(host) === 0 ? checkServerIdentity(host, certificate) : checkAddress(host, certificate);
  } catch (error) {
    return notNamed(host, error);
  }
}

/** Asks OpenSSL: Node 22.23 finds no IPv6 address in any certificate. */
function checkAddress(host: string, certificate: PeerCertificate): Error | undefined {
  // A server with a pre-shared key has shown no certificate.
  const { raw } = certificate as Partial<PeerCertificate>;
  if (raw !== undefined && new X509Certificate(raw).checkIP(host) !== undefined) return undefined;
  return checkServerIdentity(host, certificate) ?? notNamed(host);
}

function notNamed(host: string, cause?: unknown): Error {
  const error = new Error(`the certificate does not name ${host}`, cause === undefined ? {} : { cause });
  return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

function ignore(): void {}
