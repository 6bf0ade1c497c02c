/** Files to send, and the threads that run functions. Types only. */
import type { RawRequest } from './request.ts';

export interface Files {
  /**
   * Opens a file for reading. Opening a FIFO that has no writer does not wait.
   *
   * @param onDone called once. The caller owns the file
   */
  open(path: string | URL, onDone: (error: Error | null, file: RawFile | null) => void): void;
  /** Returns the open file behind a handle of the host, whose owner closes it; null for any other value. */
  wrap(handle: unknown): RawFile | null;
}

/** A file that is open for reading. */
export interface RawFile {
  /** The file descriptor; -1 if the file has none. */
  readonly fd: number;
  /**
   * Reads up to `length` bytes at `position`, and leaves the position of the open file where it is. Reports
   * 0 bytes at the end of the file.
   */
  read(
    buffer: Uint8Array,
    length: number,
    position: number,
    onDone: (error: Error | null, bytesRead: number) => void,
  ): void;
  /** Closes the file after a pending read. The file was only read, so a failure to close it loses nothing. */
  close(): void;
}

/** Functions outside of the loop's own code. */
export interface Executors {
  /** Present if time is virtual: the default executor runs its jobs in this thread. */
  readonly inThread?: InThreadJobs;
  /**
   * Keeps virtual time from moving until the returned function is called, because a job runs in real time.
   * Absent: time is real.
   */
  hold?(): () => void;
}

/** The jobs of a default executor that runs them in this thread. */
export interface InThreadJobs {
  /** The number of jobs that run at the same time. */
  readonly workers: number;
  /** Calls `run` after the virtual time that a job takes. */
  schedule(run: () => void): RawRequest;
  /** See {@link Executors.hold}. */
  hold(): () => void;
}
