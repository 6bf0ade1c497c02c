/**
 * Walks the records of a poll phase: one call from the native part, for all loops of this thread. The turns
 * that they ask for follow in the same call: a turn that follows a poll takes no immediate, no promise and no
 * tick.
 *
 * Whatever a record's receiver throws reaches the host as an uncaught exception: one failure must not lose
 * the events of others.
 */
import { markAsUntransferable } from 'node:worker_threads';
import { drainNow } from '../../base/drain.ts';
import { hostNextTick, hostSetImmediate } from '../../base/host.ts';
import type { Addon, Id, Loaded } from './addon.ts';
import { loadAddon } from './addon.ts';

/** As in gyre.h. */
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

const EVENT_WORDS = 5;
const INDEX_MASK = (1 << 20) - 1;
/** Of all kinds of slabs. */
const SLAB_SLOTS = 4 * 256;

/** Who is told of the records of an id. */
export interface Target {
  readonly id: Id;
  onEvent(kind: number, a: number, b: number, c: number): void;
}

const targets: (Target | undefined)[] = [];
/** By slot: those that a record may name. V8 would make a dictionary of an array that grows by gaps. */
const slabs: Buffer[] = new Array(SLAB_SLOTS);
/** By index: what the native part reads into, once. */
const buffers: (Uint8Array | undefined)[] = [];
/**
 * By the logarithm of its size, the last slab that was marked: no other may be held here, it would grow old.
 */
const untransferable: (Buffer | null)[] = new Array(33).fill(null);
let loaded: Loaded | null = null;
let native: Addon;

/** Records are being walked. */
let walking: boolean = false;
/** Loops that want a turn behind the records. */
let waiting: (() => void)[] = [];

/** Has `callback` called behind the records of this poll phase; elsewhere, by an immediate. */
export function soon(callback: () => void): void {
  if (walking) waiting.push(callback);
  else hostSetImmediate(callback);
}

/** Loads the native part at the first call in this thread. Null: it is there; else why it is not. */
export function load(): Exclude<Loaded, { addon: Addon }> | null {
  if (loaded === null) {
    loaded = loadAddon(dispatch, slabs, buffers);
    if (loaded.addon !== null) native = loaded.addon;
  }
  return loaded.addon === null ? loaded : null;
}

/** The native part. Only where `load()` found it. */
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
 * Has the next bytes of a stream read into the buffer; null: no more. Answers whether the one before was not
 * read into yet.
 */
export function readInto(id: Id, buffer: Uint8Array | null): boolean {
  buffers[id & INDEX_MASK] = buffer ?? undefined;
  return native.readInto(id, buffer !== null);
}

/**
 * A part of a slab: nobody else's from now on. Null: somebody has given away the memory of another part, and
 * this was in there. Most ways to do that are closed: as of the pool of Node's own Buffers, parts of it are
 * copied, or refused, where memory is to be transferred.
 */
export function slice(slot: number, offset: number, length: number): Buffer | null {
  const slab = slabs[slot] as Buffer;
  const size = Math.clz32(slab.length);
  if (slab !== untransferable[size]) {
    untransferable[size] = slab;
    markAsUntransferable(slab.buffer);
  }
  return slab.length === 0 ? null : slab.subarray(offset, offset + length);
}

/** The slab itself, of which `slice()` has just given a part. */
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
}

function walk(count: number): void {
  const { events } = native;
  for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
    const id = events[at] as number;
    const kind = events[at + 1] as number;
    const a = events[at + 2] as number;
    const target = targets[id & INDEX_MASK];
    if (target === undefined || target.id !== id) {
      // Its listener was closed a moment ago: nobody will serve it.
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
