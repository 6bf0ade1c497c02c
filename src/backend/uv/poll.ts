/** Readiness of descriptors: one set of the kernel's for each loop (native/src/poll.c). */
import type { RawPoll } from '../backend.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { addon, POLLED, register, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';

/** As in uv.h. */
const READABLE = 1;
const WRITABLE = 2;
const TOKENS = 0x7fff_ffff;
const MOST_GHOSTS = 64;

export type OnReady = (readable: boolean, writable: boolean) => void;

/** The set of a loop: there once something is watched. */
export class UvPolls implements Target {
  #id: Id = -1;
  readonly #polls: Map<number, UvPoll> = new Map();
  #lastToken: number = 0;
  /**
   * Tokens that were told of although nobody waits: once that may be, where somebody has just stopped to
   * wait.
   */
  readonly #ghosts: Set<number> = new Set();

  get id(): Id {
    return this.#id;
  }

  /** Whether the descriptor is watched. */
  has(fd: number): boolean {
    return this.#polls.has(fd);
  }

  add(fd: number, onReady: OnReady): RawPoll {
    if (this.#id < 0) this.#open();
    this.#lastToken = (this.#lastToken + 1) & TOKENS;
    const poll = new UvPoll(this, fd, this.#lastToken, onReady);
    this.#polls.set(fd, poll);
    return poll;
  }

  remove(poll: UvPoll): void {
    if (this.#polls.get(poll.fd) === poll) this.#polls.delete(poll.fd);
  }

  close(): void {
    this.#closeSet();
    this.#polls.clear();
  }

  onEvent(kind: number, fd: number, events: number, token: number): void {
    if (kind !== POLLED) return;
    const poll = this.#polls.get(fd);
    // Else the descriptor is another one by now, of the same number.
    if (poll?.token === token) poll.onReady((events & READABLE) !== 0, (events & WRITABLE) !== 0);
    else this.#onGhost(token);
  }

  #open(): void {
    const id = addon().pollOpen();
    if (id < 0) throw systemError(id, 'epoll_create');
    this.#id = id;
    register(this);
  }

  #closeSet(): void {
    if (this.#id < 0) return;
    unregister(this);
    addon().close(this.#id);
    this.#id = -1;
  }

  /**
   * A descriptor that was closed while it was watched, and of which a child has a copy: the kernel still
   * tells of it, and takes no word that it should not. Only a new set is rid of it.
   */
  #onGhost(token: number): void {
    if (!this.#ghosts.has(token)) {
      if (this.#ghosts.size === MOST_GHOSTS) this.#ghosts.clear();
      this.#ghosts.add(token);
      return;
    }
    this.#ghosts.clear();
    this.#closeSet();
    this.#open();
    for (const poll of this.#polls.values()) poll.wantAgain();
  }
}

class UvPoll implements RawPoll {
  readonly fd: number;
  readonly token: number;
  readonly onReady: OnReady;
  readonly #polls: UvPolls;
  #events: number = 0;

  constructor(polls: UvPolls, fd: number, token: number, onReady: OnReady) {
    this.#polls = polls;
    this.fd = fd;
    this.token = token;
    this.onReady = onReady;
  }

  want(readable: boolean, writable: boolean): void {
    this.#events = (readable ? READABLE : 0) | (writable ? WRITABLE : 0);
    const errno = this.wantAgain();
    if (errno < 0) throw systemError(errno, 'epoll_ctl');
  }

  /** 0, or an error: in a new set, that of a descriptor that was closed is nobody's concern. */
  wantAgain(): number {
    return addon().pollWant(this.#polls.id, this.fd, this.#events, this.token);
  }

  close(): void {
    if (this.#polls.id < 0) return;
    addon().pollWant(this.#polls.id, this.fd, 0, this.token);
    this.#polls.remove(this);
  }
}
