/**
 * The handle of a `net.Socket` whose connection is a channel of a simulated host.
 *
 * It is a native stream of Node, so that TLS, HTTP and HTTP/2 use it as they use a TCP handle, and it has the
 * methods of a TCP handle. The socket does not know the difference.
 *
 *   net.Socket ─ (TLSWrap) ─ StreamHandle ─ Channel ─ kernel of the host
 */
import { AsyncResource } from 'node:async_hooks';
import type { Channel } from '../../backend/sim/channel.ts';
import type { Binding, StreamKernel } from '../../backend/sim/kernel-sockets.ts';
import type { SocketAddress } from '../../base/address.ts';
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import { errnoOf, UV_EBADF, UV_ECANCELED, UV_EINVAL, UV_ENOTCONN } from './errno.ts';
import type { Owned } from './native.ts';
import { JSStream, ownerSymbol } from './native.ts';

/** Bytes that the handle reads at a time, as libuv does. */
const READ_SIZE = 65_536;
const ROOT_TRIGGER = 1;

/** A request of Node's `net`: it is told the end of `connect()`. */
export interface ConnectRequest {
  oncomplete?: (
    status: number,
    handle: unknown,
    request: unknown,
    readable: boolean,
    writable: boolean,
  ) => void;
}

interface Write {
  readonly request: object;
  readonly chunks: Uint8Array[];
}

/** A `net.Socket`, as its handle sees it. */
interface Owner {
  destroy(error?: Error): void;
}

/** Calls `fn` as the handles of the machine do: from its loop, never from within a method. */
export function soonIn(place: Place, context: AsyncResource, fn: () => void): void {
  place.soon(() => context.runInAsyncScope(fn));
}

export class StreamHandle extends JSStream {
  /** The socket on top, if TLS has put one between; Node keeps only the one below. */
  top: Owner | null = null;
  protected readonly place: Place;
  protected channel: Channel | null = null;
  protected binding: Binding | null = null;
  readonly #kernel: StreamKernel;
  readonly #context: AsyncResource = new AsyncResource('GYRE', ROOT_TRIGGER);
  #cancelConnect: (() => void) | null = null;
  #reading: boolean = false;
  #pumping: boolean = false;
  #ended: boolean = false;
  #closed: boolean = false;
  #writing: Write | null = null;
  #shutdown: object | null = null;
  #unwritten: number = 0;
  #referenced: boolean = true;
  #letGo: (() => void) | null = null;
  #forgetEnd: (() => void) | null = null;

  constructor(place: Place, kernel: StreamKernel) {
    super();
    this.place = place;
    this.#kernel = kernel;
  }

  /** Runs `fn` as code of the program that owns the handle. */
  run<R>(fn: () => R): R {
    return currentPlace() === this.place ? fn() : this.#context.runInAsyncScope(fn);
  }

  // --- the connection ---

  protected startConnect(request: ConnectRequest, address: SocketAddress): number {
    if (this.#closed) return UV_EBADF;
    if (!this.place.alive) return UV_ECANCELED;
    const context = new AsyncResource('GYRE', ROOT_TRIGGER);
    const done = (status: number): void =>
      soonIn(this.place, context, () => {
        if (!this.#closed) request.oncomplete?.(status, this, request, true, true);
      });
    const { binding } = this;
    this.binding = null;
    try {
      const raw = this.#kernel.connect(address, binding, (error, channel) => {
        this.#cancelConnect = null;
        if (channel !== null) this.attach(channel);
        done(error === null ? 0 : errnoOf(error));
      });
      this.#cancelConnect = () => raw.cancel();
    } catch (error) {
      return errnoOf(error);
    }
    this.#hold();
    return 0;
  }

