/**
 * The stream transport of every backend. It connects a raw handle with a protocol, and combines the states of
 * a stream (stream-state.ts), the water marks (flow-control.ts) and the write queue (write-queue.ts).
 *
 * The host calls `onRead` and the other event methods. The transport calls the protocol as code of the loop,
 * in the async context of the connection. While the loop does not run, it calls no protocol: events wait in
 * the ready queue, and reading stops.
 */
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../../backend/backend.ts';
import { LOST_WRITES_BEFORE_WARNING } from '../../base/constants.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { keepable, ownCopy, ownJoin } from '../../base/own-memory.ts';
import { encodeText } from '../../base/text.ts';
import { checkData, checkString, invalidArgType } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import type { CreationRecord, KeepsCreationRecord } from '../../loop/creation.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource } from '../../loop/ownership.ts';
import type { Flushable } from '../../loop/scheduler.ts';
import type { Loop } from '../../loop/types.ts';
import { Future } from '../../tasks/future.ts';
import { FlowControl } from '../flow-control.ts';
import type { BufferedProtocol, StreamProtocol } from '../protocol.ts';
import { STREAM_PROTOCOL_METHODS, streamProtocolInvokers } from '../protocol.ts';
import { checkProtocol, ProtocolCaller, reportProtocolFault } from '../protocol-caller.ts';
import type { ExtraInfo, WriteBufferLimits } from '../transport.ts';
import { Transport } from '../transport.ts';
import { TransportSocket } from '../transport-socket.ts';
import { BufferedReading, checkBuffer } from './buffered-reading.ts';
import { streamName } from './stream-name.ts';
import type { StreamEvent, StreamState } from './stream-state.ts';
import { INITIAL_STATES, isEnding, mayRead, mayWrite, nextState } from './stream-state.ts';
import { WriteQueue } from './write-queue.ts';

/** Learns that a transport is lost: the server that has accepted the connection. */
export interface TransportOwner {
  /** @internal */
  _detach(transport: StreamTransport): void;
}

