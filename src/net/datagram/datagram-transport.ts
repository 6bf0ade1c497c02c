/**
 * The transport of datagrams for every backend: it joins the water marks (flow-control.ts) and what has not
 * left (pending-datagrams.ts) to a raw socket, and calls the protocol.
 *
 * A datagram is given to the host at once, unless others wait: some hosts send all of a turn together at its
 * end. While the loop does not run, nothing reaches the protocol: one that has come waits here, and the host
 * holds those behind it, as many as it has room for.
 */
import type { Datagram, DatagramEvents, RawDatagram, StreamInfo } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';
import { LOST_WRITES_BEFORE_WARNING, SOCK_DGRAM } from '../../base/constants.ts';
import { keepable } from '../../base/own-memory.ts';
import { encodeText } from '../../base/text.ts';
import { checkData, checkString, invalidArgType, outOfRange } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource } from '../../loop/ownership.ts';
import type { Flushable } from '../../loop/scheduler.ts';
import type { Loop } from '../../loop/types.ts';
import { Future } from '../../tasks/future.ts';
import { FlowControl } from '../flow-control.ts';
import type { DatagramProtocol } from '../protocol.ts';
import { DATAGRAM_PROTOCOL_METHODS, datagramProtocolInvokers } from '../protocol.ts';
import { checkProtocol, ProtocolCaller } from '../protocol-caller.ts';
import type { ExtraInfo, WriteBufferLimits } from '../transport.ts';
import { DatagramTransport } from '../transport.ts';
import { TransportSocket } from '../transport-socket.ts';
import { checkDestination, isSameAddress } from './datagram-address.ts';
import { HEADER_BYTES, PendingDatagrams } from './pending-datagrams.ts';

export class DatagramEndpoint extends DatagramTransport implements DatagramEvents, Flushable, Resource {
  readonly #loop: Loop;
  readonly #raw: RawDatagram;
  readonly #caller: ProtocolCaller<DatagramProtocol>;
  readonly #info: StreamInfo;
  /** Where everything goes; null: each datagram says so. */
  readonly #remote: SocketAddress | null;
  readonly #flow: FlowControl = new FlowControl();
  readonly #pending: PendingDatagrams = new PendingDatagrams();
  #state: 'open' | 'closing' | 'lost' = 'open';
  #aborted: boolean = false;
  /** Bytes, as they are counted, that the host has and that leave at the end of the turn. */
  #gathered: number = 0;
  #flushing: boolean = false;
  #socket: TransportSocket | null = null;
  #lostSends: number = 0;
  /** What the protocol knows of the flow. */
  #toldPaused: boolean = false;
  /** What made us give it up. */
  #fault: Error | null = null;
  #lost: Future<void> | null = null;

  /**
   * @param remote where everything goes, although the socket need not be connected to it
   * @param context in which the protocol is called: captured without a task, see loop/context.ts
   */
  constructor(
    loop: Loop,
    raw: RawDatagram,
    protocol: DatagramProtocol,
    remote: SocketAddress | null,
    context: CapturedContext,
  ) {
    super();
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#raw = raw;
    this.#caller = new ProtocolCaller<DatagramProtocol>(loop, context, protocol, this);
    this.#info = raw.info();
    this.#remote = remote ?? this.#info.peername;
    loop._owned.resources.add(this);
    raw.open(this);
  }

