/** The files that a loop of a simulated host sends. */
import type { Files, RawFile } from '../backend.ts';
import { LOOPBACK_SECONDS } from './fabric.ts';
import type { Machine } from './machine.ts';
import type { OpenFile } from './open-file.ts';
import { openFile } from './open-file.ts';

/** Opens and reads take the time of the loopback, so that reading moves time. */
export function filesOf(machine: Machine): Files {
  const { host, descriptors } = machine;
  const later = (callback: () => void): void => {
    host.kernelAfter(LOOPBACK_SECONDS, () => host.soon(callback));
  };
  return {
    open: (path, onDone) =>
      later(() => {
        let opened: SimFile;
        try {
          const { fd, file } = openFile(machine.files, descriptors, pathOf(path));
          opened = new SimFile(fd, file, later, () => descriptors.close(fd));
        } catch (error) {
          onDone(error as Error, null);
          return;
        }
        onDone(null, opened);
      }),
    wrap: () => null,
  };
}

class SimFile implements RawFile {
  readonly fd: number;
  readonly #file: OpenFile;
  readonly #later: (callback: () => void) => void;
  readonly #release: () => void;
  #reads: number = 0;
  #closing: boolean = false;

  constructor(fd: number, file: OpenFile, later: (callback: () => void) => void, release: () => void) {
    this.fd = fd;
    this.#file = file;
    this.#later = later;
    this.#release = release;
  }

  read(
    buffer: Uint8Array,
    length: number,
    position: number,
    onDone: (error: Error | null, bytesRead: number) => void,
  ): void {
    this.#reads++;
    this.#later(() => {
      this.#reads--;
      let bytesRead = 0;
      let failure: Error | null = null;
      try {
        bytesRead = this.#file.read(buffer, length, position);
      } catch (error) {
        failure = error as Error;
      }
      if (this.#closing && this.#reads === 0) this.#release();
      onDone(failure, bytesRead);
    });
  }

  close(): void {
    this.#closing = true;
    if (this.#reads === 0) this.#release();
  }
}

function pathOf(path: string | URL): string {
  return typeof path === 'string' ? path : decodeURIComponent(path.pathname);
}
