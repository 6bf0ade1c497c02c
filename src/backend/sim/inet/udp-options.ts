/** The options of simulated UDP sockets. */
import { canonicalIPv6 } from '../../../base/address.ts';
import { AF_INET6, IPPROTO_IPV6, SOCK_DGRAM } from '../../../base/constants.ts';
import { systemError } from '../errors.ts';
import type { OptionAccess, OptionTable } from './inet-options.ts';
import { InetOptions, IPPROTO_IP, optionTable } from './inet-options.ts';

/** The numbers of Linux. */
const IP_MTU_DISCOVER = 10;
const IP_MULTICAST_IF = 32;
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IP_DROP_MEMBERSHIP = 36;
const IP_MULTICAST_ALL = 49;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const IPV6_LEAVE_GROUP = 21;
const IPV6_MTU_DISCOVER = 23;
const IPV6_MULTICAST_ALL = 29;
const PMTUDISC_DO = 2;
const PMTUDISC_MOST = 5;
/** Bytes: struct ip_mreq and struct ipv6_mreq. */
const MEMBERSHIP_BYTES = 8;
const IPV6_MEMBERSHIP_BYTES = 20;

/** Bytes, as on Linux. */
const BUFFER = 212_992;

/** The groups of a socket. The methods throw the system's error. */
export interface Memberships {
  join(group: string): void;
  leave(group: string): void;
}

export class UdpOptions extends InetOptions {
  readonly type: number = SOCK_DGRAM;
  /** 0 keeps datagrams for groups on the host. */
  multicastHops: number = 1;
  /** Datagrams for groups also come back to this host. */
  multicastLoop: boolean = true;
  /** The socket gets datagrams for all groups of the host, not only for its own. */
  multicastAll: boolean = true;
  mtuDiscover: number = 1;
  readonly memberships: Memberships;

  constructor(family: number, memberships: Memberships) {
    super(family, BUFFER, BUFFER);
    this.memberships = memberships;
  }

  /** A datagram that is longer than the way permits fails. */
  get neverFragments(): boolean {
    return this.mtuDiscover === PMTUDISC_DO;
  }

  protected override find(level: number, option: number): OptionAccess<never> | undefined {
    if (level === IPPROTO_IPV6 && this.family !== AF_INET6) return undefined;
    return UDP.get(`${level}:${option}`);
  }
}

function flag(name: 'multicastLoop' | 'multicastAll'): OptionAccess<UdpOptions> {
  return {
    get: (options) => Number(options[name]),
    set: (options, value) => {
      options[name] = value !== 0;
    },
  };
}

const HOPS: OptionAccess<UdpOptions> = {
  get: ({ multicastHops }) => multicastHops,
  set: (options, value) => {
    if (value < -1 || value > 255) throw systemError('EINVAL', 'setsockopt');
    options.multicastHops = value === -1 ? 1 : value;
  },
};

const MTU_DISCOVER: OptionAccess<UdpOptions> = {
  get: ({ mtuDiscover }) => mtuDiscover,
  set: (options, value) => {
    if (value < 0 || value > PMTUDISC_MOST) throw systemError('EINVAL', 'setsockopt');
    options.mtuDiscover = value;
  },
};

function membership(
  call: 'join' | 'leave',
  groupOf: (bytes: Uint8Array | null) => string,
): OptionAccess<UdpOptions> {
  return {
    get: () => {
      throw systemError('ENOPROTOOPT', 'getsockopt');
    },
    set: ({ memberships }, _value, bytes) => memberships[call](groupOf(bytes)),
  };
}

function inet4Group(bytes: Uint8Array | null): string {
  if (bytes === null || bytes.length < MEMBERSHIP_BYTES) throw systemError('EINVAL', 'setsockopt');
  return bytes.subarray(0, 4).join('.');
}

function inet6Group(bytes: Uint8Array | null): string {
  if (bytes === null || bytes.length < IPV6_MEMBERSHIP_BYTES) throw systemError('EINVAL', 'setsockopt');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2)
    groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return canonicalIPv6(groups.join(':'));
}

/** A host has one interface, so its choice changes nothing. */
const INTERFACE: OptionAccess<UdpOptions> = { get: () => new Uint8Array(4), set: () => {} };

const UDP: OptionTable<UdpOptions> = optionTable<UdpOptions>([
  [IPPROTO_IP, IP_MTU_DISCOVER, MTU_DISCOVER],
  [IPPROTO_IP, IP_MULTICAST_IF, INTERFACE],
  [IPPROTO_IP, IP_MULTICAST_TTL, HOPS],
  [IPPROTO_IP, IP_MULTICAST_LOOP, flag('multicastLoop')],
  [IPPROTO_IP, IP_MULTICAST_ALL, flag('multicastAll')],
  [IPPROTO_IP, IP_ADD_MEMBERSHIP, membership('join', inet4Group)],
  [IPPROTO_IP, IP_DROP_MEMBERSHIP, membership('leave', inet4Group)],
  [IPPROTO_IPV6, IPV6_MTU_DISCOVER, MTU_DISCOVER],
  [IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS],
  [IPPROTO_IPV6, IPV6_MULTICAST_LOOP, flag('multicastLoop')],
  [IPPROTO_IPV6, IPV6_MULTICAST_ALL, flag('multicastAll')],
  [IPPROTO_IPV6, IPV6_JOIN_GROUP, membership('join', inet6Group)],
  [IPPROTO_IPV6, IPV6_LEAVE_GROUP, membership('leave', inet6Group)],
]);
