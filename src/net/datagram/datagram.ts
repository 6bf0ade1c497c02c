/** `loop.createDatagramEndpoint`. */

import type { DatagramTarget, RawDatagram } from '../../backend/backend.ts';
import type { Inet6Address, SocketAddress } from '../../base/address.ts';
import { formatAddress, literalFamily } from '../../base/address.ts';
import { AF_UNIX, AF_UNSPEC, IPPROTO_UDP, SOCK_DGRAM } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import { namingArgument } from '../../base/unusable.ts';
import {
  checkBoolean,
  checkOptions,
  checkPort,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import { captureContext } from '../../loop/context.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { operation } from '../../tasks/operation.ts';
import { checkTakeable } from '../adopt.ts';
import { summary } from '../names/happy-eyeballs.ts';
import { addressFamily, checkedHost, checkedPort, checkLiteral, resolve } from '../names/resolve.ts';
import { explainPort } from '../port-error.ts';
import type { DatagramProtocol, ProtocolFactory } from '../protocol.ts';
import { DATAGRAM_PROTOCOL_METHODS } from '../protocol.ts';
import { checkFactory, makeProtocol, makerOf } from '../protocol-caller.ts';
import { checkFamily, checkFlags } from '../stream/connect.ts';
import type { DatagramTransport } from '../transport.ts';
import { BROADCAST, checkDestinationPort, isBroadcast, withScope } from './datagram-address.ts';
import { DatagramEndpoint } from './datagram-transport.ts';

export interface DatagramOptions extends SignalOptions {
  /**
   * The local host and port, or an IPv6 address with its scope, as `sockname` has it. The host null is this
   * machine alone; `'0.0.0.0'` and `'::'` are all interfaces. Port 0 is a free port. A port may be a number,
   * digits, or the name of a service.
   */
  localAddr?: readonly [host: string | null, port: number | string] | Inet6Address;
  /**
   * The host and port to which all datagrams go. The socket is connected to it: it receives from no other
   * address, and `errorReceived()` gets `ECONNREFUSED` if no socket is bound there. With `allowBroadcast` the
   * socket is not connected, so that answers may come from anywhere. The host `'<broadcast>'` is
   * 255.255.255.255. A port may be a number, digits, or the name of a service.
   */
  remoteAddr?: readonly [host: string | null, port: number | string] | Inet6Address;
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default). Required without an address. */
  family?: number;
  /** `IPPROTO_UDP` or 0 (default). */
  proto?: number;
  /** `AI_` flags for the look-up of the hosts. Default: 0. */
  flags?: number;
  /**
   * Sets `SO_REUSEPORT`: several endpoints share a port, and the kernel spreads the datagrams. Default:
   * false.
   */
  reusePort?: boolean;
  /** Sets `SO_BROADCAST`: datagrams may go to broadcast addresses. Default: false. */
  allowBroadcast?: boolean;
  /**
   * A bound `dgram.Socket`, which the loop takes over. Excludes addresses, family, proto, flags, reusePort
   * and allowBroadcast. If the call throws, the caller still owns the socket.
   */
  sock?: unknown;
}

const ADDRESS_OPTIONS = [
  'localAddr',
  'remoteAddr',
  'family',
  'proto',
  'flags',
  'reusePort',
  'allowBroadcast',
] as const;
const OPTIONS = [...ADDRESS_OPTIONS, 'sock', 'signal'];

/** See `BaseEventLoop.createDatagramEndpoint`. */
export function createDatagramEndpoint<P extends DatagramProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  options: DatagramOptions,
): Future<[DatagramTransport, P]> {
  checkFactory(factory);
  checkDatagramOptions(options);
  const { signal, sock = null } = options;
  if (sock !== null) checkNoAddress(options);
  const wanted = sock === null ? checkedAddresses(options) : null;
  checkSupports(loop, 'datagrams');
  checkReusePort(loop, options);
  if (sock !== null) checkTakeable(loop, 'options.sock', sock);
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[DatagramTransport, P]>(loop), signal);
  const context = captureContext(loop);
  const adopted = sock === null ? null : open(loop, { ...TAKEN, socket: sock });
  return cancelOnAbort(
    operation(loop, 'createDatagramEndpoint', async () => {
      const opened =
        adopted === null ? await openFirst(loop, wanted as Wanted) : { raw: await adopted, remote: null };
      return attach(loop, opened, factory, context);
    }),
    signal,
  );
}

