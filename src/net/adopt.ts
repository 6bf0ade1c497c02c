/** What somebody else has opened becomes ours. */
import type { RawStream } from '../backend/backend.ts';
import { InvalidStateError } from '../base/errors.ts';
import { checkOwn } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { HostOperation } from '../tasks/host-operation.ts';

const LARGEST_DESCRIPTOR = 0x7fff_ffff;

/** What is to be taken over is of this loop, and no transport's or server's. */
export function checkTakeable(loop: Loop, name: string, sock: unknown): void {
  checkOwn(name, sock, loop);
  if (typeof sock !== 'number' || !Number.isInteger(sock) || sock < 0 || sock > LARGEST_DESCRIPTOR) return;
  checkUnused(loop, sock);
}

/** With two owners the one that is closed last would close the number under whoever has it by then. */
export function checkUnused(loop: Loop, fd: number): void {
  if (loop._backend.usesDescriptor(fd)) {
    throw new InvalidStateError(`descriptor ${fd} belongs to a transport or server`);
  }
}

/**
 * Takes a stream over. It is there already; but like one that has yet to come, it is handed over by the ready
 * queue.
 *
 * @param take asks the backend. What it says of the argument is thrown at the call, and then the argument is
 *   still its owner's; what the system says comes by the future, and then it was taken and is closed
 */
export function adopt(loop: Loop, what: string, take: () => RawStream): HostOperation<RawStream> {
  return HostOperation.begin(
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
