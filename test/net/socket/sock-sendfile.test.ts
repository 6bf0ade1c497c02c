/** `loop.sockSendfile`, over real sockets and files. */
import assert from 'node:assert/strict';
import { appendFileSync, promises, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Socket as GyreSocket, UvEventLoop } from '../../../src/index.ts';
import {
  AF_INET,
  CancelledError,
  NodeEventLoop,
  SendfileNotAvailableError,
  SOCK_DGRAM,
  Socket,
  sleep,
} from '../../../src/index.ts';
import { connectedSockets, noNative, onUv, passes } from '../../helpers/descriptors.ts';
import { inDirectory } from '../../helpers/unix-pairs.ts';

const skip = noNative;

/** Runs `body` with a connected pair of sockets and a file in which no two pieces are alike. */
function withFile(
  size: number,
  body: (
    loop: UvEventLoop,
    file: { path: string; content: Buffer },
    near: GyreSocket,
    far: GyreSocket,
  ) => Promise<void>,
): () => Promise<void> {
  return onUv((loop) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'file');
      const content = Buffer.alloc(size);
      for (let i = 0; i + 4 <= size; i += 4) content.writeUInt32LE(i, i);
      writeFileSync(path, content);
      const [near, far] = await connectedSockets(loop);
      await body(loop, { path, content }, near, far);
      near.close();
      far.close();
      for (let pass = 0; pass < 200 && isOpen(path); pass++) await passes(1);
      assert.equal(isOpen(path), false);
    }),
  );
}

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  });
}

async function receive(loop: UvEventLoop, socket: GyreSocket, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let received = 0; received < bytes; ) {
    const part = await loop.sockRecv(socket, 1_000_000);
    if (part.length === 0) break;
    parts.push(part);
    received += part.length;
  }
  return Buffer.concat(parts);
}

test(
  'sockSendfile() sends a file beyond the kernel’s buffer whole, by path, by URL and by FileHandle, whose position stays',
  { skip },
  withFile(5_000_001, async (loop, { path, content }, near, far) => {
    const handle = await promises.open(path);
    await handle.read(Buffer.alloc(7), 0, 7, null);
    for (const file of [path, pathToFileURL(path), handle]) {
      const receiving = receive(loop, far, content.length);
      assert.equal(await loop.sockSendfile(near, file, { fallback: false }), content.length);
      assert.ok((await receiving).equals(content));
    }
    const next = Buffer.alloc(1);
    await handle.read(next, 0, 1, null);
    assert.equal(next[0], content[7]);
    await handle.close();
  }),
);

test(
  'sockSendfile() sends a part of a file from an offset, and nothing beyond its end',
  { skip },
  withFile(1000, async (loop, { path, content }, near, far) => {
    assert.equal(await loop.sockSendfile(near, path, { offset: 10, count: 20 }), 20);
    assert.ok((await receive(loop, far, 20)).equals(content.subarray(10, 30)));
    assert.equal(await loop.sockSendfile(near, path, { offset: 990, count: 20 }), 10);
    assert.ok((await receive(loop, far, 10)).equals(content.subarray(990)));
    assert.equal(await loop.sockSendfile(near, path, { offset: 1000 }), 0);
    writeFileSync(path, '');
    assert.equal(await loop.sockSendfile(near, path), 0);
  }),
);

test(
  'sockSendfile() includes what a file grows meanwhile, and ends early for one that shrinks',
  { skip },
  withFile(8 << 20, async (loop, { path, content }, near, far) => {
    const sending = loop.sockSendfile(near, path);
    await passes();
    appendFileSync(path, 'more');
    const received = await receive(loop, far, content.length + 4);
    assert.equal(await sending, content.length + 4);
    assert.equal(String(received.subarray(-4)), 'more');

    const again = loop.sockSendfile(near, path);
    await passes();
    truncateSync(path, 1000);
    const receiving = receive(loop, far, Number.POSITIVE_INFINITY);
    const sent = await again;
    assert.ok(sent < content.length);
    near.close();
    assert.equal((await receiving).length, sent);
  }),
);

