/** The part of a simulation that makes Node's own modules and clocks work in it, as the world sees it. */
import type { Timeline } from '../backend/sim/timeline.ts';

/** The facts of a world that the layer needs. */
export interface ForeignWorld {
  readonly timeline: Timeline;
  /** Seconds of the real clock. */
  readonly realWorkLimit: number;
  /** Real work that keeps the world waiting was found: the simulation fails with this error. */
  fail(error: unknown): void;
  /** Adds a line to the trace of the world. */
  tell(host: string, kind: string, text: string): void;
}

/**
 * Called at the start of a simulation. Replaces timers, clocks and modules; they ask `currentPlace()` at each
 * call, and do what they always do outside of every host.
 *
 * @returns a function that is called at the end of the simulation. Several simulations may run at once, so
 *   only the last one puts everything back
 */
export type ForeignLayer = (world: ForeignWorld) => () => void;

let layer: ForeignLayer | null = null;
let keep: () => () => void = () => () => {};

/**
 * Sets the layer. Its module calls this when it is loaded.
 *
 * @param patch replaces the functions of Node, and returns a function that puts them back
 */
export function useForeignLayer(foreign: ForeignLayer, patch: () => () => void): void {
  layer = foreign;
  keep = patch;
}

/** Keeps the functions of Node replaced between simulations, because replacing them takes milliseconds. */
export function keepForeignLayer(): () => void {
  return keep();
}

/** Whether there is a layer on this platform. Bun and Deno have none. */
export function hasForeignLayer(): boolean {
  return layer !== null;
}

/** Installs the layer, if there is one. */
export function installForeignLayer(world: ForeignWorld): () => void {
  return layer?.(world) ?? (() => {});
}
