/** `loop.createConnection`. */

import type { RawStream } from '../../backend/backend.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS,
  IPPROTO_TCP,
} from '../../base/constants.ts';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSecondsOrNull,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import { captureContext } from '../../loop/context.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import { adopt, checkTakeable } from '../adopt.ts';
import type { Candidate } from '../names/happy-eyeballs.ts';
import { interleaveFamilies, race } from '../names/happy-eyeballs.ts';
import { addressFamily, checkedHost, checkedPort, checkLiteral, resolve } from '../names/resolve.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { checkFactory } from '../protocol-caller.ts';
import type { TlsClientOptions } from '../tls/tls-options.ts';
import { clientTls, TLS_CLIENT_OPTIONS } from '../tls/tls-options.ts';
import type { Transport } from '../transport.ts';
import { attach } from './attach.ts';

export interface ConnectionOptions extends TlsClientOptions, SignalOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default) for both. */
  family?: number;
  /** `IPPROTO_TCP` or 0 (default). */
  proto?: number;
  /** `AI_` flags for the look-up of the host. Default: 0. */
  flags?: number;
  /**
   * A connected `net.Socket` or a file descriptor, which the loop takes over. Excludes host, port, family,
   * proto, flags and localAddr. If the call throws, the caller still owns the socket. Otherwise the socket is
   * closed with the connection, and also if the call fails later or is cancelled.
   */
  sock?: unknown;
  /** The local host and port to connect from. */
  localAddr?: readonly [host: string, port: number | string];
  /**
   * Seconds to wait for one address before the next is tried in parallel (RFC 8305). Null tries an address
   * only after the previous one has failed. Default: 0.25.
   */
  happyEyeballsDelay?: number | null;
  /**
   * The number of addresses of the first family before the first address of the other family. 0 keeps the
   * resolver's order. Default: 1.
   */
  interleave?: number;
  /** Switches Nagle's algorithm off. Default: true, as for every TCP transport. */
  noDelay?: boolean;
}

const OPTIONS = [
  'family',
  'proto',
  'flags',
  'sock',
  'localAddr',
  'happyEyeballsDelay',
  'interleave',
  'noDelay',
  'signal',
  ...TLS_CLIENT_OPTIONS,
];

/**
 * The address to connect to: a copy of the arguments, because the caller may change its objects during the
 * look-up of names.
 */
interface Wanted {
  readonly host: string | null;
  readonly port: number | string;
  readonly family: number;
  readonly flags: number;
  readonly local: readonly [host: string, port: number | string] | null;
  readonly happyEyeballsDelay: number | null;
  readonly interleave: number;
}

/** See `BaseEventLoop.createConnection`. */
export function connect<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  host: string | null,
  port: number | string | null,
  options: ConnectionOptions,
): Future<[Transport, P]> {
  checkFactory(factory);
  checkConnectionOptions(options);
  const { signal, sock = null, noDelay = true } = options;
  const wanted = sock === null ? checkedAddress(host, port, options) : null;
  if (wanted === null) checkNoAddress(loop, host, port, options);
  checkSupports(loop, 'tcp');
  const tls = clientTls(loop, options, wanted === null ? null : wanted.host);
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const adopted =
    wanted === null ? adopt(loop, 'a socket', 'sock', () => capability(loop, 'tcp').adopt(sock)) : null;
  return cancelOnAbort(
    operation(loop, 'createConnection', async () => {
      const stream = await (adopted ?? reach(loop, wanted as Wanted));
      return attach(loop, stream, factory, context, { noDelay }, tls);
    }),
    signal,
  );
}

/** Looks up the host, and connects to it. */
async function reach(loop: Loop, wanted: Wanted): Promise<RawStream> {
  return race(loop, await candidatesFor(loop, wanted), wanted.happyEyeballsDelay);
}

function checkConnectionOptions(options: ConnectionOptions): void {
  checkOptions('options', options, OPTIONS);
  checkFamily(options.family);
  checkFlags(options.flags);
  if (options.proto !== undefined && options.proto !== 0 && options.proto !== IPPROTO_TCP) {
    throw outOfRange('options.proto', options.proto, 'IPPROTO_TCP or 0');
  }
  if (options.happyEyeballsDelay !== undefined) {
    checkSecondsOrNull('options.happyEyeballsDelay', options.happyEyeballsDelay);
  }
  if (options.interleave !== undefined) checkInteger('options.interleave', options.interleave, 0, 1000);
  if (options.noDelay !== undefined) checkBoolean('options.noDelay', options.noDelay);
  checkSignal('options.signal', options.signal);
}

/** Checks the address, as far as possible without a look-up. */
function checkedAddress(host: unknown, port: unknown, options: ConnectionOptions): Wanted {
  const { family = AF_UNSPEC, flags = 0, interleave = 1, localAddr } = options;
  const { happyEyeballsDelay = DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS } = options;
  const local = localAddr === undefined ? null : checkedLocalAddr(localAddr);
  const known = host === null ? null : checkedHost('host', host);
  if (port === null) throw invalidArgType('port', port, 'a port, as no sock is given');
  const checked = checkedPort('port', port);
  const wantedFamily = checkLiteral('host', known, family);
  if (local !== null) checkLiteral('options.localAddr[0]', local[0], wantedFamily);
  return { host: known, port: checked, family, flags, local, happyEyeballsDelay, interleave };
}

function checkedLocalAddr(address: unknown): [host: string, port: number | string] {
  if (!Array.isArray(address) || address.length < 2) {
    throw invalidArgType('options.localAddr', address, 'a [host, port] pair');
  }
  const [host, port] = address as unknown[];
  return [checkedHost('options.localAddr[0]', host), checkedPort('options.localAddr[1]', port)];
}

export function checkFamily(family: unknown): void {
  if (family === undefined || family === AF_UNSPEC || family === AF_INET || family === AF_INET6) return;
  throw outOfRange('options.family', family, 'AF_UNSPEC, AF_INET or AF_INET6');
}

export function checkFlags(flags: unknown): void {
  if (flags !== undefined) checkInteger('options.flags', flags, 0, 0xffff);
}

function checkNoAddress(loop: Loop, host: unknown, port: unknown, options: ConnectionOptions): void {
  if (host !== null) throw invalidArgType('host', host, 'null, as sock is given');
  if (port !== null) throw invalidArgType('port', port, 'null, as sock is given');
  for (const name of ['family', 'proto', 'flags', 'localAddr'] as const) {
    if (options[name]) throw invalidArgType(`options.${name}`, options[name], 'absent, as sock is given');
  }
  checkTakeable(loop, 'options.sock', options.sock);
}

async function candidatesFor(loop: Loop, wanted: Wanted): Promise<Candidate[]> {
  const { host, port, local, interleave } = wanted;
  const found = await resolve(loop, host, port, wanted);
  const addresses = interleave === 0 ? found : interleaveFamilies(found, interleave);
  if (local === null) return addresses.map((address) => ({ address, local: null }));
  const locals = await resolve(loop, ...local, wanted);
  const candidates = addresses.flatMap((address) => {
    const from = locals.find((candidate) => addressFamily(candidate) === addressFamily(address));
    return from === undefined ? [] : [{ address, local: from }];
  });
  if (candidates.length === 0) {
    throw outOfRange('options.localAddr', local[0], `an address of the same family as ${String(host)}`);
  }
  return candidates;
}
