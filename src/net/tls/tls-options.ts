/** The TLS options of connections, servers and `startTls`, with asyncio's rules for them. */
import type { TlsContext } from '../../backend/backend.ts';
import { literalFamily, splitZone } from '../../base/address.ts';
import { TLS_HANDSHAKE_TIMEOUT_SECONDS, TLS_SHUTDOWN_TIMEOUT_SECONDS } from '../../base/constants.ts';
import { namingArgument } from '../../base/unusable.ts';
import { checkBoolean, checkSeconds, invalidArgType, outOfRange } from '../../base/validate.ts';
import { capability } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import { checkedHost } from '../names/resolve.ts';

export interface TlsClientOptions {
  /**
   * True for TLS with the system's default trust, `tls.ConnectionOptions`, or a `tls.SecureContext`. False,
   * null and undefined: no TLS.
   */
  ssl?: unknown;
  /**
   * The host name that the certificate must have. Default: the host. `''` accepts any name, which is a risk.
   */
  serverHostname?: string;
  /** Seconds until the handshake times out. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's close_notify before the connection is aborted. Default: 30. */
  sslShutdownTimeout?: number;
}

export interface TlsServerOptions {
  /**
   * `tls.TlsOptions` with at least `key` and `cert`, or a `tls.SecureContext`. False, null and undefined: no
   * TLS.
   */
  ssl?: unknown;
  /** Seconds until a handshake times out. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's close_notify before a connection is aborted. Default: 30. */
  sslShutdownTimeout?: number;
}

/** The names of the client's options, for `checkOptions`. */
export const TLS_CLIENT_OPTIONS: readonly string[] = [
  'ssl',
  'serverHostname',
  'sslHandshakeTimeout',
  'sslShutdownTimeout',
];

/** The names of the server's options, for `checkOptions`. */
export const TLS_SERVER_OPTIONS: readonly string[] = ['ssl', 'sslHandshakeTimeout', 'sslShutdownTimeout'];

/** The checked TLS options of one side, for `attach`, `Server` and `startTls`. */
export interface TlsRole {
  /** The host's own context. */
  readonly context: TlsContext;
  readonly serverSide: boolean;
  /** The host name that the certificate must have; null accepts any. */
  readonly serverHostname: string | null;
  /** Seconds. */
  readonly handshakeTimeout: number;
  /** Seconds. */
  readonly shutdownTimeout: number;
}

/**
 * Checks the client's options. Returns null if they want no TLS.
 *
 * @param host the host of the connection; null if there is none (`sock`, a unix socket)
 * @param name the public name of the `ssl` argument, for errors
 * @throws TypeError, RangeError, LoopError; the host's error for keys and certificates that it cannot use
 */
export function clientTls(
  loop: Loop,
  options: TlsClientOptions,
  host: string | null,
  name: string = 'options.ssl',
): TlsRole | null {
  const { ssl, serverHostname } = options;
  if (!isWanted(ssl)) {
    checkNoTls(options);
    return null;
  }
  const wanted = checkedName(options, host, name);
  if (serverHostname === undefined && wanted === '') {
    throw invalidArgType(
      'options.serverHostname',
      serverHostname,
      "the name that the certificate must have, because there is no host; or '' for any",
    );
  }
  return side(loop, options, false, wanted === '' ? null : certificateName(wanted), name);
}

/** Returns the host name to verify. `servername` among the host's own options means the same. */
function checkedName({ ssl, serverHostname }: TlsClientOptions, host: string | null, name: string): string {
  const { servername } = ssl as { servername?: unknown };
  if (serverHostname !== undefined) return checkedHost('options.serverHostname', serverHostname);
  return servername === undefined ? (host ?? '') : checkedHost(`${name}.servername`, servername);
}

/**
 * Removes the last dot of a complete host name, and the zone of an address: certificates and SNI have
 * neither.
 */
function certificateName(host: string): string {
  if (literalFamily(host) === 6) return splitZone(host)[0];
  return host.length > 1 && host.endsWith('.') ? host.slice(0, -1) : host;
}

/** Checks the server's options. Returns null if they want no TLS. Throws as {@link clientTls} does. */
export function serverTls(
  loop: Loop,
  options: TlsServerOptions,
  name: string = 'options.ssl',
): TlsRole | null {
  if (!isWanted(options.ssl)) {
    checkNoTls(options);
    return null;
  }
  if (options.ssl === true) {
    throw invalidArgType(name, true, 'tls.TlsOptions with a key and a certificate, or a tls.SecureContext');
  }
  return side(loop, options, true, null, name);
}

/** Tells whether TLS is wanted: "if given and not false", in the words of asyncio's event loop reference. */
export function isWanted(ssl: unknown): boolean {
  return ssl !== undefined && ssl !== null && ssl !== false;
}

function side(
  loop: Loop,
  options: TlsServerOptions,
  serverSide: boolean,
  serverHostname: string | null,
  name: string,
): TlsRole {
  const { ssl, sslHandshakeTimeout, sslShutdownTimeout } = options;
  if (ssl !== true && (typeof ssl !== 'object' || Array.isArray(ssl))) {
    const wanted = serverSide
      ? 'tls.TlsOptions or a tls.SecureContext'
      : 'true, tls.ConnectionOptions or a tls.SecureContext';
    throw invalidArgType(name, ssl, wanted);
  }
  checkTimeout('options.sslHandshakeTimeout', sslHandshakeTimeout);
  checkTimeout('options.sslShutdownTimeout', sslShutdownTimeout);
  return {
    context: namingArgument('ssl', () => capability(loop, 'tls').context(ssl, serverSide)),
    serverSide,
    serverHostname,
    handshakeTimeout: sslHandshakeTimeout ?? TLS_HANDSHAKE_TIMEOUT_SECONDS,
    shutdownTimeout: sslShutdownTimeout ?? TLS_SHUTDOWN_TIMEOUT_SECONDS,
  };
}

function checkTimeout(name: string, seconds: unknown): void {
  if (seconds === undefined) return;
  checkSeconds(name, seconds);
  if ((seconds as number) <= 0) throw outOfRange(name, seconds, 'more than 0 seconds');
}

/** Rejects options that have no effect without TLS, as asyncio does: the caller may have forgotten `ssl`. */
function checkNoTls(options: TlsClientOptions): void {
  if (options.ssl !== undefined && options.ssl !== null) checkBoolean('options.ssl', options.ssl);
  for (const name of ['serverHostname', 'sslHandshakeTimeout', 'sslShutdownTimeout'] as const) {
    if (options[name] !== undefined) {
      throw invalidArgType(`options.${name}`, options[name], 'absent, because it has no effect without ssl');
    }
  }
}
