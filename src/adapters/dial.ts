/** Connections of Node's clients: their options as those of gyre's connections. */
import type { LookupFunction } from 'node:net';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../base/constants.ts';
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { ConnectionOptions } from '../net/stream/connect.ts';
import { connect } from '../net/stream/connect.ts';
import { createUnixConnection } from '../net/stream/unix.ts';
import type { TlsClientOptions } from '../net/tls/tls-options.ts';
import { isWanted } from '../net/tls/tls-options.ts';
import { connectDuplex } from './to-duplex.ts';
import type { TransportDuplex } from './transport-duplex.ts';

/** The options that Node's clients pass on to `net.connect()`. Milliseconds, as in Node. */
export interface DialOptions {
  host?: string | null | undefined;
  port?: number | string | null | undefined;
  socketPath?: string | undefined;
  family?: unknown;
  localAddress?: string | null | undefined;
  localPort?: number | undefined;
  lookup?: LookupFunction | undefined;
  hints?: number | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelay?: number | undefined;
  autoSelectFamily?: boolean | undefined;
  autoSelectFamilyAttemptTimeout?: number | undefined;
  timeout?: number | undefined;
  blockList?: unknown;
}

/** Connects as `net.connect(options)` does, with the TLS options of gyre. Returns the connecting duplex. */
export function dial(loop: Loop, options: DialOptions, tls: TlsClientOptions): TransportDuplex {
  checkDialOptions(options);
  const duplex = connectDuplex((factory) => begin(loop, options, tls, factory), { loop });
  if (options.keepAlive) duplex.setKeepAlive(true, options.keepAliveInitialDelay);
  if (options.timeout) duplex.setTimeout(options.timeout);
  return duplex;
}

function checkDialOptions({ blockList, lookup }: DialOptions): void {
  if (blockList !== undefined) {
    throw invalidArgType('options.blockList', blockList, 'absent: gyre has no block lists');
  }
  if (lookup !== undefined) checkFunction('options.lookup', lookup);
}

function begin(
  loop: Loop,
  options: DialOptions,
  tls: TlsClientOptions,
  factory: () => Protocol,
): PromiseLike<unknown> {
  const { socketPath, host, port, lookup } = options;
  if (socketPath !== undefined) return createUnixConnection(loop, factory, socketPath, tls);
  const name = host || 'localhost';
  if (lookup === undefined) return connect(loop, factory, name, port ?? null, tcpOptions(options, tls));
  const named = isWanted(tls.ssl) && tls.serverHostname === undefined ? { serverHostname: name } : {};
  const { flags: _flags, ...tcp } = tcpOptions(options, { ...tls, ...named });
  return lookedUp(name, options, lookup).then((address) =>
    connect(loop, factory, address, port ?? null, tcp),
  );
}

/** Asks the client's own look-up for one address, as Node does without `autoSelectFamily`. */
function lookedUp(host: string, { family, hints }: DialOptions, lookup: LookupFunction): Promise<string> {
  return new Promise((resolve, reject) => {
    const wanted = { all: false, family: familyNumber(family), ...(hints === undefined ? {} : { hints }) };
    lookup(host, wanted, (error, answer) => {
      const address: unknown = Array.isArray(answer) ? answer[0]?.address : answer;
      if (error) reject(error);
      else if (typeof address === 'string') resolve(address);
      else reject(invalidArgType('options.lookup', address, 'a function that answers with an address'));
    });
  });
}

function tcpOptions(options: DialOptions, tls: TlsClientOptions): ConnectionOptions {
  const { hints, noDelay, autoSelectFamily, autoSelectFamilyAttemptTimeout: delay } = options;
  const { localAddress, localPort } = options;
  const family = { 0: AF_UNSPEC, 4: AF_INET, 6: AF_INET6 }[familyNumber(options.family)];
  const local = localAddress ?? (localPort === undefined ? null : family === AF_INET6 ? '::' : '0.0.0.0');
  return {
    ...tls,
    family,
    ...(hints === undefined ? {} : { flags: hints }),
    ...(noDelay === undefined ? {} : { noDelay }),
    ...(local === null ? {} : { localAddr: [local, localPort ?? 0] }),
    ...(autoSelectFamily === false ? { happyEyeballsDelay: null } : {}),
    ...(delay === undefined || autoSelectFamily === false ? {} : { happyEyeballsDelay: delay / 1000 }),
  };
}

function familyNumber(family: unknown): 0 | 4 | 6 {
  if (family === undefined || family === null || family === 0) return 0;
  if (family === 4 || family === 'IPv4') return 4;
  if (family === 6 || family === 'IPv6') return 6;
  throw invalidArgType('options.family', family, "0, 4, 6, 'IPv4' or 'IPv6'");
}
