/**
 * The segments that a TCP connection sends: data, acknowledgements, and what was lost.
 *
 * It decides when; tcp-sender.ts decides how much, and tcp-connection.ts whether the state permits it.
 */

import type { TcpSegment } from '../fabric/packet.ts';
import { ACK, FIN, PSH, SYN } from '../fabric/packet.ts';
import type { TcpOptions } from './tcp-options.ts';
import { TcpReceiver } from './tcp-receiver.ts';
import { TcpSender } from './tcp-sender.ts';
import type { TcpTimers } from './tcp-timers.ts';
import { NEVER } from './tcp-timers.ts';
import type { TcpEnds, TcpHome } from './tcp-types.ts';

const DUPLICATES_BEFORE_RESEND = 3;
/** Seconds. */
const DELAYED_ACK = 0.04;
/** Segments at the start of a connection that are acknowledged at once. */
const QUICK_ACKS = 16;

const NO_DATA = new Uint8Array(0);

export class TcpOutput {
  readonly sender: TcpSender;
  readonly receiver: TcpReceiver;
  /** The sequence number of the peer's SYN. */
  peerSequence: number = 0;
  /** The program sends, so acknowledgements travel with its data. */
  interactive: boolean = false;
  /** Timeouts and probes since the peer has answered. */
  tries: number = 0;
  readonly #home: Pick<TcpHome<never>, 'transmit'>;
  readonly #ends: TcpEnds;
  readonly #timers: TcpTimers;
  readonly #options: TcpOptions;
  readonly #firstSequence: number;
  #acknowledged: number = 0;
  #quickAcks: number = QUICK_ACKS;
  #duplicates: number = 0;
  /** While lost segments are sent again: the end of what was in flight. */
  #recoverUntil: number = -1;
  /** Everything in flight is taken for lost. */
  #resendsAll: boolean = false;

  constructor(
    home: Pick<TcpHome<never>, 'transmit'>,
    ends: TcpEnds,
    timers: TcpTimers,
    options: TcpOptions,
    sequence: number,
  ) {
    this.#home = home;
    this.#ends = ends;
    this.#timers = timers;
    this.#options = options;
    this.#firstSequence = sequence;
    this.sender = new TcpSender(options.mss, options.sendBuffer);
    this.receiver = new TcpReceiver(options.mss, options.receiveBuffer);
  }

  // --- offsets of 32-bit sequence numbers ---

  /** Returns the offset at which a segment begins, in the peer's stream. */
  startOf({ seq }: TcpSegment): number {
    const { next } = this.receiver;
    return next + ((seq - this.peerSequence - next) | 0);
  }

