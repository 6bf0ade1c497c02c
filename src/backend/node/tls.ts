/**
 * TLS by `node:tls`, without a socket: a `TLSSocket` over a stream in memory. What the peer sent goes into that stream and comes
 * out of the `TLSSocket` decrypted; and the other way round.
 *
 * Facts. Over a stream that is no socket Node hands ciphertext over by 160 KiB at most and then goes through the host's loop once
 * more; so whoever gives it little at a time keeps little in memory. The end of that stream would be taken for the end of TLS,
 * so it never ends. A server's `TLSSocket` without a `tls.Server` leaves looking at the client's certificate to its maker, and
 * tells of its handshake by `secure`, of errors after it by `_tlsError`.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import type {
  ConnectionOptions,
  PeerCertificate,
  SecureContext,
  TLSSocketOptions,
  TlsOptions,
} from 'node:tls';
import { checkServerIdentity, connect, createSecureContext, TLSSocket } from 'node:tls';
import { invalidArgType } from '../../base/validate.ts';
import type { RawTls, TlsContext, TlsEvents, TlsTarget } from '../backend.ts';

/** What the host's TLS is made with: the secure context, made once, and the options that are each session's. */
interface NodeTlsContext extends TlsContext {
  readonly secureContext: SecureContext;
  readonly options: ConnectionOptions & TlsOptions;
  /** What callbacks among the options threw or answered: not the peer's fault. */
  readonly ownErrors: WeakSet<Error>;
}

/** Of a connection or a listening socket, not of TLS. */
const FOREIGN_OPTIONS: readonly string[] = [
  'socket',
  'host',
  'port',
  'path',
  'lookup',
  'timeout',
  'handshakeTimeout',
  'isServer',
  'server',
  'onread',
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'signal',
];

const FUNCTIONS: readonly string[] = ['checkServerIdentity', 'SNICallback', 'ALPNCallback', 'pskCallback'];

/** What a server can prove itself with. */
const SERVER_PROOFS: readonly (keyof TlsOptions)[] = ['cert', 'pfx', 'SNICallback', 'pskCallback'];

