/** `loop.createConnection`. */
import type { RawStream } from '../backend/backend.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS, IPPROTO_TCP } from '../base/constants.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPort,
  checkSecondsOrNull,
  checkSignal,
  checkString,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { CapturedContext } from '../loop/context.ts';
import { captureContext } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/task.ts';
import type { Candidate } from './happy-eyeballs.ts';
import { interleaveFamilies, race } from './happy-eyeballs.ts';
import type { StreamProtocol } from './protocol.ts';
import { addressFamily, resolve } from './resolve.ts';
import { checkProtocol, StreamTransport } from './stream-transport.ts';
import type { Transport } from './transport.ts';

export interface ConnectionOptions extends SignalOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default) for both. */
  family?: number;
  /** `IPPROTO_TCP` or 0 (default). */
  proto?: number;
  /** `AI_` flags for looking the host up. Default: 0. */
  flags?: number;
  /** A connected `net.Socket` or a descriptor to take over. Then there must be no host, port, family, proto, flags, localAddr. */
  sock?: unknown;
  /** Host and port to connect from. */
  localAddr?: readonly [host: string, port: number];
  /**
   * Seconds before the next address is tried beside one that has not answered (RFC 8305). Null: one after the other, each
   * until it fails. Default: 0.25.
   */
  happyEyeballsDelay?: number | null;
  /** How many addresses of the first family come before the first of the other; 0 keeps the resolver's order. Default: 1. */
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
];

/** See `BaseEventLoop.createConnection`. */
export function connect<P extends StreamProtocol>(
  loop: Loop,
  factory: () => P,
  host: string | null,
  port: number | null,
  options: ConnectionOptions,
): Future<[Transport, P]> {
  checkFunction('protocolFactory', factory);
  checkConnectionOptions(options);
  const context = captureContext(loop);
  const { signal } = options;
  if (options.sock !== undefined && options.sock !== null) {
    checkNoAddress(host, port, options);
    const stream = loop._backend.adopt(options.sock);
    return cancelOnAbort(
      operation(loop, 'createConnection', async () => attach(loop, stream, factory, context, options)),
      signal,
    );
  }
  if (host !== null) checkString('host', host);
  if (port === null) throw invalidArgType('port', port, 'a port, as no sock is given');
  checkPort('port', port);
  return cancelOnAbort(
    operation(loop, 'createConnection', async () => {
      const candidates = await candidatesFor(loop, host, port, options);
      const delay = options.happyEyeballsDelay ?? null;
      const delaySeconds = options.happyEyeballsDelay === undefined ? DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS : delay;
      const stream = await race(loop, candidates, delaySeconds);
      return attach(loop, stream, factory, context, options);
    }),
    signal,
  );
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
  if (options.localAddr !== undefined) {
    if (!Array.isArray(options.localAddr) || options.localAddr.length < 2) {
      throw invalidArgType('options.localAddr', options.localAddr, 'a [host, port] pair');
    }
    checkString('options.localAddr[0]', options.localAddr[0]);
    checkPort('options.localAddr[1]', options.localAddr[1]);
  }
}

export function checkFamily(family: unknown): void {
  if (family === undefined || family === AF_UNSPEC || family === AF_INET || family === AF_INET6) return;
  throw outOfRange('options.family', family, 'AF_UNSPEC, AF_INET or AF_INET6');
}

export function checkFlags(flags: unknown): void {
  if (flags !== undefined) checkInteger('options.flags', flags, 0, 0xffff);
}

function checkNoAddress(host: unknown, port: unknown, options: ConnectionOptions): void {
  if (host !== null) throw invalidArgType('host', host, 'null, as sock is given');
  if (port !== null) throw invalidArgType('port', port, 'null, as sock is given');
  for (const name of ['family', 'proto', 'flags', 'localAddr'] as const) {
    if (options[name]) throw invalidArgType(`options.${name}`, options[name], 'absent, as sock is given');
  }
}

async function candidatesFor(
  loop: Loop,
  host: string | null,
  port: number,
  options: ConnectionOptions,
): Promise<Candidate[]> {
  const resolving = { family: options.family ?? AF_UNSPEC, flags: options.flags ?? 0 };
  const found = await resolve(loop, host, port, resolving);
  const interleave = options.interleave ?? 1;
  const addresses = interleave === 0 ? found : interleaveFamilies(found, interleave);
  if (options.localAddr === undefined) return addresses.map((address) => ({ address, local: null }));
  const [localHost, localPort] = options.localAddr;
  const locals = await resolve(loop, localHost, localPort, resolving);
  const candidates = addresses.flatMap((address) => {
    const local = locals.find((candidate) => addressFamily(candidate) === addressFamily(address));
    return local === undefined ? [] : [{ address, local }];
  });
  if (candidates.length === 0) {
    throw outOfRange('options.localAddr', localHost, `an address of the same family as ${String(host)}`);
  }
  return candidates;
}

/** The stream is connected: the protocol is made and told. If that fails, the stream does not stay open. */
function attach<P extends StreamProtocol>(
  loop: Loop,
  stream: RawStream,
  factory: () => P,
  context: CapturedContext,
  options: ConnectionOptions,
): [Transport, P] {
  let protocol: P;
  try {
    protocol = factory();
    checkProtocol('protocolFactory()', protocol);
  } catch (error) {
    stream.abort();
    throw error;
  }
  if (options.noDelay === false) stream.info().handle.setNoDelay(false);
  const transport = new StreamTransport(loop, stream, protocol, context, null);
  const failure = transport._begin();
  if (failure !== null) throw failure;
  return [transport, protocol];
}

