/**
 * `loop.sockConnect`, `loop.sockRecv` and the like.
 *
 * Each call tries once at once. If it would block, it waits until the socket is ready. Then it tries again
 * when the ready queue runs it, and delivers the result in the same step. So a cancelled call has taken
 * nothing from the socket.
 */
import type { RawSocket } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { InvalidStateError } from '../../base/errors.ts';
import { encodeText } from '../../base/text.ts';
import { checkData, checkInteger, invalidArgType, outOfRange } from '../../base/validate.ts';
import { checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import type { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import { OwnedFuture } from '../../tasks/owned-future.ts';
import { aborted, failed, signalOf, succeeded } from '../../tasks/settled.ts';
import { resolve } from '../names/resolve.ts';
import { Socket } from './socket.ts';
import type { PeerAddress } from './socket-address.ts';
import { checkPeerAddress, checkSocketAddress } from './socket-address.ts';
import type { Direction, Watch, Watcher } from './watchers.ts';
import { watch, watchOf } from './watchers.ts';

/** The result of an attempt that would block. */
export const WAIT: unique symbol = Symbol('wait');

/** Makes one attempt. Throws the system's error. */
type Attempt<T> = (raw: RawSocket) => T | typeof WAIT;

/**
 * The number of calls of a socket that may complete at once, one after the other. The next call waits for a
 * turn. Awaiting a completed future costs no turn, so a fast peer could keep all other code from running.
 */
const EAGER_CALLS = 16;

const MOST_BYTES = 0x7fff_ffff;

/** See `BaseEventLoop.sockRecv`. */
export function sockRecv(loop: Loop, sock: Socket, size: number, options: SignalOptions): Future<Buffer> {
  checkSocket(loop, sock);
  checkInteger('size', size, 0, MOST_BYTES);
  return call(loop, sock, 'reading', 'receiving from', options, (raw) =>
    // Without this, the system would wait for data although none is wanted.
    size === 0 ? Buffer.alloc(0) : (raw.recv(size) ?? WAIT),
  );
}

/** See `BaseEventLoop.sockRecvInto`. */
export function sockRecvInto(
  loop: Loop,
  sock: Socket,
  buffer: Uint8Array,
  options: SignalOptions,
): Future<number> {
  checkSocket(loop, sock);
  const check = roomCheck(buffer);
  return call(loop, sock, 'reading', 'receiving from', options, (raw) => {
    check();
    return buffer.length === 0 ? 0 : (raw.recvInto(buffer) ?? WAIT);
  });
}

/** See `BaseEventLoop.sockRecvfrom`. */
export function sockRecvfrom(
  loop: Loop,
  sock: Socket,
  size: number,
  options: SignalOptions,
): Future<[Buffer, SocketAddress | null]> {
  checkSocket(loop, sock);
  checkInteger('size', size, 0, MOST_BYTES);
  return call(loop, sock, 'reading', 'receiving from', options, (raw) => raw.recvFrom(size) ?? WAIT);
}

/** See `BaseEventLoop.sockRecvfromInto`. */
export function sockRecvfromInto(
  loop: Loop,
  sock: Socket,
  buffer: Uint8Array,
  options: SignalOptions,
): Future<[number, SocketAddress | null]> {
  checkSocket(loop, sock);
  const check = roomCheck(buffer);
  return call(loop, sock, 'reading', 'receiving from', options, (raw) => {
    check();
    return raw.recvFromInto(buffer) ?? WAIT;
  });
}

/** See `BaseEventLoop.sockSendall`. */
export function sockSendall(
  loop: Loop,
  sock: Socket,
  data: string | Uint8Array,
  options: SignalOptions,
): Future<void> {
  checkSocket(loop, sock);
  checkData('data', data);
  const bytes = typeof data === 'string' ? encodeText(data) : data;
  const { length } = bytes;
  let offset = 0;
  return call(loop, sock, 'writing', 'sending to', options, (raw) => {
    checkLength('data', bytes, length);
    // Also for empty data: on a datagram socket that is an empty datagram.
    const sent = raw.send(bytes, offset);
    if (sent === null) return WAIT;
    offset += sent;
    // A partial write means that the kernel's buffer is full.
    return offset < length ? WAIT : undefined;
  });
}

/** See `BaseEventLoop.sockSendto`. */
export function sockSendto(
  loop: Loop,
  sock: Socket,
  data: string | Uint8Array,
  address: SocketAddress,
  options: SignalOptions,
): Future<number> {
  checkSocket(loop, sock);
  checkData('data', data);
  const bytes = typeof data === 'string' ? encodeText(data) : data;
  const { length } = bytes;
  const to = checkSocketAddress(address, sock.family);
  return call(loop, sock, 'writing', 'sending to', options, (raw) => {
    checkLength('data', bytes, length);
    return raw.sendTo(bytes, to) ?? WAIT;
  });
}

/** See `BaseEventLoop.sockAccept`. */
export function sockAccept(
  loop: Loop,
  sock: Socket,
  options: SignalOptions,
): Future<[Socket, SocketAddress | null]> {
  checkSocket(loop, sock);
  return call(loop, sock, 'reading', 'accepting from', options, (raw) => {
    const taken = raw.accept();
    return taken === null ? WAIT : [Socket._of(loop, taken[0]), taken[1]];
  });
}

/** See `BaseEventLoop.sockConnect`. */
export function sockConnect(
  loop: Loop,
  sock: Socket,
  address: PeerAddress,
  options: SignalOptions,
): Future<void> {
  checkSocket(loop, sock);
  const peer = checkPeerAddress(address, sock.family);
  if (typeof peer === 'string' || !('name' in peer)) return connect(loop, sock, peer, options);
  const signal = signalOf(options);
  if (signal?.aborted) return aborted(loop, signal);
  return cancelOnAbort(
    operation(loop, 'sockConnect', async () => {
      const [found] = await resolve(loop, peer.name, peer.port, { family: sock.family, flags: 0 });
      await connect(loop, sock, found as SocketAddress, {});
    }),
    signal,
  );
}

function connect(loop: Loop, sock: Socket, address: SocketAddress, options: SignalOptions): Future<void> {
  return call(loop, sock, 'writing', 'connecting', options, (raw) =>
    raw.connect(address) ? undefined : WAIT,
  );
}

// --- checks ---

export function checkSocket(loop: Loop, sock: unknown): void {
  checkSupports(loop, 'sockets');
  if (!(sock instanceof Socket)) throw invalidArgType('sock', sock, 'a Socket');
  if (sock._loop !== loop) throw outOfRange('sock', sock, 'of this loop, not of another one');
}

/**
 * Checks the buffer. Returns a function that checks it again, because the buffer can be transferred or shrunk
 * while a call waits.
 */
function roomCheck(buffer: unknown): () => void {
  if (!(buffer instanceof Uint8Array)) throw invalidArgType('buffer', buffer, 'a Uint8Array');
  const { length } = buffer;
  return () => checkLength('buffer', buffer, length);
}

/** A shorter buffer would look like the end of the connection. */
function checkLength(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length < length) {
    throw outOfRange(name, bytes.length, `at least ${length} bytes long until the call is done`);
  }
}

function checkFree(sock: Socket, direction: Direction): void {
  if ((watchOf(sock._loop, sock.fileno())?.get(direction) ?? null) === null) return;
  throw new InvalidStateError(`socket ${sock.fileno()}: another call already waits for ${direction}`);
}

// --- waiting ---

/**
 * Makes an attempt now, and further ones whenever the socket is ready.
 *
 * @param what for the leak report: `receiving from`, which ` a socket` follows
 */
export function call<T>(
  loop: Loop,
  sock: Socket,
  direction: Direction,
  what: string,
  options: SignalOptions,
  attempt: Attempt<T>,
): Future<T> {
  const signal = signalOf(options);
  if (signal?.aborted) return aborted(loop, signal);
  checkFree(sock, direction);
  const isEager = sock._eager < EAGER_CALLS || sock.fileno() < 0;
  if (isEager) {
    sock._eager++;
    try {
      const result = attempt(sock._raw);
      if (result !== WAIT) return succeeded(loop, result);
    } catch (error) {
      return failed(loop, error);
    }
  }
  const waiting = new SockCall(sock, direction, what, attempt);
  try {
    waiting.begin(!isEager);
  } catch (error) {
    return failed(loop, error);
  }
  sock._eager = 0;
  return cancelOnAbort(waiting, signal);
}

class SockCall<T> extends OwnedFuture<T> implements Watcher {
  _queued: boolean = false;
  _paused: boolean = false;
  readonly #sock: Socket;
  readonly #direction: Direction;
  readonly #what: string;
  readonly #attempt: Attempt<T>;
  #watch: Watch | null = null;

  constructor(sock: Socket, direction: Direction, what: string, attempt: Attempt<T>) {
    super(sock._loop);
    this.#sock = sock;
    this.#direction = direction;
    this.#what = what;
    this.#attempt = attempt;
  }

  /** @param triesFirst tries in the next turn, before it waits for readiness */
  begin(triesFirst: boolean): void {
    this._queued = triesFirst;
    this._paused = triesFirst;
    this.#watch = watch(this._loop, this.#sock.fileno(), this.#direction, this);
    this._loop._owned.resources.add(this);
    if (triesFirst) this._loop._scheduler.push(this);
  }

  /** Makes an attempt, as an entry of the ready queue. */
  _run(): void {
    this._queued = false;
    if (this._state !== 'pending') return;
    let result: T | typeof WAIT;
    try {
      result = this.#attempt(this.#sock._raw);
      if (result === WAIT) {
        this.#watch?.hasRun(this);
        return;
      }
    } catch (error) {
      this.#end();
      this._watchRetrieval(error);
      this._deliver('exception', error);
      return;
    }
    this.#end();
    this._deliver('result', result);
  }

  /** The socket was closed. Another attempt gives the system's error for that. */
  _closed(): void {
    this.#watch = null;
    this._loop._scheduler.push(this);
  }

  _describe(): string {
    return `${this.#what} a socket was still under way`;
  }

  protected _abandon(): void {
    this.#watch?.remove(this);
    this.#watch = null;
  }

  /** The call has succeeded or failed. */
  #end(): void {
    this._abandon();
    this._loop._owned.resources.delete(this);
  }
}
