/**
 * A TCP connection of a simulated kernel: the states of RFC 9293, with the habits of Linux.
 *
 *   tcp-sender.ts      what was written: segments, the peer's window, the time to send again
 *   tcp-receiver.ts    what has arrived: order, the own window
 *   this file          states, acknowledgements, timers
 *
 * There is no congestion control: a sender sends as much as the peer's window permits.
 */
import type { SocketAddress } from '../../base/address.ts';
import type { Channel, ChannelEvents } from './channel.ts';
import type { ErrorCode } from './errors.ts';
import { systemError } from './errors.ts';
import type { TcpSegment } from './packet.ts';
import { ACK, FIN, PSH, RST, SYN } from './packet.ts';
import type { TcpOptions } from './tcp-options.ts';
import { TcpReceiver } from './tcp-receiver.ts';
import { TcpSender } from './tcp-sender.ts';
import type { Timeline, TimelineEvent } from './timeline.ts';

/** The names of netstat. */
export type TcpState =
  | 'SYN_SENT'
  | 'SYN_RECV'
  | 'ESTABLISHED'
  | 'FIN_WAIT1'
  | 'FIN_WAIT2'
  | 'TIME_WAIT'
  | 'CLOSE'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'CLOSING';

/** Numbers of Linux. */
const SYN_RETRIES = 6;
const SYN_ACK_RETRIES = 5;
const RETRIES = 15;
const ORPHAN_RETRIES = 8;
const DUPLICATES_BEFORE_RESEND = 3;
/** Seconds. */
const DELAYED_ACK = 0.04;
const FIN_WAIT = 60;
const TIME_WAIT = 60;
/** Segments at the start of a connection that are acknowledged at once. */
const QUICK_ACKS = 16;

const NEVER = Number.POSITIVE_INFINITY;
const NO_DATA = new Uint8Array(0);

/** The part of the kernel that has the connection. */
export interface TcpHome {
  readonly timeline: Timeline;
  transmit(segment: TcpSegment): void;
  /** The connection is over, and its port is free. */
  forget(connection: TcpConnection): void;
  /** Answers a segment by RST. */
  refuse(segment: TcpSegment): void;
}

/** A listening socket, as its connections see it. */
export interface TcpParent {
  /** No more connections can wait. */
  readonly full: boolean;
  /** The handshake is complete. */
  completed(connection: TcpConnection): void;
  /** The handshake has failed. */
  failed(connection: TcpConnection): void;
}

