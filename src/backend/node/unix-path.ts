/** The file of a unix socket: who made it, whether anybody listens on it, and its removal. */

import type { BigIntStats } from 'node:fs';
import { lstatSync, renameSync, statSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { hostSetImmediate } from '../../base/host.ts';
import type { RawRequest } from '../backend.ts';

/** A name of the abstract namespace of Linux has no file. */
export function isAbstract(path: string): boolean {
  return path.startsWith('\0');
}

/**
 * The file of a server that listens.
 *
 * Facts. libuv removes what has the path that it was given when the server is closed: also a file that
 * somebody else has put there meanwhile, and, for a relative path, what is there as seen from wherever the
 * process is by then.
 */
export class SocketFile {
  /** As it was given: what libuv goes by. */
  readonly #given: string;
  readonly #path: string;
  readonly #made: BigIntStats | null;

  /** To be called when the socket has just been bound. */
  constructor(path: string) {
    this.#given = path;
    this.#path = resolve(path);
    this.#made = isAbstract(path) ? null : statOf(this.#path);
  }

  /** Closes the server. Its own file goes, wherever the process is now; and nobody else's. */
  closeServer(server: Server): void {
    const goes = isAbstract(this.#given) ? null : absolute(this.#given);
    const restore = goes === null || this.#isOurs(goes) ? null : setAside(goes);
    server.close();
    restore?.();
    this.remove();
  }

  /** Removes the file, unless somebody else has put another one there. */
  remove(): void {
    if (this.#isOurs(this.#path)) attempt(() => unlinkSync(this.#path));
  }

  /** The number of a file whose socket is open is given to no other file. */
  #isOurs(path: string): boolean {
    const now = statOf(path);
    return now !== null && now.ino === this.#made?.ino && now.dev === this.#made.dev;
  }
}

/** Null: the process is in a directory that is gone. */
function absolute(path: string): string | null {
  try {
    return resolve(path);
  } catch {
    return null;
  }
}

/**
 * Keeps a file that is about to be removed by its name. Answers what gives the name back: until then, for
 * some microseconds, nobody has it.
 */
function setAside(path: string): (() => void) | null {
  const stat = statOf(path);
  // What cannot be unlinked needs no help.
  if (stat === null || stat.isDirectory()) return null;
  const aside = `${path}.${process.pid}.gyre`;
  if (!attempt(() => renameSync(path, aside))) return null;
  return () => attempt(() => renameSync(aside, path));
}

/**
 * Looks whether a server listens on `path`, and removes the file of one that is gone.
 *
 * @param onDone whether the path is free now
 */
export function removeStale(path: string, onDone: (free: boolean) => void): RawRequest {
  const before = statOf(path);
  if (!before?.isSocket()) {
    // No socket is nobody's stale one. And a file that has gone meanwhile is in nobody's way.
    const answer = hostSetImmediate(() => onDone(before === null));
    return { cancel: () => clearImmediate(answer) };
  }
  const probe = connect({ path });
  const done = (free: boolean): void => {
    probe.destroy();
    onDone(free);
  };
  probe.once('connect', () => done(false));
  probe.once('error', (error: NodeJS.ErrnoException) => {
    // Only this says that nobody is there; "try again" says that many wait, "permission denied" says nothing.
    if (error.code !== 'ECONNREFUSED') done(error.code === 'ENOENT');
    else done(isSame(before, statOf(path)) && attempt(() => unlinkSync(path)));
  });
  return {
    cancel: () => {
      probe.removeAllListeners();
      probe.on('error', () => {});
      probe.destroy();
    },
  };
}

/** libuv makes EACCES of a directory that is missing; the system says ENOENT. */
export function explainBind(error: NodeJS.ErrnoException, path: string): NodeJS.ErrnoException {
  if (error.code !== 'EACCES' || !isMissing(dirname(path))) return error;
  const { syscall } = error;
  const facts = { code: 'ENOENT', errno: -constants.errno.ENOENT, syscall, address: path };
  return Object.assign(new Error(`${syscall} ENOENT: no such file or directory ${path}`), facts);
}

function isMissing(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Numbers of files that are gone are given to new ones. */
function isSame(before: BigIntStats, now: BigIntStats | null): boolean {
  return now !== null && now.ino === before.ino && now.dev === before.dev && now.ctimeNs === before.ctimeNs;
}

function statOf(path: string): BigIntStats | null {
  try {
    return lstatSync(path, { bigint: true });
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
