/** `loop.createUnixConnection` and `loop.createUnixServer`. */

import type { RawListener, RawStream } from '../../backend/backend.ts';
import { AF_UNIX, DEFAULT_BACKLOG } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import { captureContext } from '../../loop/context.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { operation } from '../../tasks/operation.ts';
import { adopt, checkTakeable } from '../adopt.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { checkFactory } from '../protocol-caller.ts';
import { Socket } from '../socket/socket.ts';
import type { TlsClientOptions, TlsServerOptions } from '../tls/tls-options.ts';
import { clientTls, serverTls, TLS_CLIENT_OPTIONS, TLS_SERVER_OPTIONS } from '../tls/tls-options.ts';
import type { Transport } from '../transport.ts';
import { attach } from './attach.ts';
import type { MakeServer } from './open-server.ts';
import { openListener, openServer } from './open-server.ts';
import type { Server } from './server.ts';

export interface UnixConnectionOptions extends TlsClientOptions, SignalOptions {
  /**
   * A connected `net.Socket` or a file descriptor, which the loop takes over. Excludes a path. If the call
   * throws, the caller still owns the socket. Otherwise the socket is closed with the connection, and also if
   * the call fails later or is cancelled.
   */
  sock?: unknown;
}

export interface UnixServerOptions extends TlsServerOptions, SignalOptions {
  /**
   * A listening `net.Server` or file descriptor, which the loop takes over and closes with the server.
   * Excludes a path. If the call throws, the caller still owns the socket.
   */
  sock?: unknown;
  /** The number of connections that may wait to be accepted. Default: 100. */
  backlog?: number;
  /** Listens at once. Default: true. With false the server listens after `server.startServing()`. */
  startServing?: boolean;
}

/** Bytes of the longest path in a socket address. */
const PATH_BYTES = process.platform === 'linux' ? 107 : 103;

const CONNECTION_OPTIONS = ['sock', 'signal', ...TLS_CLIENT_OPTIONS];
const SERVER_OPTIONS = ['sock', 'backlog', 'startServing', 'signal', ...TLS_SERVER_OPTIONS];

/** See `BaseEventLoop.createUnixConnection`. */
export function createUnixConnection<P extends StreamProtocol>(
  loop: Loop,
  factory: ProtocolFactory<P>,
  path: string | null,
  options: UnixConnectionOptions,
): Future<[Transport, P]> {
  checkFactory(factory);
  checkOptions('options', options, CONNECTION_OPTIONS);
  const { signal, sock } = options;
  checkSignal('options.signal', signal);
  checkSupports(loop, 'unix');
  checkPathOrSock(loop, path, sock);
  const tls = clientTls(loop, options, null);
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const reached =
    path === null
      ? adopt(loop, 'a socket', 'sock', () => capability(loop, 'unix').adopt(sock))
      : reach(loop, path);
  return cancelOnAbort(
    operation(loop, 'createUnixConnection', async () => {
      const stream = await reached;
      if (stream.info().family === AF_UNIX) return attach(loop, stream, factory, context, {}, tls);
      stream.abort();
      throw invalidArgType('sock', sock, 'a unix socket');
    }),
    signal,
  );
}

/** See `BaseEventLoop.createUnixServer`. */
export function createUnixServer<S extends Server>(
  loop: Loop,
  factory: ProtocolFactory<StreamProtocol>,
  path: string | null,
  options: UnixServerOptions,
  make: MakeServer<S>,
): Future<S> {
  checkFactory(factory);
  checkOptions('options', options, SERVER_OPTIONS);
  const { signal, sock = null, backlog = DEFAULT_BACKLOG, startServing = true } = options;
  checkSignal('options.signal', signal);
  checkInteger('options.backlog', backlog, 1, 0x7fffffff);
  checkBoolean('options.startServing', startServing);
  checkSupports(loop, 'unix');
  checkPathOrSock(loop, path, options.sock);
  const tls = serverTls(loop, options);
  const listenOn = (server: Server, serves: boolean): Future<RawListener> =>
    openListener(loop, server, 'unix', {
      address: path,
      socket: sock,
      backlog,
      reusePort: false,
      ipv6Only: false,
      serves,
    });
  return openServer(loop, {
    make,
    name: 'createUnixServer',
    factory,
    tls,
    startServing,
    signal,
    prepare: () => {},
    takeOver: path === null ? listenOn : null,
    bind: async (server, serves, opened) => {
      opened.push(await listenOn(server, serves));
    },
  });
}

/**
 * Tells whether `sock` is known to be an IP socket before it is taken over. The family of a descriptor is
 * known only afterwards.
 */
function isInet(sock: unknown): boolean {
  if (sock instanceof Socket) return sock.family !== AF_UNIX;
  const { address } = sock as { address?: unknown };
  const found: unknown = typeof address === 'function' ? address.call(sock) : null;
  return typeof found === 'object' && found !== null && 'port' in found;
}

/** Checks that there is either a path or a socket, and that the path is valid. */
function checkPathOrSock(loop: Loop, path: unknown, sock: unknown): void {
  const hasSock = sock !== undefined && sock !== null;
  if (hasSock) {
    if (path !== null) throw invalidArgType('path', path, 'null, as sock is given');
    checkTakeable(loop, 'options.sock', sock);
    if (isInet(sock)) throw invalidArgType('sock', sock, 'a unix socket');
    return;
  }
  if (typeof path !== 'string') throw invalidArgType('path', path, 'a path, as no sock is given');
  const isAbstract = path.startsWith('\0');
  if (isAbstract && !loop._backend.abstractUnix) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'abstract names (a path that begins with "\\0") need Linux and Node 22 or later; use a path',
    );
  }
  if (path.length === Number(isAbstract) || path.includes('\0', 1)) {
    throw outOfRange('path', path, 'a path, not empty and without null bytes');
  }
  // The system would silently shorten the path.
  if (Buffer.byteLength(path) > PATH_BYTES) {
    throw outOfRange('path', path, `at most ${PATH_BYTES} bytes long, which is the system's limit`);
  }
}

function reach(loop: Loop, path: string): HostOperation<RawStream> {
  return HostOperation.begin<RawStream>(
    loop,
    `connecting to ${path}`,
    (stream) => stream.abort(),
    (request) => {
      const attempt = capability(loop, 'unix').connect(
        { address: path, local: null },
        {
          onConnect: (stream) => request.succeed(stream),
          onError: (error) => request.fail(error),
        },
      );
      return () => attempt.cancel();
    },
  );
}
