/**
 * A session of the native engine.
 *
 * Over a stream of the native part it is fused with the stream when the handshake is complete: the native
 * part then decrypts what it reads, and sends what it encrypts. `decrypt()` gets ciphertext before the first
 * plaintext, and plaintext afterwards, all in the order in which it was read.
 */

import type { PeerCertificate } from 'node:tls';
import { hostNextTick } from '../../../base/host.ts';
import { node } from '../../../platform/node-modules.ts';
import type { RawTls, TlsEvents, TlsTarget } from '../../backend.ts';
import type { NodeTlsContext } from '../../shared/tls-context.ts';
import { checkIdentity, noClientCertificate } from '../../shared/tls-identity.ts';
import type { Id, NativeContext } from '../addon.ts';
import { addon } from '../dispatch.ts';
import { systemError } from '../errors.ts';
import type { Decryptor } from '../stream.ts';
import { UvStream } from '../stream.ts';
import { unwrapSession } from './session-state.ts';
import { SslObject } from './ssl-object.ts';

/** The same numbers as in tls.h. */
const SECURED = 1;
const PLAIN = 2;
const OUTPUT = 4;
const END = 8;
const FAILED = 16;
const NOTES = 32;
const RENEGOTIATED = 64;
const WAITING = 128;
const DRAINED = 256;

/** The type of a note that holds a session to resume; the other type is a line of a key log. */
const NOTE_SESSION = 1;

const NO_STREAM: Id = -1;
/** Node's default: bits. */
const LEAST_DH_BITS = 1024;

export class NativeTls implements RawTls, Decryptor {
  readonly id: Id;
  began: boolean = false;
  readonly #context: NodeTlsContext;
  readonly #serverHostname: string | null;
  readonly #lower: UvStream | null;
  #events: TlsEvents | null;
  #sslObject: SslObject | null = null;
  /** The certificate of the peer, between its verification and the report. */
  #peercert: PeerCertificate | null = null;
  /** The stream that the session is fused with. */
  #stream: Id = NO_STREAM;
  /** The bits of each empty buffer that is on its way to `decrypt()`. */
  readonly #notices: number[] = [];
  /** Whether the peer's end has come. */
  #ended: boolean = false;
  /** Whether `end()` was called. */
  #ending: boolean = false;