export interface TcpEnds {
  /** `AF_INET` or `AF_INET6`: of the socket. The addresses of its packets may be IPv4 in both cases. */
  readonly family: number;
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly sockname: SocketAddress;
  readonly peername: SocketAddress;
}

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
  readonly #home: TcpHome;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  readonly #firstSequence: number;
  #peerSequence: number = 0;
  #parent: TcpParent | null = null;
  #failure: ErrorCode | null = null;
  /** The last report of the network, which explains a timeout. */
  #report: ErrorCode | null = null;
  /** No program has it any more. */
  #orphan: boolean = false;
  /** Nobody reads any more: data is answered by RST after the own FIN. */
  #readingEnded: boolean = false;
  #starved: boolean = true;
  #blocked: boolean = false;
  // --- acknowledgements ---
  #acknowledged: number = 0;
  #quickAcks: number = QUICK_ACKS;
  /** Sends soon after it receives, so acknowledgements travel with data. */
  #interactive: boolean = false;
  #duplicates: number = 0;
  /** While lost segments are sent again: the end of what was in flight. */
  #recoverUntil: number = -1;
  /** Everything in flight is taken for lost. */
  #resendAll: boolean = false;
  /** Probes without an answer. */
  #tries: number = 0;
  // --- timers: each has a time, and one event serves all ---
  #resendAt: number = NEVER;
  #ackAt: number = NEVER;
  #aliveAt: number = NEVER;
  #overAt: number = NEVER;
  #heardAt: number;
  #armed: TimelineEvent | null = null;
  #armedFor: number = NEVER;

  constructor(
    home: TcpHome,
    ends: TcpEnds,
    use: { release(): void },
    mss: number,
    sequence: number,
    options: TcpOptions,
  ) {
    this.#home = home;
    this.ends = ends;
    this.family = ends.family;
    this.use = use;
    this.options = options;
    this.#firstSequence = sequence;
    this.#sender = new TcpSender(mss, options.sendBuffer);
    this.#receiver = new TcpReceiver(mss, options.receiveBuffer);
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
  accept(syn: TcpSegment, parent: TcpParent): void {
    this.#parent = parent;
    this.#answerSyn(syn);
  }

  #answerSyn(syn: TcpSegment): void {
    this.state = 'SYN_RECV';
    this.#peerSequence = syn.seq;
    this.#receiver.next = 1;
    this.#sender.setWindow(0, syn.window);
    this.#sendSyn();
  }

  #sendSyn(): void {
    if (this.#sender.next > 0) this.#sender.sentAgain();
    this.#sender.sent(1, this.#home.timeline.time());
    this.#transmit(0, this.state === 'SYN_SENT' ? SYN : SYN | ACK, NO_DATA);
    this.#startResendTimer();
  }

  #opened(): void {
    this.state = 'ESTABLISHED';
    this.#resendAt = NEVER;
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
    if (data !== null && receiver.shouldTell && this.#isOpen) this.#sendAck();
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
    this.#interactive = true;
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
        return;
      case 'SYN_SENT':
        this.#over();
        return;
      case 'FIN_WAIT2':
        this.#overAt = this.#home.timeline.time() + FIN_WAIT;
        this.#arm();
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
    this.#aliveAt = NEVER;
    this.#receiver.clear();
  }

  #abort(): void {
    const { state } = this;
    const isConnected = state !== 'CLOSE' && state !== 'SYN_SENT' && state !== 'TIME_WAIT';
    // Linux sends no RST where the peer has sent FIN, and has got everything or will get it.
    const isEnding = (state === 'LAST_ACK' || state === 'CLOSING') && this.#sender.allSent;
    if (isConnected && !isEnding) this.#transmit(this.#sender.next, RST | ACK, NO_DATA);
    this.#over();
  }

  /** Forgets the connection, without a packet. */
  drop(): void {
    this.#leave();
    this.#over();
  }

  #over(): void {
    this.state = 'CLOSE';
    this.#armed?.cancel();
    this.#armed = null;
    this.#armedFor = NEVER;
    this.#resendAt = NEVER;
    this.#ackAt = NEVER;
    this.#aliveAt = NEVER;
    this.#overAt = NEVER;
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
    this.#heardAt = this.#home.timeline.time();
    const { flags, data } = segment;
    const receiver = this.#receiver;
    const start = receiver.next + ((segment.seq - this.#peerSequence - receiver.next) | 0);
    const end = start + data.length + (flags & SYN) / SYN + (flags & FIN);
    if (end < receiver.next || start > receiver.edge) {
      if ((flags & RST) === 0) this.#sendAck();
      return;
    }
    if ((flags & RST) !== 0) {
      if (start === receiver.next) this.#wasReset();
      else this.#sendAck();
      return;
    }
    if ((flags & SYN) !== 0 && !this.#isCrossed(flags)) {
      if (this.state === 'SYN_RECV') this.#sendSyn();
      else this.#sendAck();
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
    if (acknowledges && segment.ack !== this.#wire(1)) {
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
    this.#peerSequence = segment.seq;
    this.#receiver.next = 1;
    this.#sender.acknowledge(1, this.#home.timeline.time());
    this.#sender.setWindow(1, segment.window);
    this.#heardAt = this.#home.timeline.time();
    this.#sendAck();
    this.#opened();
  }

  #receiveTimeWait(segment: TcpSegment): void {
    const { flags } = segment;
    if ((flags & RST) !== 0) {
      if (segment.seq === (this.#peerSequence + this.#receiver.next) >>> 0) this.#over();
      return;
    }
    if ((flags & FIN) === 0 && segment.data.length === 0 && (flags & SYN) === 0) return;
    if ((flags & FIN) !== 0) this.#overAt = this.#home.timeline.time() + TIME_WAIT;
    this.#transmit(this.#sender.next, ACK, NO_DATA);
    this.#arm();
  }

  #wasReset(): void {
    if (this.state === 'SYN_RECV' && this.#parent !== null) this.#over();
    else if (this.state === 'SYN_RECV') this.#fail('ECONNREFUSED');
    else this.#fail(this.state === 'CLOSE_WAIT' ? 'EPIPE' : 'ECONNRESET');
  }

  /** Handles the acknowledgement and the window. Returns false if the segment must be dropped. */
  #acknowledge(segment: TcpSegment): boolean {
    const sender = this.#sender;
    const offset = sender.una + ((segment.ack - this.#firstSequence - sender.una) | 0);
    if (this.state === 'SYN_RECV') {
      if (offset !== 1) {
        this.#home.refuse(segment);
        return false;
      }
      // The peer sends it again, and the kernel its SYN.
      if (this.#parent?.full === true) return false;
    }
    if (offset > sender.next) {
      this.#sendAck();
      return false;
    }
    const now = this.#home.timeline.time();
    const { edge } = sender;
    sender.setWindow(offset, segment.window);
    if (!sender.inFlight) {
      this.#tries = 0;
      if (sender.edge > edge) this.#windowOpened();
    }
    if (sender.acknowledge(offset, now)) this.#progressed(now);
    else if (offset === sender.una && sender.edge === edge && segment.data.length === 0)
      this.#duplicate(segment);
    return true;
  }

  #progressed(now: number): void {
    const sender = this.#sender;
    this.#duplicates = 0;
    this.#tries = 0;
    this.#resendAt = sender.inFlight ? now + sender.timeout : NEVER;
    if (sender.inFlight && this.#recoverUntil >= 0) this.#recover();
    if (sender.una >= this.#recoverUntil) this.#recoverUntil = -1;
    if (this.state === 'SYN_RECV') this.#opened();
    if (this.#blocked && this.#hasRoom) {
      this.#blocked = false;
      this.events?.onWritable();
    }
    if (sender.finishes && sender.allAcknowledged) this.#finAcknowledged(now);
  }

  #finAcknowledged(now: number): void {
    switch (this.state) {
      case 'FIN_WAIT1':
        this.state = 'FIN_WAIT2';
        if (this.#orphan) this.#overAt = now + FIN_WAIT;
        this.#arm();
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
      // Nobody will read it.
      this.#home.refuse(segment);
      this.#fail('ECONNRESET');
      return;
    }
    const wasFinished = receiver.finished;
    const hadGap = receiver.hasGap;
    const isNew = receiver.receive(start, segment.data, fin);
    if (isNew && !hadGap) this.#delayAck(receiver.next);
    else this.#sendAck();
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
        this.#ackNow();
        return;
      case 'FIN_WAIT2':
        this.#ackNow();
        this.#wait();
    }
  }

  #wait(): void {
    this.state = 'TIME_WAIT';
    this.#resendAt = NEVER;
    this.#ackAt = NEVER;
    this.#aliveAt = NEVER;
    this.#overAt = this.#home.timeline.time() + TIME_WAIT;
    this.#sender.clear();
    this.#arm();
  }

  /** The network could not deliver a segment. */
  unreachable(code: ErrorCode): void {
    this.#report = code;
    if (this.state === 'SYN_SENT') this.#fail(code);
  }

  // --- sending ---

  #wire(offset: number): number {
    return (this.#firstSequence + offset) >>> 0;
  }

  /** Sends everything that may be sent. */
  #send(): void {
    if (this.state === 'SYN_SENT' || this.state === 'SYN_RECV' || this.state === 'TIME_WAIT') return;
    const sender = this.#sender;
    const nagle = !this.options.noDelay;
    for (;;) {
      const length = sender.nextLength(nagle);
      const fin = sender.mayFinish(length);
      if (length === 0 && !fin) break;
      const { next } = sender;
      if (!sender.inFlight) this.#resendAt = this.#home.timeline.time() + sender.timeout;
      this.#sendPiece(next, length, fin);
      sender.sent(next + length + (fin ? 1 : 0), this.#home.timeline.time());
    }
    // The peer's window is closed, so ask for it.
    if (!sender.allSent && !sender.inFlight && this.#resendAt === NEVER) this.#startResendTimer();
    this.#arm();
  }

  #sendPiece(offset: number, length: number, fin: boolean): void {
    const data = length === 0 ? NO_DATA : this.#sender.read(offset, length);
    const isLast = offset + length === this.#sender.end;
    this.#transmit(offset, ACK | (isLast && length > 0 ? PSH : 0) | (fin ? FIN : 0), data);
  }

  #transmit(offset: number, flags: number, data: Uint8Array): void {
    const { local, localPort, remote, remotePort } = this.ends;
    const receiver = this.#receiver;
    this.#acknowledged = receiver.next;
    this.#ackAt = NEVER;
    this.#home.transmit({
      protocol: 'tcp',
      source: local,
      sourcePort: localPort,
      destination: remote,
      destinationPort: remotePort,
      flags,
      seq: this.#wire(offset),
      ack: (flags & ACK) === 0 ? 0 : (this.#peerSequence + receiver.next) >>> 0,
      window: receiver.window(),
      data,
    });
  }

  #sendAck(): void {
    this.#transmit(this.#sender.next, ACK, NO_DATA);
  }

  #ackNow(): void {
    if (this.#acknowledged < this.#receiver.next) this.#sendAck();
  }

  /** Acknowledges every second segment at once, others soon, or with data that is sent meanwhile. */
  #delayAck(next: number): void {
    const isQuick = this.#quickAcks > 0 && !this.#interactive;
    if (isQuick) this.#quickAcks--;
    if (isQuick || next - this.#acknowledged > this.#sender.mss) {
      this.#sendAck();
      return;
    }
    if (this.#ackAt !== NEVER) return;
    this.#ackAt = this.#home.timeline.time() + DELAYED_ACK;
    this.#arm();
  }

  // --- sending again ---

  #startResendTimer(): void {
    this.#resendAt = this.#home.timeline.time() + this.#sender.timeout;
    this.#arm();
  }

  #windowOpened(): void {
    this.#sender.retries = 0;
    this.#resendAt = NEVER;
  }

  /** The third repeated acknowledgement tells of a lost segment. */
  #duplicate(segment: TcpSegment): void {
    const sender = this.#sender;
    if (!sender.inFlight || (segment.flags & FIN) !== 0) return;
    if (++this.#duplicates !== DUPLICATES_BEFORE_RESEND || this.#recoverUntil >= 0) return;
    this.#recoverUntil = sender.next;
    this.#resendAll = false;
    this.#sendAgain(sender.una);
  }

  /** An acknowledgement has come while lost segments are sent again. */
  #recover(): void {
    const sender = this.#sender;
    if (sender.una >= this.#recoverUntil) return;
    if (!this.#resendAll) {
      this.#sendAgain(sender.una);
      return;
    }
    this.#resendAll = false;
    for (let offset = sender.una; offset < sender.next; ) offset += this.#sendAgain(offset);
  }

  /** Sends the segment at `offset` again, and returns its length. */
  #sendAgain(offset: number): number {
    const sender = this.#sender;
    sender.sentAgain();
    const length = sender.lengthAgain(offset);
    const fin = sender.finFollows(offset, length);
    this.#sendPiece(offset, length, fin);
    return length + (fin ? 1 : 0);
  }

  #timedOut(): void {
    const sender = this.#sender;
    if (this.state === 'SYN_SENT' || this.state === 'SYN_RECV') {
      const most = this.state === 'SYN_SENT' ? SYN_RETRIES : SYN_ACK_RETRIES;
      if (sender.retries >= most) this.#giveUp();
      else {
        sender.retries++;
        this.#sendSyn();
      }
      return;
    }
    if (this.#tries++ >= (this.#orphan ? ORPHAN_RETRIES : RETRIES)) {
      this.#giveUp();
      return;
    }
    sender.retries++;
    if (sender.inFlight) {
      this.#recoverUntil = sender.next;
      this.#resendAll = true;
      this.#duplicates = 0;
      this.#sendAgain(sender.una);
    } else {
      this.#probe();
    }
    this.#startResendTimer();
  }

  /** Sends a segment outside of the peer's window, which the peer must answer. */
  #probe(): void {
    this.#transmit(this.#sender.una - 1, ACK, NO_DATA);
  }

  #giveUp(): void {
    if (this.#parent !== null) this.#over();
    else this.#fail(this.#report ?? 'ETIMEDOUT');
  }

  // --- timers ---

  #arm(): void {
    const at = Math.min(this.#resendAt, this.#ackAt, this.#aliveAt, this.#overAt);
    if (at >= this.#armedFor || at === NEVER) return;
    this.#armed?.cancel();
    this.#armedFor = at;
    this.#armed = this.#home.timeline.at(at, this.#onTimer);
  }

  /** Times that have moved meanwhile cost nothing until now. */
  #onTimer = (): void => {
    this.#armed = null;
    this.#armedFor = NEVER;
    const now = this.#home.timeline.time();
    if (this.#overAt <= now) {
      this.#over();
      return;
    }
    if (this.#ackAt <= now) this.#sendAck();
    if (this.#resendAt <= now) this.#timedOut();
    if (this.#aliveAt <= now) this.#checkAlive(now);
    if (this.state !== 'CLOSE') this.#arm();
  };

  #optionsChanged = (): void => {
    this.#sender.capacity = this.options.sendBuffer;
    this.#receiver.capacity = this.options.receiveBuffer;
    this.#startKeepAlive();
    // What Nagle's algorithm has kept back.
    if (this.options.noDelay && this.state !== 'CLOSE') this.#send();
  };

  #startKeepAlive(): void {
    const isOn =
      this.options.keepAlive && !this.#orphan && this.state !== 'CLOSE' && this.state !== 'SYN_SENT';
    this.#aliveAt = isOn ? this.#heardAt + this.options.keepIdle : NEVER;
    if (isOn) this.#arm();
  }

  #checkAlive(now: number): void {
    const { keepIdle, keepInterval, keepCount } = this.options;
    // Data in flight finds out by itself.
    const since = this.#sender.inFlight ? now : this.#heardAt;
    // Compare the sums: a difference may round to another result.
    if (now < since + keepIdle) {
      this.#aliveAt = since + keepIdle;
      return;
    }
    if (this.#tries >= keepCount) {
      this.#transmit(this.#sender.next, RST | ACK, NO_DATA);
      this.#giveUp();
      return;
    }
    this.#tries++;
    this.#probe();
    this.#aliveAt = now + keepInterval;
  }

  // --- facts ---

  get sendQueue(): number {
    return this.#sender.queued + (this.#sender.finishes && this.#isOpen ? 1 : 0);
  }

  get isOrphan(): boolean {
    return this.#orphan;
  }
}
