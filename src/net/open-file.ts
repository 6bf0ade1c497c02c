/** Opens the files that `sendfile()` and `sockSendfile()` send. */
import { constants, promises } from 'node:fs';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import { rememberOrigin } from '../loop/creation.ts';
import type { Resource } from '../loop/ownership.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';

/** A file to send: its path, its `file:` URL, or an open `FileHandle`. */
export type SendfileSource = string | URL | promises.FileHandle;

export interface SendfileOptions extends SignalOptions {
  /** The offset in the file from which to send, in bytes. Default: 0. */
  offset?: number;
  /** The number of bytes to send. Default: up to the end of the file. */
  count?: number | null;
  /**
   * Whether the file may be read and sent piece by piece where the host has no system call that does both.
   * Default: true. With false the call is rejected with {@link SendfileNotAvailableError} there.
   */
  fallback?: boolean;
}

/** The part of a file to send, and how. */
export interface FilePart {
  readonly offset: number;
  /** In bytes; Infinity sends the whole rest. */
  readonly count: number;
  readonly fallback: boolean;
}

/** Checks the arguments, as far as possible without opening the file. */
export function checkedPart(loop: Loop, source: unknown, options: SendfileOptions): FilePart {
  checkOptions('options', options, ['offset', 'count', 'fallback', 'signal']);
  const { offset = 0, count = null, fallback = true, signal } = options;
  checkInteger('options.offset', offset, 0, Number.MAX_SAFE_INTEGER);
  if (count !== null) checkInteger('options.count', count, 1, Number.MAX_SAFE_INTEGER);
  checkBoolean('options.fallback', fallback);
  checkSignal('options.signal', signal);
  checkSource(source);
  checkSupports(loop, 'files');
  return { offset, count: count ?? Number.POSITIVE_INFINITY, fallback };
}

function checkSource(source: unknown): void {
  if (typeof source !== 'string' && !(source instanceof URL) && !isFileHandle(source)) {
    throw invalidArgType('file', source, 'a path or a FileHandle');
  }
  if (typeof source === 'string' && source.includes('\0')) {
    throw outOfRange('file', source, 'a path without null bytes');
  }
  if (source instanceof URL && source.protocol !== 'file:') {
    throw outOfRange('file', source.href, 'the URL of a file (file:)');
  }
}

/** Opens a path. A `FileHandle` still belongs to the caller. */
export async function openFile(loop: Loop, source: SendfileSource): Promise<OpenFile> {
  if (typeof source !== 'string' && !(source instanceof URL)) return new OpenFile(loop, source, null);
  // `O_NONBLOCK`, because opening a FIFO that has no writer would block the thread.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const handle = await HostOperation.begin<promises.FileHandle>(
    loop,
    `opening ${String(source)}`,
    closeQuietly,
    (request) => {
      promises.open(source, flags).then(
        (opened) => request.succeed(opened),
        (error) => request.fail(error),
      );
      return () => {};
    },
  );
  return new OpenFile(loop, handle, String(source));
}

/** A file, while it is being sent. */
export class OpenFile implements Resource {
  readonly #loop: Loop;
  readonly #handle: promises.FileHandle;
  /** The path, or null if the caller owns the `FileHandle` and closes it. */
  readonly #name: string | null;

  constructor(loop: Loop, handle: promises.FileHandle, name: string | null) {
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#handle = handle;
    this.#name = name;
    loop._owned.resources.add(this);
  }

  /** Returns the file descriptor. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** Reads at `position`, and leaves the position of the open file where it is. */
  read(buffer: Buffer, length: number, position: number): Future<number> {
    const reading = new Future<number>(this.#loop);
    this.#handle.read(buffer, 0, length, position).then(
      ({ bytesRead }) => {
        if (!reading.done()) reading.setResult(bytesRead);
      },
      (error) => {
        if (!reading.done() && !this.#loop.isClosed()) reading.setException(error);
      },
    );
    return reading;
  }

  close(): void {
    this.#loop._owned.resources.delete(this);
    if (this.#name !== null) closeQuietly(this.#handle);
  }

  /** @internal */
  _describe(): string {
    return `${this.#name ?? 'a file'} was still being sent`;
  }

  /** @internal */
  _forceClose(): void {
    this.close();
  }
}

/** Closes the file after a pending read. The file was only read, so a failure to close it loses nothing. */
function closeQuietly(handle: promises.FileHandle): void {
  handle.close().catch(() => {});
}

/** Recognizes a `FileHandle` by its members, because Node does not export the class. */
function isFileHandle(source: unknown): boolean {
  const { fd, datasync } = (source ?? {}) as { fd?: unknown; datasync?: unknown };
  return typeof fd === 'number' && typeof datasync === 'function';
}
