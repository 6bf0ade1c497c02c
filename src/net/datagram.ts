/** `loop.createDatagramEndpoint`. */
import type { DatagramTarget, RawDatagram } from '../backend/backend.ts';
import type { Inet6Address, SocketAddress } from '../base/address.ts';
import { formatAddress, literalFamily } from '../base/address.ts';
import { AF_INET6, AF_UNIX, AF_UNSPEC, IPPROTO_UDP } from '../base/constants.ts';
import { LoopError } from '../base/errors.ts';
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkPort,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { captureContext } from '../loop/context.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { checkTakeable } from './adopt.ts';
import { checkFamily, checkFlags } from './connect.ts';
import { checkDestinationPort, withScope } from './datagram-address.ts';
import { DatagramEndpoint } from './datagram-transport.ts';
import { summary } from './happy-eyeballs.ts';
import { HostRequest } from './host-request.ts';
import type { DatagramProtocol } from './protocol.ts';
import { DATAGRAM_PROTOCOL_METHODS } from './protocol.ts';
import { makeProtocol } from './protocol-caller.ts';
import { addressFamily, checkHost, checkLiteral, resolve } from './resolve.ts';
import type { DatagramTransport } from './transport.ts';

export interface DatagramOptions extends SignalOptions {
  /**
   * Host and port to receive at; or an IPv6 address with its scope, as `sockname` has it. Host null: this machine alone; all
   * interfaces are `'0.0.0.0'` and `'::'`. Port 0: a free one.
   */
  localAddr?: readonly [host: string | null, port: number] | Inet6Address;
  /**
   * Host and port where everything goes. The socket is connected to it: nothing is received from anybody else, and
   * `errorReceived()` is told when nobody listens there. With `allowBroadcast` it is not, so that answers come from everywhere.
   */
  remoteAddr?: readonly [host: string | null, port: number] | Inet6Address;
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default). Needed where there is no address. */
  family?: number;
  /** `IPPROTO_UDP` or 0 (default). */
  proto?: number;
  /** `AI_` flags for looking the hosts up. Default: 0. */
  flags?: number;
  /** Lets several endpoints share a port, the kernel spreading datagrams. Default: false. */
  reusePort?: boolean;
  /** Lets datagrams go to broadcast addresses. Default: false. */
  allowBroadcast?: boolean;
  /** A bound `dgram.Socket` to take over. Then there must be no address, family, proto, flags, reusePort, allowBroadcast. */
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
  factory: () => P,
  options: DatagramOptions,
): Future<[DatagramTransport, P]> {
  checkFunction('protocolFactory', factory);
  checkDatagramOptions(options);
  const { sock, signal } = options;
  const adopts = sock !== undefined && sock !== null;
  if (adopts) checkNoAddress(options);
  else checkAddresses(options);
  checkSupports(loop, 'datagrams');
  checkReusePort(loop, options);
  if (adopts) checkTakeable(loop, 'options.sock', sock);
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<[DatagramTransport, P]>(loop), signal);
  const context = captureContext(loop);
  const adopted = adopts ? open(loop, { ...target(AF_UNSPEC, null, null, options), socket: sock }) : null;
  return cancelOnAbort(
    operation(loop, 'createDatagramEndpoint', async () => {
      const opened = adopted === null ? await openFirst(loop, options) : { raw: await adopted, remote: null };
      return attach(loop, opened, factory, context);
    }),
    signal,
  );
}

// --- checks ---

