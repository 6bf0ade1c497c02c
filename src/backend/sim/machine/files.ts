/**
 * The files of a simulated host, in memory, with the names of `node:fs`. They survive a crash of the host.
 *
 * There are regular files, directories and the files of unix sockets. There are no links, owners or modes.
 * Relative paths begin at the root.
 */
import { ERRNO } from '../errors.ts';

/** The methods of `node:fs` that a host needs of a file system. */
export interface HostFiles {
  /** Returns true if there is a file, a directory or a socket at `path`. */
  existsSync(path: string): boolean;
  /** Opens a file for reading. Returns a number that only the other methods of this object accept. */
  openSync(path: string, flags: 'r'): number;
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number;
  /** Closes a file of `openSync()`. */
  closeSync(fd: number): void;
}

export interface FileStats {
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSocket(): boolean;
}

type FileErrorCode = 'EBADF' | 'EEXIST' | 'EINVAL' | 'EISDIR' | 'ENOENT' | 'ENOTDIR' | 'ENXIO';

const EXPLANATIONS: Readonly<Record<FileErrorCode, string>> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EISDIR: 'illegal operation on a directory',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ENXIO: 'no such device or address',
};

interface Directory {
  readonly kind: 'directory';
  readonly ino: number;
  readonly entries: Map<string, Entry>;
}

interface RegularFile {
  readonly kind: 'file';
  readonly ino: number;
  content: Uint8Array;
}

/** The file of a unix socket. `local-sockets.ts` knows the socket itself. */
export interface SocketFile {
  readonly kind: 'socket';
  readonly ino: number;
}

type Entry = Directory | RegularFile | SocketFile;

const NO_BYTES = new Uint8Array(0);

/**
 * The files of a simulated host, in memory: regular files, directories and unix sockets. The methods are
 * those of `node:fs` with the same names. They stay when the host crashes.
 */
export class MemoryFiles implements HostFiles {
  #lastIno: number = 1;
  readonly #root: Directory = { kind: 'directory', ino: 1, entries: new Map() };
  readonly #open: Map<number, RegularFile> = new Map();
  #lastFd: number = 0;

  constructor() {
    this.mkdirSync('/tmp');
  }

  // --- facts ---

  existsSync(path: string): boolean {
    return this.#find(path) !== null;
  }

  /** Returns the kind and the size. Throws `ENOENT`. */
  statSync(path: string): FileStats {
    const entry = this.#get(path, 'stat');
    return {
      ino: entry.ino,
      size: entry.kind === 'file' ? entry.content.length : 0,
      isFile: () => entry.kind === 'file',
      isDirectory: () => entry.kind === 'directory',
      isSocket: () => entry.kind === 'socket',
    };
  }

  /** The same as {@link statSync}, because there are no links. */
  lstatSync(path: string): FileStats {
    return this.statSync(path);
  }

  /** Returns the names in a directory, sorted. */
  readdirSync(path: string): string[] {
    const entry = this.#get(path, 'scandir');
    if (entry.kind !== 'directory') throw fileError('ENOTDIR', 'scandir', path);
    return [...entry.entries.keys()].sort();
  }

  // --- contents ---

