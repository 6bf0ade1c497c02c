/**
 * The open descriptors of this process from the system's view, which includes sockets without a reference.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { hostPass } from '../helpers/host-pass.ts';

/**
 * True where the system has such a list. Elsewhere the counts are not compared, but the loops' resources
 * still are.
 */
export const canCount: boolean = existsSync('/proc/self/fd');

/** Returns the number of open sockets of this process. */
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

/** The poll phases that a socket may need to close. A name that is being resolved takes many more. */
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
 * Returns the number of names and connections that are pending. A look-up cannot be stopped, so the test
 * waits for it.
 */
function requests(): number {
  return process.getActiveResourcesInfo().filter((type) => /GetAddrInfo|ConnectWrap/.test(type)).length;
}
