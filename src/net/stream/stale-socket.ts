/**
 * Removes a stale socket file: the file of a server that did not end properly. A connect finds out, so a live
 * server sees one short connection.
 */
import type { RawRequest, UnixSockets } from '../../backend/backend.ts';

/**
 * Frees `path` if no server listens on it.
 *
 * @param onDone told whether the path is free now
 * @returns null if `onDone` was called already
 */
export function removeStale(
  unix: UnixSockets,
  path: string,
  onDone: (free: boolean) => void,
): RawRequest | null {
  const { kind, identity } = unix.fileAt(path);
  if (kind !== 'socket') {
    // Another kind of file is not stale. A file that was removed meanwhile leaves the path free.
    onDone(kind === 'none');
    return null;
  }
  return unix.connect(
    { address: path, local: null },
    {
      onConnect: (stream) => {
        stream.abort();
        onDone(false);
      },
      onError: (error) => {
        const { code } = error as { code?: string };
        // Only ECONNREFUSED proves that no server listens. EAGAIN means that many clients wait, and EACCES
        // proves nothing.
        onDone(code === 'ECONNREFUSED' ? unix.removeFile(path, identity) : code === 'ENOENT');
      },
    },
  );
}
