/** Files to send, with `node:fs`. */
import type { promises } from 'node:fs';
import { node } from '../../platform/node-modules.ts';
import type { Files, RawFile } from '../backend.ts';

export const nodeFiles: Files = {
  open(path, onDone) {
    // `O_NONBLOCK`, because opening a FIFO that has no writer would block the thread.
    const flags = node.fs.constants.O_RDONLY | (node.fs.constants.O_NONBLOCK ?? 0);
    node.fs.promises.open(path, flags).then(
      (handle) => onDone(null, new NodeFile(handle)),
      (error) => onDone(error, null),
    );
  },
  wrap: (handle) => (isFileHandle(handle) ? new NodeFile(handle) : null),
};

class NodeFile implements RawFile {
  readonly #handle: promises.FileHandle;

  constructor(handle: promises.FileHandle) {
    this.#handle = handle;
  }

  get fd(): number {
    return this.#handle.fd;
  }

  read(
    buffer: Uint8Array,
    length: number,
    position: number,
    onDone: (error: Error | null, bytesRead: number) => void,
  ): void {
    this.#handle.read(buffer, 0, length, position).then(
      ({ bytesRead }) => onDone(null, bytesRead),
      (error) => onDone(error, 0),
    );
  }

  close(): void {
    this.#handle.close().catch(() => {});
  }
}

/** Recognizes a `FileHandle` by its members, because Node does not export the class. */
function isFileHandle(source: unknown): source is promises.FileHandle {
  const { fd, datasync } = (source ?? {}) as { fd?: unknown; datasync?: unknown };
  return typeof fd === 'number' && typeof datasync === 'function';
}
