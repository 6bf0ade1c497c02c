/** A listening socket of a simulated host as a raw listener: TCP, or a unix socket. */
import type { SocketAddress } from '../../../base/address.ts';
import type { ListenEvents, ListenTarget, RawListener, RawStream, SystemSocket } from '../../backend.ts';
import type { Channel } from '../channel.ts';
import type { SimHost } from '../host.ts';
import type { Acceptor, Binding, StreamKernel } from '../kernel-sockets.ts';

/** The streams and descriptors of the sockets of a listener. */
export interface ListenerParts {
  /** Makes the raw stream of a connection. Throws the system's error if it cannot: `EMFILE`. */
  wrap(channel: Channel): RawStream;
  /** Gives a descriptor to a listening socket. */
  describe?(acceptor: Acceptor): ListenerDescriptor;
}

export interface ListenerDescriptor {
  fileno(): number;
  readonly system: SystemSocket;
  /** Closes the descriptor, and with the last one the socket. */
  close(): void;
}

/**
 * It accepts one connection in each step, because the code that a connection starts must run before the next.
 */
export class SimListener implements RawListener {
  system?: SystemSocket;
  readonly #host: SimHost;
  readonly #kernel: StreamKernel;
  readonly #parts: ListenerParts;
  readonly #events: ListenEvents;
  readonly #backlog: number;
  readonly #sockname: SocketAddress | null;
  /** Bound, but not listening. */
  #binding: Binding | null = null;
  #acceptor: Acceptor | null = null;
  #descriptor: ListenerDescriptor | null = null;
  #scheduled: boolean = false;
  #resting: boolean = false;
  #closed: boolean = false;

  /** @param acceptor a socket that listens already, which the listener takes over */
  constructor(
    host: SimHost,
    kernel: StreamKernel,
    parts: ListenerParts,
    target: ListenTarget,
    events: ListenEvents,
    acceptor: Acceptor | null = null,
  ) {
    this.#host = host;
    this.#kernel = kernel;
    this.#parts = parts;
    this.#events = events;
    this.#backlog = target.backlog;
    try {
      if (acceptor !== null) {
        acceptor.setBacklog(target.backlog);
        this.#serveWith(acceptor);
      } else {
        this.#binding = this.#bind(target);
        if (target.serves) this.serve();
      }
      host.soon(() => {
        if (!this.#closed) events.onListening();
      });
    } catch (error) {
      this.#binding?.release();
      this.#binding = null;
      host.soon(() => {
        if (!this.#closed) events.onError(error as Error);
      });
    }
    this.#sockname = acceptor?.sockname ?? this.#acceptor?.sockname ?? this.#binding?.address ?? null;
  }

  #bind({ address, reusePort, ipv6Only }: ListenTarget): Binding {
    return this.#kernel.bind(address as SocketAddress, { reuseAddress: true, reusePort, ipv6Only });
  }

  sockname(): SocketAddress | null {
    return this.#sockname;
  }

  fileno(): number {
    return this.#closed ? -1 : (this.#descriptor?.fileno() ?? -1);
  }

  serve(): void {
    const binding = this.#binding;
    if (binding === null) return;
    const acceptor = this.#kernel.listen(binding, this.#backlog);
    this.#binding = null;
    this.#serveWith(acceptor);
  }

  #serveWith(acceptor: Acceptor): void {
    this.#acceptor = acceptor;
    this.#descriptor = this.#parts.describe?.(acceptor) ?? null;
    if (this.#descriptor !== null) this.system = this.#descriptor.system;
    acceptor.onAcceptable = () => this.#schedule();
    if (acceptor.acceptable) this.#schedule();
  }

  acceptStart(): void {
    this.#resting = false;
    this.#schedule();
  }

  acceptStop(): void {
    this.#resting = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#binding?.release();
    const acceptor = this.#acceptor;
    if (acceptor === null) return;
    acceptor.onAcceptable = null;
    if (this.#descriptor === null) acceptor.close();
    else this.#descriptor.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#resting || this.#closed) return;
    this.#scheduled = true;
    this.#host.soon(this.#accept);
  }

  #accept = (): void => {
    this.#scheduled = false;
    if (this.#closed || this.#resting) return;
    const channel = this.#acceptor?.accept() ?? null;
    if (channel === null) return;
    // Also if this was the last one: an accept that finds none asks the kernel to report the next.
    this.#schedule();
    let stream: RawStream;
    try {
      stream = this.#parts.wrap(channel);
    } catch (error) {
      channel.reset();
      this.#resting = true;
      this.#events.onError(error as Error);
      return;
    }
    this.#events.onConnection(stream);
  };
}
