/** The context of TLS sessions. The options of `node:tls` are checked and copied once, for all sessions. */

import type { ConnectionOptions, SecureContext, SecureContextOptions, TlsOptions } from 'node:tls';
import { UnusableError } from '../../base/unusable.ts';
import { invalidArgType } from '../../base/validate.ts';
import { node } from '../../platform/node-modules.ts';
import type { TlsContext } from '../backend.ts';

export interface NodeTlsContext extends TlsContext {
  readonly secureContext: SecureContext;
  /** The options that `secureContext` was made from. null: the caller has passed it. */
  readonly contextOptions: SecureContextOptions | null;
  /** The options of each session, with callbacks that never throw. */
  readonly options: ConnectionOptions & TlsOptions;
  /** Errors that callbacks in the options threw or returned. The peer did not cause them. */
  readonly ownErrors: WeakSet<Error>;
}

/** Options of a connection or a listening socket, not of TLS. */
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

/**
 * Node tests some of these options for truth, and compares others with true or false. So `1` would mean yes
 * for some and no for others.
 */
const BOOLEANS: readonly string[] = [
  'requestCert',
  'rejectUnauthorized',
  'honorCipherOrder',
  'requestOCSP',
  'enableTrace',
  'allowPartialTrustChain',
];

/** Options with which a server can authenticate itself. */
const SERVER_PROOFS: readonly (keyof TlsOptions)[] = ['cert', 'pfx', 'SNICallback', 'pskCallback'];

const LONGEST_PROTOCOL_BYTES = 255;
const LONGEST_SESSION_ID_CONTEXT = 32;

export function tlsContext(ssl: unknown, serverSide: boolean): NodeTlsContext {
  const ownErrors = new WeakSet<Error>();
  if (isSecureContext(ssl)) {
    return { serverSide, secureContext: ssl, contextOptions: null, options: {}, ownErrors };
  }
  const options: ConnectionOptions & TlsOptions = ssl === true ? {} : { ...(ssl as object) };
  checkTlsOptions(options, serverSide);
  copyMutable(options);
  const { secureContext: given } = options;
  const contextOptions = given !== undefined ? null : serverSide ? serverOptions(options) : options;
  const secureContext = given ?? node.tls.createSecureContext(contextOptions ?? {});
  guardCallbacks(options, ownErrors);
  return { serverSide, secureContext, contextOptions, options, ownErrors };
}

function isSecureContext(ssl: unknown): ssl is SecureContext {
  return typeof ssl === 'object' && ssl !== null && (ssl as { context?: unknown }).context !== undefined;
}

function checkTlsOptions(options: ConnectionOptions & TlsOptions, serverSide: boolean): void {
  const all = options as Record<string, unknown>;
  for (const name of FOREIGN_OPTIONS) {
    if (all[name] === undefined) continue;
    throw new UnusableError(all[name], 'absent: it is an option of the connection, not of TLS', `.${name}`);
  }
  for (const name of FUNCTIONS) {
    if (all[name] !== undefined && typeof all[name] !== 'function') {
      throw new UnusableError(all[name], 'a function', `.${name}`);
    }
  }
  for (const name of BOOLEANS) {
    if (all[name] !== undefined && typeof all[name] !== 'boolean') {
      throw new UnusableError(all[name], 'a boolean', `.${name}`);
    }
  }
  checkProtocols(all.ALPNProtocols);
  if (!serverSide) return;
  if (all.secureContext !== undefined) {
    const accepted = 'absent: pass the secure context itself as ssl';
    throw new UnusableError(all.secureContext, accepted, '.secureContext');
  }
  if (options.ALPNCallback !== undefined && options.ALPNProtocols !== undefined) {
    throw new UnusableError(options.ALPNCallback, 'absent, as there are ALPNProtocols', '.ALPNCallback');
  }
  if (SERVER_PROOFS.every((name) => options[name] === undefined)) {
    throw new UnusableError(options.cert, 'the certificate of the server', '.cert');
  }
}

/** Node ignores a value that is not a list, and finds an invalid name only when a peer connects. */
function checkProtocols(protocols: unknown): void {
  if (protocols === undefined || ArrayBuffer.isView(protocols)) return;
  if (Array.isArray(protocols) && protocols.every(isProtocol)) return;
  const accepted = `an array of names of 1 to ${LONGEST_PROTOCOL_BYTES} bytes, or the bytes of such a list`;
  throw new UnusableError(protocols, accepted, '.ALPNProtocols');
}

function isProtocol(name: unknown): boolean {
  return typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= LONGEST_PROTOCOL_BYTES;
}

/** Copies the options that later sessions read again, because their owner may change them after the call. */
function copyMutable(options: ConnectionOptions & TlsOptions): void {
  const { ALPNProtocols: protocols, session } = options;
  if (Array.isArray(protocols)) options.ALPNProtocols = [...protocols];
  else if (protocols !== undefined) options.ALPNProtocols = bytesOf(protocols as Uint8Array);
  if (ArrayBuffer.isView(session)) options.session = bytesOf(session);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(new Uint8Array(buffer, byteOffset, byteLength));
}

/**
 * Returns the options of a server's secure context, with the additions that a `tls.Server` makes.
 *
 * OpenSSL resumes the session of a client that has sent a certificate if the session id contexts are equal,
 * and verifies nothing again. It does not call `SNICallback` for a resumed session. So a certificate that was
 * accepted for one name of the server would be accepted for every other name.
 */
function serverOptions(options: TlsOptions): SecureContextOptions {
  const { requestCert, SNICallback, sessionIdContext, secureOptions = 0 } = options;
  const noTickets = requestCert === true && SNICallback !== undefined;
  return {
    honorCipherOrder: true,
    ...options,
    sessionIdContext: sessionIdContext ?? verificationDigest(options),
    // OpenSSL's options have 64 bits, but `|` works with 32.
    secureOptions: noTickets
      ? Number(BigInt(secureOptions) | BigInt(node.crypto.constants.SSL_OP_NO_TICKET))
      : secureOptions,
  };
}

/**
 * Returns the same digest for two servers of one program that verify their clients in the same way. The
 * default of a `tls.Server` does not include the verification.
 */
function verificationDigest({ requestCert, ca, crl, pfx, ...options }: TlsOptions): string {
  const { allowPartialTrustChain } = options as { allowPartialTrustChain?: boolean };
  const verification = [process.argv, requestCert, ca, crl, pfx, allowPartialTrustChain];
  const text = JSON.stringify(verification, (_key, value: unknown) =>
    ArrayBuffer.isView(value) ? bytesOf(value).toString('base64') : value,
  );
  return node.crypto.createHash('sha256').update(text).digest('hex').slice(0, LONGEST_SESSION_ID_CONTEXT);
}

type Callback = (...args: unknown[]) => unknown;

/**
 * Replaces the callbacks by guarded ones, which record the errors that a callback throws or returns.
 *
 * Node does not catch an exception of `checkServerIdentity`: it becomes an uncaught exception in the middle
 * of the session, and the session stops without another event.
 */
function guardCallbacks(options: ConnectionOptions & TlsOptions, ownErrors: WeakSet<Error>): void {
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
          // Node takes an invalid context for a missing one, and sends the client the server's default
          // certificate.
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
