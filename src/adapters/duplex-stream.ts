/** A `Duplex` of anybody's make as a raw stream. */
import type { Duplex } from 'node:stream';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../base/constants.ts';

/** What a duplex may have if it is a socket. */
interface MaybeSocket {
  remoteAddress?: unknown;
  remotePort?: unknown;
  localAddress?: unknown;
  localPort?: unknown;
  encrypted?: unknown;
  unref?: unknown;
}

/**
 * Facts. A duplex may answer a write by data at once, from within the call; it calls `readable` listeners always from a tick of its
 * own. It tells its end only to one who has read everything.
 *
 * What this means. We read by `readable` and `read()`, never by `data`: then nothing is called back from within a call of ours, and
 * whoever does not read is not told of the end.
 */
export class DuplexStream implements RawStream {
  readonly #duplex: Duplex;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #reading: boolean = false;
  #end: 'none' | 'held' | 'told' = 'none';
  #close: 'none' | 'held' | 'told' = 'none';
  /** We end it ourselves: only its close is of interest now. */
  #ending: boolean = false;

  /** @param duplex open in both directions, for bytes */
  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    this.#info = infoOf(duplex);
    // Who has received the end may still write; whether it does is the protocol's decision.
    duplex.allowHalfOpen = true;
    const { unref } = duplex as MaybeSocket;
    // The loop keeps the process alive while it runs, and not a moment longer.
    if (typeof unref === 'function') unref.call(duplex);
    duplex.on('error', this.#onError);
    duplex.on('end', this.#onEnd);
    duplex.on('close', this.#onClose);
  }

  open(events: StreamEvents): void {
    this.#events = events;
    this.#duplex.on('readable', this.#pull);
    if (this.#close === 'held') queueMicrotask(this.#tell);
  }

  readStart(): void {
    if (this.#reading) return;
    this.#reading = true;
    queueMicrotask(this.#pull);
  }

  readStop(): void {
    this.#reading = false;
  }

  write(chunks: Uint8Array[]): boolean {
    const duplex = this.#duplex;
    let waiting = false;
    const done = (error?: Error | null): void => {
      if (waiting && !error && !this.#ending) this.#events?.onWritten();
    };
    duplex.cork();
    chunks.forEach((chunk, i) => {
      duplex.write(chunk, i === chunks.length - 1 ? done : undefined);
    });
    duplex.uncork();
    waiting = duplex.writableLength > 0;
    return !waiting;
  }

  shutdown(): void {
    this.#duplex.end();
  }

  close(): void {
    this.#endByUs();
    const duplex = this.#duplex;
    if (duplex.writableFinished) {
      duplex.destroy();
      return;
    }
    // The other side of a pair in memory hears of an end, and of nothing else.
    duplex.once('finish', this.#destroy);
    if (!duplex.writableEnded && !duplex.destroyed) duplex.end();
  }

  abort(): void {
    this.#endByUs();
    this.#duplex.destroy();
  }

  info(): StreamInfo {
    return this.#info;
  }

  #pull = (): void => {
    const events = this.#events;
    while (events !== null && this.#reading && !this.#ending) {
      const data = this.#duplex.read() as Buffer | null;
      if (data === null) break;
      events.onRead(data);
    }
    if (this.#end === 'held') this.#tell();
  };

  #destroy = (): void => {
    this.#duplex.destroy();
  };

  #onError = (error: Error): void => {
    this.#error ??= error;
  };

  #onEnd = (): void => {
    this.#end = 'held';
    if (this.#events !== null) this.#tell();
  };

  #onClose = (): void => {
    this.#close = 'held';
    const duplex = this.#duplex;
    duplex.removeListener('error', this.#onError);
    duplex.removeListener('end', this.#onEnd);
    duplex.removeListener('close', this.#onClose);
    duplex.removeListener('readable', this.#pull);
    duplex.removeListener('finish', this.#destroy);
    if (this.#events !== null) this.#tell();
  };

  /** Tells what has happened and may be told: the end to one who reads, the close behind it. */
  #tell = (): void => {
    const events = this.#events as StreamEvents;
    if (this.#end === 'held' && this.#reading && !this.#ending) {
      this.#end = 'told';
      events.onEnd();
    }
    if (this.#close === 'held' && (this.#end !== 'held' || this.#ending || this.#error !== null)) {
      this.#close = 'told';
      events.onClose(this.#error ?? this.#cutOff());
    }
  };

  /** It closed without having ended, and we did not ask for it. */
  #cutOff(): Error | null {
    if (this.#ending || this.#end !== 'none') return null;
    return Object.assign(new Error('the duplex was closed before its end'), {
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
  }

  #endByUs(): void {
    this.#ending = true;
    if (this.#close === 'held' && this.#events !== null) queueMicrotask(this.#tell);
  }
}

function infoOf(duplex: Duplex): StreamInfo {
  const socket = duplex as MaybeSocket;
  const peername = toAddress(socket.remoteAddress, socket.remotePort);
  return {
    family: peername === null ? AF_UNSPEC : peername.length === 4 ? AF_INET6 : AF_INET,
    sockname: toAddress(socket.localAddress, socket.localPort),
    peername,
    handle: null as SocketControl | null,
    direction: 'both',
    halfClose: true,
    extra: socket.encrypted === true ? { sslObject: duplex } : {},
  };
}

function toAddress(host: unknown, port: unknown): SocketAddress | null {
  if (typeof host !== 'string' || typeof port !== 'number') return null;
  return host.includes(':') ? [host, port, 0, 0] : [host, port];
}
