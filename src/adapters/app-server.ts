/**
 * The server that `serve()` returns, and its graceful end:
 *
 *   close() ──▶ stop listening ──▶ drain: requests in flight end, idle connections are closed
 *                    │                  │
 *                    └─ onClosing()     └─ at the deadline: abort the rest ──▶ all gone ──▶ release
 */
import { formatAddress } from '../base/address.ts';
import { LoopError } from '../base/errors.ts';
import { checkOptions, checkSecondsOrNull, checkSignal, outOfRange } from '../base/validate.ts';
import type { TimerHandle } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Server, ServerAddress } from '../net/stream/server.ts';
import type { Transport } from '../net/transport.ts';
import type { TransportSocket } from '../net/transport-socket.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { aborted, signalOf } from '../tasks/settled.ts';
import { shield } from '../tasks/shield.ts';
import { loopFor, whenLoopCloses } from './adapter.ts';
import type { Target } from './serve-targets.ts';
import { toDuplex } from './to-duplex.ts';
import type { TransportDuplex } from './transport-duplex.ts';

/** The options of `AppServer.close`. */
export interface AppCloseOptions extends SignalOptions {
  /**
   * Seconds until connections that are still open are aborted. Null: no limit. Default: that of `serve()`.
   */
  deadline?: number | null;
}

/** How often the connections that have become idle are ended, once the server is closing. */
const IDLE_CHECK_SECONDS = 0.02;

/**
 * A server or app that `serve()` feeds with connections.
 *
 * @example
 * ```ts
 * import { run } from 'gyre';
 * import { serve } from 'gyre/node';
 *
 * await run(async () => {
 *   await using server = await serve((_request, response) => response.end('hello'), { port: 0 });
 *   console.log((await fetch(server.url)).status); // 200
 * });
 * ```
 */
export class AppServer implements AsyncDisposable {
  readonly #loop: Loop;
  readonly #target: Target;
  readonly #deadline: number | null;
  readonly #onClosing: (() => unknown) | null;
  readonly #open: Set<TransportDuplex> = new Set();
  readonly #forever: Set<Future<void>> = new Set();
  #server: Server | null = null;
  #url: string = '';
  /** Stops waiting for the end of the loop, and releases the target. */
  #release: () => void = () => {};
  /** The whole end. A target with hooks of its own has more to do than to end connections. */
  #closing: Future<void> | null = null;
  /** The end of the connections. */
  #ending: Future<void> | null = null;
  /** The `onClosing()` that is under way. */
  #onClosingCall: Future<unknown> | null = null;
  /** The loop's time at which the connections are aborted; null before the end has begun. */
  #abortAt: number | null = null;
  #abortTimer: TimerHandle | null = null;
  #aborted: boolean = false;

  /** Use `serve()`. @internal */
  constructor(loop: Loop, target: Target, deadline: number | null, onClosing: (() => unknown) | null) {
    this.#loop = loop;
    this.#target = target;
    this.#deadline = deadline;
    this.#onClosing = onClosing;
  }

  /** Binds, prepares the target, and serves. @internal */
  async _open(bound: Future<Server>, secure: boolean): Promise<AppServer> {
    const server = await bound;
    this.#server = server;
    let begun = false;
    try {
      await this.#target.begin();
      begun = true;
      await server.startServing();
    } catch (error) {
      server.close();
      if (begun) this.#target.end();
      throw error;
    }
    this.#url = urlOf(server.address(), secure);
    const forget = whenLoopCloses(this.#loop, () => this.#release());
    this.#release = () => {
      this.#release = () => {};
      forget();
      this.#target.end();
    };
    return this;
  }

