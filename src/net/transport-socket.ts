import type { SocketControl, StreamInfo } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { SOCK_STREAM } from '../base/constants.ts';
import { checkBoolean, checkSeconds, outOfRange } from '../base/validate.ts';

/** Linux takes no more, and Node would not say so. */
export const LONGEST_KEEP_ALIVE_SECONDS = 32_767;

/**
 * The socket of a transport or a server, for questions and options; its data belongs to the transport.
 *
 * **Backends** `fileno()` is -1 where the backend has no descriptors to show.
 */
export class TransportSocket {
  /** `AF_INET`, `AF_INET6` or `AF_UNIX`. */
  readonly family: number;
  /** `SOCK_STREAM` or `SOCK_DGRAM`. */
  readonly type: number;
  readonly #info: StreamInfo;
  readonly #handle: SocketControl;

  /** @internal */
  constructor(info: StreamInfo, handle: SocketControl, type: number = SOCK_STREAM) {
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
}
