/** `loop.createUnixConnection` and `loop.createUnixServer`. */
import type { RawListener, RawStream } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { AF_UNIX, DEFAULT_BACKLOG } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import { captureContext } from '../../loop/context.ts';
import { checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { operation } from '../../tasks/operation.ts';
import { adopt, checkTakeable } from '../adopt.ts';
import type { StreamProtocol } from '../protocol.ts';
import { Socket } from '../socket/socket.ts';
import type { TlsClientOptions, TlsServerOptions } from '../tls/tls-options.ts';
import { clientTls, serverTls, TLS_CLIENT_OPTIONS, TLS_SERVER_OPTIONS } from '../tls/tls-options.ts';
import type { Transport } from '../transport.ts';
import { attach } from './attach.ts';
import { Server } from './server.ts';

export interface UnixConnectionOptions extends TlsClientOptions, SignalOptions {
  /**
   * A connected `net.Socket` or a descriptor to take over. Then there must be no path. Refused at the call,
   * it is still its owner's; from then on it is closed with the connection, and also when that fails or is
   * cancelled.
   */
  sock?: unknown;
}

export interface UnixServerOptions extends TlsServerOptions, SignalOptions {
  /**
   * A listening `net.Server` or a listening descriptor to take over: closed with the server. Then there must
   * be no path. Refused at the call, it is still its owner's.
   */
  sock?: unknown;
  /** Connections that wait to be accepted. Default: 100. */
  backlog?: number;
  /** Starts to listen at once. Default: true; else `server.startServing()` does. */
  startServing?: boolean;
}

/** Bytes of a path that a socket's address holds. */
const PATH_BYTES = process.platform === 'linux' ? 107 : 103;

const CONNECTION_OPTIONS = ['sock', 'signal', ...TLS_CLIENT_OPTIONS];
const SERVER_OPTIONS = ['sock', 'backlog', 'startServing', 'signal', ...TLS_SERVER_OPTIONS];

/** See `BaseEventLoop.createUnixConnection`. */
export function createUnixConnection<P extends StreamProtocol>(
  loop: Loop,
  factory: () => P,
  path: string | null,
  options: UnixConnectionOptions,
): Future<[Transport, P]> {
  checkFunction('protocolFactory', factory);
  checkOptions('options', options, CONNECTION_OPTIONS);
  const { signal, sock } = options;
  checkSignal('options.signal', signal);
  checkSupports(loop, 'unix');
  checkPathOrSock(loop, path, sock);
  const tls = clientTls(loop, options, null);
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<[Transport, P]>(loop), signal);
  const context = captureContext(loop);
  const reached =
    path === null ? adopt(loop, 'a socket', () => loop._backend.adopt(sock)) : reach(loop, path);
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
export function createUnixServer(
  loop: Loop,
  factory: () => StreamProtocol,
  path: string | null,
  options: UnixServerOptions,
): Future<Server> {
  checkFunction('protocolFactory', factory);
  checkOptions('options', options, SERVER_OPTIONS);
  const { signal, sock = null, backlog = DEFAULT_BACKLOG, startServing = true } = options;
  checkSignal('options.signal', signal);
  checkInteger('options.backlog', backlog, 1, 0x7fffffff);
  checkBoolean('options.startServing', startServing);
  checkSupports(loop, 'unix');
  checkPathOrSock(loop, path, options.sock);
  const tls = serverTls(loop, options);
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<Server>(loop), signal);
  let adopted: Future<RawListener> | null = null;
  const open = async (opened: RawListener[], serves: boolean): Promise<void> => {
    opened.push(await (adopted ?? openListener(loop, server, path, { sock, backlog, serves })));
  };
  const server = new Server(loop, factory, open, () => {}, tls);
  // At the call, so that what is no socket is refused there.
  if (path === null) adopted = openListener(loop, server, path, { sock, backlog, serves: startServing });
  return cancelOnAbort(
    operation(loop, 'createUnixServer', async () => {
      await server._start(startServing);
      adopted = null;
      return server;
    }),
    signal,
  );
}

/**
 * Whether an object can be seen to be no unix socket, before it is taken over. Of a descriptor that shows
 * only then.
 */
function isInet(sock: unknown): boolean {
  if (sock instanceof Socket) return sock.family !== AF_UNIX;
  const { address } = sock as { address?: unknown };
  const found: unknown = typeof address === 'function' ? address.call(sock) : null;
  return typeof found === 'object' && found !== null && 'port' in found;
}

/** Either a path or a socket; and a path that a socket can have. */
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
  if (isAbstract && !loop._backend.features.abstractUnix) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'names of the abstract namespace are there on Linux, with Node 22 or later; use a path',
    );
  }
  if (path.length === Number(isAbstract) || path.includes('\0', 1)) {
    throw outOfRange('path', path, 'a path, not empty and without NUL');
  }
  // The system would take its beginning for the whole.
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
      const attempt = loop._backend.connect(
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

function openListener(
  loop: Loop,
  server: Server,
  path: string | null,
  { sock, backlog, serves }: { sock: unknown; backlog: number; serves: boolean },
): Future<RawListener> {
  return HostOperation.begin<RawListener>(
    loop,
    `opening a server on ${path === null ? 'a socket' : formatAddress(path)}`,
    (listener) => listener.close(),
    (request) => {
      const listener: RawListener = loop._backend.listen(
        { address: path, socket: sock, backlog, reusePort: false, ipv6Only: false, serves },
        {
          onListening: () => request.succeed(listener),
          onConnection: (stream) => server._accept(stream),
          onError: (error) => {
            if (request.done()) server._cannotAccept(listener, error);
            else request.fail(error);
          },
        },
      );
      // One that cannot listen at all has no name, and its error is on the way.
      if (path === null && Array.isArray(listener.sockname())) {
        listener.close();
        request.fail(invalidArgType('sock', sock, 'a unix socket'));
      }
      return () => listener.close();
    },
  );
}
