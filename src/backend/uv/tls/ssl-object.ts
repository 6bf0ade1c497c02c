/**
 * The `sslObject` of the native engine: it tells of a session what a `TLSSocket` of Node tells, by the same
 * methods and with the same values. It is no stream, and data flows through the transport only.
 */
import type { X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type {
  CipherNameAndProtocol,
  DetailedPeerCertificate,
  EphemeralKeyInfo,
  PeerCertificate,
} from 'node:tls';
import { LoopError } from '../../../base/errors.ts';
import { checkFunction, checkInteger, checkString, invalidArgType } from '../../../base/validate.ts';
import { node } from '../../../platform/node-modules.ts';
import type { Id } from '../addon.ts';
import { addon } from '../dispatch.ts';
import { wrapSession } from './session-state.ts';

/** The id of no session. The native part returns its null value for it. */
const NO_SESSION: Id = -1;
const MAX_UINT32 = 0xff_ff_ff_ff;
const MAX_INT32 = 0x7f_ff_ff_ff;

/** The bits of `tlsWatch`. */
const WATCHED: Readonly<Record<string, number>> = { session: 1, keylog: 2 };

type Listener = Parameters<EventEmitter['on']>[1];

/**
 * Events: `session` with a session that a client can resume later, `keylog` with a line for a file of keys,
 * and `close`. After the end of the connection its methods return null.
 */
export class SslObject extends EventEmitter {
  readonly encrypted: boolean = true;
  /** Whether the peer's certificate was verified. A server that requests none leaves it false. */
  authorized: boolean = false;
  /** The code of the reason why the peer is not authorized. */
  authorizationError: string | null = null;
  /** The protocol that ALPN has chosen. */
  readonly alpnProtocol: string | false;
  /** The name that the client has sent. */
  readonly servername: string | false;
  destroyed: boolean = false;
  #id: Id;
  #watched: number = 0;
  readonly #serverSide: boolean;
  readonly #serverHostname: string | null;
  readonly #onDestroy: (error: Error | null) => void;

  /**
   * Only for a session whose handshake is complete.
   *
   * @param serverHostname the name that the client verifies; null: none
   * @param onDestroy called once, if the program calls `destroy()` before the session is closed
   */
  constructor(
    id: Id,
    serverSide: boolean,
    serverHostname: string | null,
    onDestroy: (error: Error | null) => void,
  ) {
    super();
    this.#id = id;
    this.#serverSide = serverSide;
    this.#serverHostname = serverHostname;
    this.#onDestroy = onDestroy;
    this.alpnProtocol = addon().tlsAlpn(id) ?? false;
    this.servername = addon().tlsServername(id) ?? false;
  }

  // --- certificates ---

  /** Returns the peer's certificate; an empty object if it has sent none. */
  getPeerCertificate(detailed: true): DetailedPeerCertificate | null;
  getPeerCertificate(detailed?: boolean): PeerCertificate | null;
  getPeerCertificate(detailed: boolean = false): PeerCertificate | null {
    if (this.#isClosed) return null;
    const chain = addon().tlsPeerCertificates(this.#id);
    return legacyChain(detailed ? chain : chain.slice(0, 1), detailed);
  }

  getCertificate(): PeerCertificate | null {
    if (this.#isClosed) return null;
    const certificate = addon().tlsCertificate(this.#id);
    return legacyChain(certificate === null ? [] : [certificate], false);
  }

  getPeerX509Certificate(): X509Certificate | undefined {
    if (this.#isClosed) return undefined;
    return linkedChain(addon().tlsPeerCertificates(this.#id));
  }

  getX509Certificate(): X509Certificate | undefined {
    const certificate = this.#isClosed ? null : addon().tlsCertificate(this.#id);
    return certificate === null ? undefined : new node.crypto.X509Certificate(certificate);
  }

  // --- what was negotiated ---

  getProtocol(): string | null {
    return addon().tlsProtocol(this.#id);
  }

  getCipher(): CipherNameAndProtocol | null {
    const cipher = addon().tlsCipher(this.#id);
    if (cipher === null) return null;
    const [name, standardName, version] = cipher;
    return { name, standardName, version };
  }

  /** Returns the key of a client's key exchange; null for a server. */
  getEphemeralKeyInfo(): EphemeralKeyInfo | object | null {
    if (this.#isClosed || this.#serverSide) return null;
    const key = addon().tlsEphemeralKey(this.#id);
    if (key === null) return {};
    const [type, name, size] = key;
    return name === null ? { type, size } : { type, name, size };
  }

  getSharedSigalgs(): string[] | null {
    return this.#isClosed ? null : addon().tlsSharedSigalgs(this.#id);
  }

  getFinished(): Buffer | null | undefined {
    return this.#bytes(() => addon().tlsFinished(this.#id, false));
  }

  getPeerFinished(): Buffer | null | undefined {
    return this.#bytes(() => addon().tlsFinished(this.#id, true));
  }

  exportKeyingMaterial(length: number, label: string, context?: Uint8Array): Buffer {
    checkInteger('length', length, 1, MAX_UINT32);
    checkString('label', label);
    if (context !== undefined && !ArrayBuffer.isView(context)) {
      throw invalidArgType('context', context, 'a Buffer, TypedArray or DataView');
    }
    const key = addon().tlsExportKey(this.#id, length, label, context ?? null);
    if (key !== null) return key;
    throw coded('ERR_TLS_INVALID_STATE', 'the TLS session is closed, or has no key of that length');
  }

  // --- sessions ---

  isSessionReused(): boolean | null {
    return this.#isClosed ? null : addon().tlsIsReused(this.#id);
  }

  getSession(): Buffer | null | undefined {
    const session = this.#bytes(() => addon().tlsSession(this.#id));
    return Buffer.isBuffer(session) ? this.#given(session) : session;
  }

  getTLSTicket(): Buffer | null | undefined {
    return this.#bytes(() => addon().tlsTicket(this.#id));
  }

  // --- what can be changed ---

  /** Returns false for a size that TLS does not have. */
  setMaxSendFragment(size: number): boolean {
    checkInteger('size', size, -MAX_INT32 - 1, MAX_INT32);
    return addon().tlsSetMaxSendFragment(this.#id, size);
  }

  /** Has no effect, because the native engine never renegotiates on its own. */
  disableRenegotiation(): void {}

  /** Returns false, and passes an error to the callback: the native engine does not begin a renegotiation. */
  renegotiate(options: object, callback?: (error: Error | null) => void): boolean | undefined {
    if (typeof options !== 'object' || options === null)
      throw invalidArgType('options', options, 'an object');
    if (callback !== undefined) checkFunction('callback', callback);
    if (this.destroyed) return undefined;
    if (callback !== undefined) {
      const error = coded('ERR_TLS_RENEGOTIATION_DISABLED', 'the native TLS engine does not renegotiate');
      process.nextTick(callback, error);
    }
    return false;
  }

  enableTrace(): void {
    const message =
      'the native TLS engine has no trace: use the option enableTrace, which the portable one has';
    throw new LoopError('ERR_UNSUPPORTED', message);
  }

  /** Ends the connection, which is lost with this error. */
  destroy(error?: Error): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.#onDestroy(error ?? null);
    return this;
  }

  // --- events ---

  override on(event: string | symbol, listener: Listener): this {
    this.#watch(event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: Listener): this {
    this.#watch(event);
    return super.addListener(event, listener);
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    this.#watch(event);
    return super.prependListener(event, listener);
  }

  /** Passes on a session that the server has sent. */
  _onSession(session: Buffer): void {
    this.emit('session', this.#given(session));
  }

  /** The session is closed, and the native part has forgotten its id. */
  _closed(): void {
    if (this.#isClosed) return;
    this.#id = NO_SESSION;
    this.destroyed = true;
    if (this.listenerCount('close') > 0) process.nextTick(() => this.emit('close'));
  }

  get #isClosed(): boolean {
    return this.#id === NO_SESSION;
  }

  /** The native part collects only events with a listener. A server has no sessions to resume. */
  #watch(event: string | symbol): void {
    const bit = WATCHED[String(event)] ?? 0;
    if ((this.#watched & bit) === bit || this.#isClosed || (event === 'session' && this.#serverSide)) return;
    this.#watched |= bit;
    addon().tlsWatch(this.#id, this.#watched);
  }

  /** Node has undefined for bytes that do not exist, and null for a closed session. */
  #bytes(read: () => Buffer | null): Buffer | null | undefined {
    return this.#isClosed ? null : (read() ?? undefined);
  }

  #given(session: Buffer): Buffer {
    return this.#serverSide ? session : wrapSession(session, this.#serverHostname);
  }
}

/** Returns Node's object for a certificate. With `linked`, each has its issuer, and a root has itself. */
function legacyChain(chain: readonly Buffer[], linked: boolean): PeerCertificate {
  let issuer: PeerCertificate | null = null;
  for (let i = chain.length - 1; i >= 0; i--) {
    const certificate = new node.crypto.X509Certificate(chain[i] as Buffer);
    const legacy = certificate.toLegacyObject() as DetailedPeerCertificate;
    if (issuer !== null) legacy.issuerCertificate = issuer as DetailedPeerCertificate;
    else if (linked && certificate.checkIssued(certificate)) legacy.issuerCertificate = legacy;
    issuer = legacy;
  }
  return issuer ?? ({} as PeerCertificate);
}

/** Returns the first certificate, which has the next as its `issuerCertificate`, and so on. */
function linkedChain(chain: readonly Buffer[]): X509Certificate | undefined {
  let issuer: X509Certificate | undefined;
  for (let i = chain.length - 1; i >= 0; i--) {
    const certificate = new node.crypto.X509Certificate(chain[i] as Buffer);
    if (issuer !== undefined) Object.defineProperty(certificate, 'issuerCertificate', { value: issuer });
    issuer = certificate;
  }
  return issuer;
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
