/** The options of unix sockets, by the numbers of Linux. */
import {
  AF_UNIX,
  SO_BROADCAST,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../base/constants.ts';
import type { KernelOptions } from '../channel.ts';
import { systemError } from '../errors.ts';
import { SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL, SO_TYPE } from '../linux-options.ts';

const INT_BYTES = 4;
/** Bytes. */
const BUFFER = 212_992;

/** The options that cannot be set. */
const FIXED: readonly number[] = [SO_TYPE, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN, SO_ERROR];

export class LocalOptions implements KernelOptions {
  readonly #values: Map<number, number> = new Map([
    [SO_TYPE, SOCK_STREAM],
    [SO_DOMAIN, AF_UNIX],
    [SO_PROTOCOL, 0],
    [SO_ERROR, 0],
    [SO_ACCEPTCONN, 0],
    [SO_REUSEADDR, 0],
    [SO_REUSEPORT, 0],
    [SO_KEEPALIVE, 0],
    [SO_BROADCAST, 0],
    [SO_RCVBUF, BUFFER],
    [SO_SNDBUF, BUFFER],
  ]);

  get(level: number, option: number): number {
    if (level !== SOL_SOCKET) throw systemError('EOPNOTSUPP', 'getsockopt');
    const value = this.#values.get(option);
    if (value === undefined) throw systemError('ENOPROTOOPT', 'getsockopt');
    return value;
  }

  set(level: number, option: number, value: number | Uint8Array): void {
    if (level !== SOL_SOCKET) throw systemError('EOPNOTSUPP', 'setsockopt');
    if (!this.#values.has(option) || FIXED.includes(option)) throw systemError('ENOPROTOOPT', 'setsockopt');
    if (typeof value !== 'number' && value.length < INT_BYTES) throw systemError('EINVAL', 'setsockopt');
    const number =
      typeof value === 'number' ? value : new DataView(value.buffer, value.byteOffset).getInt32(0, true);
    const isBuffer = option === SO_RCVBUF || option === SO_SNDBUF;
    // Linux doubles it, for its own records.
    this.#values.set(option, isBuffer ? Math.min(2 * number, 2 * BUFFER) : Number(number !== 0));
  }

  listens(): void {
    this.#values.set(SO_ACCEPTCONN, 1);
  }
}
