import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SocketPair } from '../../../src/backend/node/socket-pair.ts';
import { closed, onNode } from '../../helpers/pairs.ts';

const skipAbstract = process.platform === 'linux' ? false : 'only Linux has names without a file';

function makePair(abstract: boolean): { pair: SocketPair; done: Promise<[near: Socket, far: Socket]> } {
  let pair!: SocketPair;
  const done = new Promise<[Socket, Socket]>((resolve, reject) => {
    pair = new SocketPair({ onPair: (near, far) => resolve([near, far]), onError: reject }, abstract);
  });
  return { pair, done };
}

/** Runs `body` with a directory for temporary files of its own. */
async function withTemporary(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'gyre-test-'));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = directory;
  try {
    await body(directory);
    assert.deepEqual(readdirSync(directory), [], 'files are left');
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(directory, { recursive: true });
  }
}

/** Returns the abstract names of pairs, of any process. */
function listeningNames(): string[] {
  return readFileSync('/proc/net/unix', 'utf8').match(/@gyre-[0-9a-f]+/g) ?? [];
}

async function converse(near: Socket, far: Socket): Promise<void> {
  near.resume();
  far.write('first ');
  far.end('second');
  const chunks: Buffer[] = [];
  near.on('data', (data: Buffer) => chunks.push(data));
  await once(near, 'end');
  assert.equal(Buffer.concat(chunks).toString(), 'first second');
  await Promise.all([closed(near), closed(far)]);
}

test(
  'SocketPair connects two ends by a name without a file',
  { skip: skipAbstract },
  onNode(() =>
    withTemporary(async () => {
      const [near, far] = await makePair(true).done;
      await converse(near, far);
    }),
  ),
);

test(
  'SocketPair connects two ends by a file that is removed at once',
  onNode(() =>
    withTemporary(async (directory) => {
      const { done } = makePair(false);
      assert.equal(readdirSync(directory).length, 1);
      const [near, far] = await done;
      assert.deepEqual(readdirSync(directory), []);
      await converse(near, far);
    }),
  ),
);

test(
  'SocketPair returns a paused near end, so that data waits',
  onNode(async () => {
    const [near, far] = await makePair(process.platform === 'linux').done;
    far.write('early');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(near.isPaused(), true);
    near.resume();
    const [data] = (await once(near, 'data')) as [Buffer];
    assert.equal(String(data), 'early');
    await Promise.all([closed(near), closed(far)]);
  }),
);

test(
  'SocketPair ignores another client that connects meanwhile',
  { skip: skipAbstract },
  onNode(async () => {
    for (const said of ['x', '', Buffer.alloc(64)]) {
      const others = listeningNames();
      const { done } = makePair(true);
      const [name] = listeningNames().filter((candidate) => !others.includes(candidate));
      // It listens by now, and its own client has yet to connect.
      const stranger = connect((name as string).replace('@', '\0'));
      stranger.on('error', () => {});
      stranger.write(said);
      const received: Buffer[] = [];
      stranger.on('data', (data: Buffer) => received.push(data));
      const [near, far] = await done;
      await converse(near, far);
      await closed(stranger);
      assert.deepEqual(received, []);
    }
  }),
);

test(
  'SocketPair that is cancelled at any moment leaves nothing',
  onNode(async () => {
    for (const abstract of process.platform === 'linux' ? [true, false] : [false]) {
      await withTemporary(async () => {
        for (let polls = 0; polls < 6; polls++) {
          const { pair, done } = makePair(abstract);
          let sockets: Socket[] = [];
          void done.then((ends) => {
            sockets = ends;
          });
          for (let i = 0; i < polls; i++) await new Promise((resolve) => setImmediate(resolve));
          pair.cancel();
          pair.cancel();
          for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
          for (const socket of sockets) assert.equal(socket.destroyed, false);
          await Promise.all(sockets.map(closed));
        }
      });
    }
  }),
);

test(
  'SocketPair fails in a directory without write permission',
  onNode(async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = '/gyre/nowhere';
    try {
      assert.equal(existsSync('/gyre/nowhere'), false);
      await assert.rejects(makePair(false).done, { code: 'ENOENT' });
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  }),
);
