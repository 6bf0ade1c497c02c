/** The handle of a `net.Server` that listens on a simulated host. */
import { AsyncResource } from 'node:async_hooks';
import type { Acceptor, Binding, StreamKernel } from '../../backend/sim/kernel-sockets.ts';
import type { SocketAddress } from '../../base/address.ts';
import type { Place } from '../place.ts';
import { errnoOf } from './errno.ts';
import type { NativeAddress, StreamHandle } from './stream-handle.ts';
import { fillAddress, soonIn } from './stream-handle.ts';

const ROOT_TRIGGER = 1;

export interface ListenOptions {
  readonly address: SocketAddress;
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
}

export class ListenHandle {
  /** Set by the server. */
  onconnection: ((status: number, client?: StreamHandle) => void) | null = null;
  readonly #place: Place;
  readonly #kernel: StreamKernel;
  readonly #binding: Binding;
  readonly #makeClient: () => StreamHandle;
  readonly #context: AsyncResource = new AsyncResource('GYRE', ROOT_TRIGGER);
  #acceptor: Acceptor | null = null;
  #closed: boolean = false;
  #referenced: boolean = true;
  #letGo: (() => void) | null = null;
  #forgetEnd: (() => void) | null = null;

  /** Binds. Throws the system's error. */
  constructor(place: Place, kernel: StreamKernel, options: ListenOptions, makeClient: () => StreamHandle) {
    this.#place = place;
    this.#kernel = kernel;
    this.#makeClient = makeClient;
    const { address, ipv6Only, reusePort } = options;
    this.#binding = kernel.bind(address, { reuseAddress: true, reusePort, ipv6Only });
  }

  listen(backlog: number): number {
    try {
      this.#acceptor = this.#kernel.listen(this.#binding, backlog);
    } catch (error) {
      return errnoOf(error);
    }
    this.#acceptor.onAcceptable = this.#acceptSoon;
    this.#forgetEnd = this.#place.onEnd((crashed) => this.#end(crashed));
    this.#hold();
    this.#acceptSoon();
    return 0;
  }

  close(callback?: () => void): void {
    if (this.#closed) return;
    this.#end(false);
    if (callback !== undefined) soonIn(this.#place, this.#context, callback);
  }

  protected get sockname(): SocketAddress {
    return this.#acceptor?.sockname ?? this.#binding.address;
  }

  ref(): void {
    this.#referenced = true;
    this.#hold();
  }

  unref(): void {
    this.#referenced = false;
    this.#hold();
  }

  hasRef(): boolean {
    return this.#referenced && !this.#closed;
  }

  #acceptSoon = (): void => {
    soonIn(this.#place, this.#context, this.#accept);
  };

  /** Accepts one connection, because the code of the program runs after each one. */
  #accept = (): void => {
    const channel = this.#acceptor?.accept() ?? null;
    if (channel === null) return;
    if (this.#acceptor?.acceptable === true) this.#acceptSoon();
    this.onconnection?.(0, this.#makeClient().attach(channel));
  };

  #end(crashed: boolean): void {
    const acceptor = this.#acceptor;
    this.#closed = true;
    this.#acceptor = null;
    if (acceptor !== null) acceptor.onAcceptable = null;
    if (!crashed) {
      if (acceptor === null) this.#binding.release();
      else acceptor.close();
    }
    this.#forgetEnd?.();
    this.#forgetEnd = null;
    this.#hold();
  }

  #hold(): void {
    if (this.#referenced && !this.#closed && this.#acceptor !== null) this.#letGo ??= this.#place.keepAlive();
    else {
      this.#letGo?.();
      this.#letGo = null;
    }
  }
}

/** A server on a unix socket has no such method, by which Node tells the two apart. */
export class TcpListenHandle extends ListenHandle {
  getsockname(out: NativeAddress): number {
    return fillAddress(out, this.sockname);
  }
}
