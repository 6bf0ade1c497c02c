/**
 * TLS as a layer between two transports. It is the protocol of the transport below, and the raw stream of the
 * transport above. So a TLS transport has everything that other stream transports have.
 *
 *   protocol
 *   StreamTransport     water marks, buffered protocols, close order: as over a socket
 *   TlsStream           this file: handshake, shutdown, back-pressure between the two transports
 *   Transport           of a socket, a pipe, or another TLS layer
 *
 * tls-state.ts has the states of the layer.
 */
import type {
  RawStream,
  RawTls,
  StreamEvents,
  StreamInfo,
  TlsEvents,
  TlsInfo,
} from '../../backend/backend.ts';
import { AF_UNSPEC } from '../../base/constants.ts';
import { TimeoutError } from '../../base/errors.ts';
import type { TimerHandle } from '../../loop/handle.ts';
import type { Resource } from '../../loop/ownership.ts';
import { capability } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { Protocol, StreamProtocol } from '../protocol.ts';
import type { StreamTransport } from '../stream/stream-transport.ts';
import type { Transport } from '../transport.ts';
import { TransportSocket } from '../transport-socket.ts';
import type { TlsRole } from './tls-options.ts';
import { PlainQueue } from './tls-plain-queue.ts';
import type { TlsEvent, TlsState } from './tls-state.ts';
import { hasHeardEnd, hasSentEnd, isSecure, isShuttingDown, nextTlsState } from './tls-state.ts';

/** Bytes. No real handshake is that long: OpenSSL accepts a certificate chain of a tenth of this. */
const MAX_HANDSHAKE_BYTES = 1024 * 1024;
/**
 * Bytes that the engine may send on its own while the transport below is full. Without this limit, a peer
 * that requests new keys again and again, and does not read the answers, would fill the memory.
 */
const MAX_OWN_BYTES: number = 256 * 1024;

/** Handshake errors that the peer did not cause. */
const ownFaults: WeakSet<Error> = new WeakSet();

/** Tells whether this side caused a handshake to fail, for example by a callback among its options. */
export function isOwnFault(error: unknown): boolean {
  return error instanceof Error && ownFaults.has(error);
}

export class TlsStream implements Protocol, RawStream, TlsEvents {
  readonly #loop: Loop;
  readonly #side: TlsRole;
  readonly #fallbackProtocol: StreamProtocol | null;
  #onHandshake: ((error: Error | null) => void) | null;
  #state: TlsState = 'handshake';
  #lower!: Transport;
  #tls: RawTls | null = null;
  #info: TlsInfo | null = null;
  #events: StreamEvents | null = null;
  #timer: TimerHandle | null = null;
  #fault: Error | null = null;
  #handshakeBytes: number = 0;

  // Reading: data that the engine delivered after `readStop()`, and the end that follows it.
  #reading: boolean = false;
  #held: Buffer[] = [];
  #behind: 'nothing' | 'end' | 'truncation' = 'nothing';
  #releasing: boolean = false;

  // Writing.
  readonly #plain: PlainQueue = new PlainQueue();
  #encrypting: boolean = false;
  #lowerFull: boolean = false;
  /** Bytes that the engine has sent on its own since the transport below is full. */
  #ownBytes: number = 0;
  /** Whether `write()` returned false, so that `onWritten` is due. */
  #owesWritten: boolean = false;

  /** Whether everything, with our close_notify, has left the transport below. */
  #flushed: boolean = false;

  /**
   * See `handshake()`.
   *
   * @param onHandshake called once, with the reason if the handshake has failed
   */
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

  // --- called by the transport below ---

