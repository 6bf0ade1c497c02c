/** The common steps of `createServer` and `createUnixServer`, after their arguments were checked. */

import type {
  ListenEvents,
  ListenTarget,
  RawListener,
  RawRequest,
  RawStream,
  UnixSockets,
} from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { namingArgument } from '../../base/unusable.ts';
import { invalidArgType } from '../../base/validate.ts';
import { capability } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { operation } from '../../tasks/operation.ts';
import { explainPort } from '../port-error.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import type { TlsRole } from '../tls/tls-options.ts';
import { Server } from './server.ts';
import { removeStale } from './stale-socket.ts';

/** Makes the object of a server: a {@link Server}, or one that can be iterated over. */
export type MakeServer<S extends Server> = (...args: ConstructorParameters<typeof Server>) => S;

export function makeServer(...args: ConstructorParameters<typeof Server>): Server {
  return new Server(...args);
}

export interface ServerSetup<S extends Server> {
  readonly make: MakeServer<S>;
  readonly name: 'createServer' | 'createUnixServer';
  readonly factory: ProtocolFactory<StreamProtocol>;
  readonly tls: TlsRole | null;
  readonly startServing: boolean;
  readonly signal: AbortSignal | undefined;
  /** Called with each accepted connection. */
  readonly prepare: (stream: RawStream) => void;
  /** Takes over a listening socket of the host; null if there is none. */
  readonly takeOver: ((server: Server, serves: boolean) => Future<RawListener>) | null;
  /** Opens the sockets into `opened`. If it fails, `opened` is empty. */
  readonly bind: (server: Server, serves: boolean, opened: RawListener[]) => Promise<void>;
}

/** Makes the server, and opens its sockets. */
export function openServer<S extends Server>(loop: Loop, setup: ServerSetup<S>): Future<S> {
  const { make, name, factory, tls, startServing, signal, prepare, takeOver, bind } = setup;
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<S>(loop), signal);
  let adopted: Future<RawListener> | null = null;
  const open = async (opened: RawListener[], serves: boolean): Promise<void> => {
    if (takeOver === null) await bind(server, serves, opened);
    else opened.push(await (adopted ?? takeOver(server, serves)));
  };
  const server = make(loop, factory, open, prepare, tls);
  // Open it now, so that a wrong `sock` throws at the call.
  if (takeOver !== null) adopted = takeOver(server, startServing);
  return cancelOnAbort(
    operation(loop, name, async () => {
      await server._start(startServing);
      adopted = null;
      return server;
    }),
    signal,
  );
}

/** Opens a listening socket of a server. A stale socket file at a unix path is replaced. */
export function openListener(
  loop: Loop,
  server: Server,
  kind: 'tcp' | 'unix',
  target: ListenTarget,
): Future<RawListener> {
  const { address, socket } = target;
  return HostOperation.begin<RawListener>(
    loop,
    `opening a server on ${address === null ? 'a socket' : formatAddress(address)}`,
    (listener) => listener.close(),
    (request) => {
      const sockets = capability(loop, kind);
      let probe: RawRequest | null = null;
      const listen = (stalePath: string | null): RawListener => {
        const events: ListenEvents = {
          onListening: () => request.succeed(made),
          onConnection: (stream) => server._accept(stream),
          onError: (error) => {
            if (request.done()) server._cannotAccept(made, error);
            else if (stalePath === null || !isTaken(error)) request.fail(explainPort(error, address));
            else probe = removeStale(sockets as UnixSockets, stalePath, (free) => retry(free, error));
          },
        };
        const made = namingArgument('sock', () => sockets.listen(target, events));
        return made;
      };
      const retry = (free: boolean, error: Error): void => {
        if (free) listener = listen(null);
        else request.fail(error);
      };
      let listener = listen(typeof address === 'string' && !address.startsWith('\0') ? address : null);
      // A socket that cannot listen has no name yet; the host reports its error later.
      if (kind === 'unix' && address === null && Array.isArray(listener.sockname())) {
        listener.close();
        request.fail(invalidArgType('sock', socket, 'a unix socket'));
      }
      return () => {
        probe?.cancel();
        listener.close();
      };
    },
  );
}

function isTaken(error: Error): boolean {
  return (error as { code?: string }).code === 'EADDRINUSE';
}
