/**
 * The parts that stream and datagram transports have in common: the facts of the connection, the flow of the
 * protocol, the report of its exceptions, and the end.
 */
import type { StreamInfo } from '../backend/backend.ts';
import { formatAddress } from '../base/address.ts';
import { DEFAULT_HIGH_WATER_BYTES, LOST_WRITES_BEFORE_WARNING } from '../base/constants.ts';
import { checkString } from '../base/validate.ts';
import type { SpanMessage } from '../loop/channels.ts';
import { transportSpans } from '../loop/channels.ts';
import type { CapturedContext } from '../loop/context.ts';
import type { Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { Future } from '../tasks/future.ts';
import { FlowControl } from './flow-control.ts';
import { baseProtocolInvokers } from './protocol.ts';
import type { CallerOwner } from './protocol-caller.ts';
import { ProtocolCaller, reportProtocolFault } from './protocol-caller.ts';
import { TransportSocket } from './transport-socket.ts';

/** The methods that every protocol of such a transport may have. */
interface EndingProtocol {
  connectionLost?(exception: Error | null): void;
  pauseWriting?(): void;
  resumeWriting?(): void;
}

type CoreOwner = CallerOwner & Resource & { getProtocol(): unknown };

export class TransportCore<P extends EndingProtocol> extends ProtocolCaller<P, CoreOwner> {
  readonly info: StreamInfo;
  /** The reason for an abort. It says more than the handle's own error. */
  fault: Error | null = null;
  /** The transport was aborted or is lost, so the flow of writing is of no interest any more. */
  flowIsOver: boolean = false;
  /** null: the default marks, and never paused. Most transports need no more. */
  #flow: FlowControl | null = null;
  /** Whether the protocol was told to pause. A stopped loop tells it later than `flow`. */
  #protocolPaused: boolean = false;
  #socket: TransportSocket | null = null;
  #lostWrites: number = 0;
  #isLost: boolean = false;
  #lostWaiter: Future<void> | null = null;

  constructor(loop: Loop, info: StreamInfo, protocol: P, context: CapturedContext, transport: CoreOwner) {
    super(loop, context, protocol, transport);
    this.info = info;
    loop._owned.resources.add(transport);
    if (transportSpans.watched) transportSpans.begin(this.#spanMessage());
    loop._scheduler.recorder?.open(this.number);
  }

  extraInfo(name: string, fallback: unknown, socketType: number): unknown {
    checkString('name', name);
    const { info } = this;
    switch (name) {
      case 'peername':
        return info.peername ?? fallback;
      case 'sockname':
        return info.sockname ?? fallback;
      case 'socket':
        return this.#socketOf(info, socketType) ?? fallback;
      default:
        return Object.hasOwn(info.extra, name) ? info.extra[name] : fallback;
    }
  }

  #socketOf(info: StreamInfo, socketType: number): TransportSocket | null {
    const { handle } = info;
    // The `socket` of a TLS transport is that of the transport below.
    if (handle === null || handle instanceof TransportSocket) return handle;
    this.#socket ??= new TransportSocket(this.loop, info, handle, socketType);
    return this.#socket;
  }

  /** The size in bytes above which the protocol is paused. */
  get highWater(): number {
    return this.#flow?.high ?? DEFAULT_HIGH_WATER_BYTES;
  }

  /** Whether the protocol should pause. A stopped loop tells it later. */
  get paused(): boolean {
    return this.#flow?.paused ?? false;
  }

  /** The water marks, to set or to read. */
  get flow(): FlowControl {
    this.#flow ??= new FlowControl();
    return this.#flow;
  }

  /** Takes the new size of the write buffer in bytes. Returns whether the protocol must pause or resume. */
  flowTurns(bytes: number): boolean {
    if (this.#flow === null && bytes <= DEFAULT_HIGH_WATER_BYTES) return false;
    return this.flow.update(bytes) !== null;
  }

  /** Tells the protocol that the flow was paused or resumed: now, or as soon as the loop runs. */
  tellFlow(): void {
    if (this.loop.isRunning()) this.#maybePauseOrResumeProtocol();
    else this.loop._scheduler.callSoon(() => this.#maybePauseOrResumeProtocol(), []);
  }

  /** Does nothing if the flow was paused and resumed while the loop was stopped. */
  #maybePauseOrResumeProtocol(): void {
    if (this.flowIsOver || this.paused === this.#protocolPaused) return;
    this.#protocolPaused = this.paused;
    this.call(baseProtocolInvokers[this.#protocolPaused ? 'pauseWriting' : 'resumeWriting'], undefined);
  }

  /**
   * Counts a write after the close, and warns once.
   *
   * @param what for the warning: `a connection that is closed: data is dropped`
   */
  countLostWrite(method: string, what: string): void {
    if (++this.#lostWrites !== LOST_WRITES_BEFORE_WARNING) return;
    process.emitWarning(`${method}() was called ${this.#lostWrites} times on ${what}`, {
      code: 'GYRE_WRITE_AFTER_CLOSE',
    });
  }

  /** Reports an exception of the protocol, for which the transport is aborted. */
  reportFault(error: unknown, method: string, consequence: string): void {
    const fault = reportProtocolFault(this.loop, this.owner, error, method, consequence);
    this.fault ??= fault;
  }

  /** Calls `connectionLost`, the last call of the protocol. */
  lose(exception: Error | null): void {
    this.flowIsOver = true;
    this.loop._owned.resources.delete(this.owner);
    this.call(baseProtocolInvokers.connectionLost, exception);
  }

  /** The transport is lost: completes the futures of {@link whenLost}. */
  releaseWaiters(): void {
    this.flowIsOver = true;
    if (!this.#isLost) {
      if (transportSpans.watched) transportSpans.finish(this.#spanMessage(), this.fault);
      this.loop._scheduler.recorder?.lost(this.number, this.#ends());
    }
    this.#isLost = true;
    if (this.#lostWaiter !== null && !this.#lostWaiter.done()) this.#lostWaiter.setResult(undefined);
  }

  #spanMessage(): SpanMessage {
    return { subject: this.owner, name: this.#ends(), loop: this.loop };
  }

  /** Returns the addresses of both sides. */
  #ends(): string {
    const { sockname, peername } = this.info;
    const ends = [sockname, peername].filter((address) => address !== null && address !== '');
    return ends.map((address) => formatAddress(address as NonNullable<typeof address>)).join(' ');
  }

  /** Waits until `connectionLost` was called. */
  whenLost(): Future<void> {
    this.#lostWaiter ??= new Future<void>(this.loop);
    if (!this.#lostWaiter.done() && this.#isLost) this.#lostWaiter.setResult(undefined);
    return this.#lostWaiter;
  }
}
