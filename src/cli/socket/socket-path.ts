/** The places of the unix sockets on which processes with `gyre/inspect` answer. */
import { readdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

/** The folder of this user's sockets. Other users may not enter it. */
export function socketFolder(): string {
  return path.join(tmpdir(), `gyre-${userInfo().uid}`);
}

/** @param thread 0 for the main thread */
export function socketPath(pid: number, thread: number): string {
  return path.join(socketFolder(), `${pid}.${thread}.sock`);
}

/** Returns the threads of a process that have a socket. */
export function threadsWithSocket(pid: number): number[] {
  let names: string[];
  try {
    names = readdirSync(socketFolder());
  } catch {
    return []; // no process of this user has ever listened
  }
  return names
    .map((name) => /^(\d+)\.(\d+)\.sock$/.exec(name))
    .filter((match) => Number(match?.[1]) === pid)
    .map((match) => Number(match?.[2]))
    .sort((a, b) => a - b);
}