  constructor(native: NativeContext, context: NodeTlsContext, target: TlsTarget, events: TlsEvents) {
    const { serverHostname, lower } = target;
    this.#context = context;
    this.#serverHostname = serverHostname;
    this.#lower = lower instanceof UvStream ? lower : null;
    this.#events = events;
    const name = serverHostname === null || node.net.isIP(serverHostname) !== 0 ? null : serverHostname;
    this.id = addon().tlsOpen(native, context.serverSide, name, this.#sessionToResume());
    if (this.id < 0) throw systemError(this.id, 'tls');
    if (!context.serverSide) this.#begin();
  }

  decrypt(data: Uint8Array): void {
    if (this.#events === null) return;
    if (data.length === 0 && this.#notices.length > 0) this.#step(this.#notices.shift() as number);
    else if (this.began) this.#events?.onDecrypted(data as Buffer);
    else this.#step(addon().tlsDecrypt(this.id, data));
  }

  decryptEnd(): void {
    if (!this.#ended) this.#events?.onTruncated();
  }

  encrypt(chunks: Uint8Array[]): boolean {
    const stream = this.#stream !== NO_STREAM && this.#events?.mayBypass() ? this.#stream : NO_STREAM;
    const bits = addon().tlsEncrypt(
      this.id,
      stream,
      chunks.length === 1 ? (chunks[0] as Uint8Array) : chunks,
    );
    if (bits !== 0) this.#step(bits & OUTPUT);
    if (bits & FAILED) this.#failLater();
    return (bits & (FAILED | WAITING)) === 0;
  }

  end(): void {
    const bits = addon().tlsEnd(this.id);
    this.#step(bits & OUTPUT);
    this.#ending = true;
    if (bits & FAILED) this.#failLater();
    else if (!(bits & WAITING)) hostNextTick(NativeTls.#tellEnded, this);
  }

  close(): void {
    if (this.#events === null) return;
    this.#events = null;
    this.#sslObject?._closed();
    addon().close(this.id);
  }

  /** The first bytes of a client. */
  #begin(): void {
    const bits = addon().tlsDecrypt(this.id, NOTHING);
    this.#step(bits & OUTPUT);
    if (bits & FAILED) this.#failLater();
  }

  onNotice(bits: number): void {
    this.#notices.push(bits);
  }

  /** Reports what a step of the native part did, in this order. */
  #step(bits: number): void {
    const native = addon();
    const plain = bits & PLAIN ? native.tlsTakePlain() : NOTHING;
    const output = bits & OUTPUT ? native.tlsTakeOutput(this.id) : NOTHING;
    if (plain === null || output === null) {
      this.#fail(outOfMemory());
      return;
    }
    // As in Node, a peer that is rejected never gets the end of the handshake.
    if (bits & SECURED && !this.#verify()) return;
    if (output.length > 0) this.#events?.onEncrypted(output);
    if (bits & SECURED) this.#secured();
    if (bits & NOTES) this.#takeNotes();
    if (plain.length > 0) this.#events?.onDecrypted(plain);
    if (bits & RENEGOTIATED) this.#renegotiated();
    if (bits & DRAINED) this.#drained();
    if (bits & END && !this.#ended) {
      this.#ended = true;
      this.#events?.onEnd();
    }
    if (bits & FAILED && this.#events !== null) this.#fail(this.#fault());
  }

  /** Data, or the end, no longer waits for a renegotiation. */
  #drained(): void {
    if (this.#ending) this.#events?.onEnded();
    else this.#events?.onDrained();
  }

  // --- the end of the handshake ---

  /** Verifies the peer. Returns false if the session has failed. */
  #verify(): boolean {
    const { serverSide, options } = this.#context;
    const sslObject = new SslObject(this.id, serverSide, this.#serverHostname, (error) => {
      this.#fail(
        error ?? Object.assign(new Error('the TLS session was destroyed'), { code: 'ERR_SOCKET_CLOSED' }),
      );
    });
    this.#sslObject = sslObject;
    const certificate = sslObject.getPeerCertificate();
    const peercert = certificate?.raw === undefined ? null : certificate;
    const isChecked = !serverSide || options.requestCert === true;
    const fault = serverSide ? this.#faultOfClient(peercert) : this.#faultOfServer(sslObject, certificate);
    sslObject.authorized = isChecked && fault === null;
    if (isChecked && fault !== null) {
      sslObject.authorizationError = fault.code ?? fault.message;
      if (options.rejectUnauthorized !== false || fault.isFinal) {
        this.#fail(fault);
        return false;
      }
    }
    this.#peercert = peercert;
    return true;
  }

  #secured(): void {
    const { secureContext } = this.#context;
    const sslObject = this.#sslObject;
    const cipher = sslObject?.getCipher();
    const extra = {
      sslObject,
      sslContext: secureContext,
      peercert: this.#peercert,
      cipher,
      compression: null,
    };
    this.#peercert = null;
    if (this.#lower?.decryptBy(this)) this.#stream = this.#lower.id;
    this.#events?.onSecure({ extra });
  }

  /** The server may have another certificate now. The session holds its data back until this is known. */
  #renegotiated(): void {
    const sslObject = this.#sslObject;
    if (this.#events === null || sslObject === null) return;
    const fault = this.#faultOfServer(sslObject, sslObject.getPeerCertificate());
    if (fault !== null && (this.#context.options.rejectUnauthorized !== false || fault.isFinal)) {
      this.#fail(fault);
      return;
    }
    addon().tlsVerified(this.id);
    this.#step(addon().tlsDecrypt(this.id, NOTHING));
  }

  /** Verifies a server, in the order of Node. */
  #faultOfServer(sslObject: SslObject, certificate: PeerCertificate | null): Fault | null {
    const { minDHSize = LEAST_DH_BITS, checkServerIdentity: check } = this.#context.options;
    const key = addon().tlsEphemeralKey(this.id);
    if (key !== null && key[0] === 'DH' && key[2] < minDHSize) return smallKey(key[2]);
    const error = this.#verifyError();
    if (error !== null) return error;
    const host = this.#serverHostname;
    if (check === undefined) {
      return host === null ? null : (checkIdentity(host, certificate as PeerCertificate) ?? null);
    }
    // It gets the whole chain. As in Node, it is not called for a session that is resumed.
    if (sslObject.isSessionReused()) return null;
    return (
      (check(host ?? 'localhost', sslObject.getPeerCertificate(true) as PeerCertificate) as Fault) ?? null
    );
  }

  #faultOfClient(peercert: PeerCertificate | null): Fault | null {
    const { requestCert } = this.#context.options;
    if (requestCert !== true) return null;
    // OpenSSL reports no error for a session that was resumed without a certificate.
    return this.#verifyError() ?? (peercert === null ? noClientCertificate() : null);
  }

  #verifyError(): Fault | null {
    const error = addon().tlsVerifyError(this.id);
    return error === null ? null : Object.assign(new Error(error[1]), { code: error[0] });
  }

  /** Returns the session among the options, if it fits this server. */
  #sessionToResume(): Uint8Array | null {
    const { session, rejectUnauthorized } = this.#context.options as {
      session?: unknown;
      rejectUnauthorized?: boolean;
    };
    if (!session || this.#context.serverSide) return null;
    const bytes = typeof session === 'string' ? Buffer.from(session, 'latin1') : (session as Uint8Array);
    return unwrapSession(bytes, this.#serverHostname, rejectUnauthorized !== false);
  }

  #takeNotes(): void {
    const notes = addon().tlsTakeNotes(this.id);
    for (let i = 0; i < notes.length; i += 2) {
      const note = notes[i + 1];
      if (note === null) continue;
      if (notes[i] === NOTE_SESSION) this.#sslObject?._onSession(note as Buffer);
      else this.#sslObject?.emit('keylog', Buffer.concat([note as Buffer, NEWLINE]));
    }
  }

