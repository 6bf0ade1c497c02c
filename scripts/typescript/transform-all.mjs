// Fills the cache with everything that a test may load.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from '../setup.mjs';
import { transformAll } from './transform.mjs';

const files = ['src', 'test', 'examples'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => path.join(root, folder, name)),
);
await transformAll(files);
