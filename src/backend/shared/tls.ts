/**
 * TLS with `node:tls`, without a socket: a `TLSSocket` over a stream in memory. The peer's bytes are pushed
 * into that stream, and the `TLSSocket` emits them decrypted. In the other direction, the `TLSSocket` writes
 * encrypted bytes to the stream.
 *
 * Over a stream that is not a socket, Node passes at most 160 KiB of ciphertext on in one iteration of the
 * host's loop. So a caller that passes small pieces keeps little in memory. Node would take the end of the
 * stream for the end of TLS, so the stream never ends. A server's `TLSSocket` without a `tls.Server` does not
 * check the client's certificate. It reports the handshake with the event `secure`, and later errors with
 * `_tlsError`.
 */

import type { Duplex } from 'node:stream';
import type { ConnectionOptions, PeerCertificate, TLSSocket, TLSSocketOptions } from 'node:tls';
import { hostSetImmediate } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawTls, TlsEvents, TlsTarget } from '../backend.ts';
import type { NodeTlsContext } from './tls-context.ts';
import { anyName, checkIdentity, noClientCertificate } from './tls-identity.ts';

export function wrapTls({ context, serverHostname }: TlsTarget, events: TlsEvents): RawTls {
  return new NodeTls(context as NodeTlsContext, serverHostname, events);
}

class NodeTls implements RawTls {
  readonly #context: NodeTlsContext;
  readonly #pipe: Duplex;
  readonly #socket: TLSSocket;
  #events: TlsEvents | null;

  constructor(context: NodeTlsContext, serverHostname: string | null, events: TlsEvents) {
    this.#context = context;
    this.#events = events;
    this.#pipe = cipherPipe((data) => this.#events?.onEncrypted(data));
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
    // The end of the session, not of the stream below, which Deno never ends.
    socket.once('finish', () => this.#events?.onEnded());
    this.#pipe.on('error', ignore);
  }

  decrypt(data: Uint8Array): void {
    this.#pipe.push(data);
  }

  decryptEnd(): void {
    // Decrypted data was delivered by now, but the end takes a tick.
    hostSetImmediate(() => {
      if (!this.#socket.readableEnded) this.#events?.onTruncated();
    });
  }

  encrypt(chunks: Uint8Array[]): boolean {
    const socket = this.#socket;
    const last = chunks.length - 1;
    socket.cork();
    for (let i = 0; i < last; i++) socket.write(chunks[i] as Uint8Array);
    socket.write(chunks[last] as Uint8Array, this.#onWritten);
    socket.uncork();
    return false;
  }

  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#events = null;
    this.#socket.destroy();
    this.#pipe.destroy();
  }

  #connect(pipe: Duplex, context: NodeTlsContext, serverHostname: string | null): TLSSocket {
    const socket = node.tls.connect(clientOptions(context, serverHostname, pipe));
    return socket.once(
      'secureConnect',
      this.#guarded(() => this.#onSecure()),
    );
  }

  #accept(pipe: Duplex, { options, secureContext }: NodeTlsContext): TLSSocket {
    // The same rules as in a `tls.Server`: only these exact values reduce the checks.
    const requestCert = options.requestCert === true;
    const rejectUnauthorized = options.rejectUnauthorized !== false;
    const socket = new node.tls.TLSSocket(pipe, {
      ...options,
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized,
    } as TLSSocketOptions);
    // Reports errors after the handshake. Node emits no `error` event for them without a `tls.Server`.
    socket.on('_tlsError', this.#onError);
    // With TLS 1.2, a client could present another certificate in a renegotiation. OpenSSL 3 forbids that by
    // default, but Node allows it.
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

  /** An exception in a listener would otherwise leave Node's TLS code in the middle of the session. */
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

  /** Other code has destroyed the socket, which it got as `sslObject`. */
  #onClose = (): void => {
    if (this.#events === null || this.#socket.readableEnded) return;
    this.#fail(Object.assign(new Error('the TLS session was destroyed'), { code: 'ERR_SOCKET_CLOSED' }));
  };

  #fail(error: Error): void {
    const events = this.#events;
    this.close();
    events?.onError(error, this.#context.ownErrors.has(error) || isInvalidResult(error));
  }
}

/** Returns the stream below the `TLSSocket`, which carries the encrypted bytes. */
function cipherPipe(onEncrypted: (data: Buffer) => void): Duplex {
  return new node.stream.Duplex({
    read() {},
    write(data, _encoding, done) {
      onEncrypted(data);
      done();
    },
  });
}

function clientOptions(
  { options, secureContext }: NodeTlsContext,
  serverHostname: string | null,
  socket: Duplex,
): ConnectionOptions {
  const isAddress = serverHostname !== null && node.net.isIP(serverHostname) !== 0;
  return {
    ...options,
    checkServerIdentity: options.checkServerIdentity ?? (serverHostname === null ? anyName : checkIdentity),
    secureContext,
    socket,
    // Node compares the certificate with this name and also sends it as SNI. SNI must not be an IP address,
    // so an address is passed as the host.
    servername: isAddress ? '' : (serverHostname ?? ''),
    ...(isAddress ? { host: serverHostname } : {}),
  };
}

/** Returns the error of a client's certificate that was requested, as a `tls.Server` would find it. */
function clientError(socket: TLSSocket): (Error & { code?: string }) | null {
  // There is no public property for it.
  const { verifyError } = (
    socket as unknown as { ssl: { verifyError(): (Error & { code?: string }) | null } }
  ).ssl;
  const error = verifyError.call((socket as unknown as { ssl: object }).ssl);
  if (error !== null && error !== undefined) return error;
  // OpenSSL reports no error for a session that was resumed without a certificate.
  if (socket.getPeerCertificate()?.raw !== undefined) return null;
  return noClientCertificate();
}

/** Codes of Node for invalid results of callbacks in the options. A peer cannot cause them. */
const INVALID_RESULTS: readonly string[] = [
  'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_MULTIPLE_CALLBACK',
];

function isInvalidResult({ code }: Error & { code?: string }): boolean {
  return code !== undefined && INVALID_RESULTS.includes(code);
}

/**
 * Closes most ways to transfer memory that `data` is a part of. Node 24 decrypts for all TLS connections of a
 * thread into the same 64 KiB, as long as there is room: transferred by one program, they would be missing
 * for every other connection, and Node would throw at its next read.
 */
function keepShared({ length, buffer }: Buffer): void {
  if (length === buffer.byteLength || kept.has(buffer)) return;
  kept.add(buffer);
  // Other hosts may lack the function.
  node.worker_threads.markAsUntransferable?.(buffer);
}

/** The memory that cannot be transferred any more. */
const kept: WeakSet<ArrayBufferLike> = new WeakSet();

function ignore(): void {}
