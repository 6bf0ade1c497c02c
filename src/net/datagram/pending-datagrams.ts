/**
 * The datagrams that have not left yet. No I/O.
 *
 *   push ──▶ queued ──take──▶ with the host ──left──▶ gone
 *
 * The host gets one datagram at a time. Node sends several in a batch, and a datagram that cannot be sent
 * fails all those behind it, even if they go to other destinations.
 *
 * The queue copies each datagram that waits, and its address, because the caller may change both, or transfer
 * the memory.
 */
import type { Datagram } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { RingQueue } from '../../base/ring-queue.ts';

/**
 * Bytes of a UDP header, which count for each datagram. Without them, empty datagrams would queue up and
 * never pause the protocol. (CPython 3.13.0 counts the data alone.)
 */
export const HEADER_BYTES = 8;

export class PendingDatagrams {
  readonly #queue: RingQueue<Datagram> = new RingQueue();
  #queuedBytes: number = 0;
  #hostBytes: number = 0;

  /** Bytes that have not left, with the headers. */
  get size(): number {
    return this.#queuedBytes + this.#hostBytes;
  }

  push(data: Uint8Array, address: SocketAddress | null): void {
    // The first datagram is not copied, because `take()` follows at once.
    const waits = this.size > 0;
    this.#queue.push(waits ? { data: new Uint8Array(data), address: copyOf(address) } : { data, address });
    this.#queuedBytes += data.length + HEADER_BYTES;
  }

  /**
   * Takes the next datagram for the host. Returns null while the host still has one, or if the queue is
   * empty.
   */
  take(): Datagram | null {
    if (this.#hostBytes > 0) return null;
    const next = this.#queue.shift();
    if (next === undefined) return null;
    this.#hostBytes = next.data.length + HEADER_BYTES;
    this.#queuedBytes -= this.#hostBytes;
    return next;
  }

  /** Marks the datagram of the host as sent or failed. */
  left(): void {
    this.#hostBytes = 0;
  }

  /** Drops everything. */
  clear(): void {
    this.#queue.clear();
    this.#queuedBytes = 0;
    this.#hostBytes = 0;
  }
}

function copyOf(address: SocketAddress | null): SocketAddress | null {
  return Array.isArray(address) ? ([...address] as unknown as SocketAddress) : address;
}
