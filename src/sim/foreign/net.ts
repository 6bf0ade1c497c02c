/**
 * `node:net` and `node:tls` inside a host. The classes stay Node's own; only their handles are replaced, at
 * the places where Node makes them:
 *
 *   Socket.connect()                      a socket without a handle
 *   Socket[kReinitializeHandle]()         the next attempt of autoSelectFamily
 *   TLSSocket._wrapHandle()               a TLS client without a socket
 *   Server._listen2()                     a server that is about to bind
 */
import net from 'node:net';
import tls from 'node:tls';
import type { StreamKernel } from '../../backend/sim/kernel-sockets.ts';
import type { SocketAddress } from '../../base/address.ts';
import type { Place } from '../place.ts';
import { errnoOf } from './errno.ts';
import { ListenHandle, TcpListenHandle } from './listen-handle.ts';
import type { Owned } from './native.ts';
import { kReinitializeHandle, ownerSymbol } from './native.ts';
import type { Patches } from './patches.ts';
import { forgetResource } from './real-work.ts';
import { PipeHandle, StreamHandle, TcpHandle, UV_TCP_IPV6ONLY } from './stream-handle.ts';

const UV_TCP_REUSEPORT = 2;

/** The fields of a socket that Node hides. */
interface Socket {
  _handle: (Closable & { _parent?: unknown }) | null;
  _parent?: { readonly connecting: boolean } | null;
  _peername: unknown;
  _sockname: unknown;
  readonly destroyed: boolean;
  readonly connecting: boolean;
  once(event: string, listener: () => void): void;
  _reset(): void;
}

interface Closable {
  close(): void;
  getAsyncId(): number;
}

interface Server {
  _handle: unknown;
}

const tcpOf = ({ kernel }: Place): StreamKernel => kernel.network.tcp;
const unixOf = ({ kernel }: Place): StreamKernel => kernel.machine.unix;
const tcpHandle = (place: Place): TcpHandle => new TcpHandle(place, tcpOf(place));
const pipeHandle = (place: Place): PipeHandle => new PipeHandle(place, unixOf(place));

export function patchNet(patches: Patches): void {
  patchSocket(patches);
  patchDestroy(patches);
  patchTls(patches);
  patches.method(net.Server.prototype, '_listen2', (original) => (place, args, self) => {
    prepareListen(place, self as Server, args);
    return original.apply(self, args);
  });
}

function patchSocket(patches: Patches): void {
  const prototype = net.Socket.prototype as unknown as Socket;
  const { _normalizeArgs: normalize } = net as unknown as { _normalizeArgs(args: unknown[]): unknown[] };
  patches.method(prototype, 'connect', (original) => (place, args, self) => {
    const [options] = Array.isArray(args[0]) ? (args[0] as unknown[]) : normalize(args);
    prepareConnect(place, self as Socket, options as { port?: unknown; path?: unknown });
    return original.apply(self, args);
  });
  patches.method(prototype, kReinitializeHandle, (original) => (place, [handle], self) => {
    return original.call(self, isReal(handle) ? replaced(handle, tcpHandle(place)) : handle);
  });
  patches.method(prototype, 'resetAndDestroy', (original) => (_place, args, self) => {
    const socket = self as Socket;
    // The original wants a TCP handle of the machine.
    if (!(socket._handle instanceof TcpHandle)) return original.apply(self, args);
    if (socket.connecting) socket.once('connect', () => socket._reset());
    else socket._reset();
    return self;
  });
}

/**
 * A socket ends as code of the program that owns it. A library may have one timer for the sockets of several
 * programs, as undici has.
 */
function patchDestroy(patches: Patches): void {
  patches.inherited(net.Socket.prototype, 'destroy', (original) => (_place, args, self) => {
    const bottom = bottomOf((self as Socket)._handle);
    if (bottom instanceof StreamHandle) return bottom.run(() => original.apply(self, args));
    return original.apply(self, args);
  });
}

