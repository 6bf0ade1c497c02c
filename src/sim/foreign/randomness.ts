/**
 * The random numbers of JavaScript and Node. Inside a host they come from the seed of the world.
 *
 * Keys and signatures stay real: OpenSSL has its own generator, which nothing can seed.
 */
import { AsyncResource } from 'node:async_hooks';
import crypto from 'node:crypto';
import type { Random } from '../../backend/sim/random.ts';
import type { Place } from '../place.ts';
import type { AnyFunction, Patches } from './patches.ts';

type Callback = (error: Error | null, result?: unknown) => void;

const generators: WeakMap<object, Random> = new WeakMap();

/** Returns the generator of a host for its programs, apart from the generator of its kernel. */
function randomOf({ kernel: { host } }: Place): Random {
  let random = generators.get(host);
  if (random === undefined) {
    random = host.random.fork('programs');
    generators.set(host, random);
  }
  return random;
}

export function patchRandomness(patches: Patches): void {
  patches.method(Math, 'random', () => (place) => randomOf(place).next());
  patches.method(crypto, 'randomBytes', (original) => (place, args) => {
    const [size, callback] = args as [number, Callback | undefined];
    // The original rejects a wrong size and a wrong callback.
    const bytes = original(size) as Buffer;
    if (callback !== undefined) checkCallback(callback, original, args);
    randomOf(place).fill(bytes);
    return answer(place, callback, bytes);
  });
  patches.method(crypto, 'randomFillSync', (original) => (place, args) => {
    const filled = original(...args);
    fillRange(place, args);
    return filled;
  });
  patches.method(crypto, 'randomFill', (original) => (place, args) => {
    const callback = args.at(-1);
    checkCallback(callback, original, args);
    const range = args.slice(0, -1) as [Uint8Array, number?, number?];
    crypto.randomFillSync(...range);
    return answer(place, callback as Callback, range[0]);
  });
  patches.method(crypto, 'randomInt', (original) => (place, args) => {
    const range = [...args];
    const callback = typeof range.at(-1) === 'function' ? (range.pop() as Callback) : undefined;
    // The original rejects a wrong range.
    original(...range);
    const [low, high] = range.length === 1 ? [0, range[0] as number] : (range as [number, number]);
    return answer(place, callback, low + randomOf(place).integer(high - low));
  });
  patches.method(crypto, 'randomUUID', (original) => (place, args) => {
    original(...args);
    return uuid(place);
  });
  const prototype = globalThis.crypto.constructor.prototype as object;
  patches.method(prototype, 'getRandomValues', (original) => (place, args, self) => {
    const filled = original.apply(self, args);
    fillRange(place, [args[0]]);
    return filled;
  });
  patches.method(prototype, 'randomUUID', (original) => (place, args, self) => {
    original.apply(self, args);
    return uuid(place);
  });
}

/** Throws as the original does if `callback` is no function. */
function checkCallback(callback: unknown, original: AnyFunction, args: unknown[]): void {
  if (typeof callback !== 'function') original(...args);
}

/** Returns the result, or hands it to the callback as the thread pool does. */
function answer(place: Place, callback: Callback | undefined, result: unknown): unknown {
  if (callback === undefined) return result;
  const bound = AsyncResource.bind(callback);
  place.soon(() => bound(null, result));
  return undefined;
}

/** The arguments of `randomFillSync`: an ArrayBuffer or a view of one, an offset and a size in elements. */
function fillRange(place: Place, [target, offset, size]: readonly unknown[]): void {
  const view = ArrayBuffer.isView(target) ? target : new Uint8Array(target as ArrayBuffer);
  const element = (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  const start = ((offset as number | undefined) ?? 0) * element;
  const length = size === undefined ? view.byteLength - start : (size as number) * element;
  randomOf(place).fill(new Uint8Array(view.buffer, view.byteOffset + start, length));
}

function uuid(place: Place): string {
  const bytes = new Uint8Array(16);
  randomOf(place).fill(bytes);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
