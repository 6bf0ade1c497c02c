/**
 * A TCP connection of a simulated kernel: the states of RFC 9293, with the habits of Linux.
 *
 *   tcp-sender.ts      written data: segments, the peer's window, the time to send again
 *   tcp-receiver.ts    arrived data: order, the own window
 *   tcp-output.ts      segments to the peer: data, acknowledgements, lost data
 *   this file          states, and the face for programs
 *
 * There is no congestion control: a sender sends as much as the peer's window permits.
 */
import type { SocketAddress } from '../../../base/address.ts';
import type { Channel, ChannelEvents } from '../channel.ts';
import type { ErrorCode } from '../errors.ts';
import { systemError } from '../errors.ts';
import type { TcpSegment } from '../fabric/packet.ts';
import { ACK, FIN, RST, SYN } from '../fabric/packet.ts';
import type { TcpOptions } from './tcp-options.ts';
import { TcpOutput } from './tcp-output.ts';
import type { TcpReceiver } from './tcp-receiver.ts';
import type { TcpSender } from './tcp-sender.ts';
import { NEVER, TcpTimers } from './tcp-timers.ts';
import type { TcpEnds, TcpHome, TcpParent, TcpState } from './tcp-types.ts';

/** Numbers of Linux. */
const MOST_RETRIES: Readonly<Partial<Record<TcpState, number>>> = { SYN_SENT: 6, SYN_RECV: 5 };
const RETRIES = 15;
const ORPHAN_RETRIES = 8;
/** Seconds. */
const FIN_WAIT = 60;
const TIME_WAIT = 60;

export class TcpConnection implements Channel {
  readonly family: number;
  readonly ends: TcpEnds;
  readonly options: TcpOptions;
  readonly use: { release(): void };
  state: TcpState = 'CLOSE';
  events: ChannelEvents | null = null;
  /** Called once, when the handshake is complete or has failed. */
  onOpened: ((error: Error | null) => void) | null = null;
  /** The next connection with the same pair of ports. */
  nextOfPorts: TcpConnection | null = null;
  readonly #home: TcpHome<TcpConnection>;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  readonly #timers: TcpTimers;
  readonly #output: TcpOutput;
  #parent: TcpParent<TcpConnection> | null = null;
  #failure: ErrorCode | null = null;
  /** The last report of the network, which explains a timeout. */
  #report: ErrorCode | null = null;
  /** No program has it any more. */
  #orphan: boolean = false;
  /** The program reads no more: data is answered by RST after the own FIN. */
  #readingEnded: boolean = false;
  #starved: boolean = true;
  #blocked: boolean = false;
  /** The time of the last segment of the peer. */
  #heardAt: number;

  constructor(
    home: TcpHome<TcpConnection>,
    ends: TcpEnds,
    use: { release(): void },
    sequence: number,
    options: TcpOptions,
  ) {
    this.#home = home;
    this.ends = ends;
    this.family = ends.family;
    this.use = use;
    this.options = options;
    this.#timers = new TcpTimers(home.timeline, this.#onTimer);
    this.#output = new TcpOutput(home, ends, this.#timers, options, sequence);
    this.#sender = this.#output.sender;
    this.#receiver = this.#output.receiver;
    this.#heardAt = home.timeline.time();
    options.onChange = this.#optionsChanged;
    options.takeError = this.#takeError;
  }

  get sockname(): SocketAddress {
    return this.ends.sockname;
  }

  get peername(): SocketAddress {
    return this.ends.peername;
  }

  // --- opening ---

  /** Sends SYN. */
  open(): void {
    this.state = 'SYN_SENT';
    this.#sendSyn();
  }

  /** Answers a SYN. */
  accept(syn: TcpSegment, parent: TcpParent<TcpConnection>): void {
    this.#parent = parent;
    this.#answerSyn(syn);
  }

