/** A `Duplex` of anybody's make as a raw stream. */

import type { Duplex } from 'node:stream';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend/backend.ts';
import type { SocketAddress } from '../base/address.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../base/constants.ts';
import { hostQueueMicrotask } from '../base/host.ts';

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
 * Facts. A duplex may answer a write by data at once, from within the call; it calls `readable` listeners
 * always from a tick of its own. It tells its end only to one who has read everything. Each of its methods
 * may throw: by its own code, or by a listener that it calls. Made with `autoDestroy: false` it stays open
 * behind an error.
 *
 * Consequences. We read by `readable` and `read()`, never by `data`: then nothing is called back from
 * within a call of ours, and whoever does not read is not told of the end. Every call of ours is guarded: an
 * exception ends this connection alone. An error ends it, too, whether or not the duplex destroys itself.
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
  /** We end it ourselves: only its close is of interest now. */
  #ending: boolean = false;

  /**
   * @param duplex open in both directions, for bytes
   * @param report is told of what the duplex throws; the connection then ends by it
   */
  constructor(duplex: Duplex, report: (exception: unknown) => void) {
    this.#duplex = duplex;
    this.#report = report;
    this.#info = infoOf(duplex);
    // Who has received the end may still write; whether it does is the protocol's decision.
    duplex.allowHalfOpen = true;
    const { unref } = duplex as MaybeSocket;
    // The loop keeps the process alive while it runs, and not a moment longer.
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
      // The end of a duplex that is destroyed tells of itself, and knows more.
      if (error && !duplex.destroyed) this.#onError(error);
      else if (!error && returned && waiting && !this.#ending) this.#events?.onWritten();
    };
    // Don't cork without `_writev()`: a `_write()` that throws within `uncork()` leaves a buffer that Node
    // itself stumbles over.
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
      // The other side of a pair in memory hears of an end, and of nothing else.
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

  /** Calls into the duplex. If that throws, the connection is lost by it. */
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
    // A duplex that has thrown may never say that it is destroyed.
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
    if (this.#close === 'held' && this.#events !== null) hostQueueMicrotask(this.#tell);
  }
}

/**
 * Calls back once `duplex` is destroyed, if it emits no `close`: Node emits none for a stream that was made
 * with `emitClose: false`. Then `_destroy()` is the only place that hears of it. Node's own sockets are made
 * so, and emit `close` themselves, later.
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
