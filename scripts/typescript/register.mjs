// node --import ./scripts/typescript/register.mjs: runs TypeScript as `--import tsx` does, at half the cost. A run of the tests starts some
// seven hundred processes and threads, and each of them loads gyre.
//
// Unlike tsx it knows this repository only: its modules are ES modules, and an import names a file with its extension.

import * as module from 'node:module';

process.setSourceMapsEnabled(true);
// Node 20 runs hooks on a thread of their own; newer versions deprecate that.
if ('registerHooks' in module) /** @type {any} */ (module).registerHooks(await import('./hooks.mjs'));
else module.register('./hooks.mjs', import.meta.url);
