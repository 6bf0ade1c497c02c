/** The portable backend, which uses only Node's own API. One file for each kind of handle. */
import type { AddressInfo } from '../../base/address.ts';
import { drain } from '../../base/drain.ts';
import { LoopError } from '../../base/errors.ts';
import { hostSetImmediate } from '../../base/host.ts';
import type {
  Backend,
  BackendFeatures,
  ConnectEvents,
  ConnectTarget,
  DatagramOpenEvents,
  DatagramTarget,
  ListenEvents,
  ListenTarget,
  NameQuery,
  RawListener,
  RawPoll,
  RawRequest,
  RawSocket,
  RawStream,
  RawTls,
  ResolveQuery,
  SocketTarget,
  SpawnEvents,
  SpawnTarget,
  TlsContext,
  TlsEvents,
  TlsTarget,
  Turns,
} from '../backend.ts';
import { HostClock } from './clock.ts';
import { connectSocket } from './connect.ts';
import { openDatagram } from './datagram.ts';
import { isDescriptorTaken } from './descriptor-owners.ts';
import { NodeListener } from './listener.ts';
import { openPipe } from './pipe.ts';
import { spawnProcess } from './process.ts';
import { nameOf, resolveName } from './resolver.ts';
import { onInterrupt, onSignal, SIGNALS } from './signal.ts';
import { adoptSocket } from './stream.ts';
import { wrapTls } from './tls.ts';
import { tlsContext } from './tls-context.ts';

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

/** The capabilities of Node's own API on this system. */
export const NODE_FEATURES: BackendFeatures = {
  tcp: true,
  reusePort: hasReusePort(),
  fileno: false,
  unix: process.platform !== 'win32',
  abstractUnix: hasAbstractUnix(),
  pipes: true,
  datagrams: true,
  names: true,
  tls: true,
  subprocesses: true,
  signals: true,
  files: true,
  executors: true,
  polling: false,
  sockets: false,
};

export class NodeBackend implements Backend {
  readonly name: string = 'node';
  readonly features: BackendFeatures = NODE_FEATURES;
  readonly clockResolution: number;
  readonly signals: Readonly<Record<string, number>> = SIGNALS;
  readonly #clock: HostClock;

  constructor(soon?: (callback: () => void) => void) {
    this.#clock = new HostClock(soon);
    this.clockResolution = this.#clock.resolution;
  }

  time(): number {
    return this.#clock.time();
  }

  realTime(): number {
    return this.#clock.time();
  }

  start(turns: Turns): void {
    this.#clock.start(turns);
  }

  stop(): void {
    this.#clock.stop();
  }

  wake(): void {
    this.#clock.wake();
  }

  wakeAt(when: number): void {
    this.#clock.wakeAt(when);
  }

  drain(resume: () => void): boolean {
    return drain(resume);
  }

  /** Between two check phases, the host runs its due timers, with a clock that it has just read. */
  afterHostTimers(callback: () => void): void {
    hostSetImmediate(() => hostSetImmediate(callback));
  }

  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest {
    return resolveName(query, onDone);
  }

  connect(target: ConnectTarget, events: ConnectEvents): RawRequest {
    return connectSocket(target, events);
  }

  adopt(socket: unknown): RawStream {
    return adoptSocket(socket);
  }

  listen(target: ListenTarget, events: ListenEvents): RawListener {
    return new NodeListener(target, events);
  }

  nameOf(query: NameQuery, onDone: (error: Error | null, host: string, service: string) => void): RawRequest {
    return nameOf(query, onDone);
  }

  openPipe(pipe: unknown, direction: 'read' | 'write'): RawStream {
    return openPipe(pipe, direction);
  }

  datagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
    return openDatagram(target, events);
  }

  spawn(target: SpawnTarget, events: SpawnEvents): RawRequest {
    return spawnProcess(target, events);
  }

  signal(signum: number, callback: () => void): RawRequest {
    return onSignal(signum, callback);
  }

  interrupt(signum: number, callback: () => void): RawRequest {
    return onInterrupt(signum, callback);
  }

  tlsContext(ssl: unknown, serverSide: boolean): TlsContext {
    return tlsContext(ssl, serverSide);
  }

  wrapTls(target: TlsTarget, events: TlsEvents): RawTls {
    return wrapTls(target, events);
  }

  poll(_fd: number, _onReady: (readable: boolean, writable: boolean) => void): RawPoll {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'Node does not report when a descriptor is ready: use UvEventLoop',
    );
  }

  usesDescriptor(fd: number): boolean {
    return isDescriptorTaken(fd);
  }

  socket(_target: SocketTarget): RawSocket {
    throw new LoopError('ERR_UNSUPPORTED', 'Node has no sockets without buffers: use UvEventLoop');
  }

  close(): void {}
}
