/** A non-blocking socket of the system, without buffers and without a protocol. */

import type { RawSocket } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { familyName } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX, DEFAULT_BACKLOG, SOCK_STREAM } from '../../base/constants.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { showInOneLine } from '../../base/one-line.ts';
import { checkInteger, checkOptions, invalidArgType, outOfRange } from '../../base/validate.ts';
import { runningLoop } from '../../loop/context.ts';
import { rememberOrigin } from '../../loop/creation.ts';
import type { Resource } from '../../loop/ownership.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import { checkLoop } from '../../tasks/current.ts';
import { checkUnused } from '../adopt.ts';
import { getOption, setOption } from '../socket-options.ts';
import { checkBindAddress } from './socket-address.ts';
import { watchOf } from './watchers.ts';

export interface SocketOptions {
  /**
   * The file descriptor of a socket to take over. The socket then keeps its own family, type and protocol.
   */
  fileno?: number;
  /** The loop of the socket. Default: the running loop. */
  loop?: Loop;
}

const OPTIONS = ['fileno', 'loop'];
const LARGEST_INT = 0x7fff_ffff;

/**
 * The handle of the next `Socket`, if the backend has opened it already: a private argument that the public
 * constructor has no parameter for.
 */
let accepted: RawSocket | null = null;

/**
 * A non-blocking socket without buffers. It is for `loop.sockConnect()`, `loop.sockRecv()` and the like, and
 * for the option `sock` of `createConnection()` and `createServer()`, which take over its descriptor.
 *
 * A socket belongs to one loop. `loop.close()` closes it and reports it as a leak. Another loop rejects the
 * socket, but accepts its descriptor: see `detach()`.
 *
 * **Backends** The native and the simulated backend have sockets; the portable one throws `ERR_UNSUPPORTED`.
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
  /** `SOCK_STREAM`, `SOCK_DGRAM`, or another type of the system. */
  readonly type: number;
  /** The protocol; 0 is the default of the type. */
  readonly proto: number;
  /** @internal */ readonly _loop: Loop;
  /** @internal */ readonly _raw: RawSocket;
  /** The number of calls that completed at once, since the last call that waited. @internal */
  _eager: number = 0;

  /**
   * Opens a socket, or takes over the socket of a descriptor. The descriptor then becomes non-blocking, and
   * is closed with this socket. If the constructor throws, the caller still owns the descriptor.
   *
   * @param family `AF_INET` (default), `AF_INET6` or `AF_UNIX`
   * @param type `SOCK_STREAM` (default), `SOCK_DGRAM`, or the number of another type of the system
   * @param proto 0 (default) for the default protocol of the type
   * @param options `fileno`: the other arguments must then be absent, or equal to those of the descriptor;
   *   `loop`
   * @throws TypeError, RangeError; the system's error: `EMFILE`, `EPROTONOSUPPORT`, `ENOTSOCK` if the
   *   descriptor is no socket; {@link InvalidStateError} if a transport or server uses the descriptor;
   *   LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`, `ERR_UNSUPPORTED`
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
   * Makes a socket of a handle that the backend has opened: an accepted connection, or a duplicate of a
   * transport's socket.
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
   * Binds the socket to an address.
   *
   * @param address `[host, port]` or `[host, port, flowinfo, scopeId]`: a literal host, or `''` for all
   *   interfaces; port 0 for a free port. For a unix socket a path; its file stays when the socket is closed
   * @throws TypeError, RangeError; the system's error: `EADDRINUSE`, `EACCES`, or `EBADF` if the socket is
   *   closed
   */
  bind(address: SocketAddress): void {
    this._raw.bind(checkBindAddress(address, this.family));
  }

  /**
   * Listens for connections, which `loop.sockAccept()` accepts.
   *
   * @param backlog the number of connections that may wait to be accepted. Default: 100
   * @throws TypeError, RangeError; the system's error
   */
  listen(backlog: number = DEFAULT_BACKLOG): void {
    checkInteger('backlog', backlog, 0, LARGEST_INT);
    this._raw.listen(backlog);
  }

  /** Returns the file descriptor; -1 after `close()` or `detach()`. */
  fileno(): number {
    return this._raw.fd;
  }

  /**
   * Returns the local address; null if the socket has none.
   *
   * @throws the system's error: `EBADF` if the socket is closed
   */
  getsockname(): SocketAddress | null {
    return this._raw.sockname();
  }

  /**
   * Returns the remote address.
   *
   * @throws the system's error: `ENOTCONN` if the socket is not connected, `EBADF` if it is closed
   */
  getpeername(): SocketAddress | null {
    return this._raw.peername();
  }

  /**
   * Returns an option of the socket: as a number, or with `length` as bytes.
   *
   * @param level `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IPV6`, or another level of the system
   * @param option `SO_REUSEADDR`, `TCP_NODELAY`, or another option of the system
   * @param length the longest result in bytes: from 1 to 1024
   * @throws TypeError, RangeError; the system's error: `ENOPROTOOPT` for an unknown option
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
   * @param value a number, a boolean for 1 or 0, or the bytes of the option's value
   * @throws TypeError, RangeError; the system's error
   */
  setsockopt(level: number, option: number, value: number | boolean | Uint8Array): void {
    setOption(this._raw, level, option, value);
  }

  /**
   * Shuts down one direction of a connection, or both. Pending calls for that direction are woken.
   *
   * @param how `SHUT_RD`, `SHUT_WR` (the peer then reads the end of file) or `SHUT_RDWR`
   * @throws TypeError, RangeError; the system's error: `ENOTCONN`
   */
  shutdown(how: number): void {
    checkInteger('how', how, 0, 2);
    this._raw.shutdown(how);
  }

  /**
   * Gives the descriptor to the caller. The descriptor stays open, and this socket counts as closed.
   *
   * @returns the file descriptor; -1 if the socket was closed already
   * @throws {@link InvalidStateError} while a call or a callback waits for the socket
   */
  detach(): number {
    if (watchOf(this._loop, this.fileno()) !== null) {
      throw new InvalidStateError('detach(): a call or a callback still waits for this socket');
    }
    this._loop._owned.resources.delete(this);
    return this._raw.detach();
  }

  /**
   * Closes the socket. Pending calls fail with `EBADF`, and callbacks of `addReader` and `addWriter` are
   * called no more. Idempotent.
   */
  close(): void {
    if (this.fileno() < 0) return;
    // First, while the number still belongs to this socket.
    const watchers = watchOf(this._loop, this.fileno())?.release() ?? [];
    this._raw.close();
    this._loop._owned.resources.delete(this);
    for (const watcher of watchers) watcher._closed();
  }

  /** Closes the socket: `using socket = new Socket()`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  _facts(): string {
    const fd = this.fileno();
    return `${familyName(this.family)}, ${fd < 0 ? 'closed' : `descriptor ${fd}`}`;
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

showInOneLine(Socket);

type Kind = readonly [family: number | undefined, type: number | undefined, proto: number | undefined];

function open(loop: Loop, [family, type, proto]: Kind, fileno: number | null): RawSocket {
  checkSupports(loop, 'sockets');
  if (fileno !== null) checkUnused(loop, fileno);
  const target = { family: family ?? AF_INET, type: type ?? SOCK_STREAM, proto: proto ?? 0, fileno };
  const raw = capability(loop, 'sockets').open(target);
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

/** Code that outlives its loop must not open a socket: no loop would close it. */
function checkOpen(loop: Loop): void {
  if (loop.isClosed()) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
}
