/**
 * A transport as a Node `Duplex` that can do what real clients and servers ask of a socket.
 *
 *   peer ──▶ transport ──dataReceived──▶ read buffer ──▶ whoever reads    full: pauseReading(), until somebody reads
 *   peer ◀── transport ◀──────write────── write buffer ◀── whoever writes  pauseWriting(): the write is not done until resumeWriting()
 */
import { Duplex } from 'node:stream';
import type { SocketAddress } from '../base/address.ts';
import { DEFAULT_HIGH_WATER_BYTES } from '../base/constants.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { PeerCertificate, Transport } from '../net/transport.ts';
import type { TransportSocket } from '../net/transport-socket.ts';
import { ensureFuture } from '../tasks/ensure-future.ts';
import type { Future } from '../tasks/future.ts';
import { DoneCallback } from '../tasks/future.ts';
import { checkReceived, closedError, throwInHost, whenLoopCloses } from './adapter.ts';
import { IdleTimer } from './idle-timer.ts';

/** What `toDuplex` and `connectDuplex` take. */
export interface DuplexOptions {
  /**
   * Whether the writing side stays open when the peer has ended. Default: false, as for Node's sockets; a server of `node:http`
   * wants true.
   */
  allowHalfOpen?: boolean;
  /** Bytes that an earlier protocol has received already: they are read first. */
  received?: Uint8Array;
  /** Bytes that are read ahead; then the transport is paused. Default: Node's. */
  readableHighWaterMark?: number;
  /** Bytes from which on `write()` answers false. Default: Node's. */
  writableHighWaterMark?: number;
  /** Whose clock `setTimeout()` goes by. Default: the running loop. */
  loop?: Loop;
}

const OPTIONS = ['allowHalfOpen', 'received', 'readableHighWaterMark', 'writableHighWaterMark', 'loop'];

type Done = (error?: Error | null) => void;

/** What Node's own TLS session tells. */
interface TlsFacts {
  authorized?: boolean;
  authorizationError?: Error | string | null;
  alpnProtocol?: string | false | null;
  getPeerCertificate?(detailed?: boolean): PeerCertificate;
}

/** What the host calls an address. */
interface NodeAddress {
  address?: string;
  port?: number;
  family?: string;
}

/**
 * What `toDuplex` and `connectDuplex` answer: a `Duplex` with what real clients ask of a `net.Socket`. To TypeScript it is one, so that
 * it can be passed wherever one is wanted (as `duplex as Socket` where `exactOptionalPropertyTypes` is on).
 */
export class TransportDuplex extends Duplex {
  /** Milliseconds, as {@link setTimeout} was told; undefined before. */
  timeout: number | undefined = undefined;
  readonly #loop: Loop;
  readonly #idle: IdleTimer;
  readonly #forgetLoop: () => void;
  readonly #whenOpen: (() => void)[] = [];
  #transport: Transport | null = null;
  /** The attempt to connect, while there is one. */
  #connecting: Future<unknown> | null = null;
  #bytesRead: number = 0;
  #bytesWritten: number = 0;
  #writingPaused: boolean = false;
  /** The write or the end that is not done yet: of either there is one at a time. */
  #unfinished: Done | null = null;
  /** What to do for it, while there is no connection. */
  #waiting: (() => void) | null = null;
  #lost: boolean = false;
  #peerEnded: boolean = false;
  /** The connection is gone without the peer's end; told once everything that came before was read. */
  #cut: { error: Error | null } | null = null;
  #reset: boolean = false;
  /** Tells Node that we are closed. */
  #closed: (() => void) | null = null;
  /** Bytes that had not left when this was last looked at. */
  #unsent: number = 0;

