/**
 * All loops of this thread that are not closed, and the hook by which an inspector from outside finds them.
 *
 * `globalThis[Symbol.for('gyre.inspect')]` is an array with one {@link InspectedCopy} for each copy of gyre
 * in this thread. A worker thread has an array of its own.
 */
import { openChannels } from '../loop/channels.ts';
import type { Loop } from '../loop/types.ts';
import { node } from '../platform/node-modules.ts';

/** One copy of gyre, as an inspector from outside sees it. The array of copies is the hook. */
export interface InspectedCopy {
  /** The version of this interface. */
  readonly format: 1;
  /** Returns the state of all loops, as an object that can be made JSON. */
  snapshot(): object;
  /** Returns the events of the recorder of this thread; none if no loop has recorded. */
  recording(places?: Readonly<Record<string, number>>): object[];
}

/** The key of the hook. */
const HOOK: unique symbol = Symbol.for('gyre.inspect') as never;

/** Weak references, because a loop that was dropped without `close()` must be garbage-collected. */
const loops: Map<number, WeakRef<Loop>> = new Map();
const ids: WeakMap<Loop, number> = new WeakMap();
const dropped: FinalizationRegistry<number> = new FinalizationRegistry((id) => loops.delete(id));
let lastId = 0;

/** Adds a loop, and returns its number. The first one of this copy of gyre installs the hook. */
export function addLoop(loop: Loop, copy: InspectedCopy): number {
  openChannels(() => node.diagnostics_channel);
  const id = ++lastId;
  if (id === 1) install(copy);
  ids.set(loop, id);
  loops.set(id, new WeakRef(loop));
  dropped.register(loop, id, loop);
  return id;
}

/** Removes a loop that was closed. */
export function removeLoop(loop: Loop): void {
  loops.delete(loopId(loop));
  dropped.unregister(loop);
}

/** Returns the loops that are not closed, in the order of their creation. */
export function openLoops(): Loop[] {
  return Array.from(loops.values(), (reference) => reference.deref()).filter((loop) => loop !== undefined);
}

/** Returns the number of a loop, unique among the loops of this copy of gyre in this thread. */
export function loopId(loop: Loop): number {
  return ids.get(loop) ?? 0;
}

function install(copy: InspectedCopy): void {
  const holder = globalThis as { [HOOK]?: InspectedCopy[] };
  if (holder[HOOK] === undefined)
    Object.defineProperty(holder, HOOK, { value: [], configurable: true, writable: true });
  holder[HOOK]?.push(copy);
}