test(
  'sockSendfile() lets other tasks run while it sends',
  { skip },
  withFile(8 << 20, async (loop, { path, content }, near, far) => {
    let turns = 0;
    const receiving = receive(loop, far, content.length);
    const sending = loop.sockSendfile(near, path);
    while (!sending.done()) {
      turns++;
      await sleep(0);
    }
    await receiving;
    assert.ok(turns >= (8 << 20) / (256 * 1024) / 2, `${turns} turns`);
  }),
);

test(
  'sockSendfile() sends piece by piece if the system cannot send the file, unless fallback is false or the error is another',
  { skip },
  withFile(10, async (loop, { path }, near, far) => {
    assert.equal(await loop.sockSendfile(near, '/proc/self/status', { count: 100 }), 100);
    assert.match(String(await receive(loop, far, 100)), /^Name:/);
    const unavailable = (error: unknown): boolean =>
      error instanceof SendfileNotAvailableError &&
      (error.cause as NodeJS.ErrnoException).syscall === 'sendfile';
    await assert.rejects(
      loop.sockSendfile(near, '/proc/self/status', { count: 1, fallback: false }),
      unavailable,
    );
    await assert.rejects(loop.sockSendfile(near, `${path}.none`), { code: 'ENOENT' });
    await assert.rejects(loop.sockSendfile(near, join(path, '..')), { code: 'EISDIR' });
    using unconnected = new Socket();
    for (const fallback of [true, false]) {
      await assert.rejects(loop.sockSendfile(unconnected, path, { fallback }), { code: /ENOTCONN|EPIPE/ });
    }
    const closed = new Socket();
    closed.close();
    await assert.rejects(loop.sockSendfile(closed, path), { code: 'EBADF' });
  }),
);

test(
  'sockSendfile() fails with the socket’s error if the peer closes, and a cancel ends it in the middle',
  { skip },
  withFile(32 << 20, async (loop, { path }, near, far) => {
    const sending = loop.sockSendfile(near, path);
    await passes();
    sending.cancel();
    await assert.rejects(sending, CancelledError);
    const again = loop.sockSendfile(near, path);
    await passes();
    far.close();
    await assert.rejects(again, { code: /ECONNRESET|EPIPE/ });

    const controller = new AbortController();
    controller.abort('why');
    const options = { signal: controller.signal };
    await assert.rejects(loop.sockSendfile(near, path, options), { name: 'CancelledError', cause: 'why' });
  }),
);

test(
  'sockSendfile() that waits excludes other writers, and ends when the socket is closed',
  { skip },
  withFile(32 << 20, async (loop, { path }, near) => {
    const sending = loop.sockSendfile(near, path);
    const waits = () =>
      [...loop._owned.resources].some((owned) => owned._describe().startsWith('sending a file to'));
    while (!waits()) await passes(1);
    assert.throws(() => loop.sockSendall(near, 'x'), { name: 'InvalidStateError' });
    near.close();
    await assert.rejects(sending, { code: 'EBADF' });
  }),
);

test(
  'sockSendfile() rejects wrong arguments at the call',
  { skip },
  withFile(10, async (loop, { path }, near) => {
    const type = (name: string) => ({ code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`"${name}"`) });
    const range = (name: string) => ({ code: 'ERR_OUT_OF_RANGE', message: new RegExp(`"${name}"`) });
    const call = loop.sockSendfile.bind(loop) as (...args: unknown[]) => unknown;
    for (const sock of [null, 3, {}]) assert.throws(() => call(sock, path), type('sock'));
    using datagrams = new Socket(AF_INET, SOCK_DGRAM);
    assert.throws(() => call(datagrams, path), range('sock'));
    for (const file of [null, 3, {}]) assert.throws(() => call(near, file), type('file'));
    assert.throws(() => call(near, 'a\0b'), range('file'));
    assert.throws(() => call(near, path, { count: 0 }), range('options.count'));
    assert.throws(() => call(near, path, { offset: -1 }), range('options.offset'));
    assert.throws(() => call(near, path, { fallback: 'no' }), type('options.fallback'));
    assert.throws(() => call(near, path, { limit: 1 }), type('options.limit'));
  }),
);

test('sockSendfile() of the portable loop throws, because it has no sockets of its own', () => {
  const loop = new NodeEventLoop();
  assert.throws(() => loop.sockSendfile({} as GyreSocket, 'x'), {
    code: 'ERR_UNSUPPORTED',
    message: /UvEventLoop/,
  });
  loop.close();
});
