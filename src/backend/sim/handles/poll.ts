/**
 * Readiness of descriptors on a simulated host, level-triggered: while a wanted event lasts, it is reported
 * again and again. Each further report comes a little later, so that code which does not read cannot stop
 * time.
 */
import type { RawPoll, RawRequest } from '../../backend.ts';
import { systemError } from '../errors.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { SimHost } from '../host.ts';
import type { Descriptors, OpenObject, Readiness } from '../machine/descriptors.ts';
import type { TimelineEvent } from '../timeline.ts';

type OnReady = (readable: boolean, writable: boolean) => void;

export class SimPoll implements RawPoll {
  readonly #host: SimHost;
  readonly #descriptors: Descriptors;
  readonly #fd: number;
  readonly #onReady: OnReady;
  #object: OpenObject | null = null;
  #watch: RawRequest | null = null;
  #readable: boolean = false;
  #writable: boolean = false;
  /** A report is on its way. */
  #scheduled: boolean = false;
  #again: TimelineEvent | null = null;

  constructor(host: SimHost, descriptors: Descriptors, fd: number, onReady: OnReady) {
    this.#host = host;
    this.#descriptors = descriptors;
    this.#fd = fd;
    this.#onReady = onReady;
  }

  want(readable: boolean, writable: boolean): void {
    const object = this.#descriptors.get(this.#fd, 'epoll_ctl');
    if (object.readiness === null) throw systemError('EPERM', 'epoll_ctl');
    if (object !== this.#object) {
      this.#watch?.cancel();
      this.#object = object;
      this.#watch = object.readiness.watch(this.#changed);
    }
    this.#readable = readable;
    this.#writable = writable;
    this.#again?.cancel();
    this.#again = null;
    this.#changed();
  }

  close(): void {
    this.#watch?.cancel();
    this.#watch = null;
    this.#object = null;
    this.#again?.cancel();
    this.#again = null;
  }

  /** Schedules a report if a wanted event is there. */
  #changed = (): void => {
    if (this.#scheduled || this.#again !== null || !this.#isReady()) return;
    this.#scheduled = true;
    this.#host.soon(this.#report);
  };

  #report = (): void => {
    this.#scheduled = false;
    const readiness = this.#readiness();
    if (readiness === null || !this.#isReady()) return;
    this.#again = this.#host.kernelAfter(LOOPBACK_SECONDS, () => {
      this.#again = null;
      this.#changed();
    });
    this.#onReady(readiness.readable || readiness.failed, readiness.writable || readiness.failed);
  };

  #isReady(): boolean {
    const readiness = this.#readiness();
    if (readiness === null || !(this.#readable || this.#writable)) return false;
    if (readiness.failed) return true;
    if ((this.#readable && readiness.readable) || (this.#writable && readiness.writable)) return true;
    readiness.listenAgain();
    return false;
  }

  #readiness(): Readiness | null {
    return this.#watch === null ? null : (this.#object?.readiness ?? null);
  }
}
