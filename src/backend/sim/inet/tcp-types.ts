/** The surroundings of a TCP connection, and its states. Types only. */
import type { SocketAddress } from '../../../base/address.ts';
import type { TcpSegment } from '../fabric/packet.ts';
import type { Timeline } from '../timeline.ts';

/** The names of netstat. */
export type TcpState =
  | 'SYN_SENT'
  | 'SYN_RECV'
  | 'ESTABLISHED'
  | 'FIN_WAIT1'
  | 'FIN_WAIT2'
  | 'TIME_WAIT'
  | 'CLOSE'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'CLOSING';

/** The part of the kernel that has the connection. */
export interface TcpHome<C> {
  readonly timeline: Timeline;
  transmit(segment: TcpSegment): void;
  /** The connection is over, and its port is free. */
  forget(connection: C): void;
  /** Answers a segment by RST. */
  refuse(segment: TcpSegment): void;
}

/** A listening socket, as its connections see it. */
export interface TcpParent<C> {
  /** No more connections can wait. */
  readonly full: boolean;
  /** The handshake is complete. */
  completed(connection: C): void;
  /** The handshake has failed. */
  failed(connection: C): void;
}

export interface TcpEnds {
  /** `AF_INET` or `AF_INET6`: of the socket. The addresses of its packets may be IPv4 in both cases. */
  readonly family: number;
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly sockname: SocketAddress;
  readonly peername: SocketAddress;
}
