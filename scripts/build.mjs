// npm run build: src/ becomes dist/, from nothing, so that a file that was removed does not stay in the
// package.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

/**
 * Builds `dist/`. Exits the process when the compiler reports an error.
 *
 * @returns {Promise<void>}
 */
export async function build() {
  ensureDependencies();
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const code = await runChild(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root });
  if (code !== 0) process.exit(code);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await build();
