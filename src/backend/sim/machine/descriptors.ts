/**
 * The descriptors of a simulated host: numbers for open sockets, pipes and files. The lowest free number from
 * 3 on is the next one.
 *
 * A descriptor belongs to a raw handle (a stream, a listener, a datagram socket), which closes it, or to the
 * program. Several descriptors may refer to one object. It is released with the last one.
 */
import type { RawRequest } from '../../backend.ts';
import { systemError } from '../errors.ts';

/** An open socket, pipe or file. */
export interface OpenObject {
  /** null: the object is always ready, as a file, and cannot be watched. */
  readonly readiness: Readiness | null;
  /** The last descriptor was closed. */
  release(): void;
}

export interface Readiness {
  /** A read would not have to wait. */
  readonly readable: boolean;
  /** A write would not have to wait. */
  readonly writable: boolean;
  /** A hang-up or an error, which counts as both. */
  readonly failed: boolean;
  /** Calls back, from the timeline, when one of these may have become true. */
  watch(listener: () => void): RawRequest;
  /** Asks for the next call. Called when what the listener waits for is not true. */
  listenAgain(): void;
}

interface Descriptor {
  readonly object: OpenObject;
  /** A raw handle owns it. */
  used: boolean;
}

const LOWEST = 3;
/** As many as Linux allows a process at most. */
const DEFAULT_LIMIT = 1_048_576;

export class Descriptors {
  /** The number of descriptors that can be open. More fail with `EMFILE`. */
  limit: number = DEFAULT_LIMIT;
  readonly #open: Map<number, Descriptor> = new Map();
  readonly #references: Map<OpenObject, number> = new Map();
  /** No lower number is free. */
  #lowest: number = LOWEST;

  /** The number of open descriptors. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Returns a new descriptor of `object`.
   *
   * @param used a raw handle owns the descriptor
   * @throws the system's error: `EMFILE`; the caller still owns the object
   */
  open(object: OpenObject, syscall: string, used: boolean = false): number {
    if (this.#open.size >= this.limit) throw systemError('EMFILE', syscall);
    let fd = this.#lowest;
    while (this.#open.has(fd)) fd++;
    this.#lowest = fd + 1;
    this.#open.set(fd, { object, used });
    this.#references.set(object, (this.#references.get(object) ?? 0) + 1);
    return fd;
  }

  /** Returns the object of a descriptor, or null. */
  find(fd: number): OpenObject | null {
    return this.#open.get(fd)?.object ?? null;
  }

  /** Returns the object of a descriptor. Throws the system's error: `EBADF`. */
  get(fd: number, syscall: string): OpenObject {
    const found = this.find(fd);
    if (found === null) throw systemError('EBADF', syscall);
    return found;
  }

  /** Returns another descriptor of the same object, for the program. Throws the system's error. */
  duplicate(fd: number): number {
    return this.open(this.get(fd, 'dup'), 'dup');
  }

  /** Closes a descriptor. Throws the system's error: `EBADF`. */
  close(fd: number): void {
    const object = this.get(fd, 'close');
    this.#open.delete(fd);
    if (fd < this.#lowest) this.#lowest = fd;
    const left = (this.#references.get(object) as number) - 1;
    if (left > 0) {
      this.#references.set(object, left);
      return;
    }
    this.#references.delete(object);
    object.release();
  }

  /** Returns true if a raw handle owns the descriptor. */
  isUsed(fd: number): boolean {
    return this.#open.get(fd)?.used === true;
  }

  /** Gives the descriptor to a raw handle, or back to the program. */
  setUsed(fd: number, used: boolean): void {
    const found = this.#open.get(fd);
    if (found !== undefined) found.used = used;
  }

  /** Forgets all descriptors: the host has crashed. Nothing is released in an orderly way. */
  clear(): void {
    this.#open.clear();
    this.#references.clear();
    this.#lowest = LOWEST;
  }
}
