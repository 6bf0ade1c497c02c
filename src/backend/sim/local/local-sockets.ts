/**
 * The unix sockets of a host: their paths and abstract names, and the connections that wait to be accepted.
 *
 * A path is a file of the host. The file stays when its socket is closed, and is then stale: a connect to it
 * is refused.
 */
import { AF_UNIX } from '../../../base/constants.ts';
import { RingQueue } from '../../../base/ring-queue.ts';
import type { RawRequest, SocketFileFacts } from '../../backend.ts';
import type { Channel } from '../channel.ts';
import { systemError } from '../errors.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { SimHost } from '../host.ts';
import type { Acceptor, Binding, StreamKernel } from '../kernel-sockets.ts';
import type { MemoryFiles, SocketFile } from '../machine/files.ts';
import type { LocalChannel } from './local-channel.ts';
import { localConnection } from './local-channel.ts';
import { LocalOptions } from './local-options.ts';

type OnDone = (error: Error | null, channel: Channel | null) => void;

export class LocalSockets implements StreamKernel {
  readonly #host: SimHost;
  readonly #files: MemoryFiles;
  /** The bound sockets by their file, or by their abstract name. */
  readonly #bound: Map<SocketFile | string, LocalBinding> = new Map();
  #lastName: number = 0;

  constructor(host: SimHost, files: MemoryFiles) {
    this.#host = host;
    this.#files = files;
  }

  /**
   * Gives a socket its name, which is a new file for a path. The empty name asks for a free abstract one.
   *
   * @throws the system's error: `EADDRINUSE`, `ENOENT`, `ENOTDIR`
   */
  bind(path: string): LocalBinding {
    const name = path === '' ? this.#freeName() : path;
    const key = isAbstract(name) ? name : this.#makeFile(name);
    if (this.#bound.has(key)) throw systemError('EADDRINUSE', 'bind', name);
    const binding = new LocalBinding(name, key, () => this.#bound.delete(key));
    this.#bound.set(key, binding);
    return binding;
  }

  listen(binding: Binding, backlog: number): LocalAcceptor {
    const own = binding as LocalBinding;
    own.acceptor ??= new LocalAcceptor(this.#host, own);
    own.acceptor.setBacklog(backlog);
    return own.acceptor;
  }

  connect(path: string, binding: Binding | null, onDone: OnDone): RawRequest {
    return this.#host.kernelAfter(LOOPBACK_SECONDS, () => {
      let channel: LocalChannel;
      try {
        channel = this.#acceptorAt(path).connect(path, binding?.address ?? '');
      } catch (error) {
        onDone(error as Error, null);
        return;
      }
      onDone(null, channel);
    });
  }

  fileAt(path: string): SocketFileFacts {
    const file = this.#files.socketAt(path);
    if (file !== null) return { kind: 'socket', identity: String(file.ino) };
    return { kind: this.#files.existsSync(path) ? 'other' : 'none', identity: '' };
  }

  removeFile(path: string, identity: string): boolean {
    const { kind, identity: found } = this.fileAt(path);
    if (kind !== 'socket' || found !== identity) return false;
    this.#files.unlinkSync(path);
    return true;
  }

  /** Forgets all sockets: the host has crashed. Their files stay. */
  clear(): void {
    this.#bound.clear();
  }

  #makeFile(path: string): SocketFile {
    try {
      return this.#files.makeSocket(path);
    } catch (error) {
      const { code } = error as { code: string };
      throw systemError(code === 'ENOENT' || code === 'ENOTDIR' ? code : 'EADDRINUSE', 'bind', path);
    }
  }

  /** Linux uses five digits, too. */
  #freeName(): string {
    let name: string;
    do {
      name = `\0${(++this.#lastName).toString(16).padStart(5, '0')}`;
    } while (this.#bound.has(name));
    return name;
  }

  #acceptorAt(path: string): LocalAcceptor {
    if (!isAbstract(path) && !this.#files.existsSync(path)) throw systemError('ENOENT', 'connect', path);
    const key = isAbstract(path) ? path : this.#files.socketAt(path);
    const acceptor = key === null ? null : (this.#bound.get(key)?.acceptor ?? null);
    if (acceptor === null) throw systemError('ECONNREFUSED', 'connect', path);
    return acceptor;
  }
}

/** The name of a socket. */
export class LocalBinding implements Binding {
  readonly family: number = AF_UNIX;
  readonly address: string;
  readonly key: SocketFile | string;
  acceptor: LocalAcceptor | null = null;
  readonly #free: () => void;

  constructor(address: string, key: SocketFile | string, free: () => void) {
    this.address = address;
    this.key = key;
    this.#free = free;
  }

  /** The file's identity; empty for an abstract name. */
  get identity(): string {
    return typeof this.key === 'string' ? '' : String(this.key.ino);
  }

  release(): void {
    this.acceptor = null;
    this.#free();
  }
}

export class LocalAcceptor implements Acceptor {
  readonly family: number = AF_UNIX;
  readonly sockname: string;
  onAcceptable: (() => void) | null = null;
  readonly binding: LocalBinding;
  readonly options: LocalOptions = new LocalOptions();
  readonly #host: SimHost;
  readonly #waiting: RingQueue<LocalChannel> = new RingQueue();
  #backlog: number = 0;
  #starved: boolean = true;

  constructor(host: SimHost, binding: LocalBinding) {
    this.#host = host;
    this.binding = binding;
    this.sockname = binding.address;
    this.options.listens();
  }

  get acceptable(): boolean {
    return this.#waiting.length > 0;
  }

  accept(): LocalChannel | null {
    const channel = this.#waiting.shift() ?? null;
    if (channel === null) this.#starved = true;
    return channel;
  }

  setBacklog(backlog: number): void {
    this.#backlog = backlog;
  }

  /** Queues one end of a new connection, and returns the other. Throws `EAGAIN` if too many wait. */
  connect(path: string, from: unknown): LocalChannel {
    // Linux counts one more than the backlog.
    if (this.#waiting.length > this.#backlog) throw systemError('EAGAIN', 'connect', path);
    const sockname = typeof from === 'string' ? from : '';
    const [near, far] = localConnection(this.#host, { sockname, peername: this.sockname });
    this.#waiting.push(far);
    if (this.#starved) {
      this.#starved = false;
      this.onAcceptable?.();
    }
    return near;
  }

  close(): void {
    this.binding.release();
    this.onAcceptable = null;
    for (let far = this.#waiting.shift(); far !== undefined; far = this.#waiting.shift()) far.reset();
  }
}

export function isAbstract(path: string): boolean {
  return path.startsWith('\0');
}