/** A literal IPv6 address with its scope, or a host and a port that may have to be looked up. */
type UnresolvedAddress = Inet6Address | readonly [host: string | null, port: number | string];

/** A copy of the options, because the caller may change its objects during the look-up of names. */
interface Wanted {
  readonly local: UnresolvedAddress | null;
  readonly remote: UnresolvedAddress | null;
  readonly family: number;
  readonly flags: number;
  readonly reusePort: boolean;
  readonly allowBroadcast: boolean;
}

/** The target for a socket that is taken over: it has its addresses and options already. */
const TAKEN = { family: AF_UNSPEC, local: null, remote: null, reusePort: false, broadcast: false };

// --- checks ---

function checkDatagramOptions(options: DatagramOptions): void {
  checkOptions('options', options, OPTIONS);
  if (options.family === AF_UNIX) {
    throw new LoopError('ERR_UNSUPPORTED', 'family: the host has no datagrams over unix sockets (AF_UNIX)');
  }
  checkFamily(options.family);
  checkFlags(options.flags);
  if (options.proto !== undefined && options.proto !== 0 && options.proto !== IPPROTO_UDP) {
    throw outOfRange('options.proto', options.proto, 'IPPROTO_UDP or 0');
  }
  if (options.reusePort !== undefined) checkBoolean('options.reusePort', options.reusePort);
  if (options.allowBroadcast !== undefined) checkBoolean('options.allowBroadcast', options.allowBroadcast);
  checkSignal('options.signal', options.signal);
}

function checkNoAddress(options: DatagramOptions): void {
  for (const name of ADDRESS_OPTIONS) {
    if (options[name]) throw invalidArgType(`options.${name}`, options[name], 'absent, as sock is given');
  }
}

/** Checks the addresses, as far as possible without a look-up. */
function checkedAddresses(options: DatagramOptions): Wanted {
  const { localAddr, remoteAddr, family = AF_UNSPEC, flags = 0 } = options;
  const { reusePort = false, allowBroadcast = false } = options;
  if (localAddr === undefined && remoteAddr === undefined && family === AF_UNSPEC) {
    throw outOfRange('options.family', family, 'AF_INET or AF_INET6, as there is no address');
  }
  const remote = remoteAddr === undefined ? null : checkedAddress('options.remoteAddr', remoteAddr, family);
  if (remote?.[1] === 0) checkDestinationPort('options.remoteAddr[1]', 0);
  const known = remote === null ? family : familyOf('options.remoteAddr', remote, family);
  const local = localAddr === undefined ? null : checkedAddress('options.localAddr', localAddr, known);
  return { local, remote, family, flags, reusePort, allowBroadcast };
}

function checkedAddress(name: string, address: unknown, family: number): UnresolvedAddress {
  if (!Array.isArray(address) || (address.length !== 2 && address.length !== 4)) {
    throw invalidArgType(name, address, 'a [host, port] pair or a [host, port, flowinfo, scopeId] address');
  }
  const [given, port] = address as unknown[];
  const host = given === null ? null : checkedHost(`${name}[0]`, isBroadcast(given) ? BROADCAST : given);
  if (host === '') {
    throw outOfRange(`${name}[0]`, host, "a host, or null: all interfaces are '0.0.0.0' and '::'");
  }
  if (address.length === 2) {
    const pair: UnresolvedAddress = [host, checkedPort(`${name}[1]`, port)];
    familyOf(name, pair, family);
    return pair;
  }
  checkPort(`${name}[1]`, port);
  if (host === null || literalFamily(host) !== 6) {
    throw outOfRange(`${name}[0]`, host, 'a literal IPv6 address, as the address has four parts');
  }
  checkLiteral(`${name}[0]`, host, family);
  return withScope(name, address as unknown as Inet6Address) as Inet6Address;
}

/** Returns the family as far as it is known: that of a literal, else `family`. */
function familyOf(name: string, [host]: UnresolvedAddress, family: number): number {
  return checkLiteral(`${name}[0]`, host, family);
}

