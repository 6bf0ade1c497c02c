/** A Readable of Node's as a raw stream that is only read. */
import { ReadStream } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { AF_UNSPEC } from '../../base/constants.ts';
import { hostSetTimeout } from '../../base/host.ts';
import type { RawStream, StreamInfo } from '../backend.ts';
import { share } from './non-blocking.ts';
import { ReadSide } from './read-side.ts';

/** Milliseconds. A stream over a file is closed by then, unless its thread waits for something. */
export const THREAD_PATIENCE = 100;

export class ReadPipe extends ReadSide implements RawStream {
  readonly #stream: Readable;
  readonly #info: StreamInfo;
  readonly #isStdio: boolean;
  readonly #letGo: (stream: object) => void;

  /**
   * @param pipe what the user gave, for `getExtraInfo('pipe')`
   * @param isStdio it is the process's own, and outlives us
   * @param letGo called when we are done with a stream that outlives us
   */
  constructor(
    stream: Readable,
    pipe: unknown,
    isStdio: boolean = false,
    letGo: (stream: object) => void = () => {},
  ) {
    super(stream);
    this.#stream = stream;
    this.#isStdio = isStdio;
    this.#letGo = letGo;
    // The loop keeps the process alive while it runs, and not a moment longer; its pipes do not.
    if (stream instanceof Socket) {
      stream.unref();
      share(stream);
    }
    this.#info = pipeInfo('read', pipe);
  }

  /** Never called: the transport knows that it goes one way. */
  write(): boolean {
    return true;
  }

  /** Never called: as {@link write}. */
  shutdown(): void {}

  close(): void {
    if (this.#isStdio) {
      this.detach();
      // It does not read any more, so that it keeps nothing alive; and its next user may want it to.
      if (this.#stream instanceof Socket) this.#stream.ref();
      this.#letGo(this.#stream);
    } else {
      this.#stream.destroy();
      this.endedByUs();
      // A thread that waits in `open()` or `read()` cannot be called back.
      if (this.#stream instanceof ReadStream) hostSetTimeout(this.#giveUp, THREAD_PATIENCE).unref();
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

/** For errors of a stream that nobody waits for any more. */
export function ignore(): void {}

export function pipeInfo(direction: 'read' | 'write', pipe: unknown): StreamInfo {
  return {
    family: AF_UNSPEC,
    sockname: null,
    peername: null,
    handle: null,
    direction,
    // The end of a pipe that is written is its close.
    halfClose: direction === 'write',
    extra: { pipe },
  };
}
