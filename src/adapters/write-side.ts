/** Tells a Node stream over a transport when its writes are done. */
import type { Transport } from '../net/transport.ts';
import { callListeners, closedError } from './adapter.ts';
import type { IdleTimer } from './idle-timer.ts';

/**
 * The callback of a write, or of the end, from Node's stream. The stream starts the next write after the
 * call.
 */
export type Done = (error?: Error | null) => void;

/**
 * The writing side of a Duplex over a transport. A write is done when the transport is not paused; the end is
 * done when all data has left. Before the connection is made, they wait.
 */
export class WriteSide {
  /** True between `pauseWriting()` and `resumeWriting()`. */
  paused: boolean = false;
  readonly #idle: IdleTimer;
  #transport: Transport | null = null;
  /** The callback of the pending write or end. At most one is pending. */
  #unfinished: Done | null = null;
  /** The pending action, until the connection is made. */
  #waiting: ((transport: Transport) => void) | null = null;
  /** Set when the connection is lost; later writes fail with its error. */
  #lost: { error: Error | null } | null = null;
  #bytesWritten: number = 0;
  /** Unsent bytes at the last look. */
  #unsent: number = 0;

  /** @param idle learns of data that leaves */
  constructor(idle: IdleTimer) {
    this.#idle = idle;
  }

  /** Bytes that were passed to the transport. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Whether a write or the end is pending. */
  get unfinished(): boolean {
    return this.#unfinished !== null;
  }

  /** Sets the transport, and starts the pending action. */
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

  /** Ends the writing side; without half-close it closes the connection. */
  end(done: Done): void {
    // A lost connection needs no end.
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
        // With a mark of zero, resumeWriting() tells when the buffer is empty.
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

  /** The transport is no longer paused: the pending write is done. */
  resume(): void {
    this.paused = false;
    this.#idle.touch();
    this.finish(null);
  }

  /** Completes the pending write or end, or fails it. */
  finish(error: Error | null): void {
    const done = this.#unfinished;
    this.#unfinished = null;
    this.#waiting = null;
    if (done !== null) callListeners(() => done(error));
  }

  /** Records the loss of the connection. {@link finish} completes the pending write. */
  lose(error: Error | null): void {
    this.#lost ??= { error };
  }

  /** Returns whether data has left since the last call. A slow peer may take old data piece by piece. */
  hasMoved(): boolean {
    const unsent = this.#transport?.getWriteBufferSize() ?? 0;
    if (unsent === 0 || unsent === this.#unsent) return false;
    this.#unsent = unsent;
    return true;
  }
}