  #answerSyn(syn: TcpSegment): void {
    this.state = 'SYN_RECV';
    this.#output.peerSequence = syn.seq;
    this.#receiver.next = 1;
    this.#sender.setWindow(0, syn.window);
    this.#sendSyn();
  }

  #sendSyn(): void {
    this.#output.sendSyn(this.state === 'SYN_SENT' ? 0 : ACK);
  }

  #opened(): void {
    this.state = 'ESTABLISHED';
    this.#timers.resendAt = NEVER;
    this.#startKeepAlive();
    const parent = this.#parent;
    this.#parent = null;
    parent?.completed(this);
    const { onOpened } = this;
    this.onOpened = null;
    onOpened?.(null);
  }

  // --- reading ---

  get readable(): number {
    return this.#receiver.readable;
  }

  get ended(): boolean {
    const isOver =
      this.#receiver.finished || this.#readingEnded || (this.state === 'CLOSE' && this.#failure === null);
    return isOver && this.#receiver.readable === 0;
  }

  read(length: number): Buffer | null {
    const receiver = this.#receiver;
    const data = receiver.read(length);
    if (receiver.readable === 0) this.#starved = true;
    if (data !== null && receiver.shouldTell && this.#isOpen) this.#output.sendAck();
    return data;
  }

  /** The peer learns nothing of it, as on Linux. */
  shutdownRead(): void {
    this.#readingEnded = true;
  }

  // --- writing ---

  get writable(): boolean {
    if (this.state === 'SYN_SENT' || this.state === 'SYN_RECV') return false;
    return !this.#mayWrite || this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#sender.queued * 3 <= this.#sender.capacity * 2;
  }

  get #mayWrite(): boolean {
    return (this.state === 'ESTABLISHED' || this.state === 'CLOSE_WAIT') && !this.#sender.finishes;
  }

  get error(): Error | null {
    return this.#failure === null ? null : systemError(this.#failure, 'read');
  }

  /** Takes the error, as `SO_ERROR` does. */
  #takeError = (): ErrorCode | null => {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  };

  write(data: Uint8Array): number {
    return this.writeMany([data], 0);
  }

  writeMany(chunks: readonly Uint8Array[], skip: number): number {
    if (!this.#mayWrite) throw systemError(this.#failure ?? 'EPIPE', 'write');
    const sender = this.#sender;
    let length = -skip;
    for (let i = 0; i < chunks.length; i++) length += (chunks[i] as Uint8Array).length;
    const count = Math.min(length, sender.room);
    if (count < length) this.#blocked = true;
    if (count <= 0) return 0;
    sender.append(chunks, skip, count);
    this.#output.interactive = true;
    this.#send();
    return count;
  }

  shutdownWrite(): void {
    if (this.#sender.finishes) return;
    if (this.state === 'ESTABLISHED') this.state = 'FIN_WAIT1';
    else if (this.state === 'CLOSE_WAIT') this.state = 'LAST_ACK';
    else return;
    this.#sender.finishes = true;
    this.#send();
  }

  // --- closing ---

  close(): void {
    if (this.#orphan) return;
    const unread = this.#receiver.readable;
    this.#leave();
    switch (this.state) {
      case 'CLOSE':
      case 'TIME_WAIT':
        return;
      case 'SYN_SENT':
        this.#over();
        return;
      case 'FIN_WAIT2':
        this.#timers.overAt = this.#timers.now + FIN_WAIT;
        this.#timers.arm();
    }
    if (unread > 0 || this.state === 'SYN_RECV' || this.options.linger === 0) this.#abort();
    else this.shutdownWrite();
  }

  reset(): void {
    if (this.#orphan && this.state === 'CLOSE') return;
    this.#leave();
    this.#abort();
  }

  /** The program has let go. */
  #leave(): void {
    this.#orphan = true;
    this.#readingEnded = true;
    this.events = null;
    this.onOpened = null;
    this.#timers.aliveAt = NEVER;
    this.#receiver.clear();
  }

  #abort(): void {
    const { state } = this;
    if (state === 'TIME_WAIT') return;
    const isConnected = state !== 'CLOSE' && state !== 'SYN_SENT';
    // Linux sends no RST where the peer has sent FIN, and has got everything or will get it.
    const isEnding = (state === 'LAST_ACK' || state === 'CLOSING') && this.#sender.allSent;
    if (isConnected && !isEnding) this.#output.transmit(this.#sender.next, RST | ACK);
    this.#over();
  }

  /** Forgets the connection, without a packet. */
  drop(): void {
    this.#leave();
    this.#over();
  }

  #over(): void {
    this.state = 'CLOSE';
    this.#timers.stop();
    this.#sender.clear();
    this.#home.forget(this);
    this.#parent?.failed(this);
    this.#parent = null;
  }

  #fail(code: ErrorCode): void {
    this.#failure = code;
    this.#over();
    const { onOpened } = this;
    this.onOpened = null;
    if (onOpened !== null) onOpened(systemError(code, 'connect', this.peername));
    else this.events?.onError(systemError(code, 'read'));
  }

  // --- segments ---

  receive(segment: TcpSegment): void {
    switch (this.state) {
      case 'CLOSE':
        this.#home.refuse(segment);
        return;
      case 'SYN_SENT':
        this.#receiveSynSent(segment);
        return;
      case 'TIME_WAIT':
        this.#receiveTimeWait(segment);
        return;
    }
    this.#heardAt = this.#timers.now;
    const { flags, data } = segment;
    const receiver = this.#receiver;
    const start = this.#output.startOf(segment);
    const end = start + data.length + (flags & SYN) / SYN + (flags & FIN);
    if (end < receiver.next || start > receiver.edge) {
      if ((flags & RST) === 0) this.#output.sendAck();
      return;
    }
    if ((flags & RST) !== 0) {
      if (start === receiver.next) this.#wasReset();
      else this.#output.sendAck();
      return;
    }
    if ((flags & SYN) !== 0 && !this.#isCrossed(flags)) {
      if (this.state === 'SYN_RECV') this.#sendSyn();
      else this.#output.sendAck();
      return;
    }
    if ((flags & ACK) === 0 || !this.#acknowledge(segment)) return;
    if (end > start) this.#take(segment, start, end);
    if (!this.#sender.allSent) this.#send();
  }

  /** Both sides connect at once, and the peer answers our SYN. */
  #isCrossed(flags: number): boolean {
    return this.state === 'SYN_RECV' && this.#parent === null && (flags & ACK) !== 0;
  }

  #receiveSynSent(segment: TcpSegment): void {
    const { flags } = segment;
    const acknowledges = (flags & ACK) !== 0;
    if (acknowledges && this.#output.acknowledgedBy(segment) !== 1) {
      if ((flags & RST) === 0) this.#home.refuse(segment);
      return;
    }
    if ((flags & RST) !== 0) {
      if (acknowledges) this.#fail('ECONNREFUSED');
      return;
    }
    if ((flags & SYN) === 0) return;
    if (!acknowledges) {
      // Both sides connect at once.
      this.#answerSyn(segment);
      return;
    }
    this.#output.peerSequence = segment.seq;
    this.#receiver.next = 1;
    this.#output.acknowledge(1, segment);
    this.#heardAt = this.#timers.now;
    this.#output.sendAck();
    this.#opened();
  }

  #receiveTimeWait(segment: TcpSegment): void {
    const { flags } = segment;
    if ((flags & RST) !== 0) {
      if (this.#output.startOf(segment) === this.#receiver.next) this.#over();
      return;
    }
    if ((flags & FIN) === 0 && segment.data.length === 0 && (flags & SYN) === 0) return;
    if ((flags & FIN) !== 0) this.#timers.overAt = this.#timers.now + TIME_WAIT;
    this.#output.sendAck();
  }

  #wasReset(): void {
    if (this.state === 'SYN_RECV' && this.#parent !== null) this.#over();
    else if (this.state === 'SYN_RECV') this.#fail('ECONNREFUSED');
    else this.#fail(this.state === 'CLOSE_WAIT' ? 'EPIPE' : 'ECONNRESET');
  }

  /** Handles the acknowledgement and the window. Returns false if the segment must be dropped. */
  #acknowledge(segment: TcpSegment): boolean {
    const offset = this.#output.acknowledgedBy(segment);
    if (this.state === 'SYN_RECV') {
      if (offset !== 1) {
        this.#home.refuse(segment);
        return false;
      }
      // The peer sends it again, and the kernel its SYN.
      if (this.#parent?.full === true) return false;
    }
    if (offset > this.#sender.next) {
      this.#output.sendAck();
      return false;
    }
    if (this.#output.acknowledge(offset, segment)) this.#progressed();
    return true;
  }

  #progressed(): void {
    if (this.state === 'SYN_RECV') this.#opened();
    if (this.#blocked && this.#hasRoom) {
      this.#blocked = false;
      this.events?.onWritable();
    }
    if (this.#sender.finishes && this.#sender.allAcknowledged) this.#finAcknowledged();
  }

  #finAcknowledged(): void {
    switch (this.state) {
      case 'FIN_WAIT1':
        this.state = 'FIN_WAIT2';
        if (this.#orphan) this.#timers.overAt = this.#timers.now + FIN_WAIT;
        this.#timers.arm();
        return;
      case 'CLOSING':
        this.#wait();
        return;
      case 'LAST_ACK':
        this.#over();
    }
  }

  /** Takes data and FIN of a segment. */
  #take(segment: TcpSegment, start: number, end: number): void {
    const receiver = this.#receiver;
    const fin = (segment.flags & FIN) !== 0;
    if (this.#readingEnded && end - (fin ? 1 : 0) > receiver.next && this.#isFinishing) {
      // No program will read it.
      this.#home.refuse(segment);
      this.#fail('ECONNRESET');
      return;
    }
    const wasFinished = receiver.finished;
    const hadGap = receiver.hasGap;
    const isNew = receiver.receive(start, segment.data, fin);
    if (isNew && !hadGap) this.#output.delayAck();
    else this.#output.sendAck();
    if (!isNew) return;
    if (receiver.finished && !wasFinished) this.#peerFinished();
    if (this.#orphan) receiver.clear();
    else if (this.#starved) {
      this.#starved = false;
      this.events?.onReadable();
    }
  }

  get #isFinishing(): boolean {
    return this.state === 'FIN_WAIT1' || this.state === 'FIN_WAIT2';
  }

  get #isOpen(): boolean {
    return this.state !== 'CLOSE' && this.state !== 'TIME_WAIT';
  }

  #peerFinished(): void {
    switch (this.state) {
      case 'ESTABLISHED':
        this.state = 'CLOSE_WAIT';
        return;
      case 'FIN_WAIT1':
        this.state = 'CLOSING';
        this.#output.ackNow();
        return;
      case 'FIN_WAIT2':
        this.#output.ackNow();
        this.#wait();
    }
  }

  #wait(): void {
    this.state = 'TIME_WAIT';
    this.#sender.clear();
    this.#timers.stop();
    this.#timers.overAt = this.#timers.now + TIME_WAIT;
    this.#timers.arm();
  }

  /** The network could not deliver a segment. */
  unreachable(code: ErrorCode): void {
    this.#report = code;
    if (this.state === 'SYN_SENT') this.#fail(code);
  }

  // --- timers ---

  #timedOut(): void {
    const { sender } = this.#output;
    const most = MOST_RETRIES[this.state];
    if (most !== undefined) {
      if (sender.retries++ < most) this.#sendSyn();
      else this.#giveUp();
    } else if (this.#output.tries++ < (this.#orphan ? ORPHAN_RETRIES : RETRIES)) {
      this.#output.resend();
    } else {
      this.#giveUp();
    }
  }

  /** Sends what may be sent, in the states with data. */
  #send(): void {
    switch (this.state) {
      case 'ESTABLISHED':
      case 'CLOSE_WAIT':
      case 'FIN_WAIT1':
      case 'CLOSING':
      case 'LAST_ACK':
        this.#output.send();
    }
  }

  #giveUp(): void {
    if (this.#parent !== null) this.#over();
    else this.#fail(this.#report ?? 'ETIMEDOUT');
  }

  #onTimer = (): void => {
    const timers = this.#timers;
    const { now } = timers;
    if (timers.overAt <= now) {
      this.#over();
      return;
    }
    if (timers.ackAt <= now) this.#output.sendAck();
    if (timers.resendAt <= now) this.#timedOut();
    if (timers.aliveAt <= now) this.#checkAlive(now);
  };

  #optionsChanged = (): void => {
    this.#sender.capacity = this.options.sendBuffer;
    this.#receiver.capacity = this.options.receiveBuffer;
    this.#startKeepAlive();
    // Nagle's algorithm may have kept something back.
    if (this.options.noDelay) this.#send();
  };

  #startKeepAlive(): void {
    const isOn =
      this.options.keepAlive && !this.#orphan && this.state !== 'CLOSE' && this.state !== 'SYN_SENT';
    this.#timers.aliveAt = isOn ? this.#heardAt + this.options.keepIdle : NEVER;
    this.#timers.arm();
  }

  #checkAlive(now: number): void {
    const { keepIdle, keepInterval, keepCount } = this.options;
    // Data in flight finds out by itself.
    const since = this.#sender.inFlight ? now : this.#heardAt;
    // Compare the sums: a difference may round to another result.
    if (now < since + keepIdle) {
      this.#timers.aliveAt = since + keepIdle;
    } else if (this.#output.tries >= keepCount) {
      this.#output.transmit(this.#sender.next, RST | ACK);
      this.#giveUp();
    } else {
      this.#output.tries++;
      this.#output.probe();
      this.#timers.aliveAt = now + keepInterval;
    }
  }

  // --- facts ---

  get sendQueue(): number {
    const { queued, finishes, allAcknowledged } = this.#sender;
    return queued + (finishes && !allAcknowledged ? 1 : 0);
  }

  get isOrphan(): boolean {
    return this.#orphan;
  }
}
