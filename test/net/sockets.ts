/** What this process has open, as the system sees it: sockets that nobody refers to are still there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { hostPass } from '../helpers/host-pass.ts';

/** Where the system tells. Elsewhere the counts are not compared; what the loops own still is. */
export const canCount: boolean = existsSync('/proc/self/fd');

/** Open sockets of this process. */
export function socketCount(): number {
  if (!canCount) return 0;
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count++;
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return count;
}

/**
 * The host's poll phases that a socket may need until it is closed; a name that is being looked up takes many
 * more.
 */
const PASSES = 200;

/**
 * Asserts that no more than `before` sockets are open, and that the host waits for no name and no connection.
 */
export async function assertSockets(before: number, message: string): Promise<void> {
  for (let i = 0; i < PASSES && (socketCount() > before || requests() > 0); i++) await hostPass();
  while (requests() > 0) await hostPass();
  assert.equal(socketCount(), before, message);
}

/**
 * Names that are being looked up and connections that are being made. A look-up cannot be stopped, so it is
 * waited for.
 */
function requests(): number {
  return process.getActiveResourcesInfo().filter((type) => /GetAddrInfo|ConnectWrap/.test(type)).length;
}
