import type { StreamInfo } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { SOCK_STREAM } from '../base/constants.ts';
import { checkBoolean, checkSeconds, outOfRange } from '../base/validate.ts';

/** Linux takes no more, and Node would not say so. */
const LONGEST_KEEP_ALIVE_SECONDS = 32_767;

/**
 * The socket of a transport or a server, for questions and options; its data belongs to the transport.
 *
 * **Backends** `fileno()` is -1 where the backend has no descriptors to show.
 */
export class TransportSocket {
  /** `AF_INET` or `AF_INET6`. */
  readonly family: number;
  /** `SOCK_STREAM`. */
  readonly type: number = SOCK_STREAM;
  readonly #info: StreamInfo;

  /** @internal */
  constructor(info: StreamInfo) {
    this.family = info.family;
    this.#info = info;
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
    return this.#info.handle.fileno();
  }

  /** Nagle's algorithm off (true, the default of every transport) or on. */
  setNoDelay(on: boolean = true): void {
    checkBoolean('on', on);
    this.#info.handle.setNoDelay(on);
  }

  /** Keep-alive probes, the first after `delaySeconds` of silence (0: the system's own delay). */
  setKeepAlive(on: boolean = true, delaySeconds: number = 0): void {
    checkBoolean('on', on);
    checkSeconds('delaySeconds', delaySeconds);
    if (delaySeconds < 0 || delaySeconds > LONGEST_KEEP_ALIVE_SECONDS) {
      throw outOfRange('delaySeconds', delaySeconds, `from 0 to ${LONGEST_KEEP_ALIVE_SECONDS} seconds`);
    }
    this.#info.handle.setKeepAlive(on, delaySeconds);
  }
}
