/** Node's own modules and clocks inside simulated hosts. */
import { syncBuiltinESMExports } from 'node:module';
import type { ForeignWorld } from '../foreign-layer.ts';
import { useForeignLayer } from '../foreign-layer.ts';
import { runOutside } from '../place.ts';
import { patchClocks } from './clocks.ts';
import { patchNet } from './net.ts';
import { Patches } from './patches.ts';
import { patchRandomness } from './randomness.ts';
import { watchResources } from './resources.ts';

const patches: Patches = new Patches();
/** Simulations that run, and `gyre/sim/register`. */
let users: number = 0;
let worlds: number = 0;
let unwatch: (() => void) | null = null;

/** Replaces the functions of Node that a host must not call. Returns a function that puts them back. */
export function patchNode(): () => void {
  if (users++ === 0) {
    patchClocks(patches);
    patchRandomness(patches);
    patchNet(patches);
    syncBuiltinESMExports();
  }
  return () => {
    if (--users === 0) patches.undo();
  };
}

/** Begins a simulation. Returns a function that ends it. */
export function enterWorld(world: ForeignWorld): () => void {
  world.timeline.outside = runOutside;
  const unpatch = patchNode();
  if (worlds++ === 0) unwatch = watchResources();
  return () => {
    if (--worlds === 0) unwatch?.();
    unpatch();
  };
}

useForeignLayer(enterWorld);
