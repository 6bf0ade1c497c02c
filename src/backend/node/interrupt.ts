import type { RawRequest } from '../backend.ts';

/** Ctrl-C, for `run()`. A program that listens itself keeps it to itself, as with a handler of one's own in Python. */
export function onInterrupt(callback: () => void): RawRequest {
  if (process.listenerCount('SIGINT') > 0) return { cancel: () => {} };
  const listener = (): void => {
    callback();
  };
  process.on('SIGINT', listener);
  return {
    cancel: () => {
      process.removeListener('SIGINT', listener);
    },
  };
}
