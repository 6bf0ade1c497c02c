/** `openDatagramEndpoint`: datagrams by `await` and by iteration. */
import type { SocketAddress } from '../base/address.ts';
import { DEFAULT_HIGH_WATER_BYTES } from '../base/constants.ts';
import { LoopError } from '../base/errors.ts';
import { factsOf, showInOneLine } from '../base/one-line.ts';
import { keepable } from '../base/own-memory.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { checkInteger, checkSignal, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { DatagramOptions } from '../net/datagram/datagram.ts';
import { createDatagramEndpoint } from '../net/datagram/datagram.ts';
import type { DatagramProtocol } from '../net/protocol.ts';
import type { DatagramTransport, ExtraInfo } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { aborted, done, failed, signalOf, succeeded } from '../tasks/settled.ts';
import { Waiter } from '../tasks/waiter.ts';

/** Bytes of received datagrams that wait. Linux keeps about as much in a socket. */
const DEFAULT_LIMIT = 4 * DEFAULT_HIGH_WATER_BYTES;
/** Bytes that each datagram counts beside its data, so that empty ones cannot fill the memory. */
const HEADER_BYTES = 8;
/** The number of sends that may complete at once. The next one costs a turn, so that the host can poll. */
const SENDS_BEFORE_TURN = 256;

/** A datagram, and the address of its sender. */
export interface ReceivedDatagram {
  /** The receiver owns the buffer. */
  data: Buffer;
  addr: SocketAddress;
}

/** The options of `loop.createDatagramEndpoint`, and `limit`. */
export interface OpenDatagramOptions extends DatagramOptions {
  /**
   * Bytes of received datagrams that may wait, where each counts 8 bytes beside its data. Later datagrams are
   * dropped and counted. Default: 256 KiB.
   */
  limit?: number;
}

type Kind = 'receive' | 'send' | 'closed';

/**
 * A UDP socket, from {@link openDatagramEndpoint}. It is an async iterable of the received datagrams:
 * `for await (const { data, addr } of endpoint)`.
 *
 * - **Receiving** Datagrams that come while nobody waits are kept, up to `limit` bytes. Later ones are
 *   dropped, as by the kernel, and counted in {@link dropped}.
 * - **Several iterations** may run at the same time, beside calls of `receive()`. Each datagram goes to one
 *   of them. Leaving an iteration closes nothing, and leaves the waiting datagrams to the next.
 * - **Errors** of the socket, such as `ECONNREFUSED` from a remote address or `EMSGSIZE`, are thrown once,
 *   by the next `send()`. On an endpoint with a remote address the next `receive()` or step throws it, if it
 *   comes first. The socket stays open.
 * - **The end** `close()` ends iterations, and drops the datagrams that wait.
 *
 * @example
 * ```ts
 * import { getRunningLoop, openDatagramEndpoint, run } from 'gyre';
 *
 * await run(async () => {
 *   await using server = await openDatagramEndpoint({ localAddr: ['127.0.0.1', 0] });
 *   getRunningLoop().createTask(async () => {
 *     for await (const { data, addr } of server) await server.send(`you said ${data}`, addr);
 *   });
 *   const [host, port] = server.getExtraInfo('sockname') as [string, number];
 *   await using client = await openDatagramEndpoint({ remoteAddr: [host, port] });
 *   await client.send('hello');
 *   const { data } = await client.receive();
 *   console.log(String(data)); // you said hello
 * });
 * ```
 */
export class DatagramStream implements AsyncIterable<ReceivedDatagram>, AsyncDisposable {
  readonly #loop: Loop;
  readonly #limit: number;
  #transport: DatagramTransport | null = null;
  readonly #received: RingQueue<ReceivedDatagram> = new RingQueue();
  #bytes: number = 0;
  #dropped: number = 0;
  /** Pending calls, in order. */
  readonly #waiters: Set<DatagramWaiter<unknown>> = new Set();
  #paused: boolean = false;
  #lost: boolean = false;
  /** An error of the socket that no call has thrown yet; after the end the error that ended it. */
  #error: Error | null = null;
  #sendsInARow: number = 0;

  /** Use `openDatagramEndpoint()`. @internal */
  constructor(loop: Loop, limit: number) {
    this.#loop = loop;
    this.#limit = limit;
  }

  /** The transport below. */
  get transport(): DatagramTransport {
    return this.#transport as DatagramTransport;
  }