function checkDatagramOptions(options: DatagramOptions): void {
  checkOptions('options', options, OPTIONS);
  if (options.family === AF_UNIX) {
    throw new LoopError('ERR_UNSUPPORTED', 'family: AF_UNIX: the host has no datagrams over unix sockets');
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

/** Whatever can be known to be wrong without asking anybody. */
function checkAddresses({ localAddr, remoteAddr, family = AF_UNSPEC }: DatagramOptions): void {
  if (localAddr === undefined && remoteAddr === undefined && family === AF_UNSPEC) {
    throw outOfRange('options.family', family, 'AF_INET or AF_INET6, as there is no address');
  }
  const wanted = checkAddress('options.remoteAddr', remoteAddr, family, checkDestinationPort);
  checkAddress('options.localAddr', localAddr, wanted, checkPort);
}

/** Answers the family that is known now. */
function checkAddress(
  name: string,
  address: unknown,
  family: number,
  checkPortOf: (name: string, port: unknown) => void,
): number {
  if (address === undefined) return family;
  if (!Array.isArray(address) || (address.length !== 2 && address.length !== 4)) {
    throw invalidArgType(name, address, 'a [host, port] pair or a [host, port, flowinfo, scopeId] address');
  }
  const [host, port] = address as [unknown, unknown];
  if (host !== null) checkHost(`${name}[0]`, host);
  if (host === '') {
    throw outOfRange(`${name}[0]`, host, "a host, or null: all interfaces are '0.0.0.0' and '::'");
  }
  checkPortOf(`${name}[1]`, port);
  if (address.length === 2) return checkLiteral(`${name}[0]`, host as string | null, family);
  if (typeof host !== 'string' || literalFamily(host) !== 6) {
    throw outOfRange(`${name}[0]`, host, 'a literal IPv6 address, as the address has four parts');
  }
  checkLiteral(`${name}[0]`, host, family);
  withScope(name, address as unknown as Inet6Address);
  return AF_INET6;
}

function checkReusePort(loop: Loop, { reusePort }: DatagramOptions): void {
  if (reusePort !== true || loop._backend.features.reusePort) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    'reusePort: on the node backend it needs Linux and Node 22.12 or 23.1',
  );
}

// --- opening ---

interface Opened {
  raw: RawDatagram;
  /** Where everything goes, although the socket is not connected to it. */
  remote: SocketAddress | null;
}

/** Tries one address after the other, until a socket can be opened. */
async function openFirst(loop: Loop, options: DatagramOptions): Promise<Opened> {
  const errors: Error[] = [];
  for (const { family, local, remote } of await pairsFor(loop, options)) {
    // A socket that is connected hears nobody else: whoever asks all would get no answer.
    const connects = options.allowBroadcast !== true;
    try {
      const raw = await open(loop, target(family, local, connects ? remote : null, options));
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

/** A pair for each family that both addresses have, in the resolver's order: of each family, its first address. */
async function pairsFor(loop: Loop, options: DatagramOptions): Promise<Pair[]> {
  const { localAddr, remoteAddr, family = AF_UNSPEC, flags = 0 } = options;
  const locals = localAddr === undefined ? null : firstOfEach(await find(loop, localAddr, family, flags));
  const remotes = remoteAddr === undefined ? null : firstOfEach(await find(loop, remoteAddr, family, flags));
  const families = (locals ?? remotes)?.keys() ?? [family];
  const pairs: Pair[] = [];
  for (const one of families) {
    const local = locals?.get(one) ?? null;
    const remote = remotes?.get(one) ?? null;
    if (remotes === null || remote !== null) pairs.push({ family: one, local, remote });
  }
  if (pairs.length > 0) return pairs;
  throw outOfRange(
    'options.localAddr',
    localAddr?.[0],
    `an address of the same family as ${String(remoteAddr?.[0])}`,
  );
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
  address: readonly [string | null, number] | Inet6Address,
  family: number,
  flags: number,
): Promise<SocketAddress[]> {
  return address.length === 4 ? [address] : resolve(loop, address[0], address[1], { family, flags });
}

function target(
  family: number,
  local: SocketAddress | null,
  remote: SocketAddress | null,
  { reusePort = false, allowBroadcast = false }: DatagramOptions,
): DatagramTarget {
  return { family, local, remote, socket: null, reusePort, broadcast: allowBroadcast };
}

function open(loop: Loop, wanted: DatagramTarget): HostRequest<RawDatagram> {
  const { local, remote } = wanted;
  const where = local ?? remote;
  return HostRequest.ask<RawDatagram>(
    loop,
    `opening an endpoint for datagrams${where === null ? '' : ` ${local === null ? 'to' : 'on'} ${formatAddress(where)}`}`,
    (raw) => raw.close(),
    (request) => {
      const raw = loop._backend.datagram(wanted, {
        onOpen: (opened) => request.succeed(opened),
        onError: (error) => request.fail(error),
      });
      return () => raw.cancel();
    },
  );
}

/** The host's own errors have a system call; a cancel and a closed loop have none. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

/** The socket is open: its protocol is made and told. If that fails, the socket does not stay open. */
function attach<P extends DatagramProtocol>(
  loop: Loop,
  { raw, remote }: Opened,
  factory: () => P,
  context: CapturedContext,
): [DatagramTransport, P] {
  let protocol: P;
  try {
    protocol = makeProtocol(loop, context, factory, DATAGRAM_PROTOCOL_METHODS);
  } catch (error) {
    raw.close();
    throw error;
  }
  const transport = new DatagramEndpoint(loop, raw, protocol, remote, context);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}
