/**
 * What is left of a child: the process and its pipes, which end in any order. Sans-IO.
 *
 *            exit                     the last pipe
 *   running ──────▶ exited, with pipes ──────▶ over
 *      │                                        ▲
 *      └─ the last pipe ─▶ running, without ────┘ exit
 *
 * A pipe outlives the process where a grandchild has it, or where what came by it was not read yet.
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

  /** Nothing more can come. */
  get over(): boolean {
    return this.#exited && this.#pipes.size === 0;
  }

  /** True: that was the last of it. */
  exit(): boolean {
    if (this.#exited) return false;
    this.#exited = true;
    return this.over;
  }

  /** True: that was the last of it. */
  pipeLost(fd: number): boolean {
    return this.#pipes.delete(fd) && this.over;
  }
}