  /** Returns a copy. */
  readFileSync(path: string): Buffer;
  readFileSync(path: string, encoding: BufferEncoding): string;
  readFileSync(path: string, encoding?: BufferEncoding): Buffer | string {
    const bytes = Buffer.from(this.#file(path, 'open').content);
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  /** Writes a file, which replaces the one that is there. Its directory must exist. */
  writeFileSync(path: string, data: string | Uint8Array): void {
    this.#fileToWrite(path).content = typeof data === 'string' ? Buffer.from(data) : new Uint8Array(data);
  }

  /** Appends to a file, which is made if there is none. */
  appendFileSync(path: string, data: string | Uint8Array): void {
    const file = this.#fileToWrite(path);
    file.content = Buffer.concat([file.content, typeof data === 'string' ? Buffer.from(data) : data]);
  }

  /** @param length bytes; a longer file is filled with zeros */
  truncateSync(path: string, length: number = 0): void {
    const file = this.#file(path, 'open');
    const content = new Uint8Array(length);
    content.set(file.content.subarray(0, length));
    file.content = content;
  }

  openSync(path: string, flags: 'r'): number {
    if (flags !== 'r') throw fileError('EINVAL', 'open', path);
    const file = this.#file(path, 'open');
    this.#open.set(++this.#lastFd, file);
    return this.#lastFd;
  }

  /** Returns the number of bytes that were read: 0 at the end of the file. */
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const file = this.#open.get(fd);
    if (file === undefined) throw fileError('EBADF', 'read');
    const part = file.content.subarray(position, position + Math.min(length, buffer.length - offset));
    buffer.set(part, offset);
    return part.length;
  }

  closeSync(fd: number): void {
    if (!this.#open.delete(fd)) throw fileError('EBADF', 'close');
  }

  // --- names ---

  /** Makes a directory, with `recursive` also those above it. */
  mkdirSync(path: string, { recursive = false }: { recursive?: boolean } = {}): void {
    const names = namesOf(path);
    for (let count = recursive ? 1 : names.length; count <= names.length; count++) {
      const part = `/${names.slice(0, count).join('/')}`;
      const present = this.#find(part);
      if (present?.kind === 'directory' && recursive) continue;
      if (present !== null) throw fileError('EEXIST', 'mkdir', part);
      this.#put(part, 'mkdir', { kind: 'directory', ino: ++this.#lastIno, entries: new Map() });
    }
  }

  /** Removes a file or a socket. */
  unlinkSync(path: string): void {
    if (this.#get(path, 'unlink').kind === 'directory') throw fileError('EISDIR', 'unlink', path);
    this.#remove(path);
  }

  /** Removes a file or a directory. See `node:fs` for the options. */
  rmSync(
    path: string,
    { recursive = false, force = false }: { recursive?: boolean; force?: boolean } = {},
  ): void {
    const entry = this.#find(path);
    if (entry === null && force) return;
    if (entry === null) throw fileError('ENOENT', 'rm', path);
    if (entry.kind === 'directory' && !recursive) throw fileError('EISDIR', 'rm', path);
    this.#remove(path);
  }

  // --- for unix sockets ---

  /** Makes the file of a socket. Throws `EADDRINUSE` as `EEXIST`. */
  makeSocket(path: string): SocketFile {
    if (this.#find(path) !== null) throw fileError('EEXIST', 'bind', path);
    const file: SocketFile = { kind: 'socket', ino: ++this.#lastIno };
    this.#put(path, 'bind', file);
    return file;
  }

  /** Returns the file of a socket; null if there is no such file, or one of another kind. */
  socketAt(path: string): SocketFile | null {
    const entry = this.#find(path);
    return entry?.kind === 'socket' ? entry : null;
  }

  // --- internal steps ---

  #find(path: string): Entry | null {
    let entry: Entry = this.#root;
    for (const name of namesOf(path)) {
      const next: Entry | undefined = entry.kind === 'directory' ? entry.entries.get(name) : undefined;
      if (next === undefined) return null;
      entry = next;
    }
    return entry;
  }

  #get(path: string, syscall: string): Entry {
    const entry = this.#find(path);
    if (entry !== null) return entry;
    this.#parent(path, syscall);
    throw fileError('ENOENT', syscall, path);
  }

  #file(path: string, syscall: string): RegularFile {
    const entry = this.#get(path, syscall);
    if (entry.kind === 'directory') throw fileError('EISDIR', syscall, path);
    if (entry.kind === 'socket') throw fileError('ENXIO', syscall, path);
    return entry;
  }

  #fileToWrite(path: string): RegularFile {
    if (this.#find(path) !== null) return this.#file(path, 'open');
    const file: RegularFile = { kind: 'file', ino: ++this.#lastIno, content: NO_BYTES };
    this.#put(path, 'open', file);
    return file;
  }

  /** Returns the directory of a path. */
  #parent(path: string, syscall: string): Directory {
    let entry: Entry = this.#root;
    for (const name of namesOf(path).slice(0, -1)) {
      const next: Entry | undefined = entry.kind === 'directory' ? entry.entries.get(name) : undefined;
      if (next === undefined) throw fileError('ENOENT', syscall, path);
      if (next.kind !== 'directory') throw fileError('ENOTDIR', syscall, path);
      entry = next;
    }
    return entry as Directory;
  }

  #put(path: string, syscall: string, entry: Entry): void {
    const name = namesOf(path).at(-1);
    if (name === undefined) throw fileError('EISDIR', syscall, path);
    this.#parent(path, syscall).entries.set(name, entry);
  }

  #remove(path: string): void {
    this.#parent(path, 'unlink').entries.delete(namesOf(path).at(-1) ?? '');
  }
}

/** Splits a path, without `.` and `..`. */
function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}

/** Makes an error as Node makes it: `ENOENT: no such file or directory, open '/x'`. */
function fileError(code: FileErrorCode, syscall: string, path?: string): Error {
  const where = path === undefined ? '' : ` '${path}'`;
  const error = new Error(`${code}: ${EXPLANATIONS[code]}, ${syscall}${where}`);
  return Object.assign(error, { errno: ERRNO[code], code, syscall }, path === undefined ? {} : { path });
}
