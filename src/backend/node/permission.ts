/** The permissions that Node's permission model grants. */
import { node } from '../../platform/node-modules.ts';

/** No file can exist at this path. */
const NOWHERE = '/dev/null/gyre';

/**
 * Returns Node's own error if the program may not use the network, otherwise null.
 *
 * Without `--allow-net`, some calls of `node:net` throw in a later tick, where no code can catch the error.
 * `permission.has()` also returns false if the model only audits, and before Node 25, which did not have this
 * permission.
 *
 * So if it returns false, this function makes a call that throws at once if the network is forbidden, and
 * fails later otherwise.
 */
export function deniedNetwork(): Error | null {
  if (process.permission === undefined || process.permission.has('net')) return null;
  try {
    node.net.createServer().on('error', ignore).listen(NOWHERE);
    return null;
  } catch (error) {
    return error as Error;
  }
}

function ignore(): void {}
