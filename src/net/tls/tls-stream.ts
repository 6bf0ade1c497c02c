/**
 * TLS as a layer over any stream transport: below it is the protocol of that transport, above it a raw stream
 * for a transport of its own, which so has all that transports have.
 *
 *   protocol
 *   StreamTransport     water marks, buffered protocols, close order: as over a socket
 *   TlsStream           here: handshake, shutdown, and which side waits for which
 *   Transport           a socket's, a pipe's, another TLS
 *
 * The life of the layer:
 *
 *   handshake ──secured──▶ open ──close──▶ closing
 *       └──────────┴──fail, abort──┴──▶ failing       then the transport below is lost, and with it: lost
 *
 * - closing: our close_notify leaves, then the peer's is awaited; data that still comes is dropped.
 * - failing: the transport below is being ended; `#fault` says why.
 */
import type {
  RawStream,
  RawTls,
  StreamEvents,
  StreamInfo,
  TlsEvents,
  TlsInfo,
} from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { AF_UNSPEC } from '../../base/constants.ts';
import { TimeoutError } from '../../base/errors.ts';
import type { TimerHandle } from '../../loop/handle.ts';
import type { Resource } from '../../loop/ownership.ts';
import type { Loop } from '../../loop/types.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import type { Protocol, StreamProtocol } from '../protocol.ts';
import type { Transport } from '../transport.ts';
import { TransportSocket } from '../transport-socket.ts';
import type { TlsRole } from './tls-options.ts';
import { PlainQueue } from './tls-plain-queue.ts';

/** Bytes. No handshake is that long: of a chain of certificates OpenSSL takes a tenth of it. */
const MAX_HANDSHAKE_BYTES = 1024 * 1024;
/**
 * Bytes that TLS says of itself while the peer takes nothing. A peer that asks for new keys again and again
 * and does not read the answers would fill the memory with them.
 */
const MAX_OWN_BYTES: number = 256 * 1024;

/** Which failures of a handshake were not the peer's doing. */
const ownFaults: WeakSet<Error> = new WeakSet();

/** Whether a handshake failed for a reason that lies with us: a callback among the options. */
export function isOwnFault(error: unknown): boolean {
  return error instanceof Error && ownFaults.has(error);
}

/**
 * Negotiates TLS. Cancelled, failed or too late, it leaves nothing of the transport below.
 *
 * @param peer in words, for the leak report
 * @param start makes the given layer the protocol of a transport, and tells it `connectionMade`
 * @param fallbackProtocol is told the end of the connection where nobody else is there to be told
 */
export function handshake(
  loop: Loop,
  side: TlsRole,
  peer: string,
  start: (stream: TlsStream) => void,
  fallbackProtocol: StreamProtocol | null = null,
): HostOperation<TlsStream> {
  return HostOperation.begin<TlsStream>(
    loop,
    `a TLS handshake${peer}`,
    (stream) => stream.abort(),
    (request) => {
      const stream = new TlsStream(loop, side, fallbackProtocol, (error) => {
        if (error === null) request.succeed(stream);
        else request.fail(error);
      });
      start(stream);
      return () => stream.abort();
    },
  );
}

/** ` with 192.0.2.1:443`; nothing for who has no name, as the client of a unix socket. */
export function withPeer(peername: StreamInfo['peername']): string {
  return peername === null || peername === '' ? '' : ` with ${formatAddress(peername)}`;
}

type State = 'handshake' | 'open' | 'closing' | 'failing' | 'lost';

export class TlsStream implements Protocol, RawStream, TlsEvents {
  readonly #loop: Loop;
  readonly #side: TlsRole;
  readonly #fallbackProtocol: StreamProtocol | null;
  #onHandshake: ((error: Error | null) => void) | null;
  #state: State = 'handshake';
  #lower!: Transport;
  #tls: RawTls | null = null;
  #info: TlsInfo | null = null;
  #events: StreamEvents | null = null;
  #timer: TimerHandle | null = null;
  #fault: Error | null = null;
  #handshakeBytes: number = 0;

