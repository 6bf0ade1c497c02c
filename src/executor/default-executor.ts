/** A loop's default executor. It is made on first use, and ends with the loop. */
import { BrokenExecutorError } from '../base/errors.ts';
import { capability } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { Executor } from './executor.ts';
import { InThreadExecutor } from './in-thread-executor.ts';
import { ThreadPoolExecutor } from './thread-pool.ts';

const defaults: WeakMap<Loop, DefaultExecutor> = new WeakMap();

export class DefaultExecutor {
  readonly #loop: Loop;
  #executor: Executor | null = null;
  /** Executors that were made here. No other code can end them. */
  readonly #own: Set<Executor> = new Set();
  #shutDown: boolean = false;

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  /** Returns true if the loop has a default executor. */
  static has(loop: Loop): boolean {
    return defaults.has(loop);
  }

  static of(loop: Loop): DefaultExecutor {
    let found = defaults.get(loop);
    if (found === undefined) {
      found = new DefaultExecutor(loop);
      defaults.set(loop, found);
      loop._owned.unreported.add(found);
    }
    return found;
  }

  /** @throws BrokenExecutorError after {@link shutdown}, even if another executor was set since */
  get(): Executor {
    if (this.#shutDown)
      throw new BrokenExecutorError('the default executor of this event loop was shut down');
    this.#executor ??= this.#make();
    return this.#executor;
  }

  set(executor: Executor): void {
    for (const own of this.#own) void own.shutdown({ wait: false });
    this.#executor = executor;
  }

  async shutdown(): Promise<void> {
    this.#shutDown = true;
    await this.#executor?.shutdown({ wait: true });
  }

  /** The loop was closed, so no code waits for the jobs any more. */
  _forceClose(): void {
    const ending = new Set(this.#own);
    if (this.#executor !== null) ending.add(this.#executor);
    this.#shutDown = true;
    this.#executor = null;
    for (const executor of ending) {
      if (executor instanceof ThreadPoolExecutor && this.#own.has(executor)) executor._kill();
      else this.#end(executor);
    }
  }

  #make(): Executor {
    const { inThread } = capability(this.#loop, 'executors');
    const executor = inThread === undefined ? new ThreadPoolExecutor() : new InThreadExecutor(inThread);
    this.#own.add(executor);
    return executor;
  }

  #end(executor: Executor): void {
    const loop = this.#loop;
    const failed = (exception: unknown): void =>
      loop.callExceptionHandler({ message: 'the default executor could not be shut down', exception });
    try {
      Promise.resolve(executor.shutdown({ wait: false, cancelPending: true })).then(undefined, failed);
    } catch (exception) {
      failed(exception);
    }
  }
}
