/**
 * Finds listeners that cannot accept, because libuv does not report them.
 *
 * libuv drops every error of `accept()` and tries again at once, so that the host's loop spins. That happens
 * for a socket that another owner has shut down. If no file descriptor is left, libuv uses a spare descriptor
 * to accept and close connections. Another thread may take that descriptor at this moment, and libuv reopens
 * it only when it makes a stream while a descriptor is free.
 *
 * Therefore this file checks a loop that was busy for a whole second. If there is no free descriptor, it
 * gives libuv a spare one. If a listener was shut down, it closes the listener, because only that makes libuv
 * stop.
 */

import { constants, devNull } from 'node:os';
import { performance } from 'node:perf_hooks';
import { hostClearInterval, hostSetInterval } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';

export interface WatchedListener {
  /**
   * The inode of a TCP socket that was passed in as a descriptor, and so may have another owner. Otherwise
   * null.
   */
  readonly inode: number | null;
  /** Called when a connection could not be accepted. */
  cannotAccept(error: Error): void;
  /** Called when the listener was shut down and will never accept again. */
  wasShutDown(error: Error): void;
}

const LOOK_EVERY_MS = 1000;
/** The busy part of the time. A loop that waits for anything is less busy. */
const BUSY = 0.95;
/** The value for a listening socket in the system's table. */
const LISTENING = '0A';

const watched: Set<WatchedListener> = new Set();
/**
 * Listeners that the system's table has shown. A listener of another network namespace is in another table.
 */
const shown: WeakSet<WatchedListener> = new WeakSet();
let timer: NodeJS.Timeout | null = null;
let spare: number | null = null;
let lastLook: ReturnType<typeof performance.eventLoopUtilization> | undefined;

export function watchAccepts(listener: WatchedListener): void {
  watched.add(listener);
  if (listener.inode !== null) void noteShown(listener, listener.inode);
  if (timer !== null) return;
  lastLook = performance.eventLoopUtilization();
  timer = hostSetInterval(look, LOOK_EVERY_MS).unref();
  openSpare();
}

export function unwatchAccepts(listener: WatchedListener): void {
  watched.delete(listener);
  if (watched.size > 0 || timer === null) return;
  hostClearInterval(timer);
  timer = null;
  if (spare !== null) node.fs.closeSync(spare);
  spare = null;
}

function look(): void {
  const now = performance.eventLoopUtilization();
  const busy = performance.eventLoopUtilization(now, lastLook).utilization >= BUSY;
  lastLook = now;
  const code = openSpare();
  if (!busy) return;
  if (code === null) void findShutDown();
  else withoutDescriptor(code);
}

/** Opens the spare descriptor. Returns null if a descriptor is free, otherwise the error code. */
function openSpare(): 'EMFILE' | 'ENFILE' | null {
  try {
    const fd = node.fs.openSync(devNull, 'r');
    if (spare === null) spare = fd;
    else node.fs.closeSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EMFILE' || code === 'ENFILE') return code;
  }
  return null;
}

function withoutDescriptor(code: 'EMFILE' | 'ENFILE'): void {
  if (spare !== null) giveSpare(spare);
  spare = null;
  for (const listener of [...watched]) listener.cannotAccept(acceptError(code));
}

/** libuv takes the descriptor when it makes a stream. The stream itself is not used. */
function giveSpare(fd: number): void {
  node.fs.closeSync(fd);
  try {
    node.net
      .createConnection(devNull)
      .on('error', () => {})
      .destroy();
  } catch {
    // Without the permission to connect there is no stream.
  }
}

async function noteShown(listener: WatchedListener, inode: number): Promise<void> {
  if ((await listeningInodes())?.has(inode)) shown.add(listener);
}

/** The table is not an atomic snapshot, so a socket must be missing twice. */
async function findShutDown(): Promise<void> {
  let suspects = [...watched].filter((one) => shown.has(one));
  for (let times = 2; times > 0 && suspects.length > 0; times--) {
    const inodes = await listeningInodes();
    suspects = suspects.filter((one) => inodes !== null && !inodes.has(one.inode as number));
  }
  for (const one of suspects) if (watched.has(one)) one.wasShutDown(acceptError('EINVAL'));
}

/** Returns the inodes of the listening TCP sockets, or null if the system does not show them. */
async function listeningInodes(): Promise<Set<number> | null> {
  const inodes = new Set<number>();
  try {
    for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
      for (const line of (await node.fs.promises.readFile(table, 'latin1')).split('\n')) {
        const [, , , state, , , , , , inode] = line.trim().split(/\s+/);
        if (state === LISTENING) inodes.add(Number(inode));
      }
    }
    return inodes;
  } catch {
    return null;
  }
}

function acceptError(code: 'EMFILE' | 'ENFILE' | 'EINVAL'): Error {
  return Object.assign(new Error(`accept ${code}`), {
    code,
    errno: -constants.errno[code],
    syscall: 'accept',
  });
}
