/**
 * Real work that the code of a host has begun: files, the thread pool, WebAssembly, threads, real sockets.
 *
 * While it is in flight, the time of the world stands still, because the program waits for it and no timer of
 * the world may come first. If it takes too long, the simulation fails, and the error says who began it.
 */

import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import type { Timeline } from '../../backend/sim/timeline.ts';
import { hostClearInterval, hostNow, hostSetInterval } from '../../base/host.ts';
import { SimulationError } from '../errors.ts';
import type { ForeignWorld } from '../foreign-layer.ts';
import type { Place } from '../place.ts';
import { runOutside } from '../place.ts';
import { oneByOne } from './one-by-one.ts';
import type { Patches } from './patches.ts';

const CHECK_MS = 200;
const FRAMES = 8;

/** Names the work of a type of resource, for the error. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^GETADDRINFO|^GETNAMEINFO|^QUERYWRAP/, 'a name resolution'],
  [/REQUEST$/, 'a computation of node:crypto'],
  [/^ZLIB/, 'a computation of node:zlib'],
  [/^WORKER/, 'a worker thread'],
  [/^(TCP|PIPE|UDP|TTY)/, 'a socket, pipe or terminal of this machine'],
  [/^(FSEVENT|STATWATCHER)/, 'a watcher of files'],
  [/^FS|^FILEHANDLE/, 'a file operation'],
  [/^WEBASSEMBLY/, 'a compilation of WebAssembly'],
];

/** A world that may wait too long. */
type Waiting = Pick<ForeignWorld, 'timeline' | 'realWorkLimit' | 'fail'>;

interface Work {
  readonly place: Place;
  readonly type: string;
  readonly since: number;
  readonly stack: Error;
  readonly release: () => void;
}

const inFlight: Set<Work> = new Set();
const worlds: Map<Timeline, Waiting> = new Map();
let checking: NodeJS.Timeout | null = null;

/** Real work of this world's programs is watched from now on. Returns a function that ends it. */
export function watchWork(world: Waiting): () => void {
  const { timeline } = world;
  worlds.set(timeline, world);
  checking ??= runOutside(() => hostSetInterval(check, CHECK_MS).unref());
  return () => {
    worlds.delete(timeline);
    for (const work of inFlight) if (work.place.kernel.host.timeline === timeline) end(work);
    if (worlds.size > 0 || checking === null) return;
    hostClearInterval(checking);
    checking = null;
  };
}

/** Begins work of a program. Returns a function that ends it. */
export function beginWork(place: Place, type: string): () => void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES * 4;
  const work: Work = {
    place,
    type,
    since: hostNow(),
    stack: new Error(type),
    release: place.kernel.host.timeline.hold(),
  };
  Error.stackTraceLimit = stackTraceLimit;
  inFlight.add(work);
  return () => end(work);
}

function end(work: Work): void {
  if (inFlight.delete(work)) work.release();
}

function check(): void {
  const now = hostNow();
  for (const work of inFlight) {
    const world = worlds.get(work.place.kernel.host.timeline);
    if (world === undefined || now - work.since < world.realWorkLimit * 1000) continue;
    end(work);
    world.fail(errorOf(work, world.realWorkLimit));
  }
}

function errorOf({ place, type, stack }: Work, seconds: number): SimulationError {
  const words = WORDS.find(([kind]) => kind.test(type))?.[1] ?? 'an operation';
  const frames = (stack.stack ?? '')
    .split('\n')
    .slice(1)
    .filter((line) => !/node:internal|\/sim\/foreign\/(real-work|resources)\.[jt]s/.test(line))
    .slice(0, FRAMES);
  const begun = frames.length === 0 ? '' : `. It was begun at\n${frames.join('\n')}`;
  return new SimulationError(
    'ERR_SIMULATION_REAL_WORK',
    `real work has kept the simulation waiting for ${seconds} s: ${words} (${type}) of host ${place.hostName}. ` +
      `Close it, do it outside of the hosts, or raise realWorkLimit${begun}`,
  );
}

// --- what async hooks show ---

const ONE_SHOT: ReadonlySet<string> = new Set([
  'FSREQCALLBACK',
  'FSREQPROMISE',
  'FILEHANDLECLOSEREQ',
  'GETADDRINFOREQWRAP',
  'GETNAMEINFOREQWRAP',
  'QUERYWRAP',
  // Its callback is its end.
  'WORKER',
]);
/** They last until they are closed, however often they call back. */
const LASTING: ReadonlySet<string> = new Set([
  'TCPWRAP',
  'TCPSERVERWRAP',
  'PIPEWRAP',
  'PIPESERVERWRAP',
  'FSEVENTWRAP',
  'STATWATCHER',
]);
/** The ends of work, by async id. A resource that works again from within its callback has two. */
const ends: Map<number, (() => void)[]> = new Map();
const lasting: Map<number, () => void> = new Map();
/** In force only while work is in flight, because it makes every promise of the process slower. */
const endHook = createHook({ after: resourceCalled, destroy: forgetResource });

