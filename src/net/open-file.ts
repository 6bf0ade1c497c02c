/** Files that are sent: a path, or a file that is open. */
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

/** What can be sent: the path of a file, or one that is open. */
export type SendfileSource = string | URL | promises.FileHandle;

export interface SendfileOptions extends SignalOptions {
  /** Bytes: where in the file to begin. Default: 0. */
  offset?: number;
  /** Bytes: how many to send. Default: all of them. */
  count?: number | null;
  /**
   * Whether the file may be read and sent piece by piece where no system call of the host's does both at
   * once. Default: true; else the call is rejected with {@link SendfileNotAvailableError}.
   */
  fallback?: boolean;
}

/** Which part of a file is sent, and how. */
export interface FilePart {
  readonly offset: number;
  /** Infinity: all of it. */
  readonly count: number;
  readonly fallback: boolean;
}

/** Checks whatever can be known to be wrong without the file. */
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

/** Opens a path. One that is open already stays its owner's. */
export async function openFile(loop: Loop, source: SendfileSource): Promise<OpenFile> {
  if (typeof source !== 'string' && !(source instanceof URL)) return new OpenFile(loop, source, null);
  // A FIFO without a writer would hold the thread that opens it.
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

/** The file, for as long as it is being sent. */
export class OpenFile implements Resource {
  readonly #loop: Loop;
  readonly #handle: promises.FileHandle;
  /** Null: it is the user's, who closes it. */
  readonly #name: string | null;

  constructor(loop: Loop, handle: promises.FileHandle, name: string | null) {
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#handle = handle;
    this.#name = name;
    loop._owned.resources.add(this);
  }

  /** The descriptor. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** At a position of its own: an open file's own position is not moved. */
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

/** Waits for a read that is under way. It was only read, so there is nothing that a failure could mean. */
function closeQuietly(handle: promises.FileHandle): void {
  handle.close().catch(() => {});
}

/** The class is not exported. */
function isFileHandle(source: unknown): boolean {
  const { fd, datasync } = (source ?? {}) as { fd?: unknown; datasync?: unknown };
  return typeof fd === 'number' && typeof datasync === 'function';
}
