/** What somebody else has opened becomes ours. */
import type { RawStream } from '../backend/backend.ts';
import type { Loop } from '../loop/types.ts';
import { HostRequest } from './host-request.ts';

/**
 * Takes a stream over. It is there already; but like one that has yet to come, it is handed over by the ready queue.
 *
 * @param take asks the backend. What it says of the argument is thrown at the call; what the system says comes by the future.
 */
export function adopt(loop: Loop, what: string, take: () => RawStream): HostRequest<RawStream> {
  return HostRequest.ask(
    loop,
    `taking ${what} over`,
    (stream) => stream.abort(),
    (request) => {
      try {
        const stream = take();
        request.succeed(stream);
        return () => stream.abort();
      } catch (error) {
        if ((error as { syscall?: unknown }).syscall === undefined) throw error;
        request.fail(error);
        return () => {};
      }
    },
  );
}
