/** The TLS options of connections, servers and `startTls`, and what asyncio demands of them. */
import type { TlsContext } from '../../backend/backend.ts';
import { literalFamily, splitZone } from '../../base/address.ts';
import { TLS_HANDSHAKE_TIMEOUT_SECONDS, TLS_SHUTDOWN_TIMEOUT_SECONDS } from '../../base/constants.ts';
import { checkBoolean, checkSeconds, invalidArgType, outOfRange } from '../../base/validate.ts';
import { checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import { checkedHost } from '../names/resolve.ts';

export interface TlsClientOptions {
  /**
   * True: TLS with the system's usual trust. Or `tls.ConnectionOptions`, or a `tls.SecureContext`. False,
   * null and undefined: no TLS.
   */
  ssl?: unknown;
  /** The name that the certificate must have. Default: the host. `''` asks for none, which is a risk. */
  serverHostname?: string;
  /** Seconds that the handshake may take. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's end of TLS before the connection is cut. Default: 30. */
  sslShutdownTimeout?: number;
}

export interface TlsServerOptions {
  /**
   * `tls.TlsOptions` (`key` and `cert`, at least), or a `tls.SecureContext`. False, null and undefined: no
   * TLS.
   */
  ssl?: unknown;
  /** Seconds that a handshake may take. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's end of TLS before a connection is cut. Default: 30. */
  sslShutdownTimeout?: number;
}

/** The names, for `checkOptions`. */
export const TLS_CLIENT_OPTIONS: readonly string[] = [
  'ssl',
  'serverHostname',
  'sslHandshakeTimeout',
  'sslShutdownTimeout',
];

/** The names, for `checkOptions`. */
export const TLS_SERVER_OPTIONS: readonly string[] = ['ssl', 'sslHandshakeTimeout', 'sslShutdownTimeout'];

/**
 * One side of TLS, with everything that could be checked at the call: what `attach`, `Server` and `startTls`
 * work with.
 */
export interface TlsRole {
  /** The host's. */
  readonly context: TlsContext;
  readonly serverSide: boolean;
  /** The name that the certificate must have; null: none is asked for. */
  readonly serverHostname: string | null;
  /** Seconds. */
  readonly handshakeTimeout: number;
  /** Seconds. */
  readonly shutdownTimeout: number;
}

/**
 * What the client's options ask for; null: no TLS.
 *
 * @param host that is connected to; null where there is none (a socket, a unix socket)
 * @param name what the user knows `ssl` by
 * @throws TypeError, RangeError, LoopError; what the host says of keys and certificates that it cannot use
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
      "the name that the certificate must have, as there is no host; or '' for any",
    );
  }
  return side(loop, options, false, wanted === '' ? null : certificateName(wanted), name);
}

/** The name that was asked for. A `servername` among the host's own options is the same question. */
function checkedName({ ssl, serverHostname }: TlsClientOptions, host: string | null, name: string): string {
  const { servername } = ssl as { servername?: unknown };
  if (serverHostname !== undefined) return checkedHost('options.serverHostname', serverHostname);
  return servername === undefined ? (host ?? '') : checkedHost(`${name}.servername`, servername);
}

/**
 * A certificate and SNI name a host without the dot at the end of a complete name, and an address without its
 * zone.
 */
function certificateName(host: string): string {
  if (literalFamily(host) === 6) return splitZone(host)[0];
  return host.length > 1 && host.endsWith('.') ? host.slice(0, -1) : host;
}

/** What the server's options ask for; null: no TLS. Throws as {@link clientTls} does. */
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
    throw invalidArgType(
      name,
      true,
      'the options or the secure context of the server: it needs a certificate',
    );
  }
  return side(loop, options, true, null, name);
}

/** "If given and not false", as the founding document has it. */
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
  checkSupports(loop, 'tls');
  return {
    context: loop._backend.tlsContext(ssl, serverSide),
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

/** An option that would mean nothing is refused, as in asyncio: it may be that `ssl` was forgotten. */
function checkNoTls(options: TlsClientOptions): void {
  if (options.ssl !== undefined && options.ssl !== null) checkBoolean('options.ssl', options.ssl);
  for (const name of ['serverHostname', 'sslHandshakeTimeout', 'sslShutdownTimeout'] as const) {
    if (options[name] !== undefined) {
      throw invalidArgType(`options.${name}`, options[name], 'absent, as it means nothing without ssl');
    }
  }
}
