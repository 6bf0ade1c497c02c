/** Replacements of properties of Node's own objects, which can all be taken back. */
import { syncBuiltinESMExports } from 'node:module';
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';

export type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

export class Patches {
  /** Each puts one property back. */
  readonly #undo: (() => unknown)[] = [];

  /** Replaces a property, and keeps its flags. A property that cannot be changed stays as it is. */
  value(target: object, key: PropertyKey, value: unknown): void {
    const original = Object.getOwnPropertyDescriptor(target, key);
    if (original === undefined || (!original.configurable && !original.writable)) return;
    this.#define(target, key, original, { ...flagsOf(original), value, writable: original.writable ?? true });
  }

  /** Replaces the getter of a property. */
  getter(
    target: object,
    key: PropertyKey,
    make: (original: () => unknown) => (self: unknown) => unknown,
  ): void {
    const original = Object.getOwnPropertyDescriptor(target, key);
    if (original?.get === undefined || !original.configurable) return;
    this.#define(target, key, original, { ...original, get: getterOf(make(original.get)) });
  }

  /**
   * Replaces a function. Code of a simulated program gets the function of `make`; all other code gets the
   * original. The new function looks like the old one: same name, same length, same properties.
   */
  method(
    target: object,
    key: PropertyKey,
    make: (original: AnyFunction) => (place: Place, args: unknown[], self: unknown) => unknown,
  ): void {
    const original = Object.getOwnPropertyDescriptor(target, key)?.value as AnyFunction | undefined;
    if (typeof original !== 'function') return;
    const inside = make(original);
    const replacement = function (this: unknown, ...args: unknown[]): unknown {
      const place = new.target === undefined ? currentPlace() : null;
      if (place !== null) return inside(place, args, this);
      if (new.target === undefined) return original.apply(this, args);
      return Reflect.construct(original, args, new.target === replacement ? original : new.target);
    };
    this.value(target, key, disguise(replacement, original));
  }

  /** As {@link method}, for a function that `target` inherits. */
  inherited(
    target: object,
    key: string,
    make: (original: AnyFunction) => (place: Place, args: unknown[], self: unknown) => unknown,
  ): void {
    const value = (target as Record<string, unknown>)[key];
    Object.defineProperty(target, key, { configurable: true, writable: true, value });
    this.#undo.push(() => delete (target as Record<string, unknown>)[key]);
    this.method(target, key, make);
  }

  undo(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#undo.length = 0;
    syncBuiltinESMExports();
  }

  #define(target: object, key: PropertyKey, original: PropertyDescriptor, changed: PropertyDescriptor): void {
    Object.defineProperty(target, key, changed);
    this.#undo.push(() => {
      // Another tool may have replaced it meanwhile, and calls this one.
      const now = Object.getOwnPropertyDescriptor(target, key);
      if (now?.value === changed.value && now?.get === changed.get) {
        Object.defineProperty(target, key, original);
      }
    });
  }
}

function getterOf(get: (self: unknown) => unknown): () => unknown {
  return function (this: unknown) {
    return get(this);
  };
}

function flagsOf({ configurable, enumerable }: PropertyDescriptor): PropertyDescriptor {
  return { configurable: configurable ?? false, enumerable: enumerable ?? false };
}

/** Gives a function the properties of another one: its name, its prototype, `util.promisify.custom`. */
export function disguise<F extends object>(replacement: F, original: object): F {
  for (const key of Reflect.ownKeys(original)) {
    const own = Object.getOwnPropertyDescriptor(replacement, key);
    if (own !== undefined && !own.configurable && !own.writable) continue;
    const descriptor = Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor;
    if (own !== undefined && !own.configurable) {
      (replacement as Record<PropertyKey, unknown>)[key] = (original as Record<PropertyKey, unknown>)[key];
    } else Object.defineProperty(replacement, key, descriptor);
  }
  return replacement;
}
