/**
 * `fetch`, `WebSocket` and the `undici` package inside a host. All of them send their requests through one
 * global dispatcher, which pools connections. Each program gets a dispatcher of its own in its place.
 */
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import type { Patches } from './patches.ts';

/** Where the versions of undici keep the global dispatcher. */
const NEWEST: symbol = Symbol.for('undici.globalDispatcher.2');
const SYMBOLS: readonly symbol[] = [NEWEST, Symbol.for('undici.globalDispatcher.1')];

interface Dispatcher {
  dispatch(...args: unknown[]): unknown;
}

type Global = Record<symbol, Dispatcher | undefined>;

/** The dispatchers that were replaced, by symbol. */
const originals: Map<symbol, Dispatcher> = new Map();
const ownDispatchers: WeakMap<Place, Map<Dispatcher, Dispatcher>> = new WeakMap();

export function patchFetch(patches: Patches): void {
  separateDispatchers();
  patches.method(globalThis, 'fetch', (original) => (_place, args) => {
    load();
    return original(...args);
  });
  const { WebSocket: RealWebSocket } = globalThis as { WebSocket?: new (...args: unknown[]) => object };
  if (RealWebSocket === undefined) return;
  patches.value(
    globalThis,
    'WebSocket',
    new Proxy(RealWebSocket, {
      construct(target, args, newTarget) {
        if (currentPlace() !== null) load();
        return Reflect.construct(target, args, newTarget) as object;
      },
    }),
  );
}

/** Puts the dispatchers back. */
export function restoreDispatchers(): void {
  for (const [symbol, original] of originals) (globalThis as unknown as Global)[symbol] = original;
  originals.clear();
}

/** Lets Node load its copy of undici, which sets the dispatcher. */
function load(): void {
  void globalThis.Response;
  separateDispatchers();
}

function separateDispatchers(): void {
  const global = globalThis as unknown as Global;
  for (const symbol of SYMBOLS) {
    const dispatcher = global[symbol];
    if (dispatcher === undefined || originals.has(symbol)) continue;
    const separate = separated(dispatcher);
    if (separate === null) continue;
    originals.set(symbol, dispatcher);
    global[symbol] = separate;
  }
}

/** Returns null for a dispatcher that the user has set, for example one of mocks: all programs share it. */
function separated(dispatcher: Dispatcher): Dispatcher | null {
  const Class = dispatcher.constructor as new (below?: Dispatcher) => Dispatcher;
  // The face of the newer dispatcher for older versions of undici.
  if (Class.name === 'Dispatcher1Wrapper') {
    const below = (globalThis as unknown as Global)[NEWEST];
    return below === undefined ? null : new Class(below);
  }
  if (Class.name !== 'Agent') return null;
  return new Proxy(dispatcher, {
    get(target, key) {
      const place = currentPlace();
      const used = place === null ? target : ownDispatcher(place, target);
      const value: unknown = Reflect.get(used, key, used);
      return typeof value === 'function' ? (value.bind(used) as unknown) : value;
    },
  });
}

function ownDispatcher(place: Place, dispatcher: Dispatcher): Dispatcher {
  let own = ownDispatchers.get(place);
  if (own === undefined) {
    own = new Map();
    ownDispatchers.set(place, own);
  }
  let made = own.get(dispatcher);
  if (made === undefined) {
    made = new (dispatcher.constructor as new () => Dispatcher)();
    own.set(dispatcher, made);
  }
  return made;
}
