import type { SocketControl, StreamInfo, SystemSocket } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { familyName, formatAddress } from '../base/address.ts';
import { SOCK_STREAM } from '../base/constants.ts';
import { LoopError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkBoolean, checkSeconds, outOfRange } from '../base/validate.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { Socket } from './socket/socket.ts';
import { getOption, setOption } from './socket-options.ts';

/** The longest delay that Linux accepts. Node ignores the error of a longer delay. */
export const LONGEST_KEEP_ALIVE_SECONDS = 32_767;

/**
 * The socket of a transport or a server: its addresses, its options and its descriptor. The transport alone
 * reads and writes its data.
 *
 * **Backends** The native backend has descriptors of the system, and the simulated one those of its host. On
 * the portable one `fileno()` returns -1, and `getsockopt()`, `setsockopt()` and `dup()` throw
 * `ERR_UNSUPPORTED`. The native backend does the same for a socket of Node's own that was passed as `sock`.
 */
export class TransportSocket {
  /** `AF_INET`, `AF_INET6` or `AF_UNIX`. */
  readonly family: number;
  /** `SOCK_STREAM` or `SOCK_DGRAM`. */
  readonly type: number;
  readonly #loop: Loop;
  readonly #info: StreamInfo;
  readonly #handle: SocketControl;

  /** @internal */
  constructor(loop: Loop, info: StreamInfo, handle: SocketControl, type: number = SOCK_STREAM) {
    this.#loop = loop;
    this.family = info.family;
    this.type = type;
    this.#info = info;
    this.#handle = handle;
  }

  /** Returns the local address. */
  getsockname(): SocketAddress | null {
    return this.#info.sockname;
  }

  /** Returns the remote address; null for a listening socket. */
  getpeername(): SocketAddress | null {
    return this.#info.peername;
  }

  /** Returns the file descriptor, or -1 if the backend has none. */
  fileno(): number {
    return this.#handle.fileno();
  }

  /** Sets `TCP_NODELAY`: true, the default of every transport, switches Nagle's algorithm off. */
  setNoDelay(on: boolean = true): void {
    checkBoolean('on', on);
    if (this.#handle.setNoDelay === undefined) throw notConnected('setNoDelay');
    this.#handle.setNoDelay(on);
  }

  /**
   * Switches keep-alive probes on or off. The first probe is sent after `delaySeconds` of silence; 0 keeps
   * the system's delay.
   */
  setKeepAlive(on: boolean = true, delaySeconds: number = 0): void {
    checkBoolean('on', on);
    checkSeconds('delaySeconds', delaySeconds);
    if (delaySeconds < 0 || delaySeconds > LONGEST_KEEP_ALIVE_SECONDS) {
      throw outOfRange('delaySeconds', delaySeconds, `from 0 to ${LONGEST_KEEP_ALIVE_SECONDS} seconds`);
    }
    if (this.#handle.setKeepAlive === undefined) throw notConnected('setKeepAlive');
    this.#handle.setKeepAlive(on, delaySeconds);
  }

  /**
   * Returns an option of the socket: as a number, or with `length` as bytes.
   *
   * @param level `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IPV6`, or another level of the system
   * @param option `SO_RCVBUF`, `TCP_NODELAY`, or another option of the system
   * @param length the longest result in bytes: from 1 to 1024
   * @throws TypeError or RangeError for a wrong argument; the system's error: `ENOPROTOOPT` for an unknown
   *   option, `EBADF` when the socket is closed; LoopError `ERR_UNSUPPORTED`
   */
  getsockopt(level: number, option: number): number;
  getsockopt(level: number, option: number, length: number): Buffer;
  getsockopt(level: number, option: number, length?: number): Buffer | number {
    return getOption(this.#system('getsockopt'), level, option, length);
  }

  /**
   * Sets an option of the socket.
   *
   * @param level as in {@link getsockopt}
   * @param option as in {@link getsockopt}
   * @param value a number, a boolean for 1 or 0, or the bytes of the option's value
   * @throws as {@link getsockopt}
   */
  setsockopt(level: number, option: number, value: number | boolean | Uint8Array): void {
    setOption(this.#system('setsockopt'), level, option, value);
  }

  /**
   * Opens another descriptor of the same socket. Its reads take data away from the transport, and its writes
   * mix with those of the transport.
   *
   * @returns a socket that the caller must close
   * @throws the system's error: `EMFILE`, or `EBADF` when the socket is closed; LoopError `ERR_UNSUPPORTED`,
   *   `ERR_LOOP_CLOSED`
   */
  dup(): Socket {
    const system = this.#system('dup');
    if (this.#loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
    return Socket._of(this.#loop, system.duplicate());
  }

  /** @internal */
  _facts(): string {
    const ends = [this.getsockname(), this.getpeername()].map((address) =>
      address === null || address === '' ? '' : formatAddress(address),
    );
    const fd = this.fileno();
    return [
      familyName(this.family),
      ends.filter((end) => end !== '').join(' -> '),
      fd < 0 ? '' : `descriptor ${fd}`,
    ]
      .filter((fact) => fact !== '')
      .join(', ');
  }

  #system(method: string): SystemSocket {
    const { system } = this.#handle;
    if (system !== undefined) return system;
    checkSupports(this.#loop, 'sockets');
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `${method}(): this is a socket of Node’s own, which has no descriptor`,
    );
  }
}

showInOneLine(TransportSocket);

function notConnected(method: string): LoopError {
  return new LoopError(
    'ERR_UNSUPPORTED',
    `${method}(): only connections have this option, not listening sockets and datagram sockets`,
  );
}
