/** A listening TCP socket of a simulated kernel: the connections that wait to be accepted. */
import type { SocketAddress } from '../../../base/address.ts';
import { RingQueue } from '../../../base/ring-queue.ts';
import type { Acceptor } from '../kernel-sockets.ts';
import type { TcpBinding } from './tcp.ts';
import type { TcpConnection } from './tcp-connection.ts';
import type { TcpOptions } from './tcp-options.ts';
import type { TcpParent } from './tcp-types.ts';

/** The longest queue, as on Linux. */
const MOST_WAITING = 4096;

export class TcpListener implements Acceptor, TcpParent<TcpConnection> {
  readonly binding: TcpBinding;
  onAcceptable: (() => void) | null = null;
  readonly #onClosed: () => void;
  #backlog: number;
  #starved: boolean = true;
  /** Handshakes under way. */
  readonly #opening: Set<TcpConnection> = new Set();
  readonly #queue: RingQueue<TcpConnection> = new RingQueue();

  /** @param onClosed frees the address */
  constructor(binding: TcpBinding, backlog: number, onClosed: () => void) {
    this.binding = binding;
    this.#onClosed = onClosed;
    this.#backlog = clamped(backlog);
    binding.options.listening = true;
  }

  get family(): number {
    return this.binding.family;
  }

  get sockname(): SocketAddress {
    return this.binding.address;
  }

  get options(): TcpOptions {
    return this.binding.options;
  }

  get acceptable(): boolean {
    return this.#queue.length > 0;
  }

  /** The number of connections that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Linux lets one more wait than the backlog says. */
  get full(): boolean {
    return this.#queue.length > this.#backlog;
  }

  setBacklog(backlog: number): void {
    this.#backlog = clamped(backlog);
  }

  opening(connection: TcpConnection): void {
    this.#opening.add(connection);
  }

  completed(connection: TcpConnection): void {
    this.#opening.delete(connection);
    this.#queue.push(connection);
    if (!this.#starved) return;
    this.#starved = false;
    this.onAcceptable?.();
  }

  failed(connection: TcpConnection): void {
    this.#opening.delete(connection);
  }

  accept(): TcpConnection | null {
    const connection = this.#queue.shift() ?? null;
    if (this.#queue.length === 0) this.#starved = true;
    return connection;
  }

  close(): void {
    this.onAcceptable = null;
    this.#onClosed();
    for (const connection of this.#opening) connection.drop();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next.reset();
  }
}

function clamped(backlog: number): number {
  return backlog < 0 ? MOST_WAITING : Math.min(backlog, MOST_WAITING);
}
