/**
 * `node:fs` inside a host: the files are those of this machine, and only the order of results is the world's.
 *
 * The thread pool ends its work in an order that nothing can foresee. Time stands still while any of it is in
 * flight. Then the results are handed out one by one, in the order in which they were asked for.
 */
import { AsyncResource } from 'node:async_hooks';
import fs from 'node:fs';
import type { Timeline } from '../../backend/sim/timeline.ts';
import type { Place } from '../place.ts';
import type { AnyFunction, Patches } from './patches.ts';

/** Seconds: behind everything of this moment, and before every other one. */
const NEXT_MOMENT = 1e-9;

interface Result {
  readonly number: number;
  readonly place: Place;
  readonly hand: () => void;
}

/** The results of a world that wait for the end of all work. */
class Results {
  readonly #timeline: Timeline;
  readonly #ready: Result[] = [];
  #numbers: number = 0;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Asks for a result. Returns a function that takes it, and the code that hands it to the program. */
  ask(place: Place): (hand: () => void) => void {
    const number = this.#numbers++;
    const letGo = place.keepAlive();
    return (hand) => {
      this.#ready.push({ number, place, hand });
      if (this.#ready.length === 1) this.#handNext();
      letGo();
    };
  }

  /** An event of the timeline comes only when no real work is in flight. */
  #handNext(): void {
    this.#timeline.at(
      this.#timeline.time() + NEXT_MOMENT,
      () => {
        this.#ready.sort((one, other) => one.number - other.number);
        const { place, hand } = this.#ready.shift() as Result;
        place.soon(hand);
        if (this.#ready.length > 0) this.#handNext();
      },
      true,
    );
  }
}

const results: WeakMap<Timeline, Results> = new WeakMap();

function resultsOf({ kernel: { host } }: Place): Results {
  let found = results.get(host.timeline);
  if (found === undefined) {
    found = new Results(host.timeline);
    results.set(host.timeline, found);
  }
  return found;
}

/** Methods of a `FileHandle`. */
const FILE_HANDLE = [
  ...['appendFile', 'chmod', 'chown', 'close', 'datasync', 'read', 'readFile', 'readv', 'stat', 'sync'],
  ...['truncate', 'utimes', 'write', 'writeFile', 'writev'],
];

export function patchFs(patches: Patches): void {
  const functions = fs as unknown as Record<string, unknown>;
  for (const name of Object.keys(functions)) {
    // The functions with a callback are those that have a synchronous twin.
    if (typeof functions[`${name}Sync`] === 'function') patches.method(fs, name, withCallback);
  }
  const { open, watch, ...promised } = fs.promises;
  for (const [name, value] of Object.entries(promised)) {
    if (typeof value === 'function') patches.method(fs.promises, name, withPromise);
  }
  let patched = false;
  patches.method(fs.promises, 'open', (original) => (place, args) => {
    const opened = withPromise(original)(place, args, fs.promises) as Promise<fs.promises.FileHandle>;
    return opened.then((handle) => {
      if (!patched) {
        for (const name of FILE_HANDLE) {
          patches.method(Object.getPrototypeOf(handle) as object, name, withPromise);
        }
      }
      patched = true;
      return handle;
    });
  });
}

type Inside = (place: Place, args: unknown[], self: unknown) => unknown;

function withCallback(original: AnyFunction): Inside {
  return (place, args, self) => {
    const callback = args.at(-1);
    if (typeof callback !== 'function') return original.apply(self, args);
    const bound = AsyncResource.bind(callback as (...results: unknown[]) => void);
    let take: ((hand: () => void) => void) | null = null;
    const given = (...values: unknown[]): void => {
      // `exists()` answers at once for a path that cannot be.
      if (take === null) bound(...values);
      else take(() => bound(...values));
    };
    // The original may throw at once. Then nothing was asked for.
    const answer = original.apply(self, [...args.slice(0, -1), given]);
    take = resultsOf(place).ask(place);
    return answer;
  };
}

function withPromise(original: AnyFunction): Inside {
  return (place, args, self) => {
    const result = original.apply(self, args);
    if (!(result instanceof Promise)) return result;
    const take = resultsOf(place).ask(place);
    return new Promise((resolve) => {
      const hand = (): void => take(() => resolve(result));
      result.then(hand, hand);
    });
  };
}
