/**
 * A transport as a Node `Duplex` that can do what real clients and servers ask of a socket.
 *
 *   peer ──▶ transport ──dataReceived──▶ read buffer ──▶ whoever reads    full: pauseReading(), until somebody reads
 *   peer ◀── transport ◀──────write────── write buffer ◀── whoever writes  pauseWriting(): the write is not done until resumeWriting()
 */

import { DEFAULT_HIGH_WATER_BYTES } from '../base/constants.ts';
import { hostQueueMicrotask } from '../base/host.ts';
import { keepable } from '../base/own-memory.ts';
import { checkFunction, invalidArgType, outOfRange } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import type { TransportSocket } from '../net/transport-socket.ts';
import { LONGEST_KEEP_ALIVE_SECONDS } from '../net/transport-socket.ts';
import { DoneCallback } from '../tasks/done-callback.ts';
import { ensureFuture } from '../tasks/ensure-future.ts';
import type { Future } from '../tasks/future.ts';
import { callListeners, closedError, whenLoopCloses } from './adapter.ts';
import type { DuplexOptions } from './duplex-options.ts';
import { IdleTimer } from './idle-timer.ts';
import { SocketFacts } from './socket-facts.ts';
import type { Done } from './write-side.ts';
import { WriteSide } from './write-side.ts';

/**
 * What `toDuplex` and `connectDuplex` answer: a `Duplex` with what real clients ask of a `net.Socket`. To
 * TypeScript it is one, so that it can be passed wherever one is wanted (as `duplex as Socket` where
 * `exactOptionalPropertyTypes` is on).
 */
