/**
 * One pipe of a child: a stream transport whose protocol passes every call on, with the number of the
 * descriptor.
 */
import type { RawStream } from '../backend/backend.ts';
import type { CapturedContext } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { TransportOwner } from '../net/stream/stream-transport.ts';
import { StreamTransport } from '../net/stream/stream-transport.ts';

const NAMES = ['stdin', 'stdout', 'stderr'];

/** The transport of the process to which the pipe belongs. */
export interface PipeOwner {
  readonly _name: string;
  _pipeData(fd: number, data: Buffer): void;
  _pipeFlow(method: 'pauseWriting' | 'resumeWriting'): void;
  _pipeConnectionLost(fd: number, exception: Error | null): void;
  /** The pipe has ended. Called even if its protocol failed; no call for this pipe follows. */
  _pipeGone(fd: number): void;
}

export class ProcessPipe extends StreamTransport {
  readonly #name: string;

  constructor(loop: Loop, raw: RawStream, fd: number, context: CapturedContext, owner: PipeOwner) {
    const forwarder = new Forwarder(fd, owner);
    super(loop, raw, forwarder, context, forwarder);
    this.#name = `${NAMES[fd]} of ${owner._name}`;
  }

  /** @internal */
  override _describe(): string {
    return `the pipe to ${this.#name} was still open`;
  }
}

class Forwarder implements Protocol, TransportOwner {
  readonly #fd: number;
  readonly #owner: PipeOwner;

  constructor(fd: number, owner: PipeOwner) {
    this.#fd = fd;
    this.#owner = owner;
  }

  dataReceived(data: Buffer): void {
    this.#owner._pipeData(this.#fd, data);
  }

  pauseWriting(): void {
    this.#owner._pipeFlow('pauseWriting');
  }

  resumeWriting(): void {
    this.#owner._pipeFlow('resumeWriting');
  }

  connectionLost(exception: Error | null): void {
    this.#owner._pipeConnectionLost(this.#fd, exception);
  }

  _detach(): void {
    this.#owner._pipeGone(this.#fd);
  }
}
