/** The process's descriptors and children, counted in the system and not by gyre. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Held {
  descriptors: number;
  children: number;
}

export function held(): Held {
  // The descriptor of the listing itself.
  return { descriptors: readdirSync('/proc/self/fd').length - 1, children: childPids().length };
}

export function childPids(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number);
    } catch {
      // The thread has ended meanwhile.
      return [];
    }
  });
}
