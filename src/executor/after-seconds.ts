/**
 * A timer for workers. Workers live in real time and may outlive a loop, so it uses the host's timer. It does
 * not keep the process alive, and it cannot be cancelled, so its callback must check whether there is still
 * something to do.
 */

/** Seconds. Longer times overflow the host's timers. */
export const LONGEST_SECONDS = 2_147_483;

/** @param seconds 0: call now; Infinity: never */
export function afterSeconds(seconds: number, callback: () => void): void {
  if (seconds === 0) callback();
  if (seconds === 0 || seconds === Number.POSITIVE_INFINITY) return;
  AbortSignal.timeout(Math.ceil(seconds * 1000)).addEventListener('abort', callback, { once: true });
}