  /** The number of received datagrams that were dropped because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns a fact about the transport: see `DatagramTransport.getExtraInfo`. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.transport.getExtraInfo(name, fallback);
  }

  /**
   * Waits for the next datagram.
   *
   * @param options `signal` to cancel the wait
   * @throws LoopError `ERR_TRANSPORT_CLOSED` (as a rejection) if the endpoint is closed, before the call or
   *   during the wait; an error of the socket
   *
   * **Cancellation** loses no datagram.
   */
  receive(options?: SignalOptions): Future<ReceivedDatagram> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    const error = this.#takeError('receive');
    if (error !== null) return failed(this.#loop, error);
    const datagram = this.#take();
    if (datagram !== undefined) return succeeded(this.#loop, datagram);
    return cancelOnAbort(this.#wait<ReceivedDatagram>('receive'), signal);
  }

  /**
   * Sends a datagram, and waits while too many have not left yet.
   *
   * @param data a string is sent as UTF-8
   * @param addr a literal address; absent if the endpoint has a remote address
   * @param options `signal` to cancel the wait
   * @throws At the call: TypeError, RangeError as `DatagramTransport.sendto`. As a rejection: LoopError
   *   `ERR_TRANSPORT_CLOSED` if the endpoint is closed; an error of an earlier datagram, and then this one is
   *   not sent
   *
   * **Cancellation** ends the wait. The datagram is sent all the same, unless the signal was aborted before
   * the call.
   */
  send(data: string | Uint8Array, addr: SocketAddress | null = null, options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    const error = this.#takeError('send');
    if (error !== null) return failed(this.#loop, error);
    this.transport.sendto(data, addr);
    if (!this.#paused && ++this.#sendsInARow < SENDS_BEFORE_TURN) return done(this.#loop);
    this.#sendsInARow = 0;
    const sent = this.#wait<void>('send');
    // No event would wake it, so wake it now.
    if (!this.#paused) sent.wake();
    return cancelOnAbort(sent, signal);
  }

  /** Closes the endpoint, when the sent datagrams have left. */
  close(): void {
    this.transport.close();
    this.#clear();
    this.#wakeAll();
  }

  /**
   * Waits until the endpoint is closed.
   *
   * @param options `signal` cancels the wait
   * @throws the error that ended the endpoint
   *
   * **Cancellation** ends the wait, and closes nothing.
   */
  waitClosed(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    if (this.#lost) return this.#error === null ? done(this.#loop) : failed(this.#loop, this.#error);
    return cancelOnAbort(this.#wait<void>('closed'), signal);
  }

  /** Closes the endpoint, and waits until it is closed: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.transport[Symbol.asyncDispose]();
  }

  /** Returns an iteration over the datagrams, as they come, until the endpoint is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedDatagram> {
    return new DatagramIterator(this);
  }

  // --- called by the protocol ---

  /** The protocol of the endpoint. @internal */
  _protocol(): DatagramProtocol {
    return {
      connectionMade: (transport) => {
        this.#transport = transport;
      },
      datagramReceived: (data, addr) => this.#arrived(data, addr),
      errorReceived: (error) => {
        this.#error = error;
        this.#wakeFirst('receive');
        this.#wakeFirst('send');
      },
      pauseWriting: () => {
        this.#paused = true;
      },
      resumeWriting: () => {
        this.#paused = false;
        this.#wakeAll();
      },
      connectionLost: (error) => {
        this.#lost = true;
        this.#error = error;
        this.#clear();
        this.#wakeAll();
      },
    };
  }

  #arrived(data: Buffer, addr: SocketAddress): void {
    this.#sendsInARow = 0;
    const bytes = data.length + HEADER_BYTES;
    if (this.#bytes + bytes > this.#limit) {
      this.#dropped++;
      return;
    }
    this.#bytes += bytes;
    this.#received.push({ data: keepable(data) as Buffer, addr });
    this.#wakeFirst('receive');
  }

  // --- the waiters ---

  /** Completes a waiter in its turn, or lets it wait on. @internal */
  _turnOf(waiter: DatagramWaiter<unknown>): void {
    const { kind } = waiter;
    const error = kind === 'closed' ? this.#error : this.#takeError(kind);
    const datagram = kind === 'receive' && error === null ? this.#take() : undefined;
    if (error !== null) this.#settled(waiter).fail(error);
    else if (datagram !== undefined) this.#settled(waiter).grant(datagram);
    else if (kind === 'send' ? !this.#paused : kind === 'closed' && this.#lost)
      this.#settled(waiter).grant(undefined);
  }

  /** @internal */
  _gaveUp(waiter: DatagramWaiter<unknown>): void {
    this.#settled(waiter);
    if (waiter.woken && this.#received.length > 0) this.#wakeFirst('receive');
  }

  /** @internal */
  _nameOf({ kind }: DatagramWaiter<unknown>): string {
    return `DatagramStream.${kind === 'closed' ? 'waitClosed' : kind}()`;
  }

  /** @internal */
  get _isClosed(): boolean {
    return this.#lost ? this.#error === null : this.transport.isClosing();
  }

  /** @internal */
  _facts(): string {
    const waiting = this.#received.length === 0 ? '' : `, ${this.#received.length} received`;
    return `${factsOf(this.transport)}${waiting}${this.#dropped === 0 ? '' : `, ${this.#dropped} dropped`}`;
  }

  #wait<T>(kind: Kind): DatagramWaiter<T> {
    const waiter = new DatagramWaiter<T>(this.#loop, this, kind);
    this.#waiters.add(waiter as DatagramWaiter<unknown>);
    return waiter;
  }

  #settled(waiter: DatagramWaiter<unknown>): DatagramWaiter<unknown> {
    this.#waiters.delete(waiter);
    return waiter;
  }

  #wakeFirst(kind: Kind): void {
    for (const waiter of this.#waiters) {
      if (waiter.kind !== kind || waiter.woken) continue;
      waiter.wake();
      return;
    }
  }

  #wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  /** Takes the error that a call must throw, or returns null. */
  #takeError(kind: 'receive' | 'send'): Error | null {
    if (this.#lost && this.#error !== null) return this.#error;
    if (this.#lost || this.transport.isClosing()) {
      return new LoopError('ERR_TRANSPORT_CLOSED', `${kind}(): this datagram endpoint is closed`);
    }
    // Any peer could end the loop of a server, if its iteration threw the errors of answers.
    if (kind === 'receive' && this.transport.getExtraInfo('peername') === null) return null;
    const error = this.#error;
    this.#error = null;
    return error;
  }

  #take(): ReceivedDatagram | undefined {
    const datagram = this.#received.shift();
    if (datagram !== undefined) this.#bytes -= datagram.data.length + HEADER_BYTES;
    return datagram;
  }

  #clear(): void {
    this.#received.clear();
    this.#bytes = 0;
  }
}

showInOneLine(DatagramStream);

/** A pending call. */
class DatagramWaiter<T> extends Waiter<T> {
  readonly kind: Kind;

  constructor(loop: Loop, stream: DatagramStream, kind: Kind) {
    super(loop, stream);
    this.kind = kind;
  }
}

class DatagramIterator implements AsyncIterableIterator<ReceivedDatagram> {
  readonly #stream: DatagramStream;
  /** Pending calls of `next()`. */
  readonly #pending: Set<Future<ReceivedDatagram>> = new Set();
  #isLeft: boolean = false;

  constructor(stream: DatagramStream) {
    this.#stream = stream;
  }

  next(): Promise<IteratorResult<ReceivedDatagram>> {
    if (this.#isLeft) return Promise.resolve(END);
    const received = this.#stream.receive();
    this.#pending.add(received);
    return received.then(
      (value) => {
        this.#pending.delete(received);
        return { value, done: false };
      },
      (error) => {
        this.#pending.delete(received);
        if (this.#isLeft || this.#stream._isClosed) return END;
        throw error;
      },
    );
  }

  return(): Promise<IteratorResult<ReceivedDatagram>> {
    this.#isLeft = true;
    for (const received of this.#pending) received.cancel('the iterator was left');
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

/**
 * Opens a UDP socket whose datagrams are sent and received by `await`: the counterpart of `openConnection()`
 * for datagrams.
 *
 * @param options those of `loop.createDatagramEndpoint`, `limit` in bytes, `signal`
 * @throws as `loop.createDatagramEndpoint`; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** leaves no socket open.
 *
 * @example
 * ```ts
 * import { openDatagramEndpoint, run } from 'gyre';
 *
 * await run(async () => {
 *   await using endpoint = await openDatagramEndpoint({ localAddr: ['127.0.0.1', 0] });
 *   const own = endpoint.getExtraInfo('sockname')!;
 *   await endpoint.send('to myself', own);
 *   for await (const { data } of endpoint) {
 *     console.log(String(data)); // to myself
 *     break;
 *   }
 * });
 * ```
 */
export function openDatagramEndpoint(options: OpenDatagramOptions): Future<DatagramStream> {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', options, 'an object');
  const { limit = DEFAULT_LIMIT, signal, ...rest } = options;
  checkInteger('options.limit', limit, HEADER_BYTES, Number.MAX_SAFE_INTEGER);
  checkSignal('options.signal', signal);
  const loop = runningLoop();
  const stream = new DatagramStream(loop, limit);
  // If the signal is aborted already, pass it on: nothing is opened then.
  const passed = signal?.aborted ? { ...rest, signal } : rest;
  const opening = createDatagramEndpoint(loop, () => stream._protocol(), passed);
  return cancelOnAbort(
    operation(loop, 'openDatagramEndpoint', async () => {
      await opening;
      return stream;
    }),
    signal,
  );
}
