/** Opens the files that `sendfile()` and `sockSendfile()` send. */
import type { promises } from 'node:fs';
import type { Files, RawFile } from '../backend/backend.ts';
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
import { capability } from '../loop/supports.ts';
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
  checkSource(capability(loop, 'files'), source);
  return { offset, count: count ?? Number.POSITIVE_INFINITY, fallback };
}

function checkSource(files: Files, source: unknown): void {
  if (!isPath(source) && files.wrap(source) === null) {
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
  const files = capability(loop, 'files');
  if (!isPath(source)) return new OpenFile(loop, files.wrap(source) as RawFile, null);
  const file = await HostOperation.begin<RawFile>(
    loop,
    `opening ${String(source)}`,
    (opened) => opened.close(),
    (request) => {
      files.open(source, (error, opened) => {
        if (opened !== null) request.succeed(opened);
        else request.fail(error);
      });
      return () => {};
    },
  );
  return new OpenFile(loop, file, String(source));
}

/** A file, while it is being sent. */
export class OpenFile implements Resource {
  readonly #loop: Loop;
  readonly #file: RawFile;
  /** The path, or null if the caller owns the file and closes it. */
  readonly #name: string | null;

  constructor(loop: Loop, file: RawFile, name: string | null) {
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#file = file;
    this.#name = name;
    loop._owned.resources.add(this);
  }

  /** Returns the file descriptor. */
  get fd(): number {
    return this.#file.fd;
  }

  /** Reads at `position`, and leaves the position of the open file where it is. */
  read(buffer: Buffer, length: number, position: number): Future<number> {
    const reading = new Future<number>(this.#loop);
    this.#file.read(buffer, length, position, (error, bytesRead) => {
      if (reading.done()) return;
      if (error === null) reading.setResult(bytesRead);
      else if (!this.#loop.isClosed()) reading.setException(error);
    });
    return reading;
  }

  close(): void {
    this.#loop._owned.resources.delete(this);
    if (this.#name !== null) this.#file.close();
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

function isPath(source: unknown): source is string | URL {
  return typeof source === 'string' || source instanceof URL;
}
