/**
 * The datagram transport of every backend. It connects a raw socket with a protocol, and combines the water
 * marks (flow-control.ts) and the unsent datagrams (pending-datagrams.ts).
 *
 * The transport passes a datagram to the host at once, unless others wait. Some hosts gather the datagrams of
 * a turn and send them together at its end. While the loop does not run, no protocol is called: the transport
 * holds a datagram that has come already, and the kernel those behind it, up to the size of its receive
 * buffer.
 */

import type { Datagram, DatagramEvents, RawDatagram } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';
import { SOCK_DGRAM } from '../../base/constants.ts';
import { bytesText, showInOneLine } from '../../base/one-line.ts';
import { keepable } from '../../base/own-memory.ts';
import { encodeText } from '../../base/text.ts';
import { checkData, invalidArgType, outOfRange } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource, ResourceFacts } from '../../loop/ownership.ts';
import type { Flushable } from '../../loop/scheduler.ts';
import type { Loop } from '../../loop/types.ts';
import type { DatagramProtocol } from '../protocol.ts';
import { DATAGRAM_PROTOCOL_METHODS, datagramProtocolInvokers } from '../protocol.ts';
import { checkProtocol, FAILED } from '../protocol-caller.ts';
import type { ExtraInfo, WriteBufferLimits } from '../transport.ts';
import { DatagramTransport } from '../transport.ts';
import { TransportCore } from '../transport-core.ts';
import { checkDestination, isSameAddress } from './datagram-address.ts';
import { HEADER_BYTES, PendingDatagrams } from './pending-datagrams.ts';

export class DatagramEndpoint extends DatagramTransport implements DatagramEvents, Flushable, Resource {
  readonly #loop: Loop;
  readonly #raw: RawDatagram;
  readonly #core: TransportCore<DatagramProtocol>;
  /** The destination of all datagrams; null if each datagram has its own. */
  readonly #remote: SocketAddress | null;
  readonly #pending: PendingDatagrams = new PendingDatagrams();
  #state: 'open' | 'closing' | 'aborted' | 'lost' = 'open';
  /** Bytes, headers included, that the host has gathered and sends at the end of the turn. */
  #gathered: number = 0;
  #flushing: boolean = false;
  /** The number of events that wait for the loop to run. */
  #held: number = 0;

  /**
   * @param remote the destination of all datagrams, also if the socket is not connected to it
   * @param context the context for calls of the protocol, captured without a task: see loop/context.ts
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
    const info = raw.info();
    this.#core = new TransportCore<DatagramProtocol>(loop, info, protocol, context, this);
    this.#remote = remote ?? info.peername;
    raw.open(this);
  }

  /** Calls `connectionMade`, and starts receiving. Returns the error if the protocol threw. @internal */
  _begin(): Error | null {
    const made = this.#core.call(datagramProtocolInvokers.connectionMade, this) !== FAILED;
    if (made && this.#state === 'open') this.#raw.receiveStart();
    return made ? null : this.#core.fault;
  }

  // --- facts ---

  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#core.extraInfo(name, fallback, SOCK_DGRAM);
  }

  getProtocol(): DatagramProtocol {
    return this.#core.protocol;
  }

  setProtocol(protocol: DatagramProtocol): void {
    checkProtocol('protocol', protocol, DATAGRAM_PROTOCOL_METHODS);
    this.#core.protocol = protocol;
  }

  isClosing(): boolean {
    return this.#state !== 'open';
  }

  // --- receiving ---

