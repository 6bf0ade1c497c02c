/**
 * A transport as a Node `Duplex` with the methods that clients and servers call on a socket.
 *
 *   peer ──▶ transport ──dataReceived──▶ read buffer ──▶ reader
 *   peer ◀── transport ◀──────write────── write buffer ◀── writer
 *
 * A full read buffer pauses the transport until code reads. After `pauseWriting()` the pending write is not
 * done before `resumeWriting()`.
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
 * The result of `toDuplex` and `connectDuplex`: a `Duplex` with the methods that clients call on a
 * `net.Socket`. Its type fits `net.Socket`, so that it can be passed as one (as `duplex as Socket` with
 * `exactOptionalPropertyTypes`).
 */
export class TransportDuplex extends SocketFacts {
  /** Milliseconds of the last {@link setTimeout}; undefined before. */
  timeout: number | undefined = undefined;
  readonly #loop: Loop;
  readonly #idle: IdleTimer;
  readonly #write: WriteSide;
  readonly #forgetLoop: () => void;
  readonly #whenOpen: (() => void)[] = [];
  #transport: Transport | null = null;
  /** The attempt to connect, while it is under way. */
  #connecting: Future<unknown> | null = null;
  #bytesRead: number = 0;
  #lost: boolean = false;
  #peerEnded: boolean = false;
  /** Set when the connection was lost without an end of file. It is told once the received data was read. */
  #cut: { error: Error | null } | null = null;
  #reset: boolean = false;
  #hadError: boolean = false;
  /** Tells Node that the duplex is closed. */
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

  // --- beginning ---

  /** Attaches a connected transport. @internal */
  _join(transport: Transport): void {
    try {
      transport.setProtocol(this.#protocol());
    } catch (error) {
      this.destroy();
      throw error;
    }
    // The previous protocol may have written above the mark.
    this.#write.paused = transport.getWriteBufferSize() > transport.getWriteBufferLimits().high;
    this.#open(transport);
    // Read ahead, as Node's sockets do, so that the end is noticed even if no code reads.
    this.read(0);
  }

  /** Attaches the connection that `connect` makes. @internal */
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
        this.#notConnected(invalidArgType('connect()', made, 'a connection with the given protocol'));
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
      // Clients that measure their requests wait for it.
      if (this.encrypted) this.emit('secureConnect');
      this.emit('ready');
    });
  }

  /** Does nothing if the connection was made: the transport's own end then tells the error. */
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
      // Flowing listeners get the data at once. A chunk that Node buffers may stay for long.
      const flows = this.readableFlowing === true && this.readableLength === 0;
      if (!this.push(flows ? data : keepable(data))) this.#transport?.pauseReading();
    });
  };

  /** Keeps the transport open: the stream decides whether its writing side ends as well. */
  #onEnd = (): boolean => {
    this.#peerEnded = true;
    if (this.destroyed) return true;
    callListeners(() => {
      this.push(null);
      // If all data was read, this emits `end`, even if no code reads.
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
    // Tell a writer at once; tell a mere reader after the data that was received before.
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

  /** A pending write fails, because its data will never leave. A pending end is done. */
  #errorOfUnfinished(): Error | null {
    return this.writableEnded && this.writableLength === 0 ? null : closedError();
  }

  #tellCut(): void {
    if (this.#cut !== null) this.destroy(this.#cut.error ?? undefined);
  }

  /** Ends the writing side after the data was read, because the connection is lost. */
  #endAfterReading(): void {
    const end = (): void => {
      if (!this.writableEnded && !this.destroyed) this.end();
    };
    if (this.readableEnded) callListeners(end);
    else this.once('end', end);
  }

  /** Adds to `close` whether there was an error, as Node's sockets do. @internal */
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
   * Closes the transport. Data that was written in this turn is still sent, as from Node's sockets. The part
   * that the kernel does not take is dropped, so that a peer that does not read keeps nothing open. A
   * transport without half-close (TLS) needs some turns for its data, and has its own limit for the shutdown.
   * There, data is dropped only if too much was buffered before.
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
    // The writes of a turn leave at its end. Two turns later the current turn has ended for certain.
    const abortUnlessSent = (): void => {
      if (!this.#lost && transport.getWriteBufferSize() > 0) transport.abort();
    };
    scheduler.callSoon(() => scheduler.callSoon(abortUnlessSent, []), []);
  }

  /** Ends the writing side, and destroys the duplex after the written data has left. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Drops the written data and closes the connection at once; the peer of a TCP connection sees a reset. */
  resetAndDestroy(): this {
    this.#reset = true;
    return this.destroy();
  }

  // --- as on a socket ---

  /** Whether the connection is still being made. */
  get connecting(): boolean {
    return this.#transport === null && !this.destroyed;
  }

  /** True until the connection is made. */
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
   * Emits `connect`, for clients that call this on a socket that connects, or is connected, already.
   *
   * @param args ignored, except a function as the last one: it listens to `connect`
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
   * Emits `timeout` when nothing was sent or received for a while, by the loop's clock. Closes nothing.
   *
   * @param milliseconds 0 switches the timeout off
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

  /** Sets `TCP_NODELAY`, if the transport has a socket. */
  setNoDelay(noDelay: boolean = true): this {
    this.#withSocket((socket) => socket.setNoDelay(Boolean(noDelay)));
    return this;
  }

  /**
   * Switches keep-alive probes on or off, if the transport has a socket. Accepts every delay, as Node's
   * sockets do.
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

  /** Has no effect: the running loop keeps the process alive. */
  ref(): this {
    return this;
  }

  /** Has no effect: the running loop keeps the process alive. */
  unref(): this {
    return this;
  }

  /** Bytes that were received. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes that were passed to the transport. */
  get bytesWritten(): number {
    return this.#write.bytesWritten;
  }

  /** Written bytes that were not passed to the transport yet. */
  get bufferSize(): number {
    return this.writableLength;
  }

  /** Always empty: gyre tries the addresses of a host on its own. */
  get autoSelectFamilyAttemptedAddresses(): string[] {
    return [];
  }
}
