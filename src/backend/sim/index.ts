/** The simulated backend: a loop on a simulated host, with no operating system. */
import { LoopError } from '../../base/errors.ts';
import { hostNow, hostQueueMicrotask } from '../../base/host.ts';
import type {
  Backend,
  BackendFeatures,
  RawListener,
  RawPoll,
  RawRequest,
  RawSocket,
  RawStream,
  RawTls,
  TlsContext,
  Turns,
} from '../backend.ts';
import type { Kernel } from './kernel.ts';
import { LoopClock } from './loop-clock.ts';

export class SimBackend implements Backend {
  readonly name = 'sim';
  readonly features: BackendFeatures = {
    tcp: false,
    reusePort: false,
    fileno: false,
    unix: false,
    abstractUnix: false,
    pipes: false,
    datagrams: false,
    names: false,
    tls: false,
    subprocesses: false,
    signals: false,
    files: false,
    executors: false,
    polling: false,
    sockets: false,
  };
  readonly clockResolution: number;
  readonly signals: Readonly<Record<string, number>> = {};
  readonly #kernel: Kernel;
  readonly #clock: LoopClock;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#clock = new LoopClock(kernel.host);
    this.clockResolution = this.#clock.resolution;
  }

  time(): number {
    return this.#clock.time();
  }

  realTime(): number {
    return hostNow() / 1000;
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
    return this.#kernel.host.timeline.drain(resume);
  }

  /** Calls back before the pass in which the clock may jump. */
  afterHostTimers(callback: () => void): void {
    hostQueueMicrotask(callback);
  }

  resolve(): RawRequest {
    throw unsupported('name resolution');
  }

  connect(): RawRequest {
    throw unsupported('TCP');
  }

  adopt(): RawStream {
    throw unsupported('TCP');
  }

  listen(): RawListener {
    throw unsupported('TCP');
  }

  nameOf(): RawRequest {
    throw unsupported('name resolution');
  }

  openPipe(): RawStream {
    throw unsupported('pipes');
  }

  datagram(): RawRequest {
    throw unsupported('UDP');
  }

  spawn(): RawRequest {
    throw unsupported('subprocesses');
  }

  signal(): RawRequest {
    throw unsupported('signals');
  }

  interrupt(): RawRequest {
    throw unsupported('signals');
  }

  tlsContext(): TlsContext {
    throw unsupported('TLS');
  }

  wrapTls(): RawTls {
    throw unsupported('TLS');
  }

  poll(): RawPoll {
    throw unsupported('readiness of descriptors');
  }

  usesDescriptor(): boolean {
    return false;
  }

  socket(): RawSocket {
    throw unsupported('sockets');
  }

  close(): void {}
}

function unsupported(feature: string): LoopError {
  return new LoopError(
    'ERR_UNSUPPORTED',
    `the simulated loop does not support ${feature}: use NodeEventLoop`,
  );
}
