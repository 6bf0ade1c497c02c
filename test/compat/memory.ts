/** A pair of duplexes in memory. Node's own `duplexPair()` came with Node 22.6. */
import { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

/** One side. A write is done once the other side has read it. */
class Side extends Duplex {
  other!: Side;
  /** The callback of the other side's unread write. */
  #done: Done | null = null;

  override _read(): void {
    const done = this.#done;
    this.#done = null;
    done?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    if (this.other.destroyed) {
      done(brokenPipe());
      return;
    }
    // Push within the call, as Node's pair does.
    this.other.#done = done;
    if (this.other.push(chunk)) this.other._read();
  }

  override _final(done: () => void): void {
    this.other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const unread = this.#done;
    this.#done = null;
    unread?.(brokenPipe());
    if (!this.readableEnded || !this.writableFinished) this.other.#cutOff();
    done(error);
  }

  /** The other side closed without an end. */
  #cutOff(): void {
    queueMicrotask(() => {
      if (!this.readableEnded) this.destroy();
    });
  }
}

function brokenPipe(): Error {
  return Object.assign(new Error('the other side is gone'), { code: 'EPIPE' });
}

export function duplexPair(): [Duplex, Duplex] {
  const near = new Side();
  const far = new Side();
  near.other = far;
  far.other = near;
  return [near, far];
}