  onMessage(data: Buffer, address: SocketAddress): void {
    if (this.#mayDeliver()) this.#received(data, address);
    else if (this.#state === 'open') this.#holdMessage(keepable(data), address);
  }

  #received(data: Buffer, address: SocketAddress): void {
    if (this.#state === 'open') this.#core.call(datagramProtocolInvokers.datagramReceived, data, address);
  }

  /** Errors may also come after `close()`, for datagrams that were sent before it. */
  onError(error: Error): void {
    if (this.#mayDeliver()) this.#failed(error);
    else if (!this.#isOver()) this.#hold(() => this.#failed(error));
  }

  #failed(error: Error): void {
    if (!this.#isOver()) this.#core.call(datagramProtocolInvokers.errorReceived, error);
  }

  #mayDeliver(): boolean {
    return this.#held === 0 && this.#loop.isRunning();
  }

  #holdMessage(data: Buffer, address: SocketAddress): void {
    this.#hold(() => this.#received(data, address));
  }

  /** Stops receiving until the loop runs, then calls `deliver` before any later event. */
  #hold(deliver: () => void): void {
    if (this.#held++ === 0) this.#raw.receiveStop();
    this.#callSoon(() => {
      const rest = --this.#held;
      deliver();
      if (rest === 0 && this.#state === 'open') this.#raw.receiveStart();
    });
  }

  // --- sending ---

  sendto(data: string | Uint8Array, address: SocketAddress | null = null): void {
    const datagram = typeof data === 'string' ? encodeText(data) : data;
    if (!(datagram instanceof Uint8Array)) checkData('data', data);
    const destination = this.#destination(address);
    if (this.#state !== 'open') {
      this.#core.countLostWrite('sendto', 'an endpoint that is closed: datagrams are dropped');
      return;
    }
    if (this.#gather(datagram, destination)) return;
    this.#flushNow();
    this.#pending.push(datagram, destination);
    this.#sendPending();
    this.#checkFlow();
  }

  setWriteBufferLimits(limits?: WriteBufferLimits): void {
    this.#core.flow.setLimits(limits);
    this.#checkFlow();
  }

  getWriteBufferLimits(): { low: number; high: number } {
    return { low: this.#core.flow.low, high: this.#core.flow.high };
  }

  getWriteBufferSize(): number {
    // The kernel may have room for the gathered datagrams, which then don't count.
    this.#flushNow();
    return this.#pending.size;
  }

  onSent(error: Error | null): void {
    if (this.#isOver()) return;
    if (!this.#loop.isRunning()) {
      this.#callSoon(() => this.onSent(error));
      return;
    }
    this.#pending.left();
    if (error !== null) this.#core.call(datagramProtocolInvokers.errorReceived, error);
    if (this.#isOver()) return;
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
    if (this.#isOver()) return;
    this.#state = 'aborted';
    this.#core.flowIsOver = true;
    this.#pending.clear();
    this.#gathered = 0;
    this.#raw.close();
  }

  /** The host may call this from within `close()`. The protocol is told one turn later, as in asyncio. */
  onClose(error: Error | null): void {
    if (this.#state === 'lost') return;
    if (this.#state === 'open') this.#state = 'closing';
    this.#callSoon(() => this.#end(error));
  }

  #end(error: Error | null): void {
    if (this.#state === 'lost') return;
    if (this.#state !== 'aborted') this.#core.fault = error;
    this.#state = 'lost';
    this.#pending.clear();
    this.#gathered = 0;
    this.#core.lose(this.#core.fault);
    this.#core.releaseWaiters();
  }

  /** Closes the transport, and waits until `connectionLost` was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#core.whenLost();
  }

  /** @internal */
  _facts(): string {
    const { sockname } = this.#core.info;
    const at = sockname === null ? '' : ` ${formatAddress(sockname)}`;
    const to = this.#remote === null ? '' : ` -> ${formatAddress(this.#remote)}`;
    const queued = this.getWriteBufferSize();
    const state = this.#state === 'aborted' ? 'closing' : this.#state;
    return `udp${at}${to}, ${state}${queued === 0 ? '' : `, ${bytesText(queued)} queued`}`;
  }

  /** @internal */
  _resourceFacts(): ResourceFacts {
    const { sockname } = this.#core.info;
    return {
      kind: 'udp',
      state: this.#state === 'aborted' ? 'closing' : this.#state,
      local: sockname === null ? null : formatAddress(sockname),
      peer: this.#remote === null ? null : formatAddress(this.#remote),
      queuedBytes: this.getWriteBufferSize(),
      highWaterBytes: this.#core.highWater,
    };
  }

  /** @internal */
  _describe(): string {
    const at = this.#core.info.sockname;
    return `a datagram endpoint${at === null ? '' : ` on ${formatAddress(at)}`} was still ${this.#state === 'aborted' ? 'closing' : this.#state}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#state = 'lost';
    this.#pending.clear();
    this.#gathered = 0;
    this.#raw.close();
    this.#core.releaseWaiters();
  }

  // --- internal steps ---

  /** Returns the checked destination; null if the socket is connected to it. */
  #destination(address: SocketAddress | null): SocketAddress | null {
    const remote = this.#remote;
    const connectedTo = this.#core.info.peername;
    if (address === null) {
      if (remote === null) throw invalidArgType('address', address, 'an address, as there is no remoteAddr');
      return connectedTo === null ? remote : null;
    }
    const destination = checkDestination('address', address, this.#core.info.family);
    if (remote === null) return destination;
    // Accept the address as the user wrote it, or as the kernel shows it: 0.0.0.0 becomes 127.0.0.1.
    const known = isSameAddress(destination, remote) || isSameAddress(destination, connectedTo ?? remote);
    if (!known) throw outOfRange('address', formatAddress(address), `absent, or ${formatAddress(remote)}`);
    return connectedTo === null ? remote : null;
  }

  /**
   * Passes a datagram to the host, which sends it with others at the end of the turn. Returns false if the
   * host cannot gather it. Above the mark it must be sent at once: datagrams that the kernel takes do not
   * pause the protocol.
   */
  #gather(data: Uint8Array, destination: SocketAddress | null): boolean {
    const bytes = this.#gathered + data.length + HEADER_BYTES;
    if (this.#raw.gather === undefined || this.#pending.size > 0 || bytes > this.#core.highWater)
      return false;
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

  /** Sends pending datagrams, until the kernel takes no more. */
  #sendPending(): void {
    for (let next = this.#pending.take(); next !== null; next = this.#pending.take()) {
      if (!this.#sendOne(next)) return;
      this.#pending.left();
    }
  }

  /**
   * Sends one datagram. Returns false if the host keeps it for later. An error goes to the protocol. It must
   * reach neither the caller of `sendto()`, nor the other transports at the end of the turn.
   */
  #sendOne({ data, address }: Datagram): boolean {
    try {
      return this.#raw.send(data, address);
    } catch (error) {
      this.#callSoon(() => this.onError(error as Error));
      return true;
    }
  }

  #checkFlow(): void {
    if (this.#core.flowTurns(this.#pending.size)) this.#core.tellFlow();
  }

  /** No datagram leaves any more, and no error is reported. */
  #isOver(): boolean {
    return this.#state === 'aborted' || this.#state === 'lost';
  }

  #callSoon(event: () => void): void {
    this.#loop._scheduler.callSoon(event, []);
  }

  /** @internal */
  get _number(): number {
    return this.#core.number;
  }

  /** @internal */
  _protocolFailed(error: unknown, method: string): void {
    this.#core.reportFault(error, method, ': its endpoint is aborted');
    this.abort();
  }
}

showInOneLine(DatagramEndpoint);