function patchTls(patches: Patches): void {
  patches.method(
    tls.TLSSocket.prototype,
    '_wrapHandle',
    (original) =>
      (place, [below, given, ...rest], self) => {
        let handle = given;
        if (below === null || below === undefined) {
          const { _tlsOptions: options } = self as { _tlsOptions: { pipe?: boolean } };
          if (given === null || given === undefined)
            handle = options.pipe ? pipeHandle(place) : tcpHandle(place);
          else if (isReal(given)) handle = replaced(given, tcpHandle(place));
          if (handle !== given) (handle as Owned)[ownerSymbol] = self;
        }
        const bottom = bottomOf(handle ?? (below as Socket)._handle);
        if (bottom instanceof StreamHandle) bottom.top = self as StreamHandle['top'];
        return original.call(self, below, handle, ...rest);
      },
  );
}

function bottomOf(handle: unknown): unknown {
  let bottom = handle as { _parent?: unknown } | null | undefined;
  while (bottom?._parent !== undefined) bottom = bottom._parent as typeof bottom;
  return bottom;
}

/** Whether Node has made a handle for a new connection of the machine. */
function isReal(handle: unknown): handle is Closable {
  return (handle as object | null)?.constructor.name === 'TCP';
}

/** Closes a handle that was never opened. The host would report its end only in a later call. */
function replaced<H>(real: Closable, handle: H): H {
  const asyncId = real.getAsyncId();
  real.close();
  forgetResource(asyncId);
  return handle;
}

function prepareConnect(
  place: Place,
  socket: Socket,
  { port, path }: { port?: unknown; path?: unknown },
): void {
  // In these cases the original makes no handle.
  if (socket._parent?.connecting || (port === undefined && (path === undefined || path === null))) return;
  if (socket.destroyed) {
    socket._handle = null;
    socket._peername = undefined;
    socket._sockname = undefined;
  }
  if (socket._handle === null) reinitialize(socket, path ? pipeHandle(place) : tcpHandle(place));
}

function reinitialize(socket: Socket, handle: StreamHandle): void {
  (socket as unknown as Record<symbol, (handle: StreamHandle) => void>)[kReinitializeHandle]?.(handle);
}

/** The arguments of `_listen2()`: address, port, type of the address, backlog, descriptor, flags. */
function prepareListen(place: Place, server: Server, args: unknown[]): void {
  const [address, port, type, , fd, flags] = args as [
    string | null,
    number,
    number,
    number,
    number?,
    number?,
  ];
  if (server._handle !== null || (typeof fd === 'number' && fd >= 0)) return;
  server._handle = listenHandle(place, address, port, type, flags ?? 0);
  if (address !== null && address !== undefined && address !== '') return;
  args[0] = '::';
  args[2] = 6;
}

/** Binds, and reports a failure as a handle that cannot listen: Node tells it in the same way. */
function listenHandle(
  place: Place,
  address: string | null,
  port: number,
  type: number,
  flags: number,
): ListenHandle | { listen(): number; close(): void } {
  const isPipe = port === -1 && type === -1;
  const options = {
    address: isPipe ? (address as string) : inetAddress(address, port, type),
    ipv6Only: (flags & UV_TCP_IPV6ONLY) !== 0,
    reusePort: (flags & UV_TCP_REUSEPORT) !== 0,
  };
  try {
    if (isPipe) return new ListenHandle(place, unixOf(place), options, () => pipeHandle(place));
    return new TcpListenHandle(place, tcpOf(place), options, () => tcpHandle(place));
  } catch (error) {
    const status = errnoOf(error);
    return { listen: () => status, close() {} };
  }
}

function inetAddress(address: string | null, port: number, type: number): SocketAddress {
  if (!address) return ['::', port, 0, 0];
  return type === 6 ? [address, port, 0, 0] : [address, port];
}