  /** @internal */
  constructor(loop: Loop, options: DuplexOptions) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      ...(options.readableHighWaterMark === undefined
        ? {}
        : { readableHighWaterMark: options.readableHighWaterMark }),
      ...(options.writableHighWaterMark === undefined
        ? {}
        : { writableHighWaterMark: options.writableHighWaterMark }),
    });
    this.#loop = loop;
    this.#idle = new IdleTimer(loop, this.#onIdle);
    this.#forgetLoop = whenLoopCloses(loop, this.#onLoopClosed);
    if (options.received !== undefined && options.received.length > 0) this.push(options.received);
  }

  // --- the beginning ---

  /** Joins a transport that is connected. @internal */
  _join(transport: Transport): void {
    try {
      transport.setProtocol(this.#protocol());
    } catch (error) {
      this.destroy();
      throw error;
    }
    // Whoever had it before may have written more than it takes.
    this.#writingPaused = transport.getWriteBufferSize() > transport.getWriteBufferLimits().high;
    this.#transport = transport;
    // As a socket of the host's does: reads ahead, and so hears of the end though nobody reads.
    this.read(0);
  }

  /** Waits for a connection that is being made. @internal */
  _connect(connect: (protocolFactory: () => Protocol) => PromiseLike<unknown>): void {
    let connecting: Future<unknown>;
    try {
      connecting = ensureFuture(
        connect(() => this.#protocol()),
        { loop: this.#loop },
      );
    } catch (error) {
      this.destroy();
      throw error;
    }
    this.#connecting = connecting;
    new DoneCallback(connecting, () => {
      this.#connecting = null;
      try {
        const made = connecting.result();
        this.#notConnected(
          invalidArgType('connect()', made, 'a connection with the protocol that it was given'),
        );
      } catch (error) {
        this.#notConnected(error);
      }
    });
  }

  #protocol(): Protocol {
    return {
      connectionMade: this.#onMade,
      dataReceived: this.#onData,
      eofReceived: this.#onEnd,
      pauseWriting: this.#onPause,
      resumeWriting: this.#onResume,
      connectionLost: this.#onLost,
    };
  }

  #onMade = (transport: Transport): void => {
    if (this.destroyed) {
      transport.abort();
      return;
    }
    this.#transport = transport;
    for (const run of this.#whenOpen.splice(0)) run();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.();
    this.#sayConnected();
    this.read(0);
  };

  #sayConnected(): void {
    try {
      this.emit('connect');
      this.emit('ready');
    } catch (error) {
      throwInHost(error);
    }
  }

  /** Nothing, if it was made after all: an error that came then is told by the transport's end. */
  #notConnected(error: unknown): void {
    if (this.#transport !== null || this.destroyed) return;
    this.destroy(error instanceof Error ? error : new Error('could not connect', { cause: error }));
  }

  // --- reading ---

  /** @internal */
  override _read(): void {
    if (!this.#lost) this.#transport?.resumeReading();
  }

  /** @internal */
  override read(size?: number): unknown {
    const data: unknown = super.read(size);
    if (this.readableLength === 0) this.#tellCut();
    return data;
  }

  #onData = (data: Buffer): void => {
    this.#bytesRead += data.length;
    this.#idle.touch();
    if (this.destroyed) return;
    try {
      if (!this.push(data)) this.#transport?.pauseReading();
    } catch (error) {
      throwInHost(error);
    }
  };

  /** Whether the writing side ends, too, is the stream's own decision. */
  #onEnd = (): boolean => {
    this.#peerEnded = true;
    if (this.destroyed) return true;
    try {
      this.push(null);
      // Where nothing is left to be read this tells the end, though nobody reads.
      this.read(0);
    } catch (error) {
      throwInHost(error);
    }
    return true;
  };

  // --- writing ---

  /** @internal */
  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#send(() => {
      this.#bytesWritten += chunk.length;
      (this.#transport as Transport).write(chunk);
    }, done);
  }

  /** @internal */
  override _writev(list: { chunk: Uint8Array }[], done: Done): void {
    this.#send(() => {
      const chunks = list.map(({ chunk }) => chunk);
      for (const chunk of chunks) this.#bytesWritten += chunk.length;
      (this.#transport as Transport).writelines(chunks);
    }, done);
  }

  /** @internal */
  override _final(done: Done): void {
    // The end of a connection that has ended has nothing to do.
    if (this.#lost) done(this.#cut?.error);
    else this.#whenConnected(() => this.#endWriting(done), done);
  }

  #send(write: () => void, done: Done): void {
    this.#whenConnected(() => {
      if (this.#lost || this.#transport?.isClosing()) {
        done(this.#cut?.error ?? closedError());
        return;
      }
      this.#idle.touch();
      try {
        write();
      } catch (error) {
        done(error as Error);
        return;
      }
      this.#unsent = this.#transport?.getWriteBufferSize() ?? 0;
      if (this.#writingPaused) this.#unfinished = done;
      else done();
    }, done);
  }

  #whenConnected(run: () => void, done: Done): void {
    if (this.#transport !== null) {
      run();
      return;
    }
    this.#unfinished = done;
    this.#waiting = () => {
      this.#unfinished = null;
      run();
    };
  }

  /** Done once everything has left. */
  #endWriting(done: Done): void {
    const transport = this.#transport as Transport;
    try {
      if (transport.canWriteEof()) transport.writeEof();
      else transport.close();
      if (transport.getWriteBufferSize() === 0) {
        done();
        return;
      }
      this.#unfinished = done;
      // So that resumeWriting() says when it is empty.
      transport.setWriteBufferLimits({ high: 0 });
    } catch (error) {
      this.#unfinished = null;
      done(error as Error);
    }
  }

  #onPause = (): void => {
    this.#writingPaused = true;
  };

  #onResume = (): void => {
    this.#writingPaused = false;
    this.#idle.touch();
    this.#finish(null);
  };

  #finish(error: Error | null): void {
    const done = this.#unfinished;
    this.#unfinished = null;
    this.#waiting = null;
    try {
      done?.(error);
    } catch (thrown) {
      throwInHost(thrown);
    }
  }

  // --- ending ---

  #onLost = (error: Error | null): void => {
    this.#gone();
    if (this.#closed !== null) {
      this.#closed();
      return;
    }
    const unfinished = this.#unfinished !== null;
    this.#finish(error ?? this.#errorOfUnfinished());
    if (this.destroyed) return;
    if (error === null && this.#peerEnded) this.#endAfterReading();
    else this.#cut = { error };
    // Who writes is told at once; who only reads, after the data that came before.
    if (unfinished || this.readableLength === 0) this.#tellCut();
  };

  #onLoopClosed = (): void => {
    this.#gone();
    if (this.#closed !== null) this.#closed();
    else this.destroy();
  };

  #gone(): void {
    this.#lost = true;
    this.#idle.set(0);
    this.#forgetLoop();
  }

  /** What waits now waits for data to leave, and it never will; an end needs nothing more. */
  #errorOfUnfinished(): Error | null {
    return this.writableEnded && this.writableLength === 0 ? null : closedError();
  }

  #tellCut(): void {
    if (this.#cut !== null) this.destroy(this.#cut.error ?? undefined);
  }

  /** Of a connection that is gone nothing stays open: not for writing either. */
  #endAfterReading(): void {
    const end = (): void => {
      if (!this.writableEnded && !this.destroyed) this.end();
    };
    if (this.readableEnded) end();
    else this.once('end', end);
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#idle.set(0);
    this.#finish(error ?? closedError());
    this.#connecting?.cancel();
    if (this.#lost || this.#transport === null) {
      this.#gone();
      callback(error);
      return;
    }
    this.#closed = () => callback(error);
    this.#endTransport(this.#transport);
  }

  /**
   * What was written in this turn still leaves, as it does from a socket of the host's; what the host does not take is dropped, so
   * that a peer who does not read holds nothing. A transport without half-close (TLS) works on its data for some turns, and has a
   * limit of its own for its end: there only what was too much before is dropped.
   */
  #endTransport(transport: Transport): void {
    const atOnce = transport.canWriteEof();
    if (this.#reset || (!atOnce && transport.getWriteBufferSize() > DEFAULT_HIGH_WATER_BYTES)) {
      transport.abort();
      return;
    }
    transport.close();
    if (!atOnce || transport.getWriteBufferSize() === 0) return;
    const { _scheduler: scheduler } = this.#loop;
    // The writes of a turn leave at its end: two turns on, the one in which we are has ended for certain.
    const abortUnlessSent = (): void => {
      if (!this.#lost && transport.getWriteBufferSize() > 0) transport.abort();
    };
    scheduler.callSoon(() => scheduler.callSoon(abortUnlessSent, []), []);
  }

  /** Ends the writing side, and everything once what was written has left. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Drops what was written and closes the connection; the peer of a TCP connection sees a reset. */
  resetAndDestroy(): this {
    this.#reset = true;
    return this.destroy();
  }

  // --- what is asked of a socket ---

  /** Whether the connection is still being made. */
  get connecting(): boolean {
    return this.#transport === null && !this.destroyed;
  }

  /** As {@link connecting}. */
  get pending(): boolean {
    return this.#transport === null;
  }

  /** `opening`, `open`, `readOnly`, `writeOnly` or `closed`. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /**
   * It connects, or is connected, already: this only says so, by `connect`. For clients that call it on whatever they were given.
   *
   * @param args ignored, but for a function as the last one, which is called once it is connected
   */
  connect(...args: unknown[]): this {
    const listener = args.at(-1);
    if (typeof listener === 'function') this.once('connect', listener as () => void);
    if (!this.connecting) {
      queueMicrotask(() => {
        if (!this.destroyed) this.#sayConnected();
      });
    }
    return this;
  }

  /**
   * Emits `timeout` when nothing was sent or received for a while, by the loop's clock; nothing is closed.
   *
   * @param milliseconds 0: never
   * @param callback listens to the next `timeout`
   */
  setTimeout(milliseconds: number, callback?: () => void): this {
    if (typeof milliseconds !== 'number') {
      throw invalidArgType('milliseconds', milliseconds, 'a number of milliseconds');
    }
    if (!(milliseconds >= 0)) throw outOfRange('milliseconds', milliseconds, 'at least 0');
    if (callback !== undefined) checkFunction('callback', callback);
    this.timeout = milliseconds;
    if (callback !== undefined) {
      if (milliseconds === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    if (!this.#lost && !this.destroyed) this.#idle.set(milliseconds / 1000);
    return this;
  }

  #onIdle = (): void => {
    const unsent = this.#transport?.getWriteBufferSize() ?? 0;
    if (unsent > 0 && unsent !== this.#unsent) {
      // A peer takes what we wrote long ago, piece by piece.
      this.#unsent = unsent;
      this.#idle.touch();
      return;
    }
    try {
      this.emit('timeout');
    } catch (error) {
      throwInHost(error);
    }
  };

  /** Switches Nagle's algorithm off, where the transport has a socket. */
  setNoDelay(noDelay: boolean = true): this {
    this.#withSocket((socket) => socket.setNoDelay(Boolean(noDelay)));
    return this;
  }

  /** Switches keep-alive probes on or off, where the transport has a socket. */
  setKeepAlive(enable: boolean = false, initialDelayMilliseconds: number = 0): this {
    this.#withSocket((socket) => socket.setKeepAlive(Boolean(enable), initialDelayMilliseconds / 1000));
    return this;
  }

  #withSocket(act: (socket: TransportSocket) => void): void {
    const run = (): void => {
      const socket = this.#transport?.getExtraInfo('socket') ?? null;
      if (socket !== null && !this.#lost) act(socket);
    };
    if (this.#transport === null) this.#whenOpen.push(run);
    else run();
  }

  /** Changes nothing: what keeps the process alive is the running loop. */
  ref(): this {
    return this;
  }

  /** Changes nothing: what keeps the process alive is the running loop. */
  unref(): this {
    return this;
  }

  /** Address of this side; empty where it has none. */
  address(): NodeAddress {
    return nodeAddress(this.#transport?.getExtraInfo('sockname') ?? null);
  }

  /** The peer's address; undefined where it has none. */
  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  /** The peer's port. */
  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.#peer().family;
  }

  /** Our address. */
  get localAddress(): string | undefined {
    return this.address().address;
  }

  /** Our port. */
  get localPort(): number | undefined {
    return this.address().port;
  }

  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return this.address().family;
  }

  #peer(): NodeAddress {
    return nodeAddress(this.#transport?.getExtraInfo('peername') ?? null);
  }

  /** Bytes that were received. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes that were handed to the transport. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Bytes that were written and that the transport has not been handed yet. */
  get bufferSize(): number {
    return this.writableLength;
  }

  /** Empty: gyre tries a host's addresses in its own way. */
  get autoSelectFamilyAttemptedAddresses(): string[] {
    return [];
  }

  /** True over TLS; else undefined, as of Node's own sockets. */
  get encrypted(): true | undefined {
    return this.#tls() === null ? undefined : true;
  }

  /** Over TLS: whether the peer's certificate was verified. */
  get authorized(): boolean | undefined {
    return this.#tls()?.authorized;
  }

  /** Over TLS: why it was not. */
  get authorizationError(): Error | string | null | undefined {
    return this.#tls()?.authorizationError;
  }

  /** Over TLS: the protocol that was agreed on; false: none. */
  get alpnProtocol(): string | false | null | undefined {
    return this.#tls()?.alpnProtocol;
  }

  /** Over TLS: the peer's certificate; empty where it has shown none. */
  getPeerCertificate(detailed: boolean = false): PeerCertificate | Record<string, never> {
    return this.#tls()?.getPeerCertificate?.(detailed) ?? {};
  }

  #tls(): TlsFacts | null {
    return (this.#transport?.getExtraInfo('sslObject') ?? null) as TlsFacts | null;
  }
}

function nodeAddress(address: SocketAddress | null): NodeAddress {
  if (address === null || typeof address === 'string') return {};
  return { address: address[0], port: address[1], family: address.length === 4 ? 'IPv6' : 'IPv4' };
}

export function checkDuplexOptions(options: DuplexOptions): void {
  checkOptions('options', options, OPTIONS);
  if (options.allowHalfOpen !== undefined) checkBoolean('options.allowHalfOpen', options.allowHalfOpen);
  checkReceived(options.received);
  for (const name of ['readableHighWaterMark', 'writableHighWaterMark'] as const) {
    const bytes = options[name];
    if (bytes !== undefined) checkInteger(`options.${name}`, bytes, 0, Number.MAX_SAFE_INTEGER);
  }
}
