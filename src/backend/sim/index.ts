/** The simulated backend: a virtual clock, and no operating system. */
import { LoopError } from '../../base/errors.ts';
import type { Backend, BackendFeatures, RawListener, RawRequest, RawStream } from '../backend.ts';
import { VirtualClock } from './clock.ts';

export class SimBackend implements Backend {
  readonly name = 'sim';
  readonly features: BackendFeatures = { tcp: false, reusePort: false, fileno: false };
  readonly clockResolution: number;
  readonly #clock: VirtualClock;

  constructor(startTime: number) {
    this.#clock = new VirtualClock(startTime);
    this.clockResolution = this.#clock.resolution;
  }

  time(): number {
    return this.#clock.time();
  }

  realTime(): number {
    return performance.now() / 1000;
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

  resolve(): RawRequest {
    throw unsupported('names');
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

  /** Ctrl-C is of the real world: it ends the process. */
  onInterrupt(): RawRequest {
    return { cancel: () => {} };
  }

  close(): void {}
}

function unsupported(what: string): LoopError {
  return new LoopError(
    'ERR_UNSUPPORTED',
    `the simulated loop has a clock and no network: ${what} is there on NodeEventLoop`,
  );
}
