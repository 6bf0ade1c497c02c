/**
 * The options of simulated sockets, by the system's numbers: those of Linux, and for the constants that gyre
 * exports those of this platform.
 */
import {
  AF_INET6,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_BROADCAST,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../../../base/constants.ts';
import type { KernelOptions } from '../channel.ts';
import type { ErrorCode } from '../errors.ts';
import { ERRNO, systemError } from '../errors.ts';
import { SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL, SO_TYPE } from '../linux-options.ts';

export const IPPROTO_IP = 0;
const SO_LINGER = 13;
const IP_TOS = 1;
const IP_TTL = 2;
const IPV6_UNICAST_HOPS = 16;
const IPV6_TCLASS = 67;

/** Bytes, as on Linux: the most that a program can ask for, and the least that it gets. */
const MOST_BUFFER = 212_992;
const LEAST_RECEIVE_BUFFER = 2304;
const LEAST_SEND_BUFFER = 4608;

/** Reads and writes one option. Without `set`, it is for reading only. */
export interface OptionAccess<T> {
  get(options: T): number | Uint8Array;
  set?(options: T, value: number, bytes: Uint8Array | null): void;
}

export type OptionTable<T> = ReadonlyMap<string, OptionAccess<T>>;

export function optionTable<T>(
  rows: readonly [level: number, option: number, access: OptionAccess<T>][],
): OptionTable<T> {
  return new Map(rows.map(([level, option, access]) => [`${level}:${option}`, access]));
}

/** Options that sockets of every protocol have. */
export abstract class InetOptions implements KernelOptions {
  readonly family: number;
  reuseAddress: boolean = false;
  reusePort: boolean = false;
  ipv6Only: boolean = false;
  keepAlive: boolean = false;
  broadcast: boolean = false;
  listening: boolean = false;
  /** Seconds; -1 is off. */
  linger: number = -1;
  receiveBuffer: number;
  sendBuffer: number;
  timeToLive: number = 64;
  trafficClass: number = 0;
  abstract readonly type: number;
  /** Called after each change. */
  onChange: (() => void) | null = null;
  /** Takes the error of the socket. */
  takeError: (() => ErrorCode | null) | null = null;

  constructor(family: number, receiveBuffer: number, sendBuffer: number) {
    this.family = family;
    this.receiveBuffer = receiveBuffer;
    this.sendBuffer = sendBuffer;
  }

  /** The options that only sockets of this protocol have. */
  protected abstract find(level: number, option: number): OptionAccess<never> | undefined;

  get(level: number, option: number): number | Uint8Array {
    const access = this.#find(level, option);
    if (access === undefined) throw systemError('ENOPROTOOPT', 'getsockopt');
    return access.get(this);
  }

  set(level: number, option: number, value: number | Uint8Array): void {
    const access = this.#find(level, option);
    if (access?.set === undefined) throw systemError('ENOPROTOOPT', 'setsockopt');
    const isNumber = typeof value === 'number';
    if (!isNumber && value.length < 4) throw systemError('EINVAL', 'setsockopt');
    access.set(this, isNumber ? value : wordOf(value, 0), isNumber ? null : value);
    this.onChange?.();
  }

  #find(level: number, option: number): OptionAccess<InetOptions> | undefined {
    const own = this.find(level, option) as OptionAccess<InetOptions> | undefined;
    if (own !== undefined) return own;
    if (level === IPPROTO_IPV6 && this.family !== AF_INET6) return undefined;
    return COMMON.get(`${level}:${option}`);
  }
}

/** Returns a 32-bit number of an option's bytes. */
export function wordOf(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(offset, true);
}

type Flag = 'reuseAddress' | 'reusePort' | 'ipv6Only' | 'keepAlive' | 'broadcast';

function flag(name: Flag): OptionAccess<InetOptions> {
  return {
    get: (options) => Number(options[name]),
    set: (options, value) => {
      options[name] = value !== 0;
    },
  };
}

function buffer(name: 'receiveBuffer' | 'sendBuffer', least: number): OptionAccess<InetOptions> {
  return {
    get: (options) => options[name],
    // The kernel doubles it, for its own records, and tells so.
    set: (options, value) => {
      options[name] = Math.max(least, 2 * Math.min(Math.max(value, 0), MOST_BUFFER));
    },
  };
}

function byte(name: 'timeToLive' | 'trafficClass', usual: number, least: number): OptionAccess<InetOptions> {
  return {
    get: (options) => options[name],
    set: (options, value) => {
      if (value !== -1 && (value < least || value > 255)) throw systemError('EINVAL', 'setsockopt');
      options[name] = value === -1 ? usual : value;
    },
  };
}

const LINGER: OptionAccess<InetOptions> = {
  get: ({ linger }) => new Uint8Array(Int32Array.of(Number(linger >= 0), Math.max(0, linger)).buffer),
  set: (options, _value, bytes) => {
    if (bytes === null || bytes.length < 8) throw systemError('EINVAL', 'setsockopt');
    options.linger = wordOf(bytes, 0) === 0 ? -1 : wordOf(bytes, 4);
  },
};

const PENDING_ERROR: OptionAccess<InetOptions> = {
  get: (options) => {
    const code = options.takeError?.() ?? null;
    return code === null ? 0 : -ERRNO[code];
  },
};

const COMMON: OptionTable<InetOptions> = optionTable<InetOptions>([
  [SOL_SOCKET, SO_REUSEADDR, flag('reuseAddress')],
  [SOL_SOCKET, SO_REUSEPORT, flag('reusePort')],
  [SOL_SOCKET, SO_KEEPALIVE, flag('keepAlive')],
  [SOL_SOCKET, SO_BROADCAST, flag('broadcast')],
  [SOL_SOCKET, SO_RCVBUF, buffer('receiveBuffer', LEAST_RECEIVE_BUFFER)],
  [SOL_SOCKET, SO_SNDBUF, buffer('sendBuffer', LEAST_SEND_BUFFER)],
  [SOL_SOCKET, SO_LINGER, LINGER],
  [SOL_SOCKET, SO_ERROR, PENDING_ERROR],
  [SOL_SOCKET, SO_TYPE, { get: ({ type }) => type }],
  [SOL_SOCKET, SO_DOMAIN, { get: ({ family }) => family }],
  [SOL_SOCKET, SO_PROTOCOL, { get: ({ type }) => (type === SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP) }],
  [SOL_SOCKET, SO_ACCEPTCONN, { get: ({ listening }) => Number(listening) }],
  [IPPROTO_IPV6, IPV6_V6ONLY, flag('ipv6Only')],
  // The network is flat, so these numbers change nothing.
  [IPPROTO_IP, IP_TTL, byte('timeToLive', 64, 1)],
  [IPPROTO_IP, IP_TOS, byte('trafficClass', 0, 0)],
  [IPPROTO_IPV6, IPV6_UNICAST_HOPS, byte('timeToLive', 64, 0)],
  [IPPROTO_IPV6, IPV6_TCLASS, byte('trafficClass', 0, 0)],
]);