function watchEnds(): void {
  if (ends.size + lasting.size > 0) endHook.enable();
  else endHook.disable();
}

/** Looks at a new resource of a program. */
export function watchResource(resource: object, place: Place, asyncId: number, type: string): void {
  const begin = (done: () => void = () => {}): void => {
    const end = beginWork(place, type);
    const pending = ends.get(asyncId) ?? [];
    ends.set(asyncId, pending);
    pending.push(() => {
      end();
      done();
    });
    watchEnds();
  };
  if (type === 'ZLIB') inTurn(resource as Methods, 'write', place, begin);
  else if (type === 'BLOBREADER') watchCalls(resource as Methods, 'pull', begin);
  else if (isCryptoJob(type)) watchJob(resource as Methods, place, begin);
  else if (ONE_SHOT.has(type)) begin();
  else if (LASTING.has(type)) {
    lasting.set(asyncId, beginWork(place, type));
    watchEnds();
  }
}

function isCryptoJob(type: string): boolean {
  return type.endsWith('REQUEST') && type !== 'HTTPCLIENTREQUEST';
}

type Methods = Record<string, unknown>;
type Method = (...args: unknown[]) => unknown;
type Begin = (done?: () => void) => void;

/** The job of a call of Web Crypto belongs to that call. A job without `ondone` runs at once. */
function watchJob(job: Methods, place: Place, begin: Begin): void {
  if (ofWebCrypto.getStore() === true) return;
  const run = job.run as Method;
  job.run = () => {
    if (typeof job.ondone !== 'function') return run.call(job);
    oneByOne(place, (done) => {
      begin(done);
      run.call(job);
    });
    return undefined;
  };
}

/** Calls a method of a resource when its turn has come, unless the resource is closed then. */
function inTurn(resource: Methods, method: string, place: Place, begin: Begin): void {
  const original = resource[method] as Method;
  const close = resource.close as Method;
  let closed = false;
  resource.close = () => {
    closed = true;
    return close.call(resource);
  };
  resource[method] = (...args: unknown[]) => {
    oneByOne(place, (done) => {
      if (closed) {
        done();
        return;
      }
      begin(done);
      original.apply(resource, args);
    });
  };
}

function watchCalls(resource: Methods, method: string, begin: Begin): void {
  const original = resource[method] as Method;
  resource[method] = (...args: unknown[]) => {
    begin();
    return original.apply(resource, args);
  };
}

/** The callback of a resource has run. */
function resourceCalled(asyncId: number): void {
  const pending = ends.get(asyncId);
  if (pending === undefined) return;
  pending.shift()?.();
  if (pending.length > 0) return;
  ends.delete(asyncId);
  watchEnds();
}

/** Work of this resource is over. */
export function forgetResource(asyncId: number): void {
  lasting.get(asyncId)?.();
  for (const done of ends.get(asyncId) ?? []) done();
  if (lasting.delete(asyncId) || ends.delete(asyncId)) watchEnds();
}

// --- what they do not show ---

/** V8 compiles WebAssembly in threads of its own. */
export function patchWebAssembly(patches: Patches): void {
  const { WebAssembly: engine } = globalThis as unknown as { WebAssembly: object };
  for (const name of ['compile', 'instantiate', 'compileStreaming', 'instantiateStreaming'] as const) {
    patches.method(engine, name, (original) => (place, args, self) => {
      const done = beginWork(place, 'WEBASSEMBLY');
      const promise = original.apply(self, args) as Promise<unknown>;
      promise.then(done, done);
      return promise;
    });
  }
}

/** True in the calls of Web Crypto that are in their turn. */
const ofWebCrypto: AsyncLocalStorage<boolean> = new AsyncLocalStorage();

/** A call of Web Crypto may begin several jobs, and tells its end by a promise. */
export function patchWebCrypto(patches: Patches): void {
  const prototype = Object.getPrototypeOf(globalThis.crypto.subtle) as object;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name === 'constructor') continue;
    patches.method(prototype, name, (original) => (place, args, self) => {
      return new Promise((resolve) => {
        oneByOne(place, (done) => {
          const end = beginWork(place, 'WEBCRYPTOREQUEST');
          const result = ofWebCrypto.run(true, async () => await original.apply(self, args));
          const ended = (): void => {
            end();
            done();
          };
          result.then(ended, ended);
          resolve(result);
        });
      });
    });
  }
}
