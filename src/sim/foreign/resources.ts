/**
 * The async hook that shows what the code of hosts asks of the real machine.
 *
 * Timers are adopted by the world. Everything else that is real is watched: see real-work.ts.
 */
import { createHook } from 'node:async_hooks';
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import type { NodeImmediate, NodeTimeout } from './timers.ts';
import { adoptImmediate, adoptTimeout } from './timers.ts';

type Adopt = (resource: never, place: Place, asyncId: number, type: string) => void;

/** By type of resource. Promises, ticks and microtasks are the most frequent ones, and have no entry. */
const kinds: Map<string, Adopt> = new Map<string, Adopt>([
  ['Timeout', (timer: NodeTimeout, place) => adoptTimeout(timer, place)],
  ['Immediate', (immediate: NodeImmediate, place) => adoptImmediate(immediate, place)],
]);

const hook = createHook({
  init(asyncId, type, _triggerId, resource) {
    const adopt = kinds.get(type);
    if (adopt === undefined) return;
    const place = currentPlace();
    if (place !== null) adopt(resource as never, place, asyncId, type);
  },
});

/** Begins to adopt resources. Returns a function that ends it. */
export function watchResources(): () => void {
  hook.enable();
  return () => {
    hook.disable();
  };
}
