// npm run docs: the API pages, from the doc comments of src/ into docs/api/. docs/ has a package.json of its
// own, because typedoc and TypeScript 7 do not install together.

import path from 'node:path';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

const folder = path.join(root, 'docs');
ensureDependencies('docs');
process.exitCode = await runChild(
  process.execPath,
  [path.join(folder, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--options', 'typedoc.json'],
  { cwd: folder },
);
