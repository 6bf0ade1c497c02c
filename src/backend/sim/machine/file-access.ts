/** The files that a loop of a simulated host sends. */
import type { Files, RawFile } from '../../backend.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
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
    wrap: (handle) => (isFileHandle(handle) ? new RealFile(machine, handle) : null),
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

/** The methods of Node's `FileHandle` that are used here. */
interface FileHandle {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
}

/** Recognizes a `FileHandle` by its members, because Node does not export the class. */
function isFileHandle(value: unknown): value is FileHandle {
  const { fd, datasync } = (value ?? {}) as { fd?: unknown; datasync?: unknown };
  return typeof fd === 'number' && typeof datasync === 'function';
}

/** A file of the real machine, which the program has opened itself. Time stands still while it is read. */
class RealFile implements RawFile {
  /** It is no descriptor of the simulated host. */
  readonly fd = -1;
  readonly #machine: Machine;
  readonly #handle: FileHandle;

  constructor(machine: Machine, handle: FileHandle) {
    this.#machine = machine;
    this.#handle = handle;
  }

  read(
    buffer: Uint8Array,
    length: number,
    position: number,
    onDone: (error: Error | null, bytesRead: number) => void,
  ): void {
    const { host } = this.#machine;
    const release = host.timeline.hold();
    const done = (error: Error | null, bytesRead: number): void => {
      host.soon(() => onDone(error, bytesRead));
      release();
    };
    this.#handle.read(buffer, 0, length, position).then(
      ({ bytesRead }) => done(null, bytesRead),
      (error) => done(error, 0),
    );
  }

  /** The program closes it. */
  close(): void {}
}

function pathOf(path: string | URL): string {
  return typeof path === 'string' ? path : decodeURIComponent(path.pathname);
}
