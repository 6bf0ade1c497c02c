/**
 * Calls `onProgress` in the async context of `submit()`. If code of a loop submitted the job, it is called as
 * code of that loop, otherwise as a callback of the host.
 */
import { CapturedContext, captureContext, runInContext, runningLoopOrNull } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';

// biome-ignore lint/suspicious/noExplicitAny: who listens says what is expected
export type OnProgress = (value: any) => unknown;

export class ProgressCaller {
  readonly #onProgress: OnProgress;
  readonly #loop: Loop | null = runningLoopOrNull();
  readonly #context: CapturedContext;

  constructor(onProgress: OnProgress) {
    this.#onProgress = onProgress;
    this.#context = this.#loop === null ? new CapturedContext() : captureContext(this.#loop);
  }

  call(value: unknown): void {
    const loop = this.#loop;
    if (loop === null) {
      this.#context.runInAsyncScope(this.#onProgress, undefined, value);
      return;
    }
    if (loop.isClosed()) return;
    const failed = (exception: unknown): void =>
      loop.callExceptionHandler({ message: 'exception in an onProgress callback', exception });
    try {
      const result = runInContext(loop, this.#context, this.#onProgress, value);
      if (result instanceof Promise) result.then(undefined, failed);
    } catch (exception) {
      failed(exception);
    }
  }
}
