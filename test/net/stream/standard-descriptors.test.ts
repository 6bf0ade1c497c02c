import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server as NodeServer, Socket } from 'node:net';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { closed, isNative, listeningNodeServer, onNode } from '../../helpers/pairs.ts';
import { tsArguments } from '../../helpers/typescript.ts';

const child = fileURLToPath(new URL('./standard-descriptors.child.ts', import.meta.url));
const cwd = fileURLToPath(new URL('../../..', import.meta.url));

const noUnix = process.platform === 'win32' && 'Windows has no such numbers';
/** libuv never closes a descriptor below 3, and Node does not reveal it. */
const needsNative = !isNative && 'libuv never closes descriptors 0, 1 and 2, and Node shows none';

const running: Set<ChildProcess> = new Set();
// A child that waits for an end that does not come.
after(() => {
  for (const one of running) one.kill('SIGKILL');
});

/** Runs the child with this standard input, and returns its exit code. */
async function run(kind: string, stdin: 'ignore' | number): Promise<number | null> {
  const program = spawn(process.execPath, tsArguments(child, kind), {
    cwd,
    stdio: [stdin, 'inherit', 'inherit'],
  });
  running.add(program);
  const [code] = (await once(program, 'exit')) as [number | null];
  running.delete(program);
  return code;
}

function descriptorOf(socket: Socket | NodeServer): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

for (const [kind, what] of [
  ['listener', 'a server'],
  ['accepted', 'a connection that a server accepts'],
  ['connected', 'a connection to a server'],
  ['datagrams', 'a datagram endpoint'],
  ['socket', 'a socket that becomes a pipe'],
] as const) {
  test(
    `${what} with the number of the closed standard input is closed like any other`,
    { skip: needsNative, timeout: 120_000 },
    onNode(async () => {
      assert.equal(await run(kind, 'ignore'), 0);
    }),
  );
}

test(
  'a pipe by a FileHandle with the number of the closed standard input is closed like any other',
  { skip: noUnix },
  onNode(async () => {
    assert.equal(await run('file', 'ignore'), 0);
  }),
);

test(
  'a connection in place of the standard input is closed with its transport',
  { skip: noUnix },
  onNode(async () => {
    const { server, port } = await listeningNodeServer();
    const accepted = once(server, 'connection');
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [socket] = (await accepted) as [Socket];
    const exit = run('givenConnection', descriptorOf(socket));
    socket.destroy();
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), 'bye');
    assert.equal(await exit, 0);
    await closed(client);
    await closed(server);
  }),
);

test(
  'a listening socket in place of the standard input is closed with its server',
  { skip: noUnix },
  onNode(async () => {
    const { server } = await listeningNodeServer();
    assert.equal(await run('givenListener', descriptorOf(server)), 0);
    await closed(server);
  }),
);