export class StreamTransport
  extends Transport
  implements StreamEvents, Flushable, Resource, KeepsCreationRecord
{
  readonly #loop: Loop;
  readonly #raw: RawStream;
  readonly #caller: ProtocolCaller<StreamProtocol>;
  readonly #owner: TransportOwner | null;
  readonly #info: StreamInfo;
  /** Bytes: a queue of this size is sent at once, a smaller one at the end of the turn. */
  readonly #promptBytes: number;
  readonly #flow: FlowControl = new FlowControl();
  readonly #queue: WriteQueue = new WriteQueue();
  #state: StreamState;
  #socket: TransportSocket | null = null;
  #paused: boolean = false;
  /** The buffers of a BufferedProtocol; null if the protocol has lent none yet. */
  #buffers: BufferedReading | null = null;
  /**
   * Data that is not delivered yet, because the loop did not run or a BufferedProtocol paused reading in the
   * middle.
   */
  #held: Buffer | null = null;
  #heldEnd: boolean = false;
  #flushing: boolean = false;
  #finSent: boolean = false;
  #lostWrites: number = 0;
  /** Whether the protocol was told to pause. A stopped loop tells it later than `#flow`. */
  #protocolPaused: boolean = false;
  /** The reason for the abort. It says more than the handle's own error. */
  #fault: Error | null = null;
  #aborted: boolean = false;
  #lostWaiter: Future<void> | null = null;
  /** Waits until the protocol may write, for `sendfile()`. */
  #writableWaiter: Future<void> | null = null;
  /** Whether `sendfile()` is sending: no other code may write meanwhile. @internal */
  _sendsFile: boolean = false;
  #creation: CreationRecord | null = null;

  /** @param context the context for calls of the protocol, captured without a task: see loop/context.ts */
  constructor(
    loop: Loop,
    raw: RawStream,
    protocol: StreamProtocol,
    context: CapturedContext,
    owner: TransportOwner | null,
  ) {
    super();
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#raw = raw;
    this.#caller = new ProtocolCaller<StreamProtocol>(loop, context, protocol, this);
    this.#owner = owner;
    this.#info = raw.info();
    this.#promptBytes = raw.promptBytes ?? Number.POSITIVE_INFINITY;
    this.#state = INITIAL_STATES[this.#info.direction];
    loop._owned.resources.add(this);
    raw.open(this);
  }

  /** Calls `connectionMade`, and starts reading. Returns the error if the protocol threw. @internal */
  _begin(): Error | null {
    const made = this.#caller.call(streamProtocolInvokers.connectionMade, this);
    if (made && !this.#paused && mayRead(this.#state)) this.#readStart();
    return made ? null : this.#fault;
  }

  // --- facts ---

  /** @internal */
  get _creation(): CreationRecord | null {
    return this.#creation;
  }

  /** @internal */
  set _creation(creation: CreationRecord | null) {
    this.#creation = creation;
  }

  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    checkString('name', name);
    switch (name) {
      case 'peername':
        return this.#info.peername ?? fallback;
      case 'sockname':
        return this.#info.sockname ?? fallback;
      case 'socket':
        return this.#socketOf(this.#info.handle) ?? fallback;
      default:
        return Object.hasOwn(this.#info.extra, name) ? this.#info.extra[name] : fallback;
    }
  }

  #socketOf(handle: SocketControl | null): TransportSocket | null {
    // The `socket` of a TLS transport is that of the transport below.
    if (handle === null || handle instanceof TransportSocket) return handle;
    this.#socket ??= new TransportSocket(this.#loop, this.#info, handle);
    return this.#socket;
  }

  getProtocol(): StreamProtocol {
    return this.#caller.protocol;
  }

  setProtocol(protocol: StreamProtocol): void {
    checkProtocol('protocol', protocol, STREAM_PROTOCOL_METHODS);
    this.#buffers?.takeBack();
    this.#caller.protocol = protocol;
  }

  isClosing(): boolean {
    return isEnding(this.#state);
  }

  // --- reading ---

  isReading(): boolean {
    return !this.#paused && !isEnding(this.#state);
  }

  pauseReading(): void {
    if (this.#paused || isEnding(this.#state)) return;
    this.#paused = true;
    this.#raw.readStop();
  }

  resumeReading(): void {
    if (!this.#paused || isEnding(this.#state)) return;
    this.#paused = false;
    if (this.#held !== null || this.#heldEnd) this.#callSoon(() => this.#release());
    else if (mayRead(this.#state)) this.#readStart();
  }

  #readStart(): void {
    this.#lendBuffer();
    this.#raw.readStart();
  }

  onRead(data: Buffer): void {
    if (!mayRead(this.#state)) return;
    if (this.#loop.isRunning() && this.#held === null) this.#received(data);
    else this.#hold(data);
  }

  onReadInto(length: number): void {
    const buffer = this.#buffers?.filled() ?? null;
    if (buffer === null || !mayRead(this.#state)) return;
    if (!this.#loop.isRunning() || this.#held !== null) this.#hold(ownCopy(buffer.subarray(0, length)));
    else if (this.#caller.call(streamProtocolInvokers.bufferUpdated, length)) this.#lendBuffer();
  }

  onEnd(): void {
    // On a write pipe: the reader has closed its side. The write of queued data then fails and reports it.
    if (this.#info.direction === 'write') this.close();
    if (!mayRead(this.#state)) return;
    if (this.#loop.isRunning() && this.#held === null && !this.#paused) {
      this.#ended();
    } else {
      this.#heldEnd = true;
      this.#callSoon(() => this.#release());
    }
  }

  #received(data: Buffer): void {
    if (!this.#isBuffered()) this.#caller.call(streamProtocolInvokers.dataReceived, data);
    else this.#fill(data);
  }

  /**
   * Copies data into the buffers of the protocol. In each call the protocol may pause, close, or hand over to
   * another protocol.
   */
  #fill(data: Buffer): void {
    for (let rest = data; rest.length > 0; ) {
      if (this.#paused) {
        this.#hold(rest);
        return;
      }
      if (!this.#isBuffered()) {
        this.#caller.call(streamProtocolInvokers.dataReceived, rest);
        return;
      }
      const buffer = this.#ownBuffers().next(rest.length);
      if (buffer === null) return;
      const length = Math.min(buffer.length, rest.length);
      buffer.set(rest.subarray(0, length));
      rest = rest.subarray(length);
      if (!this.#caller.call(streamProtocolInvokers.bufferUpdated, length) || !mayRead(this.#state)) return;
    }
    this.#lendBuffer();
  }

  #isBuffered(): boolean {
    return (this.#caller.protocol as Partial<BufferedProtocol>).getBuffer !== undefined;
  }

  #ownBuffers(): BufferedReading {
    this.#buffers ??= new BufferedReading(this.#raw, (sizeHint) => this.#askForBuffer(sizeHint));
    return this.#buffers;
  }

  /** Lends the host a buffer of the protocol, if the host can read into it. */
  #lendBuffer(): void {
    if (this.#isBuffered() && !this.#paused && mayRead(this.#state)) this.#ownBuffers().lend();
  }

  #askForBuffer(sizeHint: number): Uint8Array | null {
    if (!this.#caller.call(streamProtocolInvokers.getBuffer, sizeHint)) return null;
    const buffer = this.#caller.result;
    this.#caller.result = undefined;
    try {
      return checkBuffer(buffer);
    } catch (error) {
      this._protocolFailed(error, 'getBuffer');
      return null;
    }
  }

  #ended(): void {
    if (!this.#caller.call(streamProtocolInvokers.eofReceived, undefined) || isEnding(this.#state)) return;
    this.#advance(this.#caller.result === true ? 'eof' : 'close');
  }

  /** Holds `data`, and stops reading until it was delivered. */
  #hold(data: Buffer): void {
    this.#held = this.#held === null ? keepable(data) : ownJoin(this.#held, data);
    this.#raw.readStop();
    if (!this.#paused) this.#callSoon(() => this.#release());
  }

  /** Delivers the held data, and starts reading again. */
  #release(): void {
    if (this.#paused || !mayRead(this.#state)) return;
    const data = this.#held;
    if (data !== null) {
      this.#held = null;
      this.#received(data);
      if (this.#paused || !mayRead(this.#state)) return;
    }
    if (this.#heldEnd) {
      this.#heldEnd = false;
      this.#ended();
    } else {
      this.#readStart();
    }
  }

  // --- writing ---

  write(data: string | Uint8Array): void {
    const chunk = typeof data === 'string' ? encodeText(data) : data;
    if (!(chunk instanceof Uint8Array)) checkData('data', data);
    if (!mayWrite(this.#state) || this._sendsFile) {
      this.#refuseWrite('write');
      return;
    }
    if (chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#scheduleSend();
  }

  writelines(list: Iterable<string | Uint8Array>): void {
    if (typeof list === 'string' || typeof list?.[Symbol.iterator] !== 'function') {
      throw invalidArgType('list', list, 'an iterable of strings or Uint8Arrays');
    }
    const chunks: Uint8Array[] = [];
    for (const data of list) {
      checkData('list', data);
      if (data.length > 0) chunks.push(typeof data === 'string' ? encodeText(data) : data);
    }
    if (!mayWrite(this.#state) || this._sendsFile) {
      this.#refuseWrite('writelines');
      return;
    }
    if (chunks.length === 0) return;
    for (const chunk of chunks) this.#queue.push(chunk);
    this.#scheduleSend();
  }

  canWriteEof(): boolean {
    return this.#info.halfClose;
  }

  writeEof(): void {
    if (!this.#info.halfClose) {
      throw new LoopError(
        'ERR_UNSUPPORTED',
        'writeEof(): this kind of connection cannot close one direction alone; use close()',
      );
    }
    if (!mayWrite(this.#state)) return;
    if (this._sendsFile) throw sendingFile('writeEof');
    this.#advance('writeEof');
  }

  setWriteBufferLimits(limits?: WriteBufferLimits): void {
    this.#flow.setLimits(limits);
    this.#checkFlow();
  }

  getWriteBufferLimits(): { low: number; high: number } {
    return { low: this.#flow.low, high: this.#flow.high };
  }

  getWriteBufferSize(): number {
    return this.#queue.size;
  }

  /**
   * Waits until the buffer is below its mark. Fails if the transport can no longer write. The call is
   * independent of `pauseWriting`. @internal
   */
  _whenWritable(): Future<void> {
    this.#writableWaiter = new Future<void>(this.#loop);
    const waiter = this.#writableWaiter;
    this.#wakeWritableWaiter();
    return waiter;
  }

  /** Queues a piece of a file. @internal */
  _writeFile(piece: Uint8Array): void {
    if (!mayWrite(this.#state)) return;
    this.#queue.push(piece);
    this.#scheduleSend();
  }

  onWritten(): void {
    if (this.#state === 'lost' || this.#aborted) return;
    if (!this.#loop.isRunning()) {
      this.#callSoon(() => this.onWritten());
      return;
    }
    this.#queue.flushed();
    this.#checkFlow();
    this._flush();
  }

  /**
   * Sends the queued data, unless other data is in flight. When nothing is left, carries out a pending close
   * or writeEof. @internal
   */
  _flush(): void {
    this.#flushing = false;
    if (this.#state === 'lost' || this.#aborted) return;
    if (this.#queue.sendable) this.#sendNow();
    if (this.#queue.size === 0 && !this.#aborted) this.#afterLastWrite();
  }

  // --- ending ---

  close(): void {
    if (!isEnding(this.#state)) this.#advance('close');
  }

  abort(): void {
    this.#abort();
  }

  onClose(error: Error | null): void {
    if (this.#state === 'lost') return;
    if (!this.#loop.isRunning()) {
      this.#callSoon(() => this.onClose(error));
      return;
    }
    this.#state = nextState(this.#state, 'lost');
    this.#queue.clear();
    this.#held = null;
    this.#buffers?.takeBack();
    this.#loop._owned.resources.delete(this);
    if (!this.#aborted) this.#fault = error;
    this.#caller.call(streamProtocolInvokers.connectionLost, this.#fault);
    this.#releaseWaiters();
  }

  /** Closes the transport, and waits until `connectionLost` was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this._whenLost();
  }

  /** Waits until `connectionLost` was called. @internal */
  _whenLost(): Future<void> {
    this.#lostWaiter ??= new Future<void>(this.#loop);
    if (!this.#lostWaiter.done() && this.#state === 'lost') this.#lostWaiter.setResult(undefined);
    return this.#lostWaiter;
  }

  /** @internal */
  _describe(): string {
    // The initial state of a pipe is half closed, so its name would mislead.
    const isPipe = this.#info.direction !== 'both' && !isEnding(this.#state);
    return `${streamName(this.#info)} was still ${isPipe ? 'open' : this.#state}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#state = 'lost';
    this.#queue.clear();
    this.#held = null;
    this.#buffers?.takeBack();
    this.#raw.abort();
    this.#releaseWaiters();
  }

  // --- internal steps ---

  #scheduleSend(): void {
    // Above the mark, send first and count afterwards: bytes that the kernel takes at once must not pause the
    // protocol.
    const { size } = this.#queue;
    if (size > this.#flow.high || size >= this.#promptBytes || !this.#loop.isRunning()) {
      this.#sendNow();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#loop._scheduler.flushAtTurnEnd(this);
    }
  }

  /**
   * Sends the queued data. A failure ends this connection only. It must not reach the caller of `write()`,
   * nor the other transports at the end of the turn.
   */
  #sendNow(): void {
    try {
      if (this.#queue.sendable && this.#raw.write(this.#queue.take())) this.#queue.flushed();
    } catch (error) {
      this.#fault ??= error as Error;
      this.#abort();
      return;
    }
    this.#checkFlow();
  }

  #afterLastWrite(): void {
    if (this.#state === 'closing') this.#raw.close();
    else if (this.#state === 'eofSent' && !this.#finSent) {
      this.#finSent = true;
      this.#raw.shutdown();
    }
  }

  #advance(event: StreamEvent): void {
    this.#state = nextState(this.#state, event);
    if (this.#state === 'closing') this.#raw.readStop();
    this.#wakeWritableWaiter();
    if (!this.#loop.isRunning()) {
      this._flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#loop._scheduler.flushAtTurnEnd(this);
    }
  }

  #abort(): void {
    if (this.#state === 'lost' || this.#aborted) return;
    this.#aborted = true;
    this.#state = nextState(this.#state, 'close');
    this.#queue.clear();
    this.#raw.abort();
  }

  #refuseWrite(method: string): void {
    if (this.#info.direction === 'read') {
      throw new LoopError('ERR_UNSUPPORTED', `${method}(): this pipe is for reading only`);
    }
    if (this.#state === 'eofSent') {
      throw new LoopError('ERR_TRANSPORT_CLOSED', `${method}(): the writing side was ended by writeEof()`);
    }
    if (mayWrite(this.#state)) throw sendingFile(method);
    if (++this.#lostWrites === LOST_WRITES_BEFORE_WARNING) {
      process.emitWarning(
        `${method}() was called ${this.#lostWrites} times on a connection that is closed: data is dropped`,
        {
          code: 'GYRE_WRITE_AFTER_CLOSE',
        },
      );
    }
  }

  #checkFlow(): void {
    if (this.#flow.update(this.#queue.size) === null) return;
    this.#wakeWritableWaiter();
    if (this.#loop.isRunning()) this.#maybePauseOrResumeProtocol();
    else this.#callSoon(() => this.#maybePauseOrResumeProtocol());
  }

  /** Does nothing if the flow was paused and resumed while the loop was stopped. */
  #maybePauseOrResumeProtocol(): void {
    if (this.#state === 'lost' || this.#flow.paused === this.#protocolPaused) return;
    this.#protocolPaused = this.#flow.paused;
    this.#caller.call(
      streamProtocolInvokers[this.#protocolPaused ? 'pauseWriting' : 'resumeWriting'],
      undefined,
    );
  }

  #wakeWritableWaiter(): void {
    const waiter = this.#writableWaiter;
    if (waiter === null || (this.#flow.paused && mayWrite(this.#state))) return;
    this.#writableWaiter = null;
    if (waiter.done()) return;
    if (mayWrite(this.#state)) waiter.setResult(undefined);
    else
      waiter.setException(this.#fault ?? new LoopError('ERR_TRANSPORT_CLOSED', 'the connection was closed'));
  }

  /** Completes all that waits for the end of the connection. */
  #releaseWaiters(): void {
    this.#wakeWritableWaiter();
    this.#owner?._detach(this);
    if (this.#lostWaiter !== null && !this.#lostWaiter.done()) this.#lostWaiter.setResult(undefined);
  }

  #callSoon(event: () => void): void {
    this.#loop._scheduler.callSoon(event, []);
  }

  /** @internal */
  _protocolFailed(error: unknown, method: string): void {
    const fault = reportProtocolFault(this.#loop, this, error, method, ': its connection is aborted');
    this.#fault ??= fault;
    this.#abort();
  }
}

/** Another write would put its bytes into the middle of the file. */
function sendingFile(method: string): Error {
  return new InvalidStateError(`${method}(): a file is being sent over this transport`);
}
