/** Node's own modules and clocks inside simulated hosts. */
import { syncBuiltinESMExports } from 'node:module';
import type { ForeignWorld } from '../foreign-layer.ts';
import { useForeignLayer } from '../foreign-layer.ts';
import { runOutside } from '../place.ts';
import { patchChildProcess } from './child-process.ts';
import { patchClocks } from './clocks.ts';
import { patchDns } from './dns.ts';
import { patchFetch, restoreDispatchers } from './fetch.ts';
import { patchFs } from './fs.ts';
import { patchHttp } from './http.ts';
import { checkNative, isNode } from './native.ts';
import { patchNet } from './net.ts';
import { patchOs } from './os.ts';
import { Patches } from './patches.ts';
import { patchRandomness } from './randomness.ts';
import { patchWebAssembly, patchWebCrypto, watchWork } from './real-work.ts';
import { watchResources } from './resources.ts';
import { endTicks } from './timers.ts';

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
    patchDns(patches);
    patchHttp(patches);
    patchFetch(patches);
    patchOs(patches);
    patchFs(patches);
    patchChildProcess(patches);
    patchWebAssembly(patches);
    patchWebCrypto(patches);
    syncBuiltinESMExports();
  }
  return () => {
    if (--users > 0) return;
    patches.undo();
    restoreDispatchers();
  };
}

/** Begins a simulation. Returns a function that ends it. */
export function enterWorld(world: ForeignWorld): () => void {
  checkNative();
  world.timeline.outside = runOutside;
  const unpatch = patchNode();
  // Node opens them at their first use, which must not count as work of a host.
  void process.stdout;
  void process.stderr;
  const endWork = watchWork(world);
  if (worlds++ === 0) unwatch = watchResources();
  return () => {
    endTicks(world.timeline);
    endWork();
    if (--worlds === 0) unwatch?.();
    unpatch();
  };
}

if (isNode) useForeignLayer(enterWorld, patchNode);
