import type { SignalOptions } from '../../tasks/abort-signal.ts';
import type { Future } from '../../tasks/future.ts';

/** A server, as asyncio's event loop reference describes it. */
export abstract class AbstractServer implements AsyncDisposable {
  /** Stops listening. Open connections stay open. Idempotent. */
  abstract close(): void;
  /**
   * Waits until the server is closed and all of its connections are gone.
   *
   * @param options `signal` cancels the wait
   *
   * **Cancellation** ends the wait, and closes nothing.
   */
  abstract waitClosed(options?: SignalOptions): Future<void>;

  /** Closes the server, and waits as {@link waitClosed} does: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }
}
