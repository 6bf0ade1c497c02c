/**
 * Bun has a `self` in every thread, by which the pool library takes it for a browser and waits for ever.
 * Imported before the library.
 */
if (process.versions.bun !== undefined) {
  Object.defineProperty(globalThis, 'self', { value: undefined, configurable: true });
}
