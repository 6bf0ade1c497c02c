/**
 * Walks the records of a poll phase, in one call from the native part for all loops of this thread. The turns
 * that the records ask for run in the same call. So a turn that follows a poll needs no immediate, promise or
 * tick.
 *
 * An exception that the receiver of a record throws reaches the host as an uncaught exception. The walk goes
 * on, so that one failure does not lose the events of other handles.
 */

import { drainNow } from '../../base/drain.ts';
import { hostNextTick, hostSetImmediate } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { Addon, Id, Loaded } from './addon.ts';
import { loadAddon } from './addon.ts';
import { collectIfDue, countSlab } from './slab-garbage.ts';

/** The same numbers as in gyre.h. */
export const READ = 1;
export const END = 2;
export const ERROR = 3;
export const WRITTEN = 4;
export const CONNECTED = 5;
export const ACCEPTED = 6;
export const MESSAGE = 7;
export const SENT = 8;
export const RESOLVED = 9;
export const EXITED = 10;
export const POLLED = 11;
export const READ_INTO = 12;
export const DECRYPTED = 13;
export const TLS_STEP = 14;

const EVENT_WORDS = 5;
const INDEX_MASK = (1 << 20) - 1;
/** The slots of all kinds of slabs. */
const SLAB_SLOTS = 4 * 256;

/** The receiver of an id's records. */
export interface Target {
  readonly id: Id;
  onEvent(kind: number, a: number, b: number, c: number): void;
}

const targets: (Target | undefined)[] = [];
/**
 * By slot: the slabs that a record may name. All slots exist from the beginning, because V8 turns an array
 * that grows with gaps into a dictionary.
 */
const slabs: Buffer[] = new Array(SLAB_SLOTS);
/** By index of the handle: the buffer for the native part's next read. */
const buffers: (Uint8Array | undefined)[] = [];
/**
 * By size (its leading zeros): the last slab that was marked as untransferable. Keep one reference only: a
 * retained slab is promoted to the old generation, and V8 then marks the whole heap.
 */
const untransferable: (Buffer | null)[] = new Array(33).fill(null);
let loaded: Loaded | null = null;
let native: Addon;

/** Whether records are being walked. */
let walking: boolean = false;
/** Loops that want a turn after the records. */
let waiting: (() => void)[] = [];

/** Calls back after the records of this poll phase; outside of a walk, in an immediate. */
export function soon(callback: () => void): void {
  if (walking) waiting.push(callback);
  else hostSetImmediate(callback);
}

/** Loads the native part, at the first call in this thread. Returns null, or why there is no native part. */
export function load(): Exclude<Loaded, { addon: Addon }> | null {
  if (loaded === null) {
    loaded = loadAddon(dispatch, slabs, buffers);
    if (loaded.addon !== null) native = loaded.addon;
  }
  return loaded.addon === null ? loaded : null;
}

/** The native part. Call this only after `load()` has returned null. */
export function addon(): Addon {
  return native;
}

export function register(target: Target): void {
  targets[target.id & INDEX_MASK] = target;
}

export function unregister(target: Target): void {
  const index = target.id & INDEX_MASK;
  if (targets[index] === target) targets[index] = undefined;
}

/**
 * Makes the next read of a stream go into the buffer; null takes the buffer back. Returns whether the
 * previous buffer was still unused.
 */
export function readInto(id: Id, buffer: Uint8Array | null): boolean {
  buffers[id & INDEX_MASK] = buffer ?? undefined;
  return native.readInto(id, buffer !== null);
}

/**
 * Returns a view of a slab, which the receiver owns. Null: a receiver of another view has transferred the
 * slab's memory, with this data in it. The mark makes that rare: as for the pool of Node's Buffers, most ways
 * to transfer memory copy a marked slab or refuse it.
 */
export function slice(slot: number, offset: number, length: number): Buffer | null {
  const slab = slabs[slot] as Buffer;
  const size = Math.clz32(slab.length);
  if (slab !== untransferable[size]) {
    untransferable[size] = slab;
    node.worker_threads.markAsUntransferable(slab.buffer);
    countSlab(slab.length);
  }
  return slab.length === 0 ? null : slab.subarray(offset, offset + length);
}

/** Returns the slab of which `slice()` has just returned a view. */
export function slabOf(slot: number): Buffer {
  return slabs[slot] as Buffer;
}

function dispatch(count: number): void {
  walking = true;
  walk(count);
  walking = false;
  const callbacks = waiting;
  waiting = [];
  for (const callback of callbacks) callback();
  collectIfDue();
}

function walk(count: number): void {
  const { events } = native;
  for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
    const id = events[at] as number;
    const kind = events[at + 1] as number;
    const a = events[at + 2] as number;
    const target = targets[id & INDEX_MASK];
    if (target === undefined || target.id !== id) {
      // Its listener was closed earlier in this walk, so nothing will serve the connection.
      if (kind === ACCEPTED && a >= 0) native.close(a);
      continue;
    }
    try {
      target.onEvent(kind, a, events[at + 3] as number, events[at + 4] as number);
    } catch (error) {
      hostNextTick(raise, error);
    }
    // As Node does between the callbacks of two sockets.
    drainNow();
  }
}

function raise(error: unknown): never {
  throw error;
}
