/**
 * Finds listeners that cannot accept, of which libuv tells nobody.
 *
 * Facts. libuv drops every error of `accept()` and asks again at once, so that the host's loop goes round and
 * round. It does so for a socket that another owner has shut down. Where no descriptor is left libuv lends a
 * spare one to turn clients away; another thread may take it in that moment, and libuv opens it anew only
 * when it makes a stream while a descriptor is free.
 *
 * What this means. A loop that has had no rest for a second is looked at. Without a descriptor libuv gets a
 * spare one of ours. A listener that was shut down is closed: that alone makes libuv stop.
 */
import { closeSync, openSync, promises } from 'node:fs';
import { createConnection } from 'node:net';
import { constants, devNull } from 'node:os';
import { performance } from 'node:perf_hooks';
import { hostClearInterval, hostSetInterval } from '../../base/host.ts';

export interface WatchedListener {
  /** Of a TCP socket that was given to us, so that it may have another owner; null: it has none. */
  readonly inode: number | null;
  /** It could not accept a connection. */
  cannotAccept(error: Error): void;
  /** It never will again. */
  wasShutDown(error: Error): void;
}

const LOOK_EVERY_MS = 1000;
/** Part of the time. A loop that has to wait for anything rests more. */
const BUSY = 0.95;
/** In the system's table. */
const LISTENING = '0A';

const watched: Set<WatchedListener> = new Set();
/** Those that the system's table has shown: another name space has a table of its own. */
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
  if (spare !== null) closeSync(spare);
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

/** Null: there is a descriptor to be had; else why there is none. */
function openSpare(): 'EMFILE' | 'ENFILE' | null {
  try {
    const fd = openSync(devNull, 'r');
    if (spare === null) spare = fd;
    else closeSync(fd);
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

/** libuv takes the descriptor while it makes the stream, which need not come to anything. */
function giveSpare(fd: number): void {
  closeSync(fd);
  try {
    createConnection(devNull)
      .on('error', () => {})
      .destroy();
  } catch {
    // A program without the permission to connect has no stream.
  }
}

async function noteShown(listener: WatchedListener, inode: number): Promise<void> {
  if ((await listeningInodes())?.has(inode)) shown.add(listener);
}

/** The table is no snapshot: a socket has to be missing twice. */
async function findShutDown(): Promise<void> {
  let suspects = [...watched].filter((one) => shown.has(one));
  for (let times = 2; times > 0 && suspects.length > 0; times--) {
    const inodes = await listeningInodes();
    suspects = suspects.filter((one) => inodes !== null && !inodes.has(one.inode as number));
  }
  for (const one of suspects) if (watched.has(one)) one.wasShutDown(acceptError('EINVAL'));
}

/** Of the TCP sockets that listen. Null: the system does not tell. */
async function listeningInodes(): Promise<Set<number> | null> {
  const inodes = new Set<number>();
  try {
    for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
      for (const line of (await promises.readFile(table, 'latin1')).split('\n')) {
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
