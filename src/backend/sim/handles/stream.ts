/** A byte stream of a simulated host as a raw stream: TCP, a unix socket, or the end of a pipe. */
import { givenAway } from '../../../base/given-away.ts';
import { hostNextTick } from '../../../base/host.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../../backend.ts';
import type { Channel, ChannelEvents } from '../channel.ts';
import type { SimHost } from '../host.ts';

/** Bytes of one read at most, as libuv reads. */
const READ_BYTES = 65_536;

export interface StreamFacts {
  readonly direction: 'both' | 'read' | 'write';
  readonly halfClose: boolean;
  /** null: it is not a socket. */
  readonly handle: SocketControl | null;
  readonly extra: Readonly<Record<string, unknown>>;
  /** Called when the stream has closed its channel. */
  onReleased?(): void;
}

/**
 * Each call of the events comes from a step of its own, because the code that it resumes must run before the
 * next one. A step is a callback of the host, so a paused host takes none.
 */
export class SimStream implements RawStream, ChannelEvents {
  readonly #host: SimHost;
  readonly #channel: Channel;
  readonly #facts: StreamFacts;
  readonly #guardedStep: () => void;
  #events: StreamEvents | null = null;
  #reading: boolean = false;
  /** A step is on its way. */
  #scheduled: boolean = false;
  #endTold: boolean = false;
  /** Chunks that the kernel has not accepted as a whole. */
  #unsent: Uint8Array[] | null = null;
  #length: number = 0;
  #accepted: number = 0;
  /** The stream closes when everything was accepted. */
  #closing: boolean = false;
  #ending: boolean = false;
  #closed: boolean = false;
  #error: Error | null = null;

  constructor(host: SimHost, channel: Channel, facts: StreamFacts) {
    this.#host = host;
    this.#channel = channel;
    this.#facts = facts;
    this.#guardedStep = host.guarded(() => this.#step());
    channel.events = this;
  }

  open(events: StreamEvents): void {
    this.#events = events;
    if (this.#closed || this.#facts.direction === 'write') this.#schedule();
  }

  readStart(): void {
    if (this.#ending) return;
    this.#reading = true;
    const { readable, ended, error } = this.#channel;
    if (readable > 0 || ended || error !== null) this.#schedule();
  }

  readStop(): void {
    this.#reading = false;
  }

  write(chunks: Uint8Array[]): boolean {
    if (this.#ending) return false;
    this.#length = lengthOf(chunks);
    this.#accepted = 0;
    this.#unsent = chunks;
    return this.#push();
  }

  shutdown(): void {
    if (!this.#ending) this.#channel.shutdownWrite();
  }

  close(): void {
    if (this.#ending) return;
    this.#closing = true;
    this.#reading = false;
    if (this.#unsent === null) this.#end(false);
  }

  abort(): void {
    if (!this.#ending) this.#end(true);
  }

  info(): StreamInfo {
    const { family, sockname, peername } = this.#channel;
    const { direction, halfClose, handle, extra } = this.#facts;
    return { family, sockname, peername, direction, halfClose, handle, extra };
  }

  // --- events of the kernel ---

  onReadable(): void {
    if (this.#reading || this.#facts.direction === 'write') this.#schedule();
  }

  onWritable(): void {
    if (this.#unsent !== null) this.#schedule();
  }

  onError(): void {
    if (this.#reading || this.#unsent !== null || this.#facts.direction === 'write') this.#schedule();
  }

  // --- steps ---

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#host.timeline.soon(this.#guardedStep, this.#host.ioOwner);
  }

  #step(): void {
    this.#scheduled = false;
    if (this.#ending) this.#reportClose();
    else if (this.#unsent !== null && this.#channel.writable) this.#writeMore();
    else if (this.#facts.direction === 'write') this.#watchReader();
    else if (this.#reading) this.#read();
    else if (this.#unsent !== null && this.#channel.error !== null) this.#fail(this.#channel.error);
  }

  #read(): void {
    const channel = this.#channel;
    const data = channel.read(READ_BYTES);
    const events = this.#events as StreamEvents;
    if (data !== null) {
      if (channel.readable > 0 || channel.ended || channel.error !== null) this.#schedule();
      // Tells the kernel that nothing is left, so that it reports the next arrival.
      else channel.read(READ_BYTES);
      events.onRead(bufferOf(data));
    } else if (channel.error !== null) {
      this.#fail(channel.error);
    } else if (channel.ended && !this.#endTold) {
      this.#endTold = true;
      events.onEnd();
    }
  }

  /** The reader of a pipe has gone. If the transport still has data to write, the write fails. */
  #watchReader(): void {
    const { ended, error } = this.#channel;
    if ((!ended && error === null) || this.#endTold) return;
    this.#endTold = true;
    this.#events?.onEnd();
  }

  #writeMore(): void {
    if (lengthOf(this.#unsent as Uint8Array[]) !== this.#length) {
      this.#fail(givenAway());
      return;
    }
    if (!this.#push()) return;
    if (this.#closing) this.#end(false);
    else {
      const { readable, ended, error } = this.#channel;
      if (this.#reading && (readable > 0 || ended || error !== null)) this.#schedule();
      this.#events?.onWritten();
    }
  }

  /** Returns true if the kernel has accepted everything. */
  #push(): boolean {
    const chunks = this.#unsent as Uint8Array[];
    try {
      this.#accepted += this.#writeFrom(chunks, this.#accepted);
    } catch (error) {
      this.#fail(error as Error);
      return false;
    }
    if (this.#accepted < this.#length) return false;
    this.#unsent = null;
    return true;
  }

  #writeFrom(chunks: Uint8Array[], skip: number): number {
    const channel = this.#channel;
    if (channel.writeMany !== undefined) return channel.writeMany(chunks, skip);
    let accepted = 0;
    let from = skip;
    for (const chunk of chunks) {
      if (from >= chunk.length) {
        from -= chunk.length;
        continue;
      }
      const count = channel.write(from === 0 ? chunk : chunk.subarray(from));
      accepted += count;
      if (count < chunk.length - from) break;
      from = 0;
    }
    return accepted;
  }

  #fail(error: Error): void {
    this.#error = error;
    this.#end(false);
  }

  #end(reset: boolean): void {
    this.#ending = true;
    this.#reading = false;
    this.#unsent = null;
    const channel = this.#channel;
    if (channel.events === this) channel.events = null;
    if (reset && !this.#host.programEnds) channel.reset();
    else if (this.#facts.onReleased === undefined) channel.close();
    this.#facts.onReleased?.();
    // In the same step, as Node does: a program that closes its connections and ends leaves none open.
    hostNextTick(this.#reportClose);
  }

  #reportClose = (): void => {
    // `open()` may not have been called yet; it will report the close then.
    this.#closed = true;
    const events = this.#events;
    this.#events = null;
    events?.onClose(this.#error);
  };
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  let length = 0;
  for (let i = 0; i < chunks.length; i++) length += (chunks[i] as Uint8Array).length;
  return length;
}

function bufferOf(data: Uint8Array): Buffer {
  return data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
