/** A Readable of Node as a raw stream that is only read. */

import type { Readable } from 'node:stream';
import { hostSetTimeout } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream, StreamInfo } from '../backend.ts';
import { share } from '../shared/non-blocking.ts';
import { pipeInfo } from '../shared/pipe-value.ts';
import { ReadSide } from './read-side.ts';

/** Milliseconds. A stream over a file is closed by then, unless its thread waits. */
export const THREAD_PATIENCE = 100;

export class ReadPipe extends ReadSide implements RawStream {
  readonly #stream: Readable;
  readonly #info: StreamInfo;
  readonly #isStdio: boolean;
  readonly #release: (stream: object) => void;

  /**
   * @param pipe the user's value, for `getExtraInfo('pipe')`
   * @param isStdio true for a standard stream of the process, which stays open after the transport
   * @param release called when the transport no longer uses a stream that stays open
   */
  constructor(
    stream: Readable,
    pipe: unknown,
    isStdio: boolean = false,
    release: (stream: object) => void = () => {},
  ) {
    super(stream);
    this.#stream = stream;
    this.#isStdio = isStdio;
    this.#release = release;
    // Only a running loop keeps the process alive; its pipes do not.
    if (stream instanceof node.net.Socket) {
      stream.unref();
      share(stream);
    }
    this.#info = pipeInfo('read', pipe);
  }

  /** Never called, because the pipe is only read. */
  write(): boolean {
    return true;
  }

  /** Never called: see {@link write}. */
  shutdown(): void {}

  close(): void {
    if (this.#isStdio) {
      this.detach();
      // It no longer reads, so it does not keep the process alive; but its next user may want that, so
      // restore it.
      if (this.#stream instanceof node.net.Socket) this.#stream.ref();
      this.#release(this.#stream);
    } else {
      this.#stream.destroy();
      this.endedByUs();
      // A thread that waits in `open()` or `read()` cannot be cancelled.
      if (this.#stream instanceof node.fs.ReadStream) hostSetTimeout(this.#giveUp, THREAD_PATIENCE).unref();
    }
  }

  #giveUp = (): void => {
    this.#stream.on('error', ignore);
    this.detach();
  };

  abort(): void {
    this.close();
  }

  info(): StreamInfo {
    return this.#info;
  }
}

/** Ignores the errors of a stream that is no longer used. */
export function ignore(): void {}
