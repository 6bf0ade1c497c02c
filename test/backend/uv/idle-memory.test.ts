/** The heap that a server keeps for each idle connection. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noNative } from '../../helpers/descriptors.ts';
import { loaderOptions } from '../../helpers/typescript.ts';

const program = fileURLToPath(new URL('./idle-memory.child.ts', import.meta.url));

/** So many that code which V8 compiles meanwhile hardly counts. */
const CONNECTIONS = 1500;
/** Fewer than the backlog. */
const AT_ONCE = 50;
/** Bytes for each connection: by streams with a task that waits for data. */
const MOST_BYTES = { protocol: 900, streams: 3300 };

for (const [kind, most] of Object.entries(MOST_BYTES)) {
  test(`an idle connection of a server by ${kind} keeps at most ${most} bytes of heap after an echo`, {
    skip: noNative,
  }, async () => {
    const child = fork(program, [kind], {
      execArgv: [...loaderOptions],
      env: { ...process.env, GYRE_BACKEND: 'uv' },
    });
    try {
      const [port] = (await once(child, 'message')) as [number];
      // The first connections also make compiled code.
      for (const socket of await connected(port)) socket.destroy();
      const before = await heapOf(child);
      const sockets = await connected(port);
      const each = ((await heapOf(child)) - before) / CONNECTIONS;
      for (const socket of sockets) socket.destroy();
      assert.ok(each <= most, `${each} bytes`);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
}

/** Connects clients, each of which has received an echo. */
async function connected(port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < CONNECTIONS) {
    const some = Array.from({ length: AT_ONCE }, () => connect(port, '127.0.0.1'));
    for (const socket of some) socket.write('ping');
    await Promise.all(some.map((socket) => once(socket, 'data')));
    sockets.push(...some);
  }
  return sockets;
}

async function heapOf(child: ChildProcess): Promise<number> {
  child.send('heap');
  const [bytes] = (await once(child, 'message')) as [number];
  return bytes;
}
