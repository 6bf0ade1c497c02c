/** The standard streams of a process on a simulated host, and the parent's ends of its pipes. */
import { AF_UNSPEC } from '../../../base/constants.ts';
import { LoopError } from '../../../base/errors.ts';
import type { RawStream, SpawnStdio, SpawnTarget } from '../../backend.ts';
import type { Channel, ChannelEvents } from '../channel.ts';
import { systemError } from '../errors.ts';
import type { Handles } from '../handles/handles.ts';
import { OpenPipe } from '../handles/open-pipe.ts';
import { OpenSocket } from '../handles/open-socket.ts';
import type { SimHost } from '../host.ts';
import { localPipe } from '../local/local-channel.ts';
import type { Descriptors } from './descriptors.ts';
import type { StandardStream } from './process.ts';

/** Takes what a process without pipes writes to its stdout (1) or stderr (2). */
export type Console = (fd: 1 | 2, data: Uint8Array) => void;

type Three<T> = [T, T, T];

/** Opens the streams of one process. All steps that can fail come before the process exists. */
export class StandardStreams {
  readonly #host: SimHost;
  readonly #descriptors: Descriptors;
  readonly #handles: Handles;
  readonly #console: Console;
  readonly #theirs: StandardStream[] = [];
  /** The parent's ends, by the child's descriptor. */
  readonly pipes: (RawStream | null)[] = [null, null, null];

  constructor(host: SimHost, descriptors: Descriptors, handles: Handles, console: Console) {
    this.#host = host;
    this.#descriptors = descriptors;
    this.#handles = handles;
    this.#console = console;
  }

  /** Returns the child's ends. Throws the system's error; then everything is closed again. */
  open({ stdio, passFds }: SpawnTarget): Three<StandardStream> {
    try {
      for (const fd of passFds) this.#descriptors.get(fd, 'spawn');
      for (const [fd, kind] of stdio.entries()) this.#theirs.push(this.#one(kind, fd));
    } catch (error) {
      this.close();
      throw error;
    }
    return this.#theirs as Three<StandardStream>;
  }

  close(): void {
    for (const stream of this.#theirs) stream.close();
    for (const pipe of this.pipes) pipe?.abort();
  }

  #one(stdio: SpawnStdio, fd: number): StandardStream {
    switch (stdio.kind) {
      case 'pipe':
        return this.#pipe(fd);
      case 'null':
        return { channel: new Device(), close: () => {} };
      case 'inherit':
        return { channel: new Device((data) => this.#console(fd as 1 | 2, data)), close: () => {} };
      case 'stdout':
        return this.#theirs[1] as StandardStream;
      case 'fd':
        return this.#descriptor(stdio.fd);
      case 'stream':
        throw new LoopError(
          'ERR_UNSUPPORTED',
          'a simulated process cannot use a stream of Node: pass PIPE, DEVNULL, or a descriptor of its host',
        );
    }
  }

  #pipe(fd: number): StandardStream {
    const [from, to] = localPipe(this.#host);
    const [ours, theirs] = fd === 0 ? [to, from] : [from, to];
    const own = this.#descriptors.open(new OpenPipe(ours), 'pipe', true);
    this.pipes[fd] = this.#handles.pipeStream(ours, fd === 0 ? 'write' : 'read', own, {});
    return { channel: theirs, close: () => theirs.close() };
  }

  #descriptor(fd: number): StandardStream {
    const object = this.#descriptors.get(fd, 'spawn');
    const channel = object instanceof OpenPipe || object instanceof OpenSocket ? object.channel : null;
    if (channel === null) throw systemError('EBADF', 'spawn');
    const copy = this.#descriptors.duplicate(fd);
    return { channel, close: () => this.#descriptors.find(copy) !== null && this.#descriptors.close(copy) };
  }
}

/** `/dev/null`, or the console of the host: it reads nothing, and accepts everything. */
class Device implements Channel {
  readonly family: number = AF_UNSPEC;
  readonly sockname = null;
  readonly peername = null;
  readonly readable = 0;
  readonly ended = true;
  readonly writable = true;
  readonly error = null;
  events: ChannelEvents | null = null;
  readonly #onData: (data: Uint8Array) => void;

  constructor(onData: (data: Uint8Array) => void = () => {}) {
    this.#onData = onData;
  }

  read(): null {
    return null;
  }

  write(data: Uint8Array): number {
    this.#onData(data);
    return data.length;
  }

  shutdownWrite(): void {}
  shutdownRead(): void {}
  close(): void {}
  reset(): void {}
}
