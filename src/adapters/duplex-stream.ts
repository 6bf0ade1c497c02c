/** A `Duplex` of any implementation as a raw stream. */

import type { Duplex } from 'node:stream';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../base/constants.ts';
import { hostQueueMicrotask } from '../base/host.ts';

/** The properties of a duplex that is a socket. */
interface MaybeSocket {
  remoteAddress?: unknown;
  remotePort?: unknown;
  localAddress?: unknown;
  localPort?: unknown;
  encrypted?: unknown;
  unref?: unknown;
}

/**
 * The raw stream over a Node `Duplex`.
 *
 * Facts about a duplex:
 *
 * - It may answer a write with data synchronously. But it calls `readable` listeners only from a later tick.
 * - It emits `end` only after all data was read.
 * - Each of its methods may throw, by its own code or by a listener.
 * - With `autoDestroy: false` it stays open after an error.
 *
 * So this class reads by `readable` and `read()`, and never by `data`. Then the duplex calls nothing back
 * from within a call of this class, and a paused reader is not told of the end. Each call into the duplex is
 * guarded: an exception ends this connection only. An error ends it as well, even if the duplex does not
 * destroy itself.
 */
export class DuplexStream implements RawStream {
  readonly #duplex: Duplex;
  readonly #report: (exception: unknown) => void;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #reading: boolean = false;
  #end: 'none' | 'held' | 'told' = 'none';
  #close: 'none' | 'held' | 'told' = 'none';
  /** Whether this side ends the duplex: only `close` is of interest then. */
  #ending: boolean = false;

  /**
   * @param duplex a duplex for bytes, open in both directions
   * @param report reports an exception of the duplex, which also ends the connection
   */
  constructor(duplex: Duplex, report: (exception: unknown) => void) {
    this.#duplex = duplex;
    this.#report = report;
    this.#info = infoOf(duplex);
    // The protocol decides whether it goes on writing after the peer's end.
    duplex.allowHalfOpen = true;
    const { unref } = duplex as MaybeSocket;
    // The running loop keeps the process alive; the duplex must not.
    if (typeof unref === 'function') unref.call(duplex);
    duplex.on('error', this.#onError);
    duplex.on('end', this.#onEnd);
    duplex.on('close', this.#onClose);
    onSilentDestroy(duplex, (error) => {
      this.#error ??= error;
      this.#gone();
    });
  }

  open(events: StreamEvents): void {
    this.#events = events;
    this.#guard(() => this.#duplex.on('readable', this.#pull));
    if (this.#close === 'held') hostQueueMicrotask(this.#tell);
  }

  readStart(): void {
    if (this.#reading) return;
    this.#reading = true;
    hostQueueMicrotask(this.#pull);
  }

  readStop(): void {
    this.#reading = false;
  }

  write(chunks: Uint8Array[]): boolean {
    const duplex = this.#duplex;
    let waiting = true;
    let returned = false;
    const done = (error?: Error | null): void => {
      // A destroyed duplex reports its end by itself, and with a better error.
      if (error && !duplex.destroyed) this.#onError(error);
      else if (!error && returned && waiting && !this.#ending) this.#events?.onWritten();
    };
    // Don't cork without `_writev()`: if `_write()` throws within `uncork()`, Node's own buffer is left
    // broken.
    const inOnePiece = chunks.length > 1 && typeof duplex._writev === 'function';
    this.#guard(() => {
      if (inOnePiece) duplex.cork();
      chunks.forEach((chunk, i) => {
        duplex.write(chunk, i === chunks.length - 1 ? done : undefined);
      });
      if (inOnePiece) duplex.uncork();
      waiting = duplex.writableLength > 0;
    });
    returned = true;
    return !waiting;
  }

  shutdown(): void {
    this.#guard(() => this.#duplex.end());
  }

  close(): void {
    this.#endByUs();
    this.#guard(() => {
      const duplex = this.#duplex;
      if (duplex.writableFinished) {
        duplex.destroy();
        return;
      }
      // Call `end()` first: the other side of a pair in memory learns of nothing else.
      duplex.once('finish', this.#destroy);
      if (!duplex.writableEnded && !duplex.destroyed) duplex.end();
    });
  }

  abort(): void {
    this.#endByUs();
    this.#destroy();
  }

  info(): StreamInfo {
    return this.#info;
  }

  #pull = (): void => {
    const events = this.#events;
    while (events !== null && this.#reading && !this.#ending) {
      const data = this.#read();
      if (data === null) break;
      events.onRead(data);
    }
    if (this.#end === 'held') this.#tell();
  };

  #read(): Buffer | null {
    try {
      return this.#duplex.read() as Buffer | null;
    } catch (exception) {
      this.#fail(exception);
      return null;
    }
  }

  #destroy = (): void => {
    this.#guard(() => this.#duplex.destroy(this.#error ?? undefined));
  };

  /** Calls into the duplex. If that throws, the connection ends with the exception. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (exception) {
      this.#fail(exception);
    }
  }

  #fail(exception: unknown): void {
    const first = this.#error === null;
    this.#error ??=
      exception instanceof Error ? exception : new Error('the duplex threw', { cause: exception });
    this.#ending = true;
    this.#report(exception);
    if (first) this.#destroy();
    // A duplex that has thrown may never emit `close`.
    hostQueueMicrotask(this.#gone);
  }

  #onError = (error: Error): void => {
    this.#error ??= error;
    if (!this.#duplex.destroyed) this.#destroy();
  };

  #onEnd = (): void => {
    this.#end = 'held';
    if (this.#events !== null) this.#tell();
  };

  #onClose = (): void => {
    const duplex = this.#duplex;
    this.#guard(() => {
      duplex.removeListener('error', this.#onError);
      duplex.removeListener('end', this.#onEnd);
      duplex.removeListener('close', this.#onClose);
      duplex.removeListener('readable', this.#pull);
      duplex.removeListener('finish', this.#destroy);
    });
    this.#gone();
  };

  #gone = (): void => {
    if (this.#close === 'told') return;
    this.#close = 'held';
    if (this.#events !== null) this.#tell();
  };

  /** Reports pending events: the end if the reader is not paused, and the close after it. */
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

  /** The error of a duplex that was closed, but not by this side and without an end; else null. */
  #cutOff(): Error | null {
    if (this.#ending || this.#end !== 'none') return null;
    return Object.assign(new Error('the duplex was closed before its end'), {
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
  }

  #endByUs(): void {
    this.#ending = true;
    if (this.#close === 'held' && this.#events !== null) hostQueueMicrotask(this.#tell);
  }
}

/**
 * Calls back once `duplex` is destroyed, if it emits no `close`. Node emits none for a stream with
 * `emitClose: false`; then only `_destroy()` learns of it. Node's own sockets have that option, but emit
 * `close` themselves, later.
 */
function onSilentDestroy(duplex: Duplex, callback: (error: Error | null) => void): void {
  const { _writableState: state } = duplex as { _writableState?: { emitClose?: boolean } };
  if (state?.emitClose !== false) return;
  const destroy = duplex._destroy;
  duplex._destroy = (error, done) => {
    const destroyed = (failure: Error | null = null): void => {
      done(failure);
      hostQueueMicrotask(() => callback(failure));
    };
    try {
      destroy.call(duplex, error, destroyed);
    } catch (thrown) {
      destroyed(thrown as Error);
    }
  };
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