  protected bindTo(address: SocketAddress, ipv6Only: boolean): number {
    try {
      this.binding = this.#kernel.bind(address, { reuseAddress: true, reusePort: false, ipv6Only });
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** Takes ownership of a connected channel. */
  attach(channel: Channel): this {
    if (this.#closed) {
      channel.close();
      return this;
    }
    this.channel = channel;
    channel.events = {
      onReadable: () => this.#pumpSoon(),
      onWritable: () => soonIn(this.place, this.#context, () => this.#flush()),
      onError: () => soonIn(this.place, this.#context, () => this.#failed()),
    };
    this.#forgetEnd = this.place.onEnd((crashed) => {
      this.#drop();
      channel.events = null;
      if (!crashed) channel.close();
    });
    this.#hold();
    this.#pumpSoon();
    return this;
  }

  // --- as Node's native stream calls it ---

  onreadstart(): number {
    this.#reading = true;
    this.#pumpSoon();
    return 0;
  }

  onreadstop(): number {
    this.#reading = false;
    return 0;
  }

  onwrite(request: object, chunks: Uint8Array[]): number {
    if (this.channel === null) return this.#closed ? UV_EBADF : UV_ENOTCONN;
    this.#writing = { request, chunks };
    for (const chunk of chunks) this.#unwritten += chunk.length;
    this.#write();
    return 0;
  }

  onshutdown(request: object): number {
    if (this.channel === null) return UV_ENOTCONN;
    this.#shutdown = request;
    if (this.#writing === null) this.#finish();
    return 0;
  }

  isClosing(): boolean {
    return this.#closed;
  }

  // --- as a handle ---

  get writeQueueSize(): number {
    return this.#unwritten;
  }

  close(callback?: () => void): void {
    this.#close(callback, (channel) => channel.close());
  }

  reset(callback?: () => void): number {
    if (this.#closed) return UV_EINVAL;
    this.#close(callback, (channel) => channel.reset());
    return 0;
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

  // --- its own life ---

  #pumpSoon(): void {
    if (this.#pumping || !this.#reading || this.channel === null) return;
    this.#pumping = true;
    this.place.soon(this.#pump);
  }

  /** Reads once, because the code of the program runs after each read of a real handle. */
  #pump = (): void => {
    this.#pumping = false;
    const { channel } = this;
    if (channel === null || !this.#reading || this.#ended) return;
    const data = channel.read(READ_SIZE);
    if (data !== null) {
      this.#pumpSoon();
      this.readBuffer(data);
    } else if (channel.error !== null) {
      this.#context.runInAsyncScope(() => this.#fail(channel.error as Error));
    } else if (channel.ended) {
      this.#ended = true;
      this.emitEOF();
    }
  };

  /** As on a real host, a failure shows at the next read or write. */
  #failed(): void {
    if (this.#writing !== null) this.#flush();
    this.#pumpSoon();
  }

  #fail(error: Error): void {
    this.#ended = true;
    const owner = this.top ?? ((this as unknown as Owned)[ownerSymbol] as Owner | undefined);
    owner?.destroy(error);
  }

  #flush(): void {
    if (this.#writing !== null) this.#write();
  }

  #write(): void {
    const { channel } = this;
    const writing = this.#writing as Write;
    if (channel === null) return;
    try {
      for (let chunk = writing.chunks[0]; chunk !== undefined; chunk = writing.chunks[0]) {
        const accepted = chunk.length === 0 ? 0 : channel.write(chunk);
        this.#unwritten -= accepted;
        if (accepted < chunk.length) {
          writing.chunks[0] = chunk.subarray(accepted);
          return;
        }
        writing.chunks.shift();
      }
    } catch (error) {
      this.#written(errnoOf(error));
      return;
    }
    this.#written(0);
  }

  #written(status: number): void {
    const { request } = this.#writing as Write;
    this.#writing = null;
    this.#unwritten = 0;
    // Node does not expect the answer from within `onwrite()`.
    process.nextTick(() => {
      this.finishWrite(request, status);
      if (this.#writing === null && this.#shutdown !== null) this.#finish();
    });
  }

  #finish(): void {
    const request = this.#shutdown as object;
    this.#shutdown = null;
    let status = 0;
    try {
      this.channel?.shutdownWrite();
    } catch (error) {
      status = errnoOf(error);
    }
    process.nextTick(() => this.finishShutdown(request, status));
  }

  #close(callback: (() => void) | undefined, close: (channel: Channel) => void): void {
    if (this.#closed) return;
    const { channel } = this;
    this.#drop();
    this.#cancelConnect?.();
    this.#cancelConnect = null;
    this.binding?.release();
    this.binding = null;
    if (channel !== null) {
      channel.events = null;
      close(channel);
    }
    if (this.#writing !== null) this.#written(UV_ECANCELED);
    if (this.#shutdown !== null) {
      const request = this.#shutdown;
      this.#shutdown = null;
      process.nextTick(() => this.finishShutdown(request, UV_ECANCELED));
    }
    if (callback !== undefined) soonIn(currentPlace() ?? this.place, this.#context, callback);
  }

  /** Lets go of the channel. */
  #drop(): void {
    this.#closed = true;
    this.channel = null;
    this.#forgetEnd?.();
    this.#forgetEnd = null;
    this.#hold();
  }

  /** An open handle with a reference keeps the program alive. */
  #hold(): void {
    const holds =
      this.#referenced && !this.#closed && (this.channel !== null || this.#cancelConnect !== null);
    if (holds) this.#letGo ??= this.place.keepAlive();
    else {
      this.#letGo?.();
      this.#letGo = null;
    }
  }
}

/** A unix socket. */
export class PipeHandle extends StreamHandle {
  connect(request: ConnectRequest, path: string): number {
    return this.startConnect(request, path);
  }

  bind(path: string): number {
    return this.bindTo(path, false);
  }
}

/** Receives the parts of an address, as Node's native handles fill them in. */
export interface NativeAddress {
  address?: string;
  port?: number;
  family?: string;
}

export class TcpHandle extends StreamHandle {
  connect(request: ConnectRequest, address: string, port: number): number {
    return this.startConnect(request, [address, port]);
  }

  connect6(request: ConnectRequest, address: string, port: number): number {
    return this.startConnect(request, [address, port, 0, 0]);
  }

  bind(address: string, port: number): number {
    return this.bindTo([address, port], false);
  }

  bind6(address: string, port: number, flags?: number): number {
    return this.bindTo([address, port, 0, 0], ((flags ?? 0) & UV_TCP_IPV6ONLY) !== 0);
  }

  getsockname(out: NativeAddress): number {
    return fillAddress(out, this.channel?.sockname ?? this.binding?.address ?? null);
  }

  getpeername(out: NativeAddress): number {
    return fillAddress(out, this.channel?.peername ?? null);
  }

  setNoDelay(on: boolean): number {
    (this.channel?.options as SocketSettings | undefined)?.setNoDelay?.(on);
    return 0;
  }

  /**
   * @param interval seconds between probes; `count` of them end the connection. Node has both since version
   * 24
   */
  setKeepAlive(on: boolean, delaySeconds: number, interval: number = 0, count: number = 0): number {
    const settings = this.channel?.options as SocketSettings | undefined;
    if (settings?.setKeepAlive === undefined) return 0;
    settings.setKeepAlive(on, delaySeconds);
    if (interval > 0) settings.keepInterval = interval;
    if (count > 0) settings.keepCount = count;
    settings.onChange?.();
    return 0;
  }
}

export const UV_TCP_IPV6ONLY = 1;

interface SocketSettings {
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean, delaySeconds: number): void;
  keepInterval?: number;
  keepCount?: number;
  onChange?: (() => void) | null;
}

/** Returns a status of libuv. */
export function fillAddress(out: NativeAddress, address: SocketAddress | null): number {
  if (address === null || typeof address === 'string') return UV_ENOTCONN;
  out.address = address[0];
  out.port = address[1];
  out.family = address.length === 4 ? 'IPv6' : 'IPv4';
  return 0;
}
