/** Events of a Node Readable, in the order that a raw stream promises. */

import type { Readable } from 'node:stream';
import { hostNextTick } from '../../base/host.ts';
import type { StreamEvents } from '../backend.ts';
import { keepNonBlocking, unshare } from '../shared/non-blocking.ts';

/** Bytes of a full read of libuv. After a full read, libuv reads again without polling. */
const WHOLE_READ = 65_536;

/**
 * A paused Readable continues to read until its buffer is full. It emits `end` although it is paused, if the
 * buffer is empty. A socket whose two directions have ended closes itself. When a child exits, Node resumes
 * the child's output, even if other code paused it.
 *
 * So data and both events may come while nobody reads, and before `open()`. They wait here, in order, for
 * `open()` and `readStart()`.
 *
 * A Readable that an error destroys emits no more data. With libuv 1.52, a reset destroys a paused socket as
 * soon as the data before it was read. So the data moves from the Readable to this object, and the error
 * waits behind it.
 */
export class ReadSide {
  readonly #readable: Readable;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #reading: boolean = false;
  #end: 'none' | 'held' | 'told';
  #close: 'none' | 'held' | 'told' = 'none';
  /** Data that the Readable had when an error destroyed it. */
  #unread: Buffer | null = null;
  /** The close comes behind data, so it is told only to a transport that reads. */
  #closeIsBehindData: boolean = false;
  /** gyre itself has ended the stream, so only the close event matters now. */
  #ending: boolean = false;

  constructor(readable: Readable) {
    this.#readable = readable;
    readable.pause();
    this.#end = readable.readableEnded ? 'held' : 'none';
    readable.on('data', this.#onData);
    readable.on('error', this.#onError);
    readable.on('end', this.#onEnd);
    readable.on('close', this.#onClose);
  }

  open(events: StreamEvents): void {
    this.#events = events;
    if (this.#close === 'held') hostNextTick(this.#tell);
  }

  readStart(): void {
    this.#reading = true;
    keepNonBlocking(this.#readable);
    if (this.#end === 'held' || this.#close === 'held') hostNextTick(this.#tell);
    else this.#readable.resume();
  }

  readStop(): void {
    this.#reading = false;
    this.#readable.pause();
  }

  /** The subclass must call this when it destroys the stream. */
  protected endedByUs(): void {
    this.#ending = true;
    if (this.#close === 'held' && this.#events !== null) hostNextTick(this.#tell);
  }

  /** Stops using a Readable that stays open. For the transport it is closed. */
  protected detach(): void {
    const readable = this.#readable;
    unshare(readable);
    readable.pause();
    readable.removeListener('data', this.#onData);
    readable.removeListener('error', this.#onError);
    readable.removeListener('end', this.#onEnd);
    readable.removeListener('close', this.#onClose);
    if (this.#close === 'none') this.#close = 'held';
    this.endedByUs();
  }

  #onData = (data: Buffer): void => {
    if (data.length === WHOLE_READ) keepNonBlocking(this.#readable);
    if (this.#reading) {
      (this.#events as StreamEvents).onRead(data);
    } else {
      this.#readable.pause();
      this.#readable.unshift(data);
    }
  };

  #onError = (error: NodeJS.ErrnoException): void => {
    this.#error ??= error;
    // A failed write ends the connection at once.
    if (error.syscall === 'read' && this.#readable.readableLength > 0 && !this.hasUnsent())
      this.#keepUnread();
  };

  #keepUnread(): void {
    // `read()` would emit the data as well, on some hosts.
    this.#readable.removeListener('data', this.#onData);
    this.#unread = this.#readable.read() as Buffer | null;
    this.#closeIsBehindData = this.#unread !== null;
  }

  /** Returns true if written data waits for the kernel. */
  protected hasUnsent(): boolean {
    return false;
  }

  /** The subclass must call this at a write, which a reset lets fail although its data is still unread. */
  protected dropUnread(): void {
    if (!this.#closeIsBehindData) return;
    this.#unread = null;
    this.#closeIsBehindData = false;
    if (this.#close === 'held' && this.#events !== null) hostNextTick(this.#tell);
  }

  #onEnd = (): void => {
    this.confirmEnd(this.#holdEnd);
  };

  /** Calls `confirmed` if the end that Node has reported is one. */
  protected confirmEnd(confirmed: () => void): void {
    confirmed();
  }

  #holdEnd = (): void => {
    this.#end = 'held';
    if (this.#events !== null) this.#tell();
  };

  #onClose = (): void => {
    unshare(this.#readable);
    this.#close = 'held';
    if (this.#events !== null) this.#tell();
  };

  /** Reports the events that may be reported now: data and the end if the transport reads, then the close. */
  #tell = (): void => {
    const events = this.#events as StreamEvents;
    const unread = this.#unread;
    if (unread !== null && this.#reading && !this.#ending) {
      this.#unread = null;
      events.onRead(unread);
    }
    if (this.#end === 'held' && this.#reading && !this.#ending) {
      this.#end = 'told';
      events.onEnd();
    }
    if (this.#close === 'held' && this.#mayTellClose()) {
      this.#close = 'told';
      events.onClose(this.#error);
    }
  };

  #mayTellClose(): boolean {
    if (this.#ending) return true;
    if (this.#closeIsBehindData) return this.#reading;
    return this.#end !== 'held' || this.#error !== null;
  }
}
