// npm start: sets up what is missing, then runs examples/tour.ts in this very process. A child process would
// need its signals forwarded, and Ctrl-C in a terminal reaches a child by itself: it would come twice.

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureDependencies, root } from './setup.mjs';

ensureDependencies();
// tsx finds tsconfig.json, which says where 'gyre' is, from the working directory.
process.chdir(root);
const { register } = await import('tsx/esm/api');
register();
const tour = path.join(root, 'examples', 'tour.ts');
process.argv[1] = tour;
await import(pathToFileURL(tour).href);
