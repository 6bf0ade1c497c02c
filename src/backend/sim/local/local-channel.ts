/** The ends of unix sockets and pipes: byte streams that do not leave the host. */
import type { SocketAddress } from '../../../base/address.ts';
import { AF_UNIX, AF_UNSPEC } from '../../../base/constants.ts';
import type { Channel, ChannelEvents } from '../channel.ts';
import { systemError } from '../errors.ts';
import type { SimHost } from '../host.ts';
import type { BytesReader, BytesWriter } from './local-bytes.ts';
import { LocalBytes } from './local-bytes.ts';
import { LocalOptions } from './local-options.ts';

/** Bytes, as on Linux. */
const SOCKET_BUFFER = 212_992;
const PIPE_BUFFER = 65_536;
const PIPE_ATOMIC = 4096;

export interface LocalNames {
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
}

/** The end of a connection, or of a pipe, which has one direction only. */
export class LocalChannel implements Channel, BytesReader, BytesWriter {
  readonly family: number;
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
  /** Absent for pipes. */
  declare readonly options?: LocalOptions;
  events: ChannelEvents | null = null;
  error: Error | null = null;
  readonly #incoming: LocalBytes | null;
  readonly #outgoing: LocalBytes | null;
  #closed: boolean = false;

  constructor(family: number, names: LocalNames, incoming: LocalBytes | null, outgoing: LocalBytes | null) {
    this.family = family;
    this.sockname = names.sockname;
    this.peername = names.peername;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    if (family === AF_UNIX) this.options = new LocalOptions();
    if (incoming !== null) incoming.reader = this;
    if (outgoing !== null) outgoing.writer = this;
  }

  get direction(): 'both' | 'read' | 'write' {
    if (this.#incoming === null) return 'write';
    return this.#outgoing === null ? 'read' : 'both';
  }

  get readable(): number {
    return this.#incoming?.arrived ?? 0;
  }

  /** For the write end of a pipe: the reader has gone, and writing fails from now on. */
  get ended(): boolean {
    if (this.#incoming === null) return this.#outgoing?.abandoned === true;
    return this.#incoming.ended && this.#incoming.failure === null;
  }

  /** A write that would fail need not wait, either. */
  get writable(): boolean {
    return this.#outgoing !== null && (this.#outgoing.hasRoom || this.#outgoing.abandoned);
  }

  /** Both directions are over, or the reader of a pipe has gone. */
  get hungUp(): boolean {
    if (this.error !== null) return true;
    const isOver = this.#outgoing === null || this.#outgoing.abandoned || this.#outgoing.finishing;
    return isOver && (this.#incoming === null || this.#incoming.ended);
  }

  read(length: number): Uint8Array | null {
    return this.#incoming?.read(length) ?? null;
  }

  write(data: Uint8Array): number {
    const outgoing = this.#outgoing;
    if (outgoing === null) throw systemError('EBADF', 'write');
    if (outgoing.abandoned || outgoing.finishing) throw systemError('EPIPE', 'write');
    return outgoing.write(data);
  }

  shutdownWrite(): void {
    this.#outgoing?.finish();
  }

  shutdownRead(): void {
    this.#incoming?.refuse();
  }

  /** The peer reads what was written, and then the end. With unread data it is reset, as on Linux. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.events = null;
    const isReset = this.#outgoing !== null && this.#incoming !== null && this.#incoming.unread > 0;
    this.#outgoing?.finish(isReset ? systemError('ECONNRESET', 'read') : null);
    this.#incoming?.abandon();
  }

  /** The same as {@link close}, because these streams have no RST. */
  reset(): void {
    this.close();
  }

  // --- events of the bytes ---

  onArrival(): void {
    const incoming = this.#incoming as LocalBytes;
    if (incoming.ended && incoming.failure !== null && this.error === null) {
      this.error = incoming.failure;
      this.events?.onError(this.error);
    } else {
      this.events?.onReadable();
    }
  }

  onRoom(): void {
    this.events?.onWritable();
  }

  /** The write end of a pipe learns of it as of an end. */
  onReaderGone(): void {
    if (this.#incoming === null) this.events?.onReadable();
  }
}

/** Makes both ends of a connection. `names` are those of the first. */
export function localConnection(host: SimHost, names: LocalNames): [LocalChannel, LocalChannel] {
  const there = new LocalBytes(host, SOCKET_BUFFER);
  const back = new LocalBytes(host, SOCKET_BUFFER);
  return [
    new LocalChannel(AF_UNIX, names, back, there),
    new LocalChannel(AF_UNIX, { sockname: names.peername, peername: names.sockname }, there, back),
  ];
}

/** Makes a pipe: the reading end, and the writing end. */
export function localPipe(host: SimHost): [LocalChannel, LocalChannel] {
  const bytes = new LocalBytes(host, PIPE_BUFFER, PIPE_ATOMIC);
  const names: LocalNames = { sockname: null, peername: null };
  return [new LocalChannel(AF_UNSPEC, names, bytes, null), new LocalChannel(AF_UNSPEC, names, null, bytes)];
}
