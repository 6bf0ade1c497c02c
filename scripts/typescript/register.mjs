// node --expose-internals --import ./scripts/typescript/register.mjs: runs TypeScript as `--import tsx` does,
// in less than half the time. A run of the tests starts hundreds of processes and threads, and nearly each of
// them loads gyre.
//
// Unlike tsx it serves this repository only: every file is an ES module, and an import names a file with its
// extension.
//
// Node 20 has only module.register(), which runs the hooks on another thread: its start, and a message for
// each import, cost more than everything else that a process does to load gyre. --expose-internals lets the
// hooks run on the thread that imports; without it they work all the same. Node 26 deprecates register().

import * as module from 'node:module';

/**
 * Returns the loader of ES modules of this thread.
 *
 * @returns {any} null: Node has no such loader, or does not expose it
 */
function internalLoader() {
  try {
    const require = module.createRequire(import.meta.url);
    return require('internal/modules/esm/loader').getOrInitializeCascadedLoader();
  } catch {
    return null;
  }
}

/**
 * Puts hooks in front of the two methods through which the loader resolves and loads each import.
 *
 * @param {any} loader of Node 20
 * @param {typeof import('./hooks.mjs')} hooks
 */
function hook(loader, hooks) {
  const resolve = loader.resolve.bind(loader);
  const load = loader.load.bind(loader);
  loader.resolve = (
    /** @type {string} */ specifier,
    /** @type {string | undefined} */ parentURL,
    /** @type {object} */ importAttributes,
  ) =>
    hooks.resolve(specifier, parentURL === undefined ? {} : { parentURL }, (name) =>
      resolve(name, parentURL, importAttributes),
    );
  loader.load = async (/** @type {string} */ url, /** @type {object} */ context) => ({
    responseURL: url,
    ...(await hooks.load(url, context, load)),
  });
}

process.setSourceMapsEnabled(true);
const loader = 'registerHooks' in module ? null : internalLoader();
if ('registerHooks' in module) /** @type {any} */ (module).registerHooks(await import('./hooks.mjs'));
else if (loader !== null) hook(loader, await import('./hooks.mjs'));
else module.register('./hooks.mjs', import.meta.url);
