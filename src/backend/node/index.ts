/** The portable backend, which uses only Node's own API. One file for each kind of handle. */
import type {
  Backend,
  Datagrams,
  Descriptors,
  Executors,
  Files,
  Names,
  Pipes,
  Polling,
  Processes,
  RawTls,
  Signals,
  Sockets,
  StreamSockets,
  Tls,
  TlsEvents,
  TlsTarget,
  UnixSockets,
} from '../backend.ts';
import { HostClock } from '../shared/clock.ts';
import { nodeFiles } from '../shared/files.ts';
import { onInterrupt, onSignal, SIGNALS } from '../shared/signal.ts';
import { wrapTls } from '../shared/tls.ts';
import { tlsContext } from '../shared/tls-context.ts';
import { fileAt, removeFile } from '../shared/unix-path.ts';
import { connectSocket } from './connect.ts';
import { openDatagram } from './datagram.ts';
import { isDescriptorTaken } from './descriptor-owners.ts';
import { NodeListener } from './listener.ts';
import { openPipe } from './pipe.ts';
import { spawnProcess } from './process.ts';
import { nameOf, resolveName } from './resolver.ts';
import { adoptSocket, NodeStream } from './stream.ts';

/**
 * `SO_REUSEPORT` was added in Node 22.12 and 23.1. Only since then does the kernel balance several listeners.
 */
function hasReusePort(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  return (
    process.platform === 'linux' &&
    (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12))
  );
}

/** Before Node 22, the name is padded with NULs to 108 bytes, so no other program uses the same name. */
function hasAbstractUnix(): boolean {
  return process.platform === 'linux' && Number.parseInt(process.versions.node, 10) >= 22;
}

export const nodeStreams: StreamSockets = {
  connect: connectSocket,
  listen: (target, events) => new NodeListener(target, events),
  adopt: adoptSocket,
};

function wrap(target: TlsTarget, events: TlsEvents): RawTls {
  if (target.lower instanceof NodeStream) target.lower.expectCiphertext();
  return wrapTls(target, events);
}

/** Node's API has no readiness events, and no sockets without buffers. */
export class NodeBackend extends HostClock implements Backend {
  readonly name: string = 'node';
  readonly reusePort: boolean = hasReusePort();
  readonly abstractUnix: boolean = hasAbstractUnix();
  readonly fileno: boolean = false;
  readonly tcp: StreamSockets | null = nodeStreams;
  readonly unix: UnixSockets | null =
    process.platform === 'win32' ? null : { ...nodeStreams, fileAt, removeFile };
  readonly pipes: Pipes | null = { open: openPipe };
  readonly datagrams: Datagrams | null = { open: openDatagram };
  readonly names: Names | null = { resolve: resolveName, nameOf };
  readonly tls: Tls | null = { context: tlsContext, wrap };
  readonly processes: Processes | null = { spawn: spawnProcess };
  readonly signals: Signals | null = { numbers: SIGNALS, handle: onSignal, interrupt: onInterrupt };
  readonly descriptors: Descriptors | null = { isUsed: isDescriptorTaken };
  readonly polling: Polling | null = null;
  readonly sockets: Sockets | null = null;
  readonly files: Files | null = nodeFiles;
  readonly executors: Executors | null = {};
}
