/**
 * The remaining parts of a child: the process and its pipes, which end in any order. It has no I/O.
 *
 *            exit                     the last pipe
 *   running ──────▶ exited, with pipes ──────▶ over
 *      │                                        ▲
 *      └─ the last pipe ─▶ running, without ────┘ exit
 *
 * A pipe outlives the process if a grandchild holds it, or if data in it was not read yet.
 */
export class ExitState {
  #exited: boolean = false;
  readonly #pipes: Set<number>;

  /** @param pipes the child's descriptors that are pipes */
  constructor(pipes: Iterable<number>) {
    this.#pipes = new Set(pipes);
  }

  get exited(): boolean {
    return this.#exited;
  }

  get pipesOpen(): boolean {
    return this.#pipes.size > 0;
  }

  /** True if no event can follow. */
  get over(): boolean {
    return this.#exited && this.#pipes.size === 0;
  }

  /** Records the exit. Returns true if this was the last event. */
  exit(): boolean {
    if (this.#exited) return false;
    this.#exited = true;
    return this.over;
  }

  /** Records the end of a pipe. Returns true if this was the last event. */
  pipeLost(fd: number): boolean {
    return this.#pipes.delete(fd) && this.over;
  }
}
