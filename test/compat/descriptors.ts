/** Descriptors of this process: sockets, pipes, files. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';

const FOLDER = '/proc/self/fd';

/** What is open, by number. Nothing where the system does not say. */
function open(): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER).flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`${FOLDER}/${fd}`)}`];
    } catch {
      // It was the one by which the folder was read.
      return [];
    }
  });
}

/** Runs `body`, after which no socket may be open that was not before. */
export async function leavingNoSocket(body: () => Promise<void>): Promise<void> {
  const before = new Set(open());
  await body();
  const left = open().filter((line) => line.includes('socket:') && !before.has(line));
  assert.deepEqual(left, [], 'sockets were left open');
}
