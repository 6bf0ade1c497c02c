/** The file of a unix socket: its creator, its identity, and its removal. */

import type { BigIntStats } from 'node:fs';
import type { Server } from 'node:net';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { node } from '../../platform/node-modules.ts';
import type { SocketFileFacts } from '../backend.ts';

/** Returns true for a name in Linux's abstract namespace, which has no file. */
export function isAbstract(path: string): boolean {
  return path.startsWith('\0');
}

/**
 * The file of a listening server.
 *
 * When the server closes, libuv removes the file at the path that it was given. That may be a file of another
 * process by now. A relative path is resolved again, from the current working directory of that moment.
 */
export class SocketFile {
  /** The path as it was passed, which libuv uses. */
  readonly #pathAsPassed: string;
  readonly #path: string;
  readonly #made: BigIntStats | null;

  /** Call this right after the socket was bound. */
  constructor(path: string) {
    this.#pathAsPassed = path;
    this.#path = resolve(path);
    this.#made = isAbstract(path) ? null : statOf(this.#path);
  }

  /** Closes the server and removes its own file, whatever the working directory is. Other files stay. */
  closeServer(server: Server): void {
    const target = isAbstract(this.#pathAsPassed) ? null : absolute(this.#pathAsPassed);
    const restore = target === null || this.#isOurs(target) ? null : setAside(target);
    server.close();
    restore?.();
    this.remove();
  }

  /** Removes the file, unless another file has replaced it. */
  remove(): void {
    if (this.#isOurs(this.#path)) attempt(() => node.fs.unlinkSync(this.#path));
  }

  /** Returns true for the server's own file. No other file can have its inode while the socket is open. */
  #isOurs(path: string): boolean {
    const now = statOf(path);
    return now !== null && now.ino === this.#made?.ino && now.dev === this.#made.dev;
  }
}

/** Returns null if the process is in a directory that was deleted. */
function absolute(path: string): string | null {
  try {
    return resolve(path);
  } catch {
    return null;
  }
}

/**
 * Renames a file that libuv is about to remove by its name. Returns a function that restores the name. Until
 * then, for some microseconds, no file has this name.
 */
function setAside(path: string): (() => void) | null {
  const stat = statOf(path);
  // libuv cannot unlink such a file, so it needs no protection.
  if (stat === null || stat.isDirectory()) return null;
  const aside = `${path}.${process.pid}.gyre`;
  if (!attempt(() => node.fs.renameSync(path, aside))) return null;
  return () => attempt(() => node.fs.renameSync(aside, path));
}

export function fileAt(path: string): SocketFileFacts {
  const facts = statOf(path);
  if (facts === null) return { kind: 'none', identity: '' };
  // With the time, because a new file may get the inode of a deleted file.
  const identity = `${facts.dev} ${facts.ino} ${facts.ctimeNs}`;
  return { kind: facts.isSocket() ? 'socket' : 'other', identity };
}

export function removeFile(path: string, identity: string): boolean {
  return fileAt(path).identity === identity && attempt(() => node.fs.unlinkSync(path));
}

/** libuv reports EACCES for a missing directory, where the system says ENOENT. Returns the system's error. */
export function explainBind(error: NodeJS.ErrnoException, path: string): NodeJS.ErrnoException {
  if (error.code !== 'EACCES' || !isMissing(dirname(path))) return error;
  const { syscall } = error;
  const facts = { code: 'ENOENT', errno: -constants.errno.ENOENT, syscall, address: path };
  return Object.assign(new Error(`${syscall} ENOENT: no such file or directory ${path}`), facts);
}

function isMissing(path: string): boolean {
  try {
    node.fs.statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function statOf(path: string): BigIntStats | null {
  try {
    return node.fs.lstatSync(path, { bigint: true });
  } catch {
    return null;
  }
}

function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
