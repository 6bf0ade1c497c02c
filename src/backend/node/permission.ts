/** What Node's permission model lets us do. */
import { createServer } from 'node:net';

/** No file can be there. */
const NOWHERE = '/dev/null/gyre';

/**
 * Returns Node's own error where the program may not use the network; null: it may.
 *
 * Facts. Without `--allow-net` some calls of `node:net` throw in a later tick, where nothing can catch the
 * error. `permission.has()` also says no where the model only audits, and before Node 25, which did not ask
 * for this permission.
 *
 * What this means. Where it says no, Node is asked for something that throws at once if it is forbidden, and
 * fails later if not.
 */
export function deniedNetwork(): Error | null {
  if (process.permission === undefined || process.permission.has('net')) return null;
  try {
    createServer().on('error', ignore).listen(NOWHERE);
    return null;
  } catch (error) {
    return error as Error;
  }
}

function ignore(): void {}
