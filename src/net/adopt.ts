/** Takes over sockets and pipes that code outside the loop has opened. */
import type { DetachableSocket, RawStream } from '../backend/backend.ts';
import { InvalidStateError } from '../base/errors.ts';
import { namingArgument } from '../base/unusable.ts';
import { checkOwn } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { watchOf } from './socket/watchers.ts';

const LARGEST_DESCRIPTOR = 0x7fff_ffff;

/** Checks that `sock` belongs to no other loop, and that no transport or server uses it. */
export function checkTakeable(loop: Loop, name: string, sock: unknown): void {
  checkOwn(name, sock, loop);
  checkUnwatched(loop, sock);
  if (typeof sock !== 'number' || !Number.isInteger(sock) || sock < 0 || sock > LARGEST_DESCRIPTOR) return;
  checkUnused(loop, sock);
}

/** Checks that no reader, writer or `sock…()` call of the loop waits for `sock`. */
export function checkUnwatched(loop: Loop, sock: unknown): void {
  const { fileno, detach } = (sock ?? {}) as Partial<DetachableSocket>;
  const ownsDescriptor = typeof fileno === 'function' && typeof detach === 'function';
  const fd = ownsDescriptor ? (sock as DetachableSocket).fileno() : sock;
  if (typeof fd !== 'number' || watchOf(loop, fd) === null) return;
  throw new InvalidStateError(
    `descriptor ${fd} is still watched: remove its reader and writer, and end its sock…() calls, before a transport takes it over`,
  );
}

/**
 * Rejects a descriptor that a transport or server uses. With two owners, the second `close()` would close
 * whatever descriptor had the number by then.
 */
export function checkUnused(loop: Loop, fd: number): void {
  if (loop._backend.descriptors?.isUsed(fd)) {
    throw new InvalidStateError(`descriptor ${fd} belongs to a transport or server`);
  }
}

/**
 * Takes over a stream. The stream is there already, but the ready queue delivers it, as it delivers a stream
 * that connects later.
 *
 * @param what for the leak report: `a socket`
 * @param name of the argument
 * @param take asks the backend. It throws an error about the argument at once, and the caller still owns the
 *   socket. An error with a `syscall` rejects the future; the backend has then taken over and closed the
 *   socket
 */
export function adopt(
  loop: Loop,
  what: string,
  name: string,
  take: () => RawStream,
): HostOperation<RawStream> {
  return HostOperation.begin(
    loop,
    `taking over ${what}`,
    (stream) => stream.abort(),
    (request) => {
      try {
        const stream = namingArgument(name, take);
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
