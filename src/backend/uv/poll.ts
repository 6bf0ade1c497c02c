/** Readiness of descriptors. Each loop has an epoll instance (native/src/poll.c). */
import type { RawPoll } from '../backend.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { addon, POLLED, register, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';

/** The same numbers as in uv.h. */
const READABLE = 1;
const WRITABLE = 2;
const TOKENS = 0x7fff_ffff;
const MOST_STALE_TOKENS = 64;

export type OnReady = (readable: boolean, writable: boolean) => void;

/** The epoll instance of a loop. It is opened when the first descriptor is watched. */
export class UvPolls implements Target {
  #id: Id = -1;
  readonly #polls: Map<number, UvPoll> = new Map();
  #lastToken: number = 0;
  /**
   * Tokens of events that came although no poll has the token. One such event is normal, right after a poll
   * was closed.
   */
  readonly #staleTokens: Set<number> = new Set();

  get id(): Id {
    return this.#id;
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
    this.#closeEpoll();
    this.#polls.clear();
  }

  onEvent(kind: number, fd: number, events: number, token: number): void {
    if (kind !== POLLED) return;
    const poll = this.#polls.get(fd);
    // Another token means that the number now belongs to another descriptor.
    if (poll?.token === token) poll.onReady((events & READABLE) !== 0, (events & WRITABLE) !== 0);
    else this.#onStaleEvent(token);
  }

  #open(): void {
    const id = addon().pollOpen();
    if (id < 0) throw systemError(id, 'epoll_create');
    this.#id = id;
    register(this);
  }

  #closeEpoll(): void {
    if (this.#id < 0) return;
    unregister(this);
    addon().close(this.#id);
    this.#id = -1;
  }

  /**
   * The second event with a token that no poll has: the descriptor was closed while it was watched, and a
   * child has a copy of it. The kernel keeps reporting it, and cannot be told to stop. Only a new epoll
   * instance stops that.
   */
  #onStaleEvent(token: number): void {
    if (!this.#staleTokens.has(token)) {
      if (this.#staleTokens.size === MOST_STALE_TOKENS) this.#staleTokens.clear();
      this.#staleTokens.add(token);
      return;
    }
    this.#staleTokens.clear();
    this.#closeEpoll();
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

  /**
   * Registers the events. Returns 0 or an error. In a new epoll instance, an error means that the descriptor
   * was closed, and is ignored.
   */
  wantAgain(): number {
    return addon().pollWant(this.#polls.id, this.fd, this.#events, this.token);
  }

  close(): void {
    if (this.#polls.id < 0) return;
    addon().pollWant(this.#polls.id, this.fd, 0, this.token);
    this.#polls.remove(this);
  }
}
