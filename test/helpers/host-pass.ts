/** Waiting for the host. */

import type { BaseEventLoop } from '../../src/index.ts';

/**
 * Waits until the host has polled, and has delivered its events. Works without a loop that runs.
 *
 * @param count poll phases; the default is more than any event over this machine's own addresses needs
 */
export async function hostPasses(count: number = 30): Promise<void> {
  for (let i = 0; i < count; i++) await hostPass();
}

/** Waits for one poll phase of the host. */
export function hostPass(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Waits for a turn of the loop that follows a poll phase of the host. */
export async function pollingTurn(loop: BaseEventLoop): Promise<void> {
  const future = loop.createFuture<void>();
  setImmediate(() => loop.callSoon(() => future.setResult(undefined)));
  await future;
}
