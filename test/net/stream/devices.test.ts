/** Pipes that a thread reads and writes: character devices, and Node's streams over files. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  openSync,
  promises,
  readSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../../src/index.ts';
import { passes } from '../../helpers/descriptors.ts';
import { onNode, Recorder } from '../../helpers/pairs.ts';
import { tsArguments } from '../../helpers/typescript.ts';
import { inDirectory } from '../../helpers/unix-pairs.ts';
import { bytesOf } from './devices.ts';

/** Messages of the kernel. A reader that has read them all waits for the next. */
const WAITING = '/dev/kmsg';

const noWaiting = canRead(WAITING) ? false : `${WAITING} cannot be read`;
const noFifos = process.platform === 'win32' ? 'Windows has no FIFOs' : false;

function canRead(path: string): boolean {
  try {
    return bytesOf(path) > 0;
  } catch {
    return false;
  }
}

const OPENED: Record<string, () => unknown> = {
  descriptor: () => openSync(WAITING, 'r'),
  FileHandle: () => promises.open(WAITING, 'r'),
};

for (const [kind, open] of Object.entries(OPENED)) {
  test(
    `a pipe over a device whose read() blocks ends at close() (${kind})`,
    { skip: noWaiting },
    onNode(async (loop) => {
      const near = new Recorder();
      const [transport] = await loop.connectReadPipe(() => near, await open());
      // Then the reading thread waits.
      await near.untilReceived(bytesOf(WAITING));
      await passes();
      transport.close();
      const { received } = near;
      await near.untilLost();
      assert.deepEqual([near.exception, near.received], [null, received]);
    }),
  );
}

test('a program that has read a device whose read() blocks ends when its work is done', {
  skip: noWaiting,
}, async () => {
  const program = fileURLToPath(new URL('./devices.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const running = spawn(process.execPath, tsArguments(program, WAITING), { cwd, stdio: 'inherit' });
  assert.deepEqual(await once(running, 'exit'), [0, null]);
});

test(
  'a write pipe over a device accepts all data in order, and fails with the errors of the device',
  { skip: process.platform === 'linux' ? false : 'only Linux has /dev/full' },
  onNode(async (loop) => {
    const taking = new Recorder();
    const [taker] = await loop.connectWritePipe(() => taking, openSync('/dev/null', 'w'));
    taker.write(Buffer.alloc(1 << 20));
    taker.write('more');
    taker.close();
    await taking.untilLost();
    assert.equal(taking.exception, null);
    const refusing = new Recorder();
    const [refuser] = await loop.connectWritePipe(() => refusing, openSync('/dev/full', 'w'));
    refuser.write('there is no room');
    await refusing.untilLost();
    assert.equal((refusing.exception as NodeJS.ErrnoException).code, 'ENOSPC');
  }),
);

test(
  'a stream over a FIFO whose thread blocks in open() or write() ends at close() and abort()',
  { skip: noFifos },
  onNode((loop) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'fifo');
      execFileSync('mkfifo', [path]);
      const [reading, writing] = [new Recorder(), new Recorder()];
      const [input] = await loop.connectReadPipe(() => reading, createReadStream(path));
      input.close();
      await reading.untilLost();
      // Then its thread returns.
      const other = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      const bytes = 1 << 20;
      const [output] = await loop.connectWritePipe(() => writing, createWriteStream(path));
      output.write(Buffer.alloc(bytes));
      // Then its thread is in the middle of a write.
      const first = await untilRead(other, 1);
      output.abort();
      await writing.untilLost();
      assert.deepEqual([reading.exception, writing.exception], [null, null]);
      await untilRead(other, bytes - first);
      closeSync(other);
    }),
  ),
);

/** Reads at least `bytes` bytes, and returns their number. */
async function untilRead(fd: number, bytes: number): Promise<number> {
  const buffer = Buffer.alloc(1 << 20);
  let count = 0;
  while (count < bytes) {
    try {
      count += readSync(fd, buffer);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
    await sleep(0);
  }
  return count;
}