  // --- ending ---

  // Static, because a function for each session costs memory.
  static #tellEnded(session: NativeTls): void {
    session.#events?.onEnded();
  }

  /** Reports a failure outside of the call that caused it. */
  #failLater(): void {
    const error = this.#fault();
    hostNextTick(NativeTls.#failOf, this, error);
  }

  static #failOf(session: NativeTls, error: Error): void {
    session.#fail(error);
  }

  #fail(error: Error): void {
    const events = this.#events;
    this.close();
    events?.onError(error, this.#context.ownErrors.has(error));
  }

  /** The error of OpenSSL, as Node words it. */
  #fault(): Error {
    const [message, library, reason, code] = addon().tlsFault(this.id);
    if (message === null) return outOfMemory();
    const error = new Error(message);
    if (code !== null) return Object.assign(error, { code });
    if (library !== null) Object.assign(error, { library });
    if (reason === null) return error;
    return Object.assign(error, { reason, code: `ERR_SSL_${reason.replaceAll(' ', '_').toUpperCase()}` });
  }
}

/** `isFinal`: it ends the connection even if certificates are not verified. */
type Fault = Error & { code?: string; isFinal?: boolean };

function smallKey(bits: number): Fault {
  const error = new Error(`DH parameter size ${bits} is less than the minimum`);
  return Object.assign(error, { code: 'ERR_TLS_DH_PARAM_SIZE', isFinal: true });
}

function outOfMemory(): Error {
  return Object.assign(new Error('TLS has no memory'), { code: 'ENOMEM' });
}

const NOTHING: Buffer = Buffer.alloc(0);
const NEWLINE: Buffer = Buffer.from('\n');
