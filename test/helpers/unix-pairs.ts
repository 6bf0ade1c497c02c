/** Directories for sockets and FIFOs, and connected pairs over unix sockets. */
import { execFileSync, spawnSync } from 'node:child_process';
import { constants, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BaseEventLoop } from '../../src/index.ts';
import { Recorder } from './pairs.ts';

export const noUnix: string | false = process.platform === 'win32' ? 'Windows has no unix sockets' : false;

export const noPython: string | false =
  spawnSync('python3', ['-c', 'pass']).status === 0 ? false : 'there is no python3 on this machine';

/** Runs `body` with a directory of its own, which is removed afterwards. */
export async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'gyre-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Connects two recorders by a unix socket. The server is closed again.
 *
 * @param withDirectory makes the directory of the socket; by default on this machine
 */
export async function unixRecorders(
  loop: BaseEventLoop,
  withDirectory: typeof inDirectory = inDirectory,
): Promise<{ near: Recorder; far: Recorder }> {
  const near = new Recorder();
  const far = new Recorder();
  await withDirectory(async (directory) => {
    const path = `${directory}/socket`;
    const server = await loop.createUnixServer(() => far, path);
    await loop.createUnixConnection(() => near, path);
    await far.untilTold('made');
    server.close();
  });
  return { near, far };
}

/**
 * Returns both ends of a new FIFO without a name, as non-blocking descriptors. The reading end comes first,
 * because a writer needs a reader.
 */
export function pipeEnds(): { read: number; write: number } {
  const directory = mkdtempSync(join(tmpdir(), 'gyre-'));
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const write = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  rmSync(directory, { recursive: true });
  return { read, write };
}

/** Tells whether the number is an open descriptor of this process. */
export function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