  /** Returns the offset that a segment acknowledges, in the own stream. */
  acknowledgedBy({ ack }: TcpSegment): number {
    const { una } = this.sender;
    return una + ((ack - this.#firstSequence - una) | 0);
  }

  // --- segments ---

  transmit(offset: number, flags: number, data: Uint8Array = NO_DATA): void {
    const { local, localPort, remote, remotePort } = this.#ends;
    const { receiver } = this;
    this.#acknowledged = receiver.next;
    this.#timers.ackAt = NEVER;
    this.#home.transmit({
      protocol: 'tcp',
      source: local,
      sourcePort: localPort,
      destination: remote,
      destinationPort: remotePort,
      flags,
      seq: (this.#firstSequence + offset) >>> 0,
      ack: (flags & ACK) === 0 ? 0 : (this.peerSequence + receiver.next) >>> 0,
      window: receiver.window(),
      data,
    });
  }

  sendSyn(flags: number): void {
    const { sender } = this;
    if (sender.next > 0) sender.sentAgain();
    sender.sent(1, this.#timers.now);
    this.transmit(0, flags | SYN);
    this.startResendTimer();
  }

  /** Sends everything that may be sent. */
  send(): void {
    const { sender } = this;
    const nagle = !this.#options.noDelay;
    for (;;) {
      const length = sender.nextLength(nagle);
      const fin = sender.mayFinish(length);
      if (length === 0 && !fin) break;
      const { next } = sender;
      const { now } = this.#timers;
      if (!sender.inFlight) this.#timers.resendAt = now + sender.timeout;
      this.#sendPiece(next, length, fin);
      sender.sent(next + length + (fin ? 1 : 0), now);
    }
    // The peer's window is closed, so ask for it.
    if (!sender.allSent && !sender.inFlight && this.#timers.resendAt === NEVER) this.startResendTimer();
    this.#timers.arm();
  }

  #sendPiece(offset: number, length: number, fin: boolean): void {
    const data = length === 0 ? NO_DATA : this.sender.read(offset, length);
    const isLast = offset + length === this.sender.end;
    this.transmit(offset, ACK | (isLast && length > 0 ? PSH : 0) | (fin ? FIN : 0), data);
  }

  // --- acknowledgements ---

  sendAck(): void {
    this.transmit(this.sender.next, ACK);
  }

  /** Acknowledges what was not acknowledged yet. */
  ackNow(): void {
    if (this.#acknowledged < this.receiver.next) this.sendAck();
  }

  /** Acknowledges every second segment at once, others soon, or with data that is sent meanwhile. */
  delayAck(): void {
    const isQuick = this.#quickAcks > 0 && !this.interactive;
    if (isQuick) this.#quickAcks--;
    if (isQuick || this.receiver.next - this.#acknowledged > this.sender.mss) {
      this.sendAck();
      return;
    }
    if (this.#timers.ackAt !== NEVER) return;
    this.#timers.ackAt = this.#timers.now + DELAYED_ACK;
    this.#timers.arm();
  }

  // --- sending again ---

  startResendTimer(): void {
    this.#timers.resendAt = this.#timers.now + this.sender.timeout;
    this.#timers.arm();
  }

  /**
   * Takes the acknowledgement and the window of a segment. Returns true if something new was acknowledged.
   */
  acknowledge(offset: number, segment: TcpSegment): boolean {
    const { sender } = this;
    const { edge } = sender;
    sender.setWindow(offset, segment.window);
    if (!sender.inFlight) {
      this.tries = 0;
      if (sender.edge > edge) this.#windowOpened();
    }
    if (sender.acknowledge(offset, this.#timers.now)) {
      this.#progressed();
      return true;
    }
    if (offset === sender.una && sender.edge === edge && segment.data.length === 0) this.#duplicate(segment);
    return false;
  }

  #windowOpened(): void {
    this.sender.retries = 0;
    this.#timers.resendAt = NEVER;
  }

  #progressed(): void {
    const { sender } = this;
    this.#duplicates = 0;
    this.tries = 0;
    this.#timers.resendAt = sender.inFlight ? this.#timers.now + sender.timeout : NEVER;
    if (sender.una < this.#recoverUntil) this.#recover();
    else this.#recoverUntil = -1;
  }

  /** The third repeated acknowledgement tells of a lost segment. */
  #duplicate({ flags }: TcpSegment): void {
    const { sender } = this;
    if (!sender.inFlight || (flags & FIN) !== 0) return;
    if (++this.#duplicates !== DUPLICATES_BEFORE_RESEND || this.#recoverUntil >= 0) return;
    this.#recoverUntil = sender.next;
    this.#resendsAll = false;
    this.#sendAgain(sender.una);
  }

  /** An acknowledgement has come while lost segments are sent again. */
  #recover(): void {
    const { sender } = this;
    if (!this.#resendsAll) {
      this.#sendAgain(sender.una);
      return;
    }
    this.#resendsAll = false;
    for (let offset = sender.una; offset < sender.next; ) offset += this.#sendAgain(offset);
  }

  /** Sends the segment at `offset` again, and returns its length. */
  #sendAgain(offset: number): number {
    const { sender } = this;
    sender.sentAgain();
    const length = sender.lengthAgain(offset);
    const fin = sender.finFollows(offset, length);
    this.#sendPiece(offset, length, fin);
    return length + (fin ? 1 : 0);
  }

  /** Nothing was acknowledged for too long: sends the first segment again, or probes the closed window. */
  resend(): void {
    const { sender } = this;
    sender.retries++;
    if (sender.inFlight) {
      this.#recoverUntil = sender.next;
      this.#resendsAll = true;
      this.#duplicates = 0;
      this.#sendAgain(sender.una);
    } else {
      this.probe();
    }
    this.startResendTimer();
  }

  /** Sends a segment outside of the peer's window, which the peer must answer. */
  probe(): void {
    this.transmit(this.sender.una - 1, ACK);
  }
}
