/**
 * Bun has a global `self` in every thread. The pool library therefore takes Bun for a browser, and waits
 * forever. Import this file before the library.
 */
if (process.versions.bun !== undefined) {
  Object.defineProperty(globalThis, 'self', { value: undefined, configurable: true });
}
