/** TLS over any stream. Types only. */
import type { RawStream } from './streams.ts';

export interface Tls {
  /**
   * Makes a TLS context from the host's own TLS options. Throws an UnusableError for an invalid value, and
   * the host's error for an unusable key or certificate.
   *
   * @param ssl the host's options or secure context; true (only for a client): the default options
   */
  context(ssl: unknown, serverSide: boolean): TlsContext;
  /** Opens one side of a TLS session, which converts between plain and encrypted bytes. */
  wrap(target: TlsTarget, events: TlsEvents): RawTls;
}

/** The context of a TLS session. Only the backend that created it knows its contents. */
export interface TlsContext {
  readonly serverSide: boolean;
}

export interface TlsTarget {
  context: TlsContext;
  /**
   * The name that is sent as SNI and that the certificate must be valid for. null: no name is sent or
   * checked.
   */
  serverHostname: string | null;
  /**
   * The raw stream below, if only this session uses it: an engine of the same backend can then read and write
   * the stream itself. null: the session reaches its peer through `decrypt` and `onEncrypted` alone.
   */
  lower: RawStream | null;
}

export interface TlsEvents {
  /** The handshake is complete, and the certificate was verified if the options require it. */
  onSecure(info: TlsInfo): void;
  /**
   * Encrypted bytes for the peer. Only this callback may be called from within `wrap`, `encrypt` and `end`.
   * Every callback may be called from within `decrypt`.
   */
  onEncrypted(data: Buffer): void;
  /** Whether no encrypted bytes wait above the raw stream below, so that the engine may write to it. */
  mayBypass(): boolean;
  /** Decrypted bytes from the peer. */
  onDecrypted(data: Buffer): void;
  /** All data of an `encrypt` that returned false has been delivered by `onEncrypted`. */
  onDrained(): void;
  /** The peer has sent close_notify. No data follows. */
  onEnd(): void;
  /**
   * The peer's bytes have ended without close_notify. All data that could be decrypted was delivered before.
   */
  onTruncated(): void;
  /** Our close_notify was delivered by `onEncrypted`. No encrypted bytes follow. */
  onEnded(): void;
  /**
   * The session has failed. No other callback follows.
   *
   * @param ownFault true if a callback in the host's options failed, not the peer
   */
  onError(error: Error, ownFault: boolean): void;
}

export interface TlsInfo {
  /** `sslObject peercert cipher sslContext compression`, for `getExtraInfo`. */
  extra: Readonly<Record<string, unknown>>;
}

export interface RawTls {
  /** Passes encrypted bytes of the peer to the session. */
  decrypt(data: Uint8Array): void;
  /**
   * Encrypts bytes for the peer. Only after `onSecure`. Returns whether `onEncrypted` has delivered all of
   * them; otherwise `onDrained` follows.
   */
  encrypt(chunks: Uint8Array[]): boolean;
  /** No more bytes come from the peer. `onTruncated` is called, unless `onEnd` was or will be called. */
  decryptEnd(): void;
  /** Sends close_notify after the data that was encrypted. */
  end(): void;
  /** Ends the session at once. No callback follows. */
  close(): void;
}
