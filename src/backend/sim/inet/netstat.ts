/** The table of the sockets of a simulated host, as `netstat -an` of Linux shows it. */
import type { SocketAddress } from '../../../base/address.ts';
import { AF_INET6 } from '../../../base/constants.ts';
import type { Network } from './network.ts';

/** One socket. */
export interface SocketRow {
  readonly protocol: 'tcp' | 'tcp6' | 'udp' | 'udp6';
  /** Bytes that the program has not read; for a listening socket, the connections that wait. */
  readonly receiveQueue: number;
  /** Bytes that the peer has not acknowledged. */
  readonly sendQueue: number;
  readonly local: SocketAddress;
  /** null: any. */
  readonly remote: SocketAddress | null;
  /** `LISTEN`, `ESTABLISHED` and the other states of TCP; empty for an unconnected UDP socket. */
  readonly state: string;
}

/** Returns the sockets by protocol: listening ones first, each group by its addresses. */
export function socketRows(network: Network): SocketRow[] {
  const rows: SocketRow[] = [];
  for (const { family, sockname, waiting } of network.tcp.listeners) {
    const protocol = family === AF_INET6 ? 'tcp6' : 'tcp';
    rows.push({
      protocol,
      receiveQueue: waiting,
      sendQueue: 0,
      local: sockname,
      remote: null,
      state: 'LISTEN',
    });
  }
  for (const connection of network.tcp.connections) {
    const protocol = connection.family === AF_INET6 ? 'tcp6' : 'tcp';
    const { sockname: local, peername: remote, readable: receiveQueue, sendQueue, state } = connection;
    rows.push({ protocol, receiveQueue, sendQueue, local, remote, state });
  }
  for (const { family, sockname, peername, queuedBytes } of network.udp.sockets) {
    const protocol = family === AF_INET6 ? 'udp6' : 'udp';
    const state = peername === null ? '' : 'ESTABLISHED';
    const local = sockname as SocketAddress;
    rows.push({ protocol, receiveQueue: queuedBytes, sendQueue: 0, local, remote: peername, state });
  }
  return rows.sort(compareRows);
}

function compareRows(one: SocketRow, other: SocketRow): number {
  return (
    compare(one.protocol, other.protocol) ||
    compare(one.remote === null ? 0 : 1, other.remote === null ? 0 : 1) ||
    compare(one.local[1] as number, other.local[1] as number) ||
    compare(one.local[0] as string, other.local[0] as string) ||
    compare(textOf(one.remote), textOf(other.remote))
  );
}

function compare<T extends string | number>(one: T, other: T): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

const TITLE = 'Active Internet connections (servers and established)';

/** Returns the table in the columns of Linux. */
export function formatSockets(rows: readonly SocketRow[]): string {
  const lines = rows.map(({ protocol, receiveQueue, sendQueue, local, remote, state }) =>
    line(
      protocol,
      String(receiveQueue),
      String(sendQueue),
      textOf(local),
      textOf(remote ?? anyOf(protocol)),
      state,
    ),
  );
  return [
    TITLE,
    line('Proto', 'Recv-Q', 'Send-Q', 'Local Address', 'Foreign Address', 'State'),
    ...lines,
  ].join('\n');
}

function line(
  protocol: string,
  received: string,
  sent: string,
  local: string,
  remote: string,
  state: string,
): string {
  const left = `${protocol.padEnd(5)} ${received.padStart(6)} ${sent.padStart(6)}`;
  return `${left} ${local.padEnd(23)} ${remote.padEnd(23)} ${state}`.trimEnd();
}

/** As netstat writes an IPv6 address: without brackets. */
function textOf(address: SocketAddress | null): string {
  return address === null ? '' : `${address[0]}:${address[1] === 0 ? '*' : address[1]}`;
}

function anyOf(protocol: SocketRow['protocol']): SocketAddress {
  return protocol.endsWith('6') ? ['::', 0, 0, 0] : ['0.0.0.0', 0];
}
