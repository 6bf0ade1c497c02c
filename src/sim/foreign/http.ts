/**
 * `node:http` and `node:http2` inside a host. Their connections are sockets of `node:net`, so two things
 * remain.
 *
 * - An agent may be shared by programs of several hosts: `http.globalAgent` is. A pooled connection belongs
 *   to the program that opened it, so the name of each pool names the program.
 * - Node writes the `Date` header with a clock that nothing can replace.
 */
import http from 'node:http';
import http2 from 'node:http2';
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import { wallTime } from './clocks.ts';
import type { Patches } from './patches.ts';

export function patchHttp(patches: Patches): void {
  patchAgent(patches);
  patchDateOfHttp1(patches);
  patchDateOfHttp2(patches);
}

// --- pools ---

const kPool: unique symbol = Symbol('gyre.pool');

interface PooledOptions {
  [kPool]?: string;
}

/** An agent's pools of sockets and requests by name. */
interface Pools {
  sockets: Record<string, unknown[] | undefined>;
  freeSockets: Record<string, unknown[] | undefined>;
  requests: Record<string, unknown[] | undefined>;
  totalSocketCount: number;
}

const poolsOf: WeakMap<Place, PlacePools> = new WeakMap();
let lastPlace: number = 0;

/** The pools that one program has in agents. */
class PlacePools {
  readonly suffix: string;
  readonly #pools: Map<Pools, Set<string>> = new Map();

  constructor(place: Place) {
    this.suffix = `:${place.hostName}:${++lastPlace}`;
    place.onEnd(() => this.#drop());
  }

  name(agent: Pools, name: string): string {
    const full = name + this.suffix;
    let names = this.#pools.get(agent);
    if (names === undefined) {
      names = new Set();
      this.#pools.set(agent, names);
    }
    names.add(full);
    return full;
  }

  /** The program has ended, and its sockets with it. */
  #drop(): void {
    for (const [agent, names] of this.#pools) {
      for (const name of names) {
        agent.totalSocketCount -= agent.sockets[name]?.length ?? 0;
        agent.totalSocketCount -= agent.freeSockets[name]?.length ?? 0;
        delete agent.sockets[name];
        delete agent.freeSockets[name];
        delete agent.requests[name];
      }
    }
  }
}

function patchAgent(patches: Patches): void {
  patches.method(http.Agent.prototype, 'getName', (original) => (place, args, self) => {
    const name = original.apply(self, args) as string;
    const options = args[0] as PooledOptions | undefined;
    // The agent asks again when a socket is free, perhaps from code of another program.
    if (options?.[kPool] !== undefined) return name + options[kPool];
    let pools = poolsOf.get(place);
    if (pools === undefined) {
      pools = new PlacePools(place);
      poolsOf.set(place, pools);
    }
    if (options !== undefined && Object.isExtensible(options)) options[kPool] = pools.suffix;
    return pools.name(self as Pools, name);
  });
}

// --- Date ---

function dateOf(place: Place): string {
  return new Date(wallTime(place)).toUTCString();
}

interface Outgoing {
  sendDate: boolean;
  hasHeader(name: string): boolean;
}

function patchDateOfHttp1(patches: Patches): void {
  patches.method(
    http.OutgoingMessage.prototype,
    '_storeHeader',
    (original) =>
      (place, [line, headers], self) => {
        const message = self as Outgoing;
        if (!message.sendDate || message.hasHeader('date') || namesDate(headers))
          return original.call(self, line, headers);
        message.sendDate = false;
        try {
          return original.call(self, `${String(line)}Date: ${dateOf(place)}\r\n`, headers);
        } finally {
          message.sendDate = true;
        }
      },
  );
}

/** @param headers an object, an array of names and values, or an array of pairs */
function namesDate(headers: unknown): boolean {
  if (typeof headers !== 'object' || headers === null) return false;
  const names = Array.isArray(headers) ? headers.flat() : Object.keys(headers);
  return names.some((name) => typeof name === 'string' && name.toLowerCase() === 'date');
}

type Respond = (headers?: unknown, options?: { sendDate?: boolean }) => void;

const patchedStreams: WeakSet<object> = new WeakSet();

/** The class of a server's streams is not exported, so its first object shows it. */
function patchDateOfHttp2(patches: Patches): void {
  for (const name of ['createServer', 'createSecureServer'] as const) {
    patches.method(http2, name, (original) => (_place, args) => {
      const server = original(...args) as http2.Http2Server;
      return server.prependOnceListener('stream', (stream) => {
        const prototype = prototypeWith(stream, 'respond');
        if (prototype === null || patchedStreams.has(prototype)) return;
        patchedStreams.add(prototype);
        const respond = (prototype as { respond: Respond }).respond;
        (prototype as { respond: Respond }).respond = function (this: unknown, headers, options) {
          const place = currentPlace();
          const dated = place === null || options?.sendDate === false ? headers : withDate(headers, place);
          respond.call(this, dated, options);
        };
      });
    });
  }
}

function prototypeWith(target: object, method: string): object | null {
  let prototype = Object.getPrototypeOf(target) as object | null;
  while (prototype !== null && !Object.hasOwn(prototype, method)) {
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return prototype;
}

function withDate(headers: unknown, place: Place): unknown {
  if (namesDate(headers)) return headers;
  if (Array.isArray(headers)) return [...headers, 'date', dateOf(place)];
  return { ...(headers as object | undefined), date: dateOf(place) };
}
