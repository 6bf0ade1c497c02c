/** Open files of a simulated host, which `sendfile()` sends. */
import type { Descriptors, OpenObject } from './descriptors.ts';
import type { HostFiles } from './files.ts';

/** A file that is open for reading: the object behind a descriptor. */
export class OpenFile implements OpenObject {
  readonly readiness = null;
  readonly #files: HostFiles;
  /** The number of the file system itself. */
  readonly #number: number;

  constructor(files: HostFiles, path: string) {
    this.#files = files;
    this.#number = files.openSync(path, 'r');
  }

  /** Returns the number of bytes that were read: 0 at the end of the file. */
  read(buffer: Uint8Array, length: number, position: number): number {
    return this.#files.readSync(this.#number, buffer, 0, length, position);
  }

  release(): void {
    this.#files.closeSync(this.#number);
  }
}

/** Opens a file, and returns it with its descriptor. Throws the error of the file system. */
export function openFile(
  files: HostFiles,
  descriptors: Descriptors,
  path: string,
): { fd: number; file: OpenFile } {
  const file = new OpenFile(files, path);
  try {
    return { fd: descriptors.open(file, 'open'), file };
  } catch (error) {
    file.release();
    throw error;
  }
}