  /** Makes the protocol of an accepted connection. @internal */
  _protocol(): Protocol {
    return { connectionMade: (transport) => this.#accept(transport as Transport) };
  }

  #accept(transport: Transport): void {
    const { allowHalfOpen } = this.#target;
    const duplex = toDuplex(transport, { allowHalfOpen, loop: this.#loop });
    this.#open.add(duplex);
    duplex.once('close', () => this.#open.delete(duplex));
    this.#target.accept(duplex);
  }

  /** The URL of the first address: `http://127.0.0.1:8080`, or the path of a unix socket as `unix:/path`. */
  get url(): string {
    return this.#url;
  }

  /** The bound sockets. Empty after the close. */
  get sockets(): readonly TransportSocket[] {
    return this.#server?.sockets ?? [];
  }

  /**
   * Returns the address of the first socket: `{ address, family, port }`, the path of a unix socket, or null
   * after the close.
   */
  address(): ServerAddress | string | null {
    return this.#server?.address() ?? null;
  }

  /** Returns whether the server accepts connections. */
  isServing(): boolean {
    return this.#server?.isServing() ?? false;
  }

  /**
   * Ends the server gracefully, and waits until all of its connections are gone:
   *
   * 1. It stops listening, and calls `onClosing`.
   * 2. Connections without a request are closed. A request in flight is answered, with `Connection: close`
   *    (HTTP/1.1) or after GOAWAY (HTTP/2), and its connection is closed.
   * 3. At the deadline, the connections that are left are aborted.
   *
   * Another call waits for the same end. It may bring the deadline forward.
   *
   * @param options `deadline` in seconds: 0 aborts at once, null sets no limit. Default: that of `serve()`.
   *   `signal` cancels the call
   * @throws TypeError, RangeError; LoopError `ERR_LOOP_CLOSED`; the error of `onClosing`, or of Fastify's
   *   hooks
   *
   * **Cancellation** aborts the connections at once.
   */
  close(options: AppCloseOptions = {}): Future<void> {
    checkOptions('options', options, ['deadline', 'signal']);
    const { deadline = this.#deadline, signal } = options;
    checkDeadline(deadline);
    checkSignal('options.signal', signal);
    loopFor(this.#loop);
    if (signal?.aborted) return aborted(this.#loop, signal);
    this.#limitTo(deadline);
    this.#closing ??= operation(this.#loop, 'close', () => this.#close());
    return cancelOnAbort(
      operation(this.#loop, 'close', () => this.#untilClosed()),
      signal,
    );
  }

  /**
   * Serves until the call is cancelled or the server is closed. Then it ends the server as {@link close}
   * does. So Ctrl-C in `run()` answers the requests in flight, and a second Ctrl-C aborts them.
   *
   * @param options `signal` cancels the call
   * @throws LoopError `ERR_TRANSPORT_CLOSED` if the server is closed, `ERR_LOOP_CLOSED`; the errors of
   *   {@link close}
   */
  serveForever(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    loopFor(this.#loop);
    if (this.#abortAt !== null) {
      throw new LoopError('ERR_TRANSPORT_CLOSED', 'serveForever(): this server is closed');
    }
    if (signal?.aborted) return aborted(this.#loop, signal);
    return cancelOnAbort(
      operation(this.#loop, 'serveForever', async () => {
        const forever = new Future<void>(this.#loop);
        this.#forever.add(forever);
        try {
          await forever;
        } finally {
          this.#forever.delete(forever);
          await this.close();
        }
      }),
      signal,
    );
  }

  /** Closes the server as {@link close} does: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- the end ---

  async #untilClosed(): Promise<void> {
    const closing = this.#closing as Future<void>;
    try {
      await shield(closing);
    } catch (error) {
      // Only the wait was cancelled: there is no time left for the requests in flight.
      if (!closing.done()) this.#abort();
      throw error;
    }
  }

  async #close(): Promise<void> {
    this.#server?.close();
    if (this.#target.close === undefined) await this._end();
    else await this.#target.close();
  }

  /** Ends the connections. A target with hooks of its own calls it. @internal */
  _end(): Future<void> {
    if (this.#abortAt === null) this.#limitTo(this.#deadline);
    this.#ending ??= operation(this.#loop, 'close', () => this.#end());
    return this.#ending;
  }

  async #end(): Promise<void> {
    const server = this.#server as Server;
    server.close();
    for (const forever of this.#forever) forever.setResult(undefined);
    const onClosing = this.#onClosing;
    if (onClosing !== null) {
      this.#onClosingCall = operation(this.#loop, 'onClosing', async () => onClosing());
    }
    this.#target.drain(this.#secondsLeft());
    const stopIdleChecks = this.#checkIdle();
    try {
      await server.waitClosed();
      await this.#untilOnClosingEnded();
    } finally {
      stopIdleChecks();
      this.#abortTimer?.cancel();
      this.#release();
    }
  }

  async #untilOnClosingEnded(): Promise<void> {
    const call = this.#onClosingCall;
    if (call === null) return;
    try {
      await call;
    } catch (error) {
      // The deadline has cancelled it.
      if (!(this.#aborted && call.cancelled())) throw error;
    }
  }

  /** Ends idle connections now, and those that become idle later. */
  #checkIdle(): () => void {
    const { _scheduler: scheduler } = this.#loop;
    let timer: TimerHandle;
    const check = (): void => {
      this.#target.endIdle(this.#open);
      timer = scheduler.callAt(this.#loop.time() + IDLE_CHECK_SECONDS, check, []);
    };
    check();
    return () => timer.cancel();
  }

  /** Sets the time at which the connections are aborted, or brings it forward. */
  #limitTo(seconds: number | null): void {
    const when = seconds === null ? Infinity : this.#loop.time() + seconds;
    if (this.#abortAt !== null && when >= this.#abortAt) return;
    this.#abortAt = when;
    this.#abortTimer?.cancel();
    if (this.#closing?.done()) return;
    this.#abortTimer = this.#loop._scheduler.callAt(when, () => this.#abort(), []);
  }

  #secondsLeft(): number | null {
    const when = this.#abortAt as number;
    return when === Infinity ? null : Math.max(when - this.#loop.time(), 0);
  }

  #abort(): void {
    this.#aborted = true;
    this.#server?.abortClients();
    this.#onClosingCall?.cancel();
  }
}

export function checkDeadline(deadline: unknown): void {
  checkSecondsOrNull('options.deadline', deadline);
  if (deadline !== null && (deadline as number) < 0) {
    throw outOfRange('options.deadline', deadline, 'at least 0 seconds');
  }
}

/** Returns a URL that reaches the address from this machine. */
function urlOf(address: ServerAddress | string | null, secure: boolean): string {
  if (address === null || typeof address === 'string') return `unix:${address ?? ''}`;
  const { address: host, port } = address;
  const name = host === '::' || host === '0.0.0.0' ? 'localhost' : host;
  return `${secure ? 'https' : 'http'}://${formatAddress([name, port])}`;
}