  connectionMade(lower: Transport): void {
    this.#lower = lower;
    this.#hideLower();
    this.#startTimer(this.#side.handshakeTimeout, () => {
      this.#fail(new TimeoutError(`TLS was not established in ${this.#side.handshakeTimeout} seconds`), true);
    });
    const { context, serverHostname } = this.#side;
    try {
      const { _raw: lower = null } = this.#lower as Partial<Pick<StreamTransport, '_raw'>>;
      this.#tls = capability(this.#loop, 'tls').wrap({ context, serverHostname, lower }, this);
    } catch (error) {
      const fault = error instanceof Error ? error : new Error('TLS could not start', { cause: error });
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
    this.#fail(tlsError('ERR_TLS_FLOOD', 'the TLS handshake of the peer is longer than 1 MiB'), true);
    return true;
  }

  /** Keeps the transport below open for writing, because the engine may still have data to deliver. */
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
    if (isShuttingDown(this.#state)) this.#lookForFlush();
    this.#encryptMore();
    this.#tellWritten();
  }

  connectionLost(error: Error | null): void {
    const fault = this.#lossOf(error);
    this.#advance('lost');
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

  /** Translates the loss of the transport below into the error for the transport above. */
  #lossOf(error: Error | null): Error | null {
    if (this.#state === 'failing') return this.#fault;
    if (this.#state === 'handshake') return error ?? resetBeforeSecure();
    // Our data has left; only the peer's close_notify is missing, which is a courtesy.
    const isCourtesy = isShuttingDown(this.#state) && (this.#flushed || hasHeardEnd(this.#state));
    return isCourtesy ? null : error;
  }

  // --- called by the engine ---

  onSecure(info: TlsInfo): void {
    if (this.#state !== 'handshake') return;
    this.#advance('secured');
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
      this.#fail(tlsError('ERR_TLS_FLOOD', 'the peer requests TLS answers, but does not read them'), true);
    }
  }

  mayBypass(): boolean {
    return this.#lower.getWriteBufferSize() === 0 && !this.#lower.isClosing();
  }

  onDecrypted(data: Buffer): void {
    if (!isSecure(this.#state)) return;
    if (this.#reading && this.#held.length === 0) this.#events?.onRead(data);
    else this.#held.push(data);
  }

  onDrained(): void {
    this.#encrypting = false;
    this.#encryptMore();
    this.#tellWritten();
  }

  onEnd(): void {
    this.#advance('peerEnd');
    if (isShuttingDown(this.#state)) this.#closeLowerIfDone();
    else if (this.#state === 'handshake') this.#fail(resetBeforeSecure(), false);
    else this.#comesBehind('end');
  }

  onTruncated(): void {
    this.#advance('peerEnd');
    if (isShuttingDown(this.#state)) this.#closeLowerIfDone();
    else if (this.#state === 'handshake') this.#fail(resetBeforeSecure(), false);
    else this.#comesBehind('truncation');
  }

  onEnded(): void {
    this.#advance('ownEnd');
    this.#lookForFlush();
    this.#closeLowerIfDone();
  }

  onError(error: Error, ours: boolean): void {
    if (ours) ownFaults.add(error);
    this.#fail(error, false);
  }

  // --- called by the transport above ---

  open(events: StreamEvents): void {
    this.#events = events;
    // The connection was lost since the end of the handshake.
    if (this.#state === 'lost') this.#callSoon(() => events.onClose(this.#fault));
  }

  readStart(): void {
    if (!isSecure(this.#state)) return;
    this.#reading = true;
    if (this.#held.length > 0 || this.#behind !== 'nothing') this.#releaseLater();
    else this.#lower.resumeReading();
  }

  readStop(): void {
    this.#reading = false;
    if (isSecure(this.#state)) this.#lower.pauseReading();
  }

  write(chunks: Uint8Array[]): boolean {
    this.#plain.push(chunks);
    this.#encryptMore();
    this.#owesWritten = !this.#allLeft();
    return !this.#owesWritten;
  }

  /** Throws if the connection is lost. The fallback protocol was then told. */
  checkNotLost(): void {
    if (this.#state === 'lost') throw this.#fault ?? resetBeforeSecure();
  }

  /** Never called, because `halfClose` is false. */
  shutdown(): void {
    this.close();
  }

  close(): void {
    if (!isSecure(this.#state)) return;
    this.#advance('close');
    this.#held = [];
    const left = this.#lower.getWriteBufferSize();
    this.#startTimer(this.#side.shutdownTimeout, () => this.#shutdownTooLong(left));
    this.#tls?.end();
    // With a mark of zero, `resumeWriting` tells when everything has left.
    this.#lower.setWriteBufferLimits({ high: 0 });
    this.#lower.resumeReading();
  }

  abort(): void {
    if (this.#state === 'lost') return;
    if (this.#state !== 'failing') {
      this.#advance('fail');
      this.#discard();
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

  /** Takes the end of the peer's data, complete or truncated, and delivers it after the data. */
  #comesBehind(what: 'end' | 'truncation'): void {
    this.#behind = what;
    if (this.#reading && this.#held.length === 0) this.#tellBehind();
  }

  #releaseLater(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    this.#callSoon(this.#release);
  }

  #release = (): void => {
    this.#releasing = false;
    while (this.#mayTell() && this.#held.length > 0) this.#events?.onRead(this.#held.shift() as Buffer);
    if (!this.#mayTell()) return;
    if (this.#behind === 'nothing') this.#lower.resumeReading();
    else this.#tellBehind();
  };

  #mayTell(): boolean {
    return this.#reading && isSecure(this.#state);
  }

  #tellBehind(): void {
    const what = this.#behind;
    this.#behind = 'nothing';
    if (what === 'end') this.#events?.onEnd();
    else if (what === 'truncation') this.#fail(truncated(), false);
  }

  // --- writing ---

  /**
   * Encrypts slice by slice, until the transport below is full. Unencrypted data that waits costs no extra
   * memory.
   */
  #encryptMore(): void {
    while (!this.#encrypting && !this.#lowerFull && !this.#plain.empty) {
      this.#encrypting = true;
      try {
        if (this.#tls?.encrypt(this.#plain.take())) this.#encrypting = false;
      } catch (error) {
        this.#fail(error as Error, true);
      }
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
    if (hasSentEnd(this.#state) && this.#lower.getWriteBufferSize() === 0) this.#flushed = true;
  }

  #closeLowerIfDone(): void {
    if (this.#state === 'ended') this.#lower.close();
  }

  /**
   * Fails the shutdown, unless the peer has read some of the data meanwhile. Then it gets the same time
   * again.
   */
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
   * Ends the connection with an error.
   *
   * @param atOnce true drops everything; false lets the alert leave first, if the peer reads it in time
   */
  #fail(error: Error, atOnce: boolean): void {
    if (this.#state === 'failing' || this.#state === 'lost') return;
    this.#advance('fail');
    this.#fault = error;
    this.#discard();
    if (atOnce || this.#lower.getWriteBufferSize() === 0) {
      this.#lower.abort();
      return;
    }
    this.#startTimer(this.#side.shutdownTimeout, () => this.#lower.abort());
    this.#lower.close();
  }

  #discard(): void {
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

  // --- internal steps ---

  #advance(event: TlsEvent): void {
    this.#state = nextTlsState(this.#state, event);
  }

  /**
   * Takes over the transport below: the loop still closes it, but a leak report names only the transport
   * above.
   */
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

  #callSoon(event: () => void): void {
    this.#loop._scheduler.callSoon(event, []);
  }
}

/** The error that Node has for this case, with the same message and code. */
function resetBeforeSecure(): Error {
  return tlsError('ECONNRESET', 'the peer closed the connection before TLS was established');
}

function truncated(): Error {
  return tlsError(
    'ERR_TLS_TRUNCATED',
    'the peer closed the connection without ending TLS: the received data may be truncated',
  );
}

function tlsError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
