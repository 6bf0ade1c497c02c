/** Descriptors of this process: sockets, pipes, files. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';

const FOLDER = '/proc/self/fd';

/** Returns the open descriptors, by number. Empty where the system has no list. */
function open(): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER).flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`${FOLDER}/${fd}`)}`];
    } catch {
      // The descriptor of the listing itself.
      return [];
    }
  });
}

/** Runs `body`, and checks that it leaves no socket open. */
export async function leavingNoSocket(body: () => Promise<void>): Promise<void> {
  const before = new Set(open());
  await body();
  const left = open().filter((line) => line.includes('socket:') && !before.has(line));
  assert.deepEqual(left, [], 'sockets were left open');
}
