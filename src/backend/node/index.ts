/** The portable backend: Node's own API, wherever that runs. One file a kind of handle. */
import type { AddressInfo } from '../../base/address.ts';
import type {
  Backend,
  BackendFeatures,
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  RawListener,
  RawRequest,
  RawStream,
  ResolveQuery,
} from '../backend.ts';
import { HostClock } from './clock.ts';
import { connectSocket } from './connect.ts';
import { onInterrupt } from './interrupt.ts';
import { NodeListener } from './listener.ts';
import { resolveName } from './resolver.ts';
import { adoptSocket } from './stream.ts';

/** `SO_REUSEPORT` came with Node 22.12 and 23.1; and only there are several listeners balanced by the kernel. */
function hasReusePort(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  return (
    process.platform === 'linux' &&
    (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12))
  );
}

export class NodeBackend implements Backend {
  readonly name = 'node';
  readonly features: BackendFeatures = { tcp: true, reusePort: hasReusePort(), fileno: false };
  readonly clockResolution: number;
  readonly #clock: HostClock;

  constructor() {
    this.#clock = new HostClock();
    this.clockResolution = this.#clock.resolution;
  }

  time(): number {
    return this.#clock.time();
  }

  realTime(): number {
    return this.#clock.time();
  }

  start(onTurn: () => void, onTurnEnd: () => void): void {
    this.#clock.start(onTurn, onTurnEnd);
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

  onInterrupt(callback: () => void): RawRequest {
    return onInterrupt(callback);
  }

  close(): void {}
}