export class TransportDuplex extends SocketFacts {
  /** Milliseconds, as {@link setTimeout} was told; undefined before. */
  timeout: number | undefined = undefined;
  readonly #loop: Loop;
  readonly #idle: IdleTimer;
  readonly #write: WriteSide;
  readonly #forgetLoop: () => void;
  readonly #whenOpen: (() => void)[] = [];
  #transport: Transport | null = null;
  /** The attempt to connect, while there is one. */
  #connecting: Future<unknown> | null = null;
  #bytesRead: number = 0;
  #lost: boolean = false;
  #peerEnded: boolean = false;
  /** The connection is gone without the peer's end; told once everything that came before was read. */
  #cut: { error: Error | null } | null = null;
  #reset: boolean = false;
  #hadError: boolean = false;
  /** Tells Node that we are closed. */
  #closed: (() => void) | null = null;

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
    this.#write = new WriteSide(this.#idle);
    this.#forgetLoop = whenLoopCloses(loop, this.#onLoopClosed);
    if (options.received !== undefined && options.received.length > 0) this.push(keepable(options.received));
  }

  /** @internal */
  override get _transport(): Transport | null {
    return this.#transport;
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
    this.#write.paused = transport.getWriteBufferSize() > transport.getWriteBufferLimits().high;
    this.#open(transport);
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
    this.#open(transport);
    this.#sayConnected();
    this.read(0);
  };

  #open(transport: Transport): void {
    this.#transport = transport;
    for (const run of this.#whenOpen.splice(0)) run();
    this.#write.open(transport);
  }

  #sayConnected(): void {
    callListeners(() => {
      this.emit('connect');
      this.emit('ready');
    });
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
    callListeners(() => {
      // Listeners get the data now. A chunk that Node buffers may stay for long.
      const flows = this.readableFlowing === true && this.readableLength === 0;
      if (!this.push(flows ? data : keepable(data))) this.#transport?.pauseReading();
    });
  };

  /** Whether the writing side ends, too, is the stream's own decision. */
  #onEnd = (): boolean => {
    this.#peerEnded = true;
    if (this.destroyed) return true;
    callListeners(() => {
      this.push(null);
      // Where nothing is left to be read this tells the end, though nobody reads.
      this.read(0);
    });
    return true;
  };

  // --- writing ---

  /** @internal */
  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#write.write(chunk, done);
  }

  /** @internal */
  override _writev(list: { chunk: Uint8Array }[], done: Done): void {
    this.#write.writelines(
      list.map(({ chunk }) => chunk),
      done,
    );
  }

  /** @internal */
  override _final(done: Done): void {
    this.#write.end(done);
  }

  #onPause = (): void => {
    this.#write.paused = true;
  };

  #onResume = (): void => {
    this.#write.resume();
  };

  // --- ending ---

  #onLost = (error: Error | null): void => {
    this.#gone(error);
    if (this.#closed !== null) {
      this.#closed();
      return;
    }
    const { unfinished } = this.#write;
    this.#write.finish(error ?? this.#errorOfUnfinished());
    if (this.destroyed) return;
    if (error === null && this.#peerEnded) this.#endAfterReading();
    else this.#cut = { error };
    // Who writes is told at once; who only reads, after the data that came before.
    if (unfinished || this.readableLength === 0) this.#tellCut();
  };

  #onLoopClosed = (): void => {
    this.#gone(null);
    if (this.#closed !== null) this.#closed();
    else this.destroy();
  };

  #gone(error: Error | null): void {
    this.#lost = true;
    this.#write.lose(error);
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
    if (this.readableEnded) callListeners(end);
    else this.once('end', end);
  }

  /** `close` says whether there was an error, as of a socket of Node's. @internal */
  // biome-ignore lint/suspicious/noExplicitAny: as Node has it: the arguments are those of the event
  override emit(event: string | symbol, ...args: any[]): boolean {
    return event === 'close' ? super.emit('close', this.#hadError) : super.emit(event, ...args);
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#hadError = error !== null;
    this.#idle.set(0);
    this.#write.finish(error ?? closedError());
    this.#connecting?.cancel();
    if (this.#lost || this.#transport === null) {
      this.#gone(error);
      callback(error);
      return;
    }
    this.#closed = () => callback(error);
    this.#endTransport(this.#transport);
  }

  /**
   * What was written in this turn still leaves, as it does from a socket of the host's; what the host does
   * not take is dropped, so that a peer who does not read holds nothing. A transport without half-close (TLS)
   * works on its data for some turns, and has a limit of its own for its end: there only what was too much
   * before is dropped.
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
   * It connects, or is connected, already: this only says so, by `connect`. For clients that call it on
   * whatever they were given.
   *
   * @param args ignored, but for a function as the last one, which is called once it is connected
   */
  connect(...args: unknown[]): this {
    const listener = args.at(-1);
    if (typeof listener === 'function') this.once('connect', listener as () => void);
    if (!this.connecting) {
      hostQueueMicrotask(() => {
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
    if (this.#write.hasMoved()) {
      this.#idle.touch();
      return;
    }
    callListeners(() => this.emit('timeout'));
  };

  /** Switches Nagle's algorithm off, where the transport has a socket. */
  setNoDelay(noDelay: boolean = true): this {
    this.#withSocket((socket) => socket.setNoDelay(Boolean(noDelay)));
    return this;
  }

  /**
   * Switches keep-alive probes on or off, where the transport has a socket. No delay is refused, as with
   * Node's sockets.
   */
  setKeepAlive(enable: boolean = false, initialDelayMilliseconds: number = 0): this {
    const asked = Math.max(Number(initialDelayMilliseconds) / 1000, 0) || 0;
    const seconds = Math.min(asked, LONGEST_KEEP_ALIVE_SECONDS);
    this.#withSocket((socket) => socket.setKeepAlive(Boolean(enable), seconds));
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

  /** Bytes that were received. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes that were handed to the transport. */
  get bytesWritten(): number {
    return this.#write.bytesWritten;
  }

  /** Bytes that were written and that the transport has not been handed yet. */
  get bufferSize(): number {
    return this.writableLength;
  }

  /** Empty: gyre tries a host's addresses in its own way. */
  get autoSelectFamilyAttemptedAddresses(): string[] {
    return [];
  }
}
