/**
 * A deadline for workers. They live in real time and may outlive a loop, so it is the host's own; it keeps
 * nothing alive, and it cannot be taken back, so what it calls looks whether there is still something to do.
 */

/** Seconds. The host's timers overflow beyond it. */
export const LONGEST_SECONDS = 2_147_483;

/** @param seconds 0: now; Infinity: never */
export function afterSeconds(seconds: number, callback: () => void): void {
  if (seconds === 0) callback();
  if (seconds === 0 || seconds === Number.POSITIVE_INFINITY) return;
  AbortSignal.timeout(Math.ceil(seconds * 1000)).addEventListener('abort', callback, { once: true });
}
