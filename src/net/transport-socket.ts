import type { SocketControl, StreamInfo, SystemSocket } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { SOCK_STREAM } from '../base/constants.ts';
import { LoopError } from '../base/errors.ts';
import { checkBoolean, checkSeconds, outOfRange } from '../base/validate.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { Socket } from './socket/socket.ts';
import { getOption, setOption } from './socket-options.ts';

/** Linux takes no more, and Node would not say so. */
export const LONGEST_KEEP_ALIVE_SECONDS = 32_767;

/**
 * The socket of a transport or a server, for questions and options; its data belongs to the transport.
 *
 * **Backends** the native one alone shows descriptors: elsewhere `fileno()` is -1, and `getsockopt()`,
 * `setsockopt()` and `dup()` throw `ERR_UNSUPPORTED`. So they do on the native one for a socket of Node's own
 * that was given as `sock`.
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

  /** Address of this side. */
  getsockname(): SocketAddress | null {
    return this.#info.sockname;
  }

  /** Address of the other side; null for a listening socket. */
  getpeername(): SocketAddress | null {
    return this.#info.peername;
  }

  /** The descriptor, or -1 where the backend has none. */
  fileno(): number {
    return this.#handle.fileno();
  }

  /** Nagle's algorithm off (true, the default of every transport) or on. */
  setNoDelay(on: boolean = true): void {
    checkBoolean('on', on);
    this.#handle.setNoDelay(on);
  }

  /** Keep-alive probes, the first after `delaySeconds` of silence (0: the system's own delay). */
  setKeepAlive(on: boolean = true, delaySeconds: number = 0): void {
    checkBoolean('on', on);
    checkSeconds('delaySeconds', delaySeconds);
    if (delaySeconds < 0 || delaySeconds > LONGEST_KEEP_ALIVE_SECONDS) {
      throw outOfRange('delaySeconds', delaySeconds, `from 0 to ${LONGEST_KEEP_ALIVE_SECONDS} seconds`);
    }
    this.#handle.setKeepAlive(on, delaySeconds);
  }

  /**
   * An option of the socket: a number, or with `length` its bytes.
   *
   * @param level `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IPV6`, or another of the system's
   * @param option `SO_RCVBUF`, `TCP_NODELAY`, or another number of the system's
   * @param length bytes, at most: from 1 to 1024
   * @throws TypeError, RangeError; the system's error: `ENOPROTOOPT` for an option that it has not, `EBADF`
   *   when it is closed; LoopError `ERR_UNSUPPORTED`
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
   * @param value a number, a boolean for 1 or 0, or the bytes that the system wants
   * @throws as {@link getsockopt}
   */
  setsockopt(level: number, option: number, value: number | boolean | Uint8Array): void {
    setOption(this.#system('setsockopt'), level, option, value);
  }

  /**
   * Opens another descriptor of the same socket. Whoever reads or writes by it takes data from the transport,
   * or mixes it with that of the transport.
   *
   * @returns a socket that its caller must close
   * @throws the system's error: `EMFILE`, `EBADF` when it is closed; LoopError `ERR_UNSUPPORTED`,
   *   `ERR_LOOP_CLOSED`
   */
  dup(): Socket {
    const system = this.#system('dup');
    if (this.#loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
    return Socket._of(this.#loop, system.duplicate());
  }

  #system(method: string): SystemSocket {
    const { system } = this.#handle;
    if (system !== undefined) return system;
    checkSupports(this.#loop, 'sockets');
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `${method}(): this is a socket of Node’s own, which shows no descriptor`,
    );
  }
}
