/**
 * The stream transport of every backend. It connects a raw handle with a protocol, and combines the states of
 * a stream (stream-state.ts), the water marks (flow-control.ts) and the write queue (write-queue.ts).
 *
 * The host calls `onRead` and the other event methods. The transport calls the protocol as code of the loop,
 * in the async context of the connection. While the loop does not run, it calls no protocol: events wait in
 * the ready queue, and reading stops.
 */

import type { RawStream, StreamEvents } from '../../backend/backend.ts';
import { SOCK_STREAM } from '../../base/constants.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { givenAway } from '../../base/given-away.ts';
import type { Linked } from '../../base/linked-list.ts';
import { bytesText, showInOneLine } from '../../base/one-line.ts';
import { keepable, ownCopy } from '../../base/own-memory.ts';
import { encodeText } from '../../base/text.ts';
import { checkData, invalidArgType } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import type { CreationRecord, KeepsCreationRecord } from '../../loop/creation.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource, ResourceFacts } from '../../loop/ownership.ts';
import type { Flushable } from '../../loop/scheduler.ts';
import type { Loop } from '../../loop/types.ts';
import { Future } from '../../tasks/future.ts';
import type { BufferedProtocol, StreamProtocol } from '../protocol.ts';
import { STREAM_PROTOCOL_METHODS, streamProtocolInvokers } from '../protocol.ts';
import { checkProtocol, FAILED } from '../protocol-caller.ts';
import type { ExtraInfo, WriteBufferLimits } from '../transport.ts';
import { Transport } from '../transport.ts';
import { TransportCore } from '../transport-core.ts';
import { BufferedReading, checkBuffer } from './buffered-reading.ts';
import { streamEnds, streamFacts, streamName } from './stream-name.ts';
import type { StreamEvent, StreamState } from './stream-state.ts';
import {
  INITIAL_STATES,
  isEnding,
  mayRead,
  maySend,
  mayWrite,
  nextState,
  reportedState,
} from './stream-state.ts';
import { WriteQueue } from './write-queue.ts';

/** Learns that a transport is lost: the server that has accepted the connection. */
export interface TransportOwner {
  /** @internal */
  _detach(transport: StreamTransport): void;
}

