/** `loop.createServer`: opens sockets for all addresses of all hosts, or none. */

import type { RawListener } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';
import { AF_INET6, AF_UNSPEC, AI_PASSIVE, DEFAULT_BACKLOG } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
} from '../../base/validate.ts';
import { checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import type { Future } from '../../tasks/future.ts';
import { checkTakeable } from '../adopt.ts';
import { addressFamily, checkedHost, checkedPort, checkLiteral, resolve } from '../names/resolve.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { checkFactory } from '../protocol-caller.ts';
import type { TlsServerOptions } from '../tls/tls-options.ts';
import { serverTls, TLS_SERVER_OPTIONS } from '../tls/tls-options.ts';
import { checkFamily, checkFlags } from './connect.ts';
import type { MakeServer } from './open-server.ts';
import { openListener, openServer } from './open-server.ts';
import type { Server } from './server.ts';

export interface ServerOptions extends TlsServerOptions, SignalOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default) for both. */
  family?: number;
  /** `AI_` flags for the look-up of the hosts. Default: `AI_PASSIVE`. */
  flags?: number;
  /**
   * A listening `net.Server` or file descriptor, which the loop takes over and closes with the server.
   * Excludes host, port, family, flags and reusePort. If the call throws, the caller still owns the socket.
   */
  sock?: unknown;
  /** The number of connections that may wait to be accepted. Default: 100. */
  backlog?: number;
  /**
   * Sets `SO_REUSEADDR`: a port in TIME_WAIT may be bound again. Default: true. False is rejected, because
   * Node always sets the option on Unix.
   */
  reuseAddress?: boolean;
  /**
   * Sets `SO_REUSEPORT`: several servers share a port, and the kernel spreads the connections. Default:
   * false.
   */
  reusePort?: boolean;
  /** Sends keep-alive probes on accepted connections. Default: false. */
  keepAlive?: boolean;
  /**
   * Accepts connections at once. Default: true. With false the sockets are only bound, until
   * `server.startServing()`.
   */
  startServing?: boolean;
}

/** The names of the options, for `checkOptions`. */
export const SERVER_OPTIONS: readonly string[] = [
  'family',
  'flags',
  'sock',
  'backlog',
  'reuseAddress',
  'reusePort',
  'keepAlive',
  'startServing',
  'signal',
  ...TLS_SERVER_OPTIONS,
];

/**
 * How often the server tries to bind all sockets with port 0. The first socket gets a free port, and that
 * port may be in use at the next address.
 */
const SAME_PORT_TRIES = 10;

/** See `BaseEventLoop.createServer`. */
export function listen<S extends Server>(
  loop: Loop,
  factory: ProtocolFactory<StreamProtocol>,
  host: string | readonly string[] | null,
  port: number | string | null,
  options: ServerOptions,
  make: MakeServer<S>,
): Future<S> {
  checkFactory(factory);
  checkServerOptions(loop, options);
  const wanted = wantedOf(options);
  const { sock, family } = wanted;
  const hosts = sock === null ? checkHosts(host, family) : [];
  if (sock !== null) checkNoAddress(loop, host, port, options);
  else if (port === null) throw invalidArgType('port', port, 'a port, as no sock is given');
  const wantedPort = sock === null ? checkedPort('port', port) : 0;
  const tls = serverTls(loop, options);
  const { signal, startServing = true } = options;
  return openServer(loop, {
    make,
    name: 'createServer',
    factory,
    tls,
    startServing,
    signal,
    prepare: (stream) => {
      if (wanted.keepAlive) stream.info().handle?.setKeepAlive?.(true, 0);
    },
    takeOver: sock === null ? null : (server, serves) => listenOn(loop, server, null, wanted, serves),
    bind: async (server, serves, opened) => {
      const addresses = await serverAddresses(loop, hosts, wantedPort, wanted);
      await bindAll(addresses, (address) => listenOn(loop, server, address, wanted, serves), opened);
    },
  });
}

/** A copy of the options, because the caller may change its object before the sockets are opened. */
interface Wanted {
  readonly sock: unknown;
  readonly family: number;
  readonly flags: number;
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly keepAlive: boolean;
}

function wantedOf(options: ServerOptions): Wanted {
  const { sock = null, family = AF_UNSPEC, flags = AI_PASSIVE, backlog = DEFAULT_BACKLOG } = options;
  const { reusePort = false, keepAlive = false } = options;
  return { sock, family, flags, backlog, reusePort, keepAlive };
}

