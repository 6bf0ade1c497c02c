/** A socket of one's own: the system's, without buffers and without a protocol. */
import type { RawSocket } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX, DEFAULT_BACKLOG, SOCK_STREAM } from '../../base/constants.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { checkInteger, checkOptions, invalidArgType, outOfRange } from '../../base/validate.ts';
import { runningLoop } from '../../loop/context.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource } from '../../loop/ownership.ts';
import { checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import { checkLoop } from '../../tasks/current.ts';
import { checkUnused } from '../adopt.ts';
import { getOption, setOption } from '../socket-options.ts';
import { checkBindAddress } from './socket-address.ts';
import { watchOf } from './watchers.ts';

export interface SocketOptions {
  /** The descriptor of a socket to take over. Then family, type and protocol are those that it has. */
  fileno?: number;
  /** The loop that the socket belongs to. Default: the running one. */
  loop?: Loop;
}

const OPTIONS = ['fileno', 'loop'];
const LARGEST_INT = 0x7fff_ffff;

/**
 * What the next `Socket` is made of, where it was opened already: the public constructor has no parameter for
 * that.
 */
let accepted: RawSocket | null = null;

/**
 * A socket without buffers that never blocks: for `loop.sockConnect()`, `loop.sockRecv()` and their like, and
 * as `sock` of `createConnection()` and `createServer()`, which take its descriptor over.
 *
 * It belongs to a loop, which ends it and names it as a leak when it is closed first. Another loop refuses
 * it; what it may have is the descriptor, by `detach()`.
 *
 * **Backends** the native one alone has sockets: elsewhere `ERR_UNSUPPORTED`.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
 *
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const listener = new Socket();
 *   listener.bind(['127.0.0.1', 0]);
 *   listener.listen();
 *   const client = new Socket();
 *   await loop.sockConnect(client, listener.getsockname()!);
 *   const [server, address] = await loop.sockAccept(listener);
 *   console.log(address![0]); // 127.0.0.1
 *   await loop.sockSendall(server, 'Hello');
 *   console.log(String(await loop.sockRecv(client, 100))); // Hello
 *   for (const socket of [listener, client, server]) socket.close();
 * }, { loopFactory: () => new UvEventLoop() });
 * ```
 */
export class Socket implements Resource, Disposable {
  /** `AF_INET`, `AF_INET6` or `AF_UNIX`. */
  readonly family: number;
  /** `SOCK_STREAM`, `SOCK_DGRAM`, or another of the system's. */
  readonly type: number;
  /** The protocol: 0 for the usual one. */
  readonly proto: number;
  /** @internal */ readonly _loop: Loop;
  /** @internal */ readonly _raw: RawSocket;
  /** What its calls found at once since the last one that had to wait. @internal */
  _eager: number = 0;

  /**
   * Opens a socket, or takes over that of a descriptor, which is closed with this one and does not block from
   * now on.
   *
   * @param family `AF_INET` (default), `AF_INET6` or `AF_UNIX`
   * @param type `SOCK_STREAM` (default) or `SOCK_DGRAM`; the system's number of another
   * @param proto 0 (default): the usual one
   * @param options `fileno`: then the others are either absent or as the descriptor has them; `loop`
   * @throws TypeError, RangeError; the system's error: `EMFILE`, `EPROTONOSUPPORT`, `ENOTSOCK` for a
   *   descriptor that is no socket; {@link InvalidStateError} for one that a transport has; LoopError
   *   `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`, `ERR_UNSUPPORTED`
   */
  constructor(family?: number, type?: number, proto?: number, options: SocketOptions = {}) {
    checkOptions('options', options, OPTIONS);
    const { fileno, loop = runningLoop() } = options;
    checkLoop('options.loop', loop);
    if (fileno !== undefined) checkInteger('options.fileno', fileno, 0, LARGEST_INT);
    if (family !== undefined) checkFamily('family', family);
    if (type !== undefined) checkInteger('type', type, 1, LARGEST_INT);
    if (proto !== undefined) checkInteger('proto', proto, 0, LARGEST_INT);
    checkOpen(loop);
    this._loop = loop;
    this._raw = accepted ?? open(loop, [family, type, proto], fileno ?? null);
    this.family = this._raw.family;
    this.type = this._raw.type;
    this.proto = this._raw.proto;
    if (loop.debug) rememberOrigin(this, new.target);
    loop._owned.resources.add(this);
  }

  /**
   * One that the backend has opened: what a listening socket has accepted, or a copy of a transport's.
   * @internal
   */
  static _of(loop: Loop, raw: RawSocket): Socket {
    accepted = raw;
    try {
      return new Socket(undefined, undefined, undefined, { loop });
    } finally {
      accepted = null;
    }
  }

  /**
   * Gives it an address.
   *
   * @param address `[host, port]` or `[host, port, flowinfo, scopeId]` with a literal host, `''` for every
   *   interface, and 0 for a free port; of a unix socket a path, whose file stays when the socket is closed
   * @throws TypeError, RangeError; the system's error: `EADDRINUSE`, `EACCES`, `EBADF` when it is closed
   */
  bind(address: SocketAddress): void {
    this._raw.bind(checkBindAddress(address, this.family));
  }

  /**
   * Lets others connect: `loop.sockAccept()` takes them.
   *
   * @param backlog how many may wait. Default: 100
   * @throws TypeError, RangeError; the system's error
   */
  listen(backlog: number = DEFAULT_BACKLOG): void {
    checkInteger('backlog', backlog, 0, LARGEST_INT);
    this._raw.listen(backlog);
  }

  /** The descriptor; -1 once it is closed or detached. */
  fileno(): number {
    return this._raw.fd;
  }

  /**
   * The address of this side; null for what has none.
   *
   * @throws the system's error: `EBADF` when it is closed
   */
  getsockname(): SocketAddress | null {
    return this._raw.sockname();
  }

  /**
   * The address of the other side.
   *
   * @throws the system's error: `ENOTCONN` when it is not connected, `EBADF` when it is closed
   */
  getpeername(): SocketAddress | null {
    return this._raw.peername();
  }

  /**
   * An option of the socket: a number, or with `length` its bytes.
   *
   * @param level `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IPV6`, or another of the system's
   * @param option `SO_REUSEADDR`, `TCP_NODELAY`, or another number of the system's
   * @param length bytes, at most: from 1 to 1024
   * @throws TypeError, RangeError; the system's error: `ENOPROTOOPT` for an option that it has not
   */
  getsockopt(level: number, option: number): number;
  getsockopt(level: number, option: number, length: number): Buffer;
  getsockopt(level: number, option: number, length?: number): Buffer | number {
    return getOption(this._raw, level, option, length);
  }

  /**
   * Sets an option of the socket.
   *
   * @param level as in {@link getsockopt}
   * @param option as in {@link getsockopt}
   * @param value a number, a boolean for 1 or 0, or the bytes that the system wants
   * @throws TypeError, RangeError; the system's error
   */
  setsockopt(level: number, option: number, value: number | boolean | Uint8Array): void {
    setOption(this._raw, level, option, value);
  }

  /**
   * Ends one direction of a connection, or both. Who waits for it learns that.
   *
   * @param how `SHUT_RD`, `SHUT_WR` (the other side sees the end) or `SHUT_RDWR`
   * @throws TypeError, RangeError; the system's error: `ENOTCONN`
   */
  shutdown(how: number): void {
    checkInteger('how', how, 0, 2);
    this._raw.shutdown(how);
  }

  /**
   * Gives the descriptor away: the socket is as closed, and the descriptor stays open.
   *
   * @returns the descriptor; -1 when it was closed already
   * @throws {@link InvalidStateError} while somebody waits for the socket
   */
  detach(): number {
    if (watchOf(this._loop, this.fileno()) !== null) {
      throw new InvalidStateError('the socket is waited for: it cannot be detached');
    }
    this._loop._owned.resources.delete(this);
    return this._raw.detach();
  }

  /**
   * Closes it. Who waits for it gets the error `EBADF`; callbacks of `addReader` and `addWriter` are called
   * no more. Idempotent.
   */
  close(): void {
    if (this.fileno() < 0) return;
    // First, while the number is still this socket's.
    const watchers = watchOf(this._loop, this.fileno())?.release() ?? [];
    this._raw.close();
    this._loop._owned.resources.delete(this);
    for (const watcher of watchers) watcher._closed();
  }

  /** Closes it: `using socket = new Socket()`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  _describe(): string {
    return `a socket (descriptor ${this.fileno()}) was still open`;
  }

  /** @internal */
  _forceClose(): void {
    this.close();
  }
}

type Kind = readonly [family: number | undefined, type: number | undefined, proto: number | undefined];

function open(loop: Loop, [family, type, proto]: Kind, fileno: number | null): RawSocket {
  checkSupports(loop, 'sockets');
  if (fileno !== null) checkUnused(loop, fileno);
  const target = { family: family ?? AF_INET, type: type ?? SOCK_STREAM, proto: proto ?? 0, fileno };
  const raw = loop._backend.socket(target);
  if (fileno === null) return raw;
  try {
    checkFamily('family', raw.family);
    checkSame('family', family, raw.family);
    checkSame('type', type, raw.type);
    checkSame('proto', proto, raw.proto);
  } catch (error) {
    raw.detach();
    throw error;
  }
  return raw;
}

function checkFamily(name: string, family: number): void {
  if (family === AF_INET || family === AF_INET6 || family === AF_UNIX) return;
  if (typeof family !== 'number') throw invalidArgType(name, family, 'AF_INET, AF_INET6 or AF_UNIX');
  throw outOfRange(name, family, 'AF_INET, AF_INET6 or AF_UNIX');
}

function checkSame(name: string, asked: number | undefined, found: number): void {
  if (asked !== undefined && asked !== found)
    throw outOfRange(name, asked, `${found}, as the descriptor has it`);
}

/** Code that outlives its loop must not open anything that nobody will close. */
function checkOpen(loop: Loop): void {
  if (loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
}