function checkReusePort(loop: Loop, { reusePort }: DatagramOptions): void {
  if (reusePort !== true || loop._backend.reusePort) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    'reusePort: the node backend needs Linux and Node 22.12 or 23.1 for it',
  );
}

// --- opening ---

interface Opened {
  raw: RawDatagram;
  /** The destination of all datagrams, also if the socket is not connected to it. */
  remote: SocketAddress | null;
}

/** Tries the addresses in order, until a socket opens. */
async function openFirst(loop: Loop, wanted: Wanted): Promise<Opened> {
  const errors: Error[] = [];
  for (const { family, local, remote } of await pairsFor(loop, wanted)) {
    // Don't connect a socket that broadcasts: it would not receive the answers.
    const connects = !wanted.allowBroadcast;
    try {
      const raw = await open(loop, target(family, local, connects ? remote : null, wanted));
      return { raw, remote };
    } catch (error) {
      if (!isSystemError(error)) throw error;
      errors.push(error);
    }
  }
  throw summary(errors);
}

interface Pair {
  family: number;
  local: SocketAddress | null;
  remote: SocketAddress | null;
}

/**
 * Pairs local and remote addresses by family, in the resolver's order. Each family has one pair, of its first
 * addresses.
 */
async function pairsFor(loop: Loop, wanted: Wanted): Promise<Pair[]> {
  const { local: from, remote: to, family } = wanted;
  const locals = from === null ? null : firstOfEach(await find(loop, from, wanted));
  const remotes = to === null ? null : firstOfEach(await find(loop, to, wanted));
  const families = (locals ?? remotes)?.keys() ?? [family];
  const pairs: Pair[] = [];
  for (const one of families) {
    const local = locals?.get(one) ?? null;
    const remote = remotes?.get(one) ?? null;
    if (remotes === null || remote !== null) pairs.push({ family: one, local, remote });
  }
  if (pairs.length > 0) return pairs;
  throw outOfRange('options.localAddr', from?.[0], `an address of the same family as ${String(to?.[0])}`);
}

function firstOfEach(addresses: SocketAddress[]): Map<number, SocketAddress> {
  const first = new Map<number, SocketAddress>();
  for (const address of addresses) {
    const family = addressFamily(address);
    if (!first.has(family)) first.set(family, address);
  }
  return first;
}

async function find(
  loop: Loop,
  address: UnresolvedAddress,
  { family, flags }: Wanted,
): Promise<SocketAddress[]> {
  if (address.length === 4) return [address];
  return resolve(loop, ...address, { family, flags, type: SOCK_DGRAM });
}

function target(
  family: number,
  local: SocketAddress | null,
  remote: SocketAddress | null,
  { reusePort, allowBroadcast }: Wanted,
): DatagramTarget {
  return { family, local, remote, socket: null, reusePort, broadcast: allowBroadcast };
}

function open(loop: Loop, wanted: DatagramTarget): HostOperation<RawDatagram> {
  const { local, remote } = wanted;
  const where = local ?? remote;
  return HostOperation.begin<RawDatagram>(
    loop,
    `opening a datagram endpoint${where === null ? '' : ` ${local === null ? 'to' : 'on'} ${formatAddress(where)}`}`,
    (raw) => raw.close(),
    (request) => {
      const raw = namingArgument('sock', () =>
        capability(loop, 'datagrams').open(wanted, {
          onOpen: (opened) => request.succeed(opened),
          onError: (error) => request.fail(explainPort(error, local)),
        }),
      );
      return () => raw.cancel();
    },
  );
}

/** Tells errors of a system call from a cancel and a closed loop. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

/** Makes the protocol of an open socket, and calls `connectionMade`. If that fails, the socket is closed. */
function attach<P extends DatagramProtocol>(
  loop: Loop,
  { raw, remote }: Opened,
  factory: ProtocolFactory<P>,
  context: CapturedContext,
): [DatagramTransport, P] {
  let protocol: P;
  try {
    protocol = makeProtocol(loop, context, makerOf(factory), DATAGRAM_PROTOCOL_METHODS);
  } catch (error) {
    raw.close();
    throw error;
  }
  const transport = new DatagramEndpoint(loop, raw, protocol, remote, context);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}