export function tlsContext(ssl: unknown, serverSide: boolean): TlsContext {
  const ownErrors = new WeakSet<Error>();
  if (isSecureContext(ssl)) {
    return { serverSide, secureContext: ssl, options: {}, ownErrors } satisfies NodeTlsContext as TlsContext;
  }
  const options: ConnectionOptions & TlsOptions = ssl === true ? {} : { ...(ssl as object) };
  checkTlsOptions(options, serverSide);
  const secureContext = serverSide
    ? serverContext(options)
    : (options.secureContext ?? createSecureContext(options));
  watchCallbacks(options, ownErrors);
  return { serverSide, secureContext, options, ownErrors } satisfies NodeTlsContext as TlsContext;
}

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
      : connect(clientOptions(context, serverHostname, this.#pipe)).once('secureConnect', this.#onSecure);
    this.#socket = socket;
    socket.on('data', (data: Buffer) => this.#events?.onDecrypted(data));
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
    setImmediate(() => {
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
    // Errors after the handshake, which Node keeps to itself as long as no `tls.Server` has answered the socket.
    socket.on('_tlsError', this.#onError);
    socket.once('secure', () => {
      const error = requestCert ? clientError(socket) : null;
      socket.authorized = requestCert && error === null;
      if (error !== null) socket.authorizationError = error.code as unknown as Error;
      if (error !== null && rejectUnauthorized) this.#fail(error);
      else this.#onSecure();
    });
    return socket;
  }

  #onSecure = (): void => {
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
  };

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

function isSecureContext(ssl: unknown): ssl is SecureContext {
  return typeof ssl === 'object' && ssl !== null && (ssl as { context?: unknown }).context !== undefined;
}

function checkTlsOptions(options: ConnectionOptions & TlsOptions, serverSide: boolean): void {
  const all = options as Record<string, unknown>;
  for (const name of FOREIGN_OPTIONS) {
    if (all[name] === undefined) continue;
    throw invalidArgType(`ssl.${name}`, all[name], 'absent: it is an option of the connection, not of TLS');
  }
  for (const name of FUNCTIONS) {
    if (all[name] !== undefined && typeof all[name] !== 'function') {
      throw invalidArgType(`ssl.${name}`, all[name], 'a function');
    }
  }
  if (!serverSide) return;
  if (all.secureContext !== undefined) {
    throw invalidArgType(
      'ssl.secureContext',
      all.secureContext,
      'absent: give the secure context itself as ssl',
    );
  }
  if (options.ALPNCallback !== undefined && options.ALPNProtocols !== undefined) {
    throw invalidArgType('ssl.ALPNCallback', options.ALPNCallback, 'absent, as there are ALPNProtocols');
  }
  if (SERVER_PROOFS.every((name) => options[name] === undefined)) {
    throw invalidArgType('ssl.cert', options.cert, 'the certificate of the server');
  }
}

/** With what a `tls.Server` adds for itself. */
function serverContext(options: TlsOptions): SecureContext {
  return createSecureContext({
    honorCipherOrder: true,
    // Without one no session of a client that has shown a certificate can be resumed: OpenSSL refuses them.
    sessionIdContext: createHash('sha1').update(process.argv.join(' ')).digest('hex').slice(0, 32),
    ...options,
  });
}

function clientOptions(
  { options, secureContext }: NodeTlsContext,
  serverHostname: string | null,
  socket: Duplex,
): ConnectionOptions {
  const isAddress = serverHostname !== null && isIP(serverHostname) !== 0;
  const check = serverHostname === null ? anyName : isAddress ? checkAddress : checkServerIdentity;
  return {
    ...options,
    checkServerIdentity: options.checkServerIdentity ?? check,
    secureContext,
    socket,
    // Node takes the name to look for from here; SNI must be no address, which is then looked for as the host.
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

type Callback = (...args: unknown[]) => unknown;

/**
 * Puts watched callbacks in the place of the given ones: what they fail with is remembered as ours.
 *
 * Facts. What `checkServerIdentity` throws Node does not catch: it is an uncaught exception, thrown through the middle of the
 * session, after which nothing more comes of it.
 */
function watchCallbacks(options: ConnectionOptions & TlsOptions, ownErrors: WeakSet<Error>): void {
  const own = (error: unknown, name: string): Error => {
    const wrapped = error instanceof Error ? error : new Error(`${name} failed`, { cause: error });
    ownErrors.add(wrapped);
    return wrapped;
  };
  const { SNICallback, checkServerIdentity: check } = options;
  if (SNICallback !== undefined) {
    options.SNICallback = (servername, done) => {
      try {
        SNICallback(servername, (error, context) => {
          // Node takes what is no context for none, and shows the client the server's own certificate.
          const isWrong = Boolean(context) && !isSecureContext(context);
          const wrong = isWrong ? invalidArgType('context', context, 'a tls.SecureContext') : null;
          const fault = error ?? wrong;
          done(fault === null ? null : own(fault, 'SNICallback'), context);
        });
      } catch (error) {
        done(own(error, 'SNICallback'));
      }
    };
  }
  const { ALPNCallback, pskCallback } = options as Record<string, Callback | undefined>;
  for (const [name, callback] of Object.entries({ ALPNCallback, pskCallback })) {
    if (callback === undefined) continue;
    Object.assign(options, {
      [name](this: unknown, ...args: unknown[]): unknown {
        try {
          return callback.apply(this, args);
        } catch (error) {
          throw own(error, name);
        }
      },
    });
  }
  if (check !== undefined) {
    options.checkServerIdentity = (host, certificate) => {
      try {
        const answer: unknown = check(host, certificate);
        return answer ? own(answer, 'checkServerIdentity') : undefined;
      } catch (error) {
        return own(error, 'checkServerIdentity');
      }
    };
  }
}

function anyName(): undefined {}

/** Asked of OpenSSL: Node 22.23 finds no IPv6 address in any certificate. */
function checkAddress(host: string, certificate: PeerCertificate): Error | undefined {
  if (new X509Certificate(certificate.raw).checkIP(host) !== undefined) return undefined;
  const error = checkServerIdentity(host, certificate);
  if (error !== undefined) return error;
  return Object.assign(new Error(`${host} is not among the addresses of the certificate`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}

function ignore(): void {}
