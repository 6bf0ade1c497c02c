/** TCP connections, unix sockets and pipes as raw streams. */

import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../base/constants.ts';
import { hostNextTick } from '../../base/host.ts';
import { keepable, ownCopy } from '../../base/own-memory.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo, SystemSocket } from '../backend.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import {
  addon,
  DECRYPTED,
  END,
  ERROR,
  READ,
  READ_INTO,
  readInto,
  register,
  slice,
  TLS_STEP,
  unregister,
  WRITTEN,
} from './dispatch.ts';
import { systemError } from './errors.ts';
import { hostOf } from './inet.ts';
import { UvSystemSocket } from './sockets.ts';
import type { NextCall } from './unsent.ts';
import { Unsent } from './unsent.ts';

/** Bytes. Up to this size, copying several chunks together costs less than passing each of them. */
const ARENA_BYTES = 16 * 1024;
/** Bytes. From this size on, an additional system call costs less than data that has left the CPU's cache. */
const PROMPT_BYTES = 16 * 1024;

/**
 * A stream of the native part.
 *
 * One call delivers all records of a poll phase, so data can follow after the transport stopped reading. A
 * read error ends the stream.
 */
export class UvStream implements RawStream, SocketControl, Target {
  readonly id: Id;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  /** The buffer for the next read, until it is filled or taken back. */
  #readBuffer: Uint8Array | null = null;
  /** The contents of a reclaimed buffer whose READ_INTO record is still queued. */
  #reclaimed: Buffer | null = null;
  #ending: boolean = false;
  #closed: boolean = false;
  /** The TLS session that decrypts what is read. */
  #decryptor: Decryptor | null = null;
  /** The rest of a write. The native part has its first chunk. */
  #unsent: Unsent | null = null;

  /**
   * @param id a connected handle
   * @param accepted the addresses, if a listener knows them
   */
  constructor(id: Id, direction: 'both' | 'read' | 'write' = 'both', accepted: Accepted | null = null) {
    this.id = id;
    if (direction !== 'both') this.#info = pipeInfo(direction, this);
    else this.#info = accepted === null ? streamInfo(id, this) : new AcceptedInfo(accepted, this);
    register(this);
  }

  get promptBytes(): number {
    return PROMPT_BYTES;
  }

