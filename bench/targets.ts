/** The kinds of targets, as list.ts writes them. */
import type { Target } from './workload.ts';

/** `gyre` should be `atLeast` times as fast as `peer`. */
export function asked(gyre: string, atLeast: number, peer: string, onNode26: number = atLeast): Target {
  return { kind: 'times', gyre, peer, node20: atLeast, node26: onNode26 };
}

/** The figure of `gyre` should be at most so much above that of `peer`. */
export function atMostMore(gyre: string, more: number, peer: string): Target {
  return { kind: 'more', gyre, peer, node20: more, node26: more };
}

/** `gyre` should reach this figure. */
export function figure(gyre: string, value: number): Target {
  return { kind: 'figure', gyre, peer: null, node20: value, node26: value };
}

/** The same target, on Node 26 only. */
export function on26(target: Target): Target {
  return { ...target, node20: null };
}