  // Reading: what the engine still gave after the reader had stopped, and what comes behind it.
  #reading: boolean = false;
  #held: Buffer[] = [];
  #behind: 'nothing' | 'end' | 'truncation' = 'nothing';
  #releasing: boolean = false;

  // Writing.
  readonly #plain: PlainQueue = new PlainQueue();
  #encrypting: boolean = false;
  #lowerFull: boolean = false;
  /** What the engine itself has said since it is full. */
  #ownBytes: number = 0;
  /** `write()` said that not all has left. */
  #owesWritten: boolean = false;

  // Closing.
  #ourEndSent: boolean = false;
  #peerEnded: boolean = false;
  #flushed: boolean = false;

  /** See {@link handshake}. */
  constructor(
    loop: Loop,
    side: TlsRole,
    fallbackProtocol: StreamProtocol | null,
    onHandshake: (error: Error | null) => void,
  ) {
    this.#loop = loop;
    this.#side = side;
    this.#fallbackProtocol = fallbackProtocol;
    this.#onHandshake = onHandshake;
  }

  // --- what the transport below calls ---

  connectionMade(lower: Transport): void {
    this.#lower = lower;
    this.#hideLower();
    this.#startTimer(this.#side.handshakeTimeout, () => {
      this.#fail(new TimeoutError(`TLS was not established in ${this.#side.handshakeTimeout} seconds`), true);
    });
    const { context, serverHostname } = this.#side;
    try {
      this.#tls = this.#loop._backend.wrapTls({ context, serverHostname }, this);
    } catch (error) {
      const fault = error instanceof Error ? error : new Error('TLS could not be begun', { cause: error });
      ownFaults.add(fault);
      this.#fail(fault, true);
    }
  }

  dataReceived(data: Buffer): void {
    if (this.#state === 'failing') return;
    if (this.#state === 'handshake' && this.#isFlood(data.length)) return;
    this.#tls?.decrypt(data);
  }

  #isFlood(bytes: number): boolean {
    this.#handshakeBytes += bytes;
    if (this.#handshakeBytes <= MAX_HANDSHAKE_BYTES) return false;
    this.#fail(tlsError('ERR_TLS_FLOOD', 'the handshake of the peer has no end'), true);
    return true;
  }

  /** Its writing side stays open: what is in the engine still has to be told. */
  eofReceived(): boolean {
    this.#tls?.decryptEnd();
    return true;
  }

  pauseWriting(): void {
    this.#lowerFull = true;
  }

  resumeWriting(): void {
    this.#lowerFull = false;
    this.#ownBytes = 0;
    if (this.#state === 'handshake') this.#fallbackProtocol?.resumeWriting?.();
    if (this.#state === 'closing') this.#lookForFlush();
    this.#encryptMore();
    this.#tellWritten();
  }

  connectionLost(error: Error | null): void {
    const fault = this.#lossOf(error);
    this.#state = 'lost';
    this.#fault = fault;
    this.#stopTimer();
    this.#plain.clear();
    this.#held = [];
    this.#tls?.close();
    this.#loop._owned.unreported.delete(this.#lower as Transport & Resource);
    this.#settle(fault ?? resetBeforeSecure());
    if (this.#events !== null) this.#events.onClose(fault);
    else this.#fallbackProtocol?.connectionLost?.(fault);
  }

  /** What the loss of the transport below means to whoever is above. */
  #lossOf(error: Error | null): Error | null {
    switch (this.#state) {
      case 'failing':
        return this.#fault;
      case 'closing':
        // Everything has left and nothing is awaited but a courtesy.
        return this.#flushed || this.#peerEnded ? null : error;
      case 'handshake':
        return error ?? resetBeforeSecure();
      default:
        return error;
    }
  }

  // --- what the engine calls ---

  onSecure(info: TlsInfo): void {
    if (this.#state !== 'handshake') return;
    this.#state = 'open';
    this.#info = info;
    this.#stopTimer();
    if (!this.#reading) this.#lower.pauseReading();
    this.#settle(null);
  }

  onEncrypted(data: Buffer): void {
    if (this.#lower.isClosing()) return;
    this.#lower.write(data);
    if (!this.#lowerFull || this.#encrypting) return;
    this.#ownBytes += data.length;
    if (this.#ownBytes > MAX_OWN_BYTES) {
      this.#fail(tlsError('ERR_TLS_FLOOD', 'the peer asks for answers that it does not read'), true);
    }
  }

  onDecrypted(data: Buffer): void {
    if (this.#state !== 'open') return;
    if (this.#reading && this.#held.length === 0) this.#events?.onRead(data);
    else this.#held.push(data);
  }

  onDrained(): void {
    this.#encrypting = false;
    this.#encryptMore();
    this.#tellWritten();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#state === 'closing') this.#closeLowerIfDone();
    else this.#comesBehind('end');
  }

  onTruncated(): void {
    this.#peerEnded = true;
    if (this.#state === 'closing') this.#closeLowerIfDone();
    else if (this.#state === 'handshake') this.#fail(resetBeforeSecure(), false);
    else this.#comesBehind('truncation');
  }

  onEnded(): void {
    this.#ourEndSent = true;
    this.#lookForFlush();
    this.#closeLowerIfDone();
  }

  onError(error: Error, ours: boolean): void {
    if (ours) ownFaults.add(error);
    this.#fail(error, false);
  }

  // --- what the transport above asks ---

  open(events: StreamEvents): void {
    this.#events = events;
    // Lost between the handshake and now.
    if (this.#state === 'lost') this.#later(() => events.onClose(this.#fault));
  }

  readStart(): void {
    if (this.#state !== 'open') return;
    this.#reading = true;
    if (this.#held.length > 0 || this.#behind !== 'nothing') this.#releaseLater();
    else this.#lower.resumeReading();
  }

  readStop(): void {
    this.#reading = false;
    if (this.#state === 'open') this.#lower.pauseReading();
  }

  write(chunks: Uint8Array[]): boolean {
    this.#plain.push(chunks);
    this.#encryptMore();
    this.#owesWritten = !this.#allLeft();
    return !this.#owesWritten;
  }

  /** Throws if it is lost already: then the fallbackProtocol was told. */
  checkNotLost(): void {
    if (this.#state === 'lost') throw this.#fault ?? resetBeforeSecure();
  }

  /** Never asked for: `halfClose` is false. */
  shutdown(): void {
    this.close();
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#held = [];
    const left = this.#lower.getWriteBufferSize();
    this.#startTimer(this.#side.shutdownTimeout, () => this.#shutdownTooLong(left));
    this.#tls?.end();
    // To be told when all has left.
    this.#lower.setWriteBufferLimits({ high: 0 });
    this.#lower.resumeReading();
  }

  abort(): void {
    if (this.#state === 'lost') return;
    if (this.#state !== 'failing') {
      this.#state = 'failing';
      this.#giveUp();
    }
    this.#lower.abort();
  }

  info(): StreamInfo {
    const socket = this.#lower.getExtraInfo('socket');
    const handle = socket instanceof TransportSocket ? socket : null;
    const extra: Record<string, unknown> = { ...this.#info?.extra };
    for (const name of ['pipe', 'subprocess']) {
      const value = this.#lower.getExtraInfo(name);
      if (value !== null) extra[name] = value;
    }
    return {
      family: handle?.family ?? AF_UNSPEC,
      sockname: this.#lower.getExtraInfo('sockname'),
      peername: this.#lower.getExtraInfo('peername'),
      handle,
      direction: 'both',
      halfClose: false,
      extra,
    };
  }

  // --- reading ---

  /** The end of what the peer sent, whole or cut short: it is told behind the data. */
  #comesBehind(what: 'end' | 'truncation'): void {
    this.#behind = what;
    if (this.#reading && this.#held.length === 0) this.#tellBehind();
  }

  #releaseLater(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    this.#later(this.#release);
  }

  #release = (): void => {
    this.#releasing = false;
    while (this.#mayTell() && this.#held.length > 0) this.#events?.onRead(this.#held.shift() as Buffer);
    if (!this.#mayTell()) return;
    if (this.#behind === 'nothing') this.#lower.resumeReading();
    else this.#tellBehind();
  };

  #mayTell(): boolean {
    return this.#reading && this.#state === 'open';
  }

  #tellBehind(): void {
    const what = this.#behind;
    this.#behind = 'nothing';
    if (what === 'end') this.#events?.onEnd();
    else if (what === 'truncation') this.#fail(truncated(), false);
  }

  // --- writing ---

  /**
   * A slice at a time, and none while the transport below is full: the rest stays as it is, which costs
   * nothing.
   */
  #encryptMore(): void {
    if (this.#encrypting || this.#lowerFull || this.#plain.empty) return;
    this.#encrypting = true;
    try {
      this.#tls?.encrypt(this.#plain.take());
    } catch (error) {
      this.#fail(error as Error, true);
    }
  }

  #allLeft(): boolean {
    return this.#plain.empty && !this.#encrypting && !this.#lowerFull;
  }

  #tellWritten(): void {
    if (!this.#owesWritten || !this.#allLeft()) return;
    this.#owesWritten = false;
    this.#events?.onWritten();
  }

  // --- ending ---

  #lookForFlush(): void {
    if (this.#ourEndSent && this.#lower.getWriteBufferSize() === 0) this.#flushed = true;
  }

  #closeLowerIfDone(): void {
    if (this.#state === 'closing' && this.#ourEndSent && this.#peerEnded) this.#lower.close();
  }

  /** A peer that still takes what was written is given more time. */
  #shutdownTooLong(leftBefore: number): void {
    const left = this.#lower.getWriteBufferSize();
    if (left > 0 && left < leftBefore) {
      this.#startTimer(this.#side.shutdownTimeout, () => this.#shutdownTooLong(left));
      return;
    }
    const seconds = this.#side.shutdownTimeout;
    this.#fail(new TimeoutError(`the peer did not end TLS within ${seconds} seconds`), true);
  }

  /**
   * @param atOnce what was to be said to the peer is dropped; else its alert still leaves, if the peer takes
   *   it in time
   */
  #fail(error: Error, atOnce: boolean): void {
    if (this.#state === 'failing' || this.#state === 'lost') return;
    this.#state = 'failing';
    this.#fault = error;
    this.#giveUp();
    if (atOnce || this.#lower.getWriteBufferSize() === 0) {
      this.#lower.abort();
      return;
    }
    this.#startTimer(this.#side.shutdownTimeout, () => this.#lower.abort());
    this.#lower.close();
  }

  #giveUp(): void {
    this.#stopTimer();
    this.#plain.clear();
    this.#held = [];
    this.#tls?.close();
  }

  #settle(error: Error | null): void {
    const onHandshake = this.#onHandshake;
    this.#onHandshake = null;
    onHandshake?.(error);
  }

  // --- the joints ---

  /** The transport below belongs to this layer now: the loop ends it, but names only what is above. */
  #hideLower(): void {
    const { resources, unreported } = this.#loop._owned;
    const lower = this.#lower as Transport & Resource;
    if (resources.delete(lower)) unreported.add(lower);
  }

  #startTimer(seconds: number, callback: () => void): void {
    this.#stopTimer();
    this.#timer = this.#loop._scheduler.callAt(this.#loop.time() + seconds, callback, []);
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #later(event: () => void): void {
    this.#loop._scheduler.callSoon(event, []);
  }
}

/** As Node words it, and with its code. */
function resetBeforeSecure(): Error {
  return tlsError('ECONNRESET', 'the peer closed the connection before TLS was established');
}

function truncated(): Error {
  return tlsError(
    'ERR_TLS_TRUNCATED',
    'the peer ended the connection without ending TLS: what came may have been truncated',
  );
}

function tlsError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