  open(events: StreamEvents): void {
    this.#events = events;
    if (this.#closed) hostNextTick(UvStream.#reportCloseOf, this);
    if (this.#info.direction === 'write' && !this.#ending) this.watchReader();
  }

  readStart(): void {
    if (this.#ending) return;
    const errno = addon().readStart(this.id);
    if (errno < 0) this.#fail(errno, 'read');
  }

  readStop(): void {
    if (!this.#ending) addon().readStop(this.id);
  }

  readInto(buffer: Uint8Array | null): void {
    if (this.#ending) return;
    const unread = readInto(this.id, buffer);
    if (this.#readBuffer !== null && !unread) this.#reclaimed = ownCopy(this.#readBuffer);
    this.#readBuffer = buffer;
  }

  write(chunks: Uint8Array[]): boolean {
    const native = addon();
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    if (chunks.length > 1 && length > ARENA_BYTES) return this.#sendOn(new Unsent(chunks));
    const sent =
      chunks.length === 1
        ? native.tryWrite(this.id, chunks[0] as Uint8Array)
        : native.tryWriteArena(this.id, copyInto(native.arena, chunks));
    return sent === length || this.#wait(new Unsent(chunks), sent);
  }

  shutdown(): void {
    if (this.#ending) return;
    const errno = addon().shutdown(this.id);
    // The peer has gone: reading reports that.
    if (errno < 0 && errno !== ENOTCONN) this.#fail(errno, 'shutdown');
  }

  close(): void {
    if (this.#ending) return;
    this.#dispose();
    addon().close(this.id);
  }

  abort(): void {
    if (this.#ending) return;
    this.#dispose();
    addon().reset(this.id);
  }

  info(): StreamInfo {
    return this.#info;
  }

  // Don't ask the native part after the close: another handle can get the same id after 2,048 uses of its
  // index.
  fileno(): number {
    return this.#ending ? -1 : addon().fileno(this.id);
  }

  get system(): SystemSocket {
    return new UvSystemSocket(this);
  }

  setNoDelay(on: boolean): void {
    if (!this.#ending) addon().setNoDelay(this.id, on);
  }

  setKeepAlive(on: boolean, delaySeconds: number): void {
    if (!this.#ending) addon().setKeepAlive(this.id, on, Math.ceil(delaySeconds));
  }

  onEvent(kind: number, a: number, b: number, c: number): void {
    if (this.#info.direction === 'write' && kind <= ERROR) {
      if (kind !== READ) this.#readerGone();
      return;
    }
    switch (kind) {
      case READ:
        this.#onRead(slice(a, b, c));
        return;
      case DECRYPTED:
        this.#onDecrypted(slice(a, b, c));
        return;
      case TLS_STEP:
        this.#notify(a);
        return;
      case READ_INTO:
        this.#wasReadInto(a);
        return;
      case END:
        if (!this.#ending) (this.#events as StreamEvents).onEnd();
        return;
      case ERROR:
        this.#fail(a, 'read');
        return;
      case WRITTEN:
        if (a < 0) this.#fail(a, 'write');
        else this.#wasWritten();
    }
  }

  /**
   * The native part decrypts from the next poll phase on. `onRead` then gets plaintext, and an empty buffer
   * in the place of each notice.
   *
   * @returns whether it does
   */
  decryptBy(decryptor: Decryptor): boolean {
    if (this.#ending || addon().tlsFuse(decryptor.id, this.id) !== 0) return false;
    this.#decryptor = decryptor;
    return true;
  }

  #onDecrypted(data: Buffer | null): void {
    const decryptor = this.#decryptor;
    if (decryptor === null) return;
    if (!decryptor.began) {
      decryptor.began = true;
      this.#notify(0);
    }
    this.#onRead(data);
  }

  #notify(bits: number): void {
    this.#decryptor?.onNotice(bits);
    this.#events?.onRead(EMPTY);
  }

  #wasReadInto(length: number): void {
    const reclaimed = this.#reclaimed;
    this.#reclaimed = null;
    if (reclaimed === null) {
      this.#readBuffer = null;
      (this.#events as StreamEvents).onReadInto?.(length);
    } else if (reclaimed.length < length) {
      // The protocol has transferred its buffer, with the data in it.
      this.#fail(EFAULT, 'read');
    } else {
      (this.#events as StreamEvents).onRead(keepable(reclaimed.subarray(0, length)));
    }
  }

  /**
   * Reads from a stream that is for writing only, because the end of that direction reports that the reader
   * has gone.
   */
  protected watchReader(): void {
    addon().readStart(this.id);
  }

  /** The reader has gone, and no write is pending. */
  protected onUnread(): void {
    this.close();
  }

  protected broken(errno: number, syscall: string): void {
    this.#fail(errno, syscall);
  }

  /** Sends until the kernel takes no more. Returns true if it took everything. */
  #sendOn(unsent: Unsent): boolean {
    while (!unsent.empty) {
      const call = unsent.next();
      if (call === null) {
        this.#fail(EFAULT, 'write');
        return false;
      }
      const { first, count, offset, bytes } = call;
      const sent = addon().tryWriteAll(this.id, unsent.chunks, first, count, offset);
      if (sent !== bytes) return this.#wait(unsent, sent);
      unsent.sent(sent);
    }
    return true;
  }

  /** The kernel took `sent` bytes. The native part sends the rest of that chunk. */
  #wait(unsent: Unsent, sent: number): false {
    if (sent >= 0) unsent.sent(sent);
    if (sent >= 0) unsent.keep();
    const call = sent < 0 ? null : unsent.next();
    const errno = sent < 0 ? sent : call === null ? EFAULT : this.#give(unsent, call);
    if (errno < 0) this.#fail(errno, 'write');
    return false;
  }

  #give(unsent: Unsent, { first, offset }: NextCall): number {
    this.#unsent = unsent;
    return addon().write(this.id, unsent.chunks[first] as Uint8Array, offset);
  }

  #wasWritten(): void {
    const unsent = this.#unsent;
    if (unsent === null) return;
    this.#unsent = null;
    unsent.firstSent();
    if (this.#sendOn(unsent)) this.#events?.onWritten();
  }

  #readerGone(): void {
    if (this.#unsent !== null) this.#fail(EPIPE, 'write');
    else if (!this.#ending) this.onUnread();
  }

  #onRead(data: Buffer | null): void {
    if (data === null) this.#fail(EFAULT, 'read');
    else (this.#events as StreamEvents).onRead(data);
  }

  // Static, because a function for each stream costs memory: there may be many streams, and most are idle
  // most of the time.
  static #reportCloseOf(stream: UvStream): void {
    stream.#reportClose();
  }

  /** Closes the stream with an error, which `onClose` reports. */
  #fail(errno: number, syscall: string): void {
    if (this.#ending) return;
    this.#error = systemError(errno, syscall);
    this.close();
  }

  #dispose(): void {
    this.#ending = true;
    this.#unsent = null;
    if (this.#readBuffer !== null) readInto(this.id, null);
    this.#readBuffer = null;
    this.#reclaimed = null;
    unregister(this);
    hostNextTick(UvStream.#reportCloseOf, this);
  }

  #reportClose(): void {
    // `open()` may not have been called yet; it will report the close then.
    this.#closed = true;
    this.#events?.onClose(this.#error);
  }
}

/** Returns how many bytes it copied. */
function copyInto(arena: Uint8Array, chunks: readonly Uint8Array[]): number {
  let at = 0;
  for (const chunk of chunks) {
    arena.set(chunk, at);
    at += chunk.length;
  }
  return at;
}

/** The addresses of a connection, known from its listener, which listens at a single IPv4 address. */
export interface Accepted {
  readonly sockname: SocketAddress;
  /** The peer's address as a word in network byte order. */
  readonly word: number;
  readonly port: number;
}

/** Formats the peer's address only on demand: for most connections, no code asks for it. */
class AcceptedInfo implements StreamInfo {
  readonly sockname: SocketAddress;
  readonly handle: SocketControl;
  readonly #word: number;
  readonly #port: number;
  #peername: SocketAddress | null = null;

  constructor({ sockname, word, port }: Accepted, handle: SocketControl) {
    this.sockname = sockname;
    this.handle = handle;
    this.#word = word;
    this.#port = port;
  }

  get family(): number {
    return AF_INET;
  }

  get direction(): 'both' {
    return 'both';
  }

  get halfClose(): boolean {
    return true;
  }

  get extra(): Readonly<Record<string, unknown>> {
    return NOTHING;
  }

  get peername(): SocketAddress {
    this.#peername ??= [hostOf(this.#word), this.#port];
    return this.#peername;
  }
}

function streamInfo(id: Id, handle: SocketControl): StreamInfo {
  const native = addon();
  const sockname = native.sockname(id) as SocketAddress | null;
  const peername = native.peername(id) as SocketAddress | null;
  return {
    family: familyOf(sockname ?? peername),
    sockname,
    peername,
    handle,
    direction: 'both',
    halfClose: true,
    extra: NOTHING,
  };
}

function pipeInfo(direction: 'read' | 'write', stream: UvStream): StreamInfo {
  return {
    family: AF_UNIX,
    sockname: null,
    peername: null,
    handle: null,
    direction,
    halfClose: direction === 'write',
    extra: { pipe: { fileno: () => stream.fileno() } },
  };
}

/** The session that decrypts what a stream reads. */
export interface Decryptor {
  readonly id: Id;
  /** Whether the first plaintext was read. Data before it is encrypted. */
  began: boolean;
  /** Takes the bits of a step. An empty buffer follows, in the order of the data. */
  onNotice(bits: number): void;
}

const EMPTY: Buffer = Buffer.alloc(0);
const EFAULT = -14;
const EPIPE = -32;
const ENOTCONN = -107;

const NOTHING: Readonly<Record<string, unknown>> = {};

export function familyOf(address: SocketAddress | null): number {
  if (address === null || typeof address === 'string') return AF_UNIX;
  return address.length === 4 ? AF_INET6 : AF_INET;
}