export class StreamTransport
  extends Transport
  implements StreamEvents, Flushable, Resource, KeepsCreationRecord, Linked
{
  /** Its place among the connections of a server. @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  readonly #raw: RawStream;
  readonly #core: TransportCore<StreamProtocol>;
  readonly #owner: TransportOwner | null;
  readonly #queue: WriteQueue = new WriteQueue();
  #state: StreamState;
  #paused: boolean = false;
  /** The buffers of a BufferedProtocol; null if the protocol has lent none yet. */
  #buffers: BufferedReading | null = null;
  /**
   * Data that is not delivered yet, in order. The loop did not run, or the protocol paused reading: the host
   * may still deliver what was in flight, and a BufferedProtocol may pause in the middle.
   */
  #held: Buffer[] | null = null;
  #heldEnd: boolean = false;
  #flushing: boolean = false;
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
    this.#raw = raw;
    const info = raw.info();
    this.#core = new TransportCore<StreamProtocol>(loop, info, protocol, context, this);
    this.#owner = owner;
    this.#state = INITIAL_STATES[info.direction];
    raw.open(this);
  }

  /** Calls `connectionMade`, and starts reading. Returns the error if the protocol threw. @internal */
  _begin(): Error | null {
    const made = this.#core.call(streamProtocolInvokers.connectionMade, this) !== FAILED;
    if (made && !this.#paused && mayRead(this.#state)) this.#readStart();
    return made ? null : this.#core.fault;
  }

  // --- facts ---

  /** The raw handle, for an engine of TLS that takes the transport's place. @internal */
  get _raw(): RawStream {
    return this.#raw;
  }

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
    return this.#core.extraInfo(name, fallback, SOCK_STREAM);
  }

  getProtocol(): StreamProtocol {
    return this.#core.protocol;
  }

  setProtocol(protocol: StreamProtocol): void {
    checkProtocol('protocol', protocol, STREAM_PROTOCOL_METHODS);
    this.#buffers?.takeBack();
    this.#core.protocol = protocol;
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
    if (this.#mayDeliver()) this.#received(data);
    else this.#hold(data);
  }

  onReadInto(length: number): void {
    const buffer = this.#buffers?.filled() ?? null;
    if (buffer === null || !mayRead(this.#state)) return;
    if (this.#mayDeliver()) {
      if (this.#core.call(streamProtocolInvokers.bufferUpdated, length) !== FAILED) this.#lendBuffer();
    } else if (buffer.length >= length) {
      this.#hold(ownCopy(buffer.subarray(0, length)));
    } else {
      // The protocol has transferred its buffer, with the data in it.
      this.#core.fault ??= givenAway();
      this.#abort();
    }
  }

  #mayDeliver(): boolean {
    return this.#held === null && !this.#paused && this.#core.loop.isRunning();
  }

  onEnd(): void {
    // On a write pipe: the reader has closed its side. The write of queued data then fails and reports it.
    if (this.#core.info.direction === 'write') this.close();
    if (!mayRead(this.#state)) return;
    if (this.#mayDeliver()) {
      this.#ended();
    } else {
      this.#heldEnd = true;
      this.#callSoon(() => this.#release());
    }
  }

  #received(data: Buffer): void {
    if (!this.#isBuffered()) this.#core.call(streamProtocolInvokers.dataReceived, data);
    else this.#fill(data);
  }

  /**
   * Copies data into the buffers of the protocol. In each call the protocol may pause, close, or hand over to
   * another protocol.
   */
  #fill(data: Buffer): void {
    for (let rest = data; rest.length > 0; ) {
      if (this.#paused) {
        this.#held ??= [];
        this.#held.unshift(keepable(rest));
        return;
      }
      if (!this.#isBuffered()) {
        this.#core.call(streamProtocolInvokers.dataReceived, rest);
        return;
      }
      const buffer = this.#ownBuffers().next(rest.length);
      if (buffer === null) return;
      const length = Math.min(buffer.length, rest.length);
      buffer.set(rest.subarray(0, length));
      rest = rest.subarray(length);
      const updated = this.#core.call(streamProtocolInvokers.bufferUpdated, length) !== FAILED;
      if (!updated || !mayRead(this.#state)) return;
    }
    this.#lendBuffer();
  }

  #isBuffered(): boolean {
    return (this.#core.protocol as Partial<BufferedProtocol>).getBuffer !== undefined;
  }

  #ownBuffers(): BufferedReading {
    this.#buffers ??= new BufferedReading(this.#raw, (sizeHint) => this.#askForBuffer(sizeHint));
    return this.#buffers;
  }

  /** Lends the host a buffer of the protocol, if the host can read into it. */
  #lendBuffer(): void {
    if (!this.#isBuffered() || this.#held !== null || this.#paused || !mayRead(this.#state)) return;
    this.#ownBuffers().lend();
  }

  #askForBuffer(sizeHint: number): Uint8Array | null {
    const buffer = this.#core.call(streamProtocolInvokers.getBuffer, sizeHint);
    if (buffer === FAILED) return null;
    try {
      return checkBuffer(buffer);
    } catch (error) {
      this._protocolFailed(error, 'getBuffer');
      return null;
    }
  }

  #ended(): void {
    const keepOpen = this.#core.call(streamProtocolInvokers.eofReceived, undefined);
    if (keepOpen === FAILED || isEnding(this.#state)) return;
    this.#advance(keepOpen === true ? 'eof' : 'close');
  }

  /** Holds `data`, and stops reading until it was delivered. */
  #hold(data: Buffer): void {
    const isFirst = this.#held === null;
    this.#held ??= [];
    this.#held.push(keepable(data));
    if (!isFirst || this.#paused) return;
    this.#raw.readStop();
    this.#callSoon(() => this.#release());
  }

  /** Delivers the held data, and starts reading again. */
  #release(): void {
    for (;;) {
      if (this.#paused || !mayRead(this.#state)) return;
      const data = this.#held?.shift();
      if (data === undefined) break;
      if (this.#held?.length === 0) this.#held = null;
      this.#received(data);
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
    return this.#core.info.halfClose;
  }

  writeEof(): void {
    if (!this.#core.info.halfClose) {
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
    this.#core.flow.setLimits(limits);
    this.#checkFlow();
  }

  getWriteBufferLimits(): { low: number; high: number } {
    return { low: this.#core.flow.low, high: this.#core.flow.high };
  }

  getWriteBufferSize(): number {
    return this.#queue.size;
  }

  /**
   * Waits until the buffer is below its mark. Fails if the transport can no longer write. The call is
   * independent of `pauseWriting`. @internal
   */
  _whenWritable(): Future<void> {
    this.#writableWaiter = new Future<void>(this.#core.loop);
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
    if (!maySend(this.#state)) return;
    if (!this.#core.loop.isRunning()) {
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
    if (!maySend(this.#state)) return;
    if (this.#queue.sendable) this.#sendNow();
    if (this.#queue.size === 0) this.#afterLastWrite();
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
    if (!this.#core.loop.isRunning()) {
      this.#callSoon(() => this.onClose(error));
      return;
    }
    if (this.#state !== 'aborted') this.#core.fault = error;
    this.#state = nextState(this.#state, 'lost');
    this.#discard();
    this.#core.lose(this.#core.fault);
    this.#releaseWaiters();
  }

  /** Closes the transport, and waits until `connectionLost` was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this._whenLost();
  }

  /** Waits until `connectionLost` was called. @internal */
  _whenLost(): Future<void> {
    return this.#core.whenLost();
  }

  /** @internal */
  _facts(): string {
    const queued = this.getWriteBufferSize();
    const peer = this.#creation?.acceptedBy === null ? '->' : '<-';
    return [
      streamFacts(this.#core.info, peer, this.getExtraInfo('cipher') !== null),
      this.#paused ? `${reportedState(this.#state)}, reading paused` : reportedState(this.#state),
      ...(queued === 0 ? [] : [`${bytesText(queued)} queued`]),
    ].join(', ');
  }

  /** @internal */
  _resourceFacts(): ResourceFacts {
    return {
      ...streamEnds(this.#core.info, this.getExtraInfo('cipher') !== null),
      state: reportedState(this.#state),
      accepted: (this.#creation?.acceptedBy ?? null) !== null,
      readingPaused: this.#paused,
      queuedBytes: this.getWriteBufferSize(),
      highWaterBytes: this.#core.highWater,
    };
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { protocol: this.getProtocol(), loop: this.#core.loop };
  }

  /** @internal */
  _describe(): string {
    // The initial state of a pipe is half closed, so its name would mislead.
    const isPipe = this.#core.info.direction !== 'both' && !isEnding(this.#state);
    return `${streamName(this.#core.info)} was still ${isPipe ? 'open' : reportedState(this.#state)}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#state = nextState(this.#state, 'lost');
    this.#discard();
    this.#raw.abort();
    this.#releaseWaiters();
  }

  // --- internal steps ---

  #scheduleSend(): void {
    // Above the mark, send first and count afterwards: bytes that the kernel takes at once must not pause the
    // protocol.
    const { size } = this.#queue;
    const { promptBytes = Number.POSITIVE_INFINITY } = this.#raw;
    if (size > this.#core.highWater || size >= promptBytes || !this.#core.loop.isRunning()) {
      this.#sendNow();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#core.loop._scheduler.flushAtTurnEnd(this);
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
      this.#core.fault ??= error as Error;
      this.#abort();
      return;
    }
    this.#checkFlow();
  }

  #afterLastWrite(): void {
    if (this.#state === 'closing') this.#raw.close();
    else if (this.#state === 'eofQueued') {
      this.#state = nextState(this.#state, 'finSent');
      this.#raw.shutdown();
    }
  }

  /** Drops all data that was not delivered or sent. */
  #discard(): void {
    this.#queue.clear();
    this.#held = null;
    this.#buffers?.takeBack();
  }

  #advance(event: StreamEvent): void {
    this.#state = nextState(this.#state, event);
    if (this.#state === 'closing') this.#raw.readStop();
    this.#wakeWritableWaiter();
    if (!this.#core.loop.isRunning()) {
      this._flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#core.loop._scheduler.flushAtTurnEnd(this);
    }
  }

  #abort(): void {
    if (!maySend(this.#state)) return;
    this.#state = nextState(this.#state, 'abort');
    this.#core.flowIsOver = true;
    this.#queue.clear();
    this.#raw.abort();
  }

  #refuseWrite(method: string): void {
    if (this.#core.info.direction === 'read') {
      throw new LoopError('ERR_UNSUPPORTED', `${method}(): this pipe is for reading only`);
    }
    if (this.#state === 'eofSent' || this.#state === 'eofQueued') {
      throw new LoopError('ERR_TRANSPORT_CLOSED', `${method}(): the writing side was ended by writeEof()`);
    }
    if (mayWrite(this.#state)) throw sendingFile(method);
    this.#core.countLostWrite(method, 'a connection that is closed: data is dropped');
  }

  #checkFlow(): void {
    if (!this.#core.flowTurns(this.#queue.size)) return;
    this.#wakeWritableWaiter();
    this.#core.tellFlow();
  }

  #wakeWritableWaiter(): void {
    const waiter = this.#writableWaiter;
    if (waiter === null || (this.#core.paused && mayWrite(this.#state))) return;
    this.#writableWaiter = null;
    if (waiter.done()) return;
    if (mayWrite(this.#state)) waiter.setResult(undefined);
    else
      waiter.setException(
        this.#core.fault ?? new LoopError('ERR_TRANSPORT_CLOSED', 'the connection was closed'),
      );
  }

  /** Completes all that waits for the end of the connection. */
  #releaseWaiters(): void {
    this.#wakeWritableWaiter();
    this.#owner?._detach(this);
    this.#core.releaseWaiters();
  }

  #callSoon(event: () => void): void {
    this.#core.loop._scheduler.callSoon(event, []);
  }

  /** @internal */
  get _number(): number {
    return this.#core.number;
  }

  /** @internal */
  _protocolFailed(error: unknown, method: string): void {
    this.#core.reportFault(error, method, ': its connection is aborted');
    this.#abort();
  }
}

showInOneLine(StreamTransport);

/** Another write would put its bytes into the middle of the file. */
function sendingFile(method: string): Error {
  return new InvalidStateError(`${method}(): a file is being sent over this transport`);
}
