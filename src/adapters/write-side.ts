/** When a write of a Node stream over a transport is done. */
import type { Transport } from '../net/transport.ts';
import { callListeners, closedError } from './adapter.ts';
import type { IdleTimer } from './idle-timer.ts';

/**
 * What a stream of Node's gives with each write, and with its end; it gives the next once this was called.
 */
export type Done = (error?: Error | null) => void;

/**
 * The writing side of a Duplex over a transport. A write is done when the transport takes more, the end when
 * everything has left; what comes while there is no connection waits for it.
 */
export class WriteSide {
  /** Between `pauseWriting()` and `resumeWriting()`. */
  paused: boolean = false;
  readonly #idle: IdleTimer;
  #transport: Transport | null = null;
  /** The write or the end that is not done yet: of either there is one at a time. */
  #unfinished: Done | null = null;
  /** What to do for it, while there is no connection. */
  #waiting: ((transport: Transport) => void) | null = null;
  /** The connection is gone; its error is that of whoever writes later. */
  #lost: { error: Error | null } | null = null;
  #bytesWritten: number = 0;
  /** Bytes that had not left when this was last looked at. */
  #unsent: number = 0;

  /** @param idle is told of what leaves */
  constructor(idle: IdleTimer) {
    this.#idle = idle;
  }

  /** Bytes that were handed to the transport. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Whether a write or the end is not done yet. */
  get unfinished(): boolean {
    return this.#unfinished !== null;
  }

  /** There is a connection. */
  open(transport: Transport): void {
    this.#transport = transport;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(transport);
  }

  write(chunk: Uint8Array, done: Done): void {
    this.#send((transport) => {
      this.#bytesWritten += chunk.length;
      transport.write(chunk);
    }, done);
  }

  writelines(chunks: readonly Uint8Array[], done: Done): void {
    this.#send((transport) => {
      for (const chunk of chunks) this.#bytesWritten += chunk.length;
      transport.writelines(chunks);
    }, done);
  }

  #send(write: (transport: Transport) => void, done: Done): void {
    this.#whenConnected((transport) => {
      if (this.#lost !== null || transport.isClosing()) {
        done(this.#lost?.error ?? closedError());
        return;
      }
      this.#idle.touch();
      try {
        write(transport);
      } catch (error) {
        done(error as Error);
        return;
      }
      this.#unsent = transport.getWriteBufferSize();
      if (this.paused) this.#unfinished = done;
      else done();
    }, done);
  }

  /** Ends this direction; where there is no half-close, both. */
  end(done: Done): void {
    // The end of a connection that has ended has nothing to do.
    if (this.#lost !== null) done(this.#lost.error);
    else this.#whenConnected((transport) => this.#end(transport, done), done);
  }

  #end(transport: Transport, done: Done): void {
    let unsent: boolean;
    try {
      if (transport.canWriteEof()) transport.writeEof();
      else transport.close();
      unsent = transport.getWriteBufferSize() > 0;
      if (unsent) {
        this.#unfinished = done;
        // So that resumeWriting() says when it is empty.
        transport.setWriteBufferLimits({ high: 0 });
      }
    } catch (error) {
      this.#unfinished = null;
      done(error as Error);
      return;
    }
    if (!unsent) done();
  }

  #whenConnected(run: (transport: Transport) => void, done: Done): void {
    if (this.#transport !== null) {
      run(this.#transport);
      return;
    }
    this.#unfinished = done;
    this.#waiting = (transport) => {
      this.#unfinished = null;
      callListeners(() => run(transport));
    };
  }

  /** The transport takes more. */
  resume(): void {
    this.paused = false;
    this.#idle.touch();
    this.finish(null);
  }

  /** What is not done yet is done, or has failed. */
  finish(error: Error | null): void {
    const done = this.#unfinished;
    this.#unfinished = null;
    this.#waiting = null;
    if (done !== null) callListeners(() => done(error));
  }

  /** The connection is gone. What is not done yet is left to {@link finish}. */
  lose(error: Error | null): void {
    this.#lost ??= { error };
  }

  /**
   * Whether something has left since this was last asked: a peer takes what was written long ago, piece by
   * piece.
   */
  hasMoved(): boolean {
    const unsent = this.#transport?.getWriteBufferSize() ?? 0;
    if (unsent === 0 || unsent === this.#unsent) return false;
    this.#unsent = unsent;
    return true;
  }
}
