// node --import ./scripts/typescript/register.mjs: runs TypeScript as `--import tsx` does, in half the time.
// A run of the tests starts some seven hundred processes and threads, and nearly each of them loads gyre.
//
// Unlike tsx it serves this repository only: every file is an ES module, and an import names a file with its
// extension.

import * as module from 'node:module';

process.setSourceMapsEnabled(true);
// Node 20 has only module.register(), which runs the hooks on another thread; Node 26 deprecates it.
if ('registerHooks' in module) /** @type {any} */ (module).registerHooks(await import('./hooks.mjs'));
else module.register('./hooks.mjs', import.meta.url);
