/** Prints the resident memory by a module that Node has loaded already: `console` would load more. */
import { writeSync } from 'node:fs';

writeSync(1, String(process.memoryUsage.rss()));
