// npm run bench: builds the package and the benchmarks, then runs them. What is measured is what people install.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from './build.mjs';
import { runChild } from './run-child.mjs';
import { root } from './setup.mjs';

const built = path.join(root, 'bench', 'results', 'build');
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** @param {...string} args */
async function node(...args) {
  const code = await runChild(process.execPath, args);
  if (code !== 0) process.exit(code);
}

await build();
rmSync(built, { recursive: true, force: true });
await node(tsc, '-p', path.join(root, 'bench', 'tsconfig.build.json'));
await node(path.join(built, 'run.js'), ...process.argv.slice(2));