  /** Tells the protocol, and begins to receive. Answers the error if it threw. @internal */
  _begin(): Error | null {
    const made = this.#caller.call(datagramProtocolInvokers.connectionMade, this);
    if (made && this.#state === 'open') this.#raw.receiveStart();
    return made ? null : this.#fault;
  }

  // --- facts ---

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
        if (this.#info.handle === null) return fallback;
        this.#socket ??= new TransportSocket(this.#loop, this.#info, this.#info.handle, SOCK_DGRAM);
        return this.#socket;
      default:
        return Object.hasOwn(this.#info.extra, name) ? this.#info.extra[name] : fallback;
    }
  }

  getProtocol(): DatagramProtocol {
    return this.#caller.protocol;
  }

  setProtocol(protocol: DatagramProtocol): void {
    checkProtocol('protocol', protocol, DATAGRAM_PROTOCOL_METHODS);
    this.#caller.protocol = protocol;
  }

  isClosing(): boolean {
    return this.#state !== 'open';
  }

  // --- receiving ---

  onMessage(data: Buffer, address: SocketAddress): void {
    if (this.#state !== 'open') return;
    if (this.#loop.isRunning()) this.#caller.call(datagramProtocolInvokers.datagramReceived, data, address);
    else this.#holdMessage(keepable(data), address);
  }

  /** Also of what was sent just before it was closed. */
  onError(error: Error): void {
    if (this.#state === 'lost' || this.#aborted) return;
    if (this.#loop.isRunning()) this.#caller.call(datagramProtocolInvokers.errorReceived, error);
    else this.#hold(() => this.onError(error));
  }

  #holdMessage(data: Buffer, address: SocketAddress): void {
    this.#hold(() => this.onMessage(data, address));
  }

  /** Tells as soon as the loop runs, before whatever else comes. */
  #hold(tell: () => void): void {
    this.#raw.receiveStop();
    this.#later(() => {
      tell();
      if (this.#state === 'open') this.#raw.receiveStart();
    });
  }

  // --- sending ---

  sendto(data: string | Uint8Array, address: SocketAddress | null = null): void {
    const datagram = typeof data === 'string' ? encodeText(data) : data;
    if (!(datagram instanceof Uint8Array)) checkData('data', data);
    const destination = this.#destination(address);
    if (this.#state !== 'open') {
      this.#refuseSend();
      return;
    }
    if (this.#gather(datagram, destination)) return;
    this.#flushNow();
    this.#pending.push(datagram, destination);
    this.#sendPending();
    this.#checkFlow();
  }

  setWriteBufferLimits(limits?: WriteBufferLimits): void {
    this.#flow.setLimits(limits);
    this.#checkFlow();
  }

  getWriteBufferLimits(): { low: number; high: number } {
    return { low: this.#flow.low, high: this.#flow.high };
  }

  getWriteBufferSize(): number {
    // The host may have room for all of it: who asks is told the truth.
    this.#flushNow();
    return this.#pending.size;
  }

  onSent(error: Error | null): void {
    if (this.#state === 'lost' || this.#aborted) return;
    if (!this.#loop.isRunning()) {
      this.#later(() => this.onSent(error));
      return;
    }
    this.#pending.left();
    if (error !== null) this.#caller.call(datagramProtocolInvokers.errorReceived, error);
    if (this.#aborted) return;
    this.#sendPending();
    this.#checkFlow();
    if (this.#state === 'closing' && this.#pending.size === 0) this.#raw.close();
  }

  // --- ending ---

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#raw.receiveStop();
    this.#flushNow();
    if (this.#pending.size === 0) this.#raw.close();
  }

  abort(): void {
    if (this.#state === 'lost' || this.#aborted) return;
    this.#aborted = true;
    this.#state = 'closing';
    this.#pending.clear();
    this.#gathered = 0;
    this.#raw.close();
  }

  /**
   * The host tells of it at once, where nothing has to leave; the protocol hears of it a turn later, as in
   * asyncio.
   */
  onClose(error: Error | null): void {
    if (this.#state === 'lost') return;
    if (this.#state === 'open') this.#state = 'closing';
    this.#later(() => this.#end(error));
  }

  #end(error: Error | null): void {
    if (this.#state === 'lost') return;
    this.#state = 'lost';
    this.#pending.clear();
    this.#gathered = 0;
    this.#loop._owned.resources.delete(this);
    this.#caller.call(datagramProtocolInvokers.connectionLost, this.#aborted ? this.#fault : error);
    this.#releaseWaiters();
  }

  /** Closes it, and waits until the protocol has been told of the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#lost ??= new Future<void>(this.#loop);
    if (!this.#lost.done() && this.#state === 'lost') this.#lost.setResult(undefined);
    await this.#lost;
  }

  /** @internal */
  _describe(): string {
    const at = this.#info.sockname;
    return `an endpoint for datagrams${at === null ? '' : ` on ${formatAddress(at)}`} was still ${this.#state}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#state = 'lost';
    this.#pending.clear();
    this.#gathered = 0;
    this.#raw.close();
    this.#releaseWaiters();
  }

  // --- the joints ---

  /** Null: the socket knows, because it is connected. */
  #destination(address: SocketAddress | null): SocketAddress | null {
    const remote = this.#remote;
    const connectedTo = this.#info.peername;
    if (address === null) {
      if (remote === null) throw invalidArgType('address', address, 'an address, as there is no remoteAddr');
      return connectedTo === null ? remote : null;
    }
    const destination = checkDestination('address', address, this.#info.family);
    if (remote === null) return destination;
    // The one that it was given, or what the kernel has made of it: 0.0.0.0 is 127.0.0.1 then.
    const known = isSameAddress(destination, remote) || isSameAddress(destination, connectedTo ?? remote);
    if (!known) throw outOfRange('address', formatAddress(address), `absent, or ${formatAddress(remote)}`);
    return connectedTo === null ? remote : null;
  }

  /**
   * Whether the host takes it with others, at the end of the turn. Above the mark the kernel is asked first,
   * as by a stream.
   */
  #gather(data: Uint8Array, destination: SocketAddress | null): boolean {
    const bytes = this.#gathered + data.length + HEADER_BYTES;
    if (this.#raw.gather === undefined || this.#pending.size > 0 || bytes > this.#flow.high) return false;
    if (!this.#raw.gather(data, destination)) return false;
    this.#gathered = bytes;
    if (!this.#loop.isRunning()) {
      this.#flushNow();
    } else if (!this.#flushing) {
      this.#flushing = true;
      this.#loop._scheduler.flushAtTurnEnd(this);
    }
    return true;
  }

  /** @internal */
  _flush(): void {
    this.#flushing = false;
    this.#flushNow();
  }

  #flushNow(): void {
    if (this.#gathered === 0 || this.#raw.flush === undefined) return;
    this.#gathered = 0;
    const unsent = this.#raw.flush();
    if (unsent.length === 0) return;
    for (const { data, address } of unsent) this.#pending.push(data, address);
    this.#sendPending();
    this.#checkFlow();
  }

  /** Until the host keeps one. */
  #sendPending(): void {
    for (let next = this.#pending.take(); next !== null; next = this.#pending.take()) {
      if (!this.#sendOne(next)) return;
      this.#pending.left();
    }
  }

  /**
   * False: the host keeps it. A failure is told to the protocol: it must reach neither the sender nor the end
   * of the turn.
   */
  #sendOne({ data, address }: Datagram): boolean {
    try {
      return this.#raw.send(data, address);
    } catch (error) {
      this.#later(() => this.onError(error as Error));
      return true;
    }
  }

  #refuseSend(): void {
    if (++this.#lostSends === LOST_WRITES_BEFORE_WARNING) {
      process.emitWarning(
        `sendto() was called ${this.#lostSends} times on an endpoint that is closed: datagrams are dropped`,
        { code: 'GYRE_WRITE_AFTER_CLOSE' },
      );
    }
  }

  #checkFlow(): void {
    if (this.#flow.update(this.#pending.size) === null) return;
    if (this.#loop.isRunning()) this.#maybePauseOrResumeProtocol();
    else this.#later(() => this.#maybePauseOrResumeProtocol());
  }

  /** Nothing, where a stopped loop has seen a pause and its end. */
  #maybePauseOrResumeProtocol(): void {
    if (this.#state === 'lost' || this.#aborted || this.#flow.paused === this.#toldPaused) return;
    this.#toldPaused = this.#flow.paused;
    this.#caller.call(
      datagramProtocolInvokers[this.#toldPaused ? 'pauseWriting' : 'resumeWriting'],
      undefined,
    );
  }

  /** Wakes the waiters of the end. */
  #releaseWaiters(): void {
    if (this.#lost !== null && !this.#lost.done()) this.#lost.setResult(undefined);
  }

  #later(event: () => void): void {
    this.#loop._scheduler.callSoon(event, []);
  }

  /** @internal */
  _protocolFailed(error: unknown, method: string): void {
    this.#loop.callExceptionHandler({
      message: `exception in protocol.${method}(): its endpoint is aborted`,
      exception: error,
      transport: this,
      protocol: this.getProtocol(),
    });
    this.#fault ??= error instanceof Error ? error : new Error('the protocol threw', { cause: error });
    this.abort();
  }
}