function checkServerOptions(loop: Loop, options: ServerOptions): void {
  checkOptions('options', options, SERVER_OPTIONS);
  checkFamily(options.family);
  checkFlags(options.flags);
  if (options.backlog !== undefined) checkInteger('options.backlog', options.backlog, 1, 0x7fffffff);
  for (const name of ['reuseAddress', 'reusePort', 'keepAlive', 'startServing'] as const) {
    if (options[name] !== undefined) checkBoolean(`options.${name}`, options[name]);
  }
  checkSignal('options.signal', options.signal);
  checkSupports(loop, 'tcp');
  if (options.reuseAddress === false) {
    throw new LoopError('ERR_UNSUPPORTED', 'reuseAddress must be true: the host always sets SO_REUSEADDR');
  }
  if (options.reusePort === true && !loop._backend.reusePort) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'reusePort: the node backend needs Linux and Node 22.12 or 23.1 for it',
    );
  }
}

/** Rejects arguments that have no effect on a socket that is already bound. */
function checkNoAddress(loop: Loop, host: unknown, port: unknown, options: ServerOptions): void {
  if (host !== null || port !== null) {
    throw invalidArgType('host', host ?? port, 'null, like port, as sock is given');
  }
  for (const name of ['family', 'flags', 'reusePort'] as const) {
    if (options[name]) throw invalidArgType(`options.${name}`, options[name], 'absent, as sock is given');
  }
  checkTakeable(loop, 'options.sock', options.sock);
}

function checkHosts(host: string | readonly string[] | null, family: number): (string | null)[] {
  if (host === null || host === '') return [null];
  const hosts = Array.isArray(host) ? (host as readonly string[]) : [host as string];
  if (hosts.length === 0) throw invalidArgType('host', host, 'a host, an array of hosts, or null');
  const checked = hosts.map((one) => checkedHost('host', one));
  for (const one of checked) checkLiteral('host', one, family);
  return checked.map((one) => (one === '' ? null : one));
}

async function serverAddresses(
  loop: Loop,
  hosts: (string | null)[],
  port: number | string,
  wanted: Wanted,
): Promise<SocketAddress[]> {
  const unique = new Map<string, SocketAddress>();
  for (const host of hosts) {
    for (const address of await resolve(loop, host, port, wanted))
      unique.set(formatAddress(address), address);
  }
  return [...unique.values()];
}

/** Opens a socket for each address into `opened`. If it fails, `opened` is empty. */
async function bindAll(
  addresses: SocketAddress[],
  bind: (address: SocketAddress) => Future<RawListener>,
  opened: RawListener[],
): Promise<void> {
  for (let tries = 1; ; tries++) {
    let missing: unknown = null;
    try {
      for (const address of addresses) {
        const first = opened[0]?.sockname() ?? null;
        const samePort = first === null ? address : withSamePort(address, first);
        try {
          opened.push(await bind(samePort));
        } catch (error) {
          if (!isMissingFamily(address, error)) throw error;
          missing = error;
        }
      }
      if (opened.length === 0) throw missing;
      return;
    } catch (error) {
      const portWasOurs = opened.length > 0 && addresses[0]?.[1] === 0;
      for (const listener of opened.splice(0)) listener.close();
      if ((error as { code?: string }).code !== 'EADDRINUSE' || !portWasOurs || tries === SAME_PORT_TRIES)
        throw error;
    }
  }
}

function withSamePort(address: SocketAddress, first: SocketAddress): SocketAddress {
  if (address[1] !== 0) return address;
  const host = address[0] as string;
  return address.length === 4 ? [host, first[1] as number, 0, 0] : [host, first[1] as number];
}

/** Tells whether the machine has no IPv6. The server then listens on IPv4 alone. */
function isMissingFamily(address: SocketAddress, error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return addressFamily(address) === AF_INET6 && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL');
}

function listenOn(
  loop: Loop,
  server: Server,
  address: SocketAddress | null,
  { sock, backlog, reusePort }: Wanted,
  serves: boolean,
): Future<RawListener> {
  return openListener(loop, server, 'tcp', {
    address,
    socket: sock,
    backlog,
    reusePort,
    ipv6Only: true,
    serves,
  });
}
