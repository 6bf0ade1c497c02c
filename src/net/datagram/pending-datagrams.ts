/**
 * Datagrams that have not left: first queued, then with the host, then gone. Sans-IO.
 *
 *   push ──▶ queued ──take──▶ with the host ──left──▶ gone
 *
 * The host has one at a time. It could queue more, but Node sends what it has in batches, and one that cannot
 * be sent fails all those behind it, which may go to somebody else.
 *
 * A datagram that waits is a copy, and so is its address: their owner may change both, or give the memory
 * away.
 */
import type { Datagram } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { RingQueue } from '../../base/ring-queue.ts';

/**
 * Bytes of a UDP header. asyncio counts as many: without them, empty datagrams would pile up and never pause
 * anybody.
 */
export const HEADER_BYTES = 8;

export class PendingDatagrams {
  readonly #queue: RingQueue<Datagram> = new RingQueue();
  #queuedBytes: number = 0;
  #hostBytes: number = 0;

  /** Bytes that have not left, each datagram's header included. */
  get size(): number {
    return this.#queuedBytes + this.#hostBytes;
  }

  push(data: Uint8Array, address: SocketAddress | null): void {
    // The first one does not wait: it is taken at once.
    const waits = this.size > 0;
    this.#queue.push(waits ? { data: new Uint8Array(data), address: copyOf(address) } : { data, address });
    this.#queuedBytes += data.length + HEADER_BYTES;
  }

  /** The next one, which the host has now; null while it still has one, or when there is none. */
  take(): Datagram | null {
    if (this.#hostBytes > 0) return null;
    const next = this.#queue.shift();
    if (next === undefined) return null;
    this.#hostBytes = next.data.length + HEADER_BYTES;
    this.#queuedBytes -= this.#hostBytes;
    return next;
  }

  /** The one that the host had has left, or never will. */
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
