import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Server as NodeServer, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BaseEventLoop } from '../../../src/index.ts';
import { AF_UNIX, CancelledError, NodeEventLoop, Protocol, SOCK_STREAM, sleep } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { streamTransportChecks } from '../../helpers/check-stream-transport.ts';
import { closed, listeningNodeServer, onNode, Recorder } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { inDirectory, noPython, noUnix, unixRecorders } from '../../helpers/unix-pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';

/**
 * Runs `body` as a task on a real loop, with the path of a socket in a directory that is removed afterwards.
 */
function withPath(body: (loop: NodeEventLoop, path: string) => Promise<void>): () => Promise<void> {
  return onNode((loop) => inDirectory((directory) => body(loop, join(directory, 'socket'))));
}

const makeNothing = (): object => ({});

/** Starts a server of Node's own on a path. `ended` ends it and its connections. */
async function nodeServer(path: string): Promise<{ server: NodeServer; ended: () => Promise<void> }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    sockets.push(socket.on('error', () => {})),
  );
  server.listen(path);
  await once(server, 'listening');
  return {
    server,
    ended: async () => {
      server.close();
      // A client that connects now was already accepted by the system.
      server.on('connection', (socket) => socket.destroy());
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Leaves a stale socket file behind, as a killed process does. */
async function leaveStale(path: string): Promise<void> {
  const killed = spawn(
    process.execPath,
    [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ],
    { stdio: 'ignore' },
  );
  await once(killed, 'exit');
  assert.equal(lstatSync(path).isSocket(), true);
}

/** Tells whether a server answers at the path. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  const outcome = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  await closed(socket);
  return outcome;
}

describe('a unix connection and its ends', { skip: noUnix }, () => {
  for (const [name, check] of Object.entries(streamTransportChecks(unixRecorders))) {
    test(name, onNode(check));
  }

  test(
    'a unix connection has the path as one address, and an empty client address',
    withPath(async (loop, path) => {
      const far = new Recorder();
      const server = await loop.createUnixServer(() => far, path);
      const [near] = await loop.createUnixConnection(makeNothing, path);
      await far.untilTold('made');
      assert.deepEqual([near.getExtraInfo('sockname'), near.getExtraInfo('peername')], ['', path]);
      assert.deepEqual(
        [far.transport.getExtraInfo('sockname'), far.transport.getExtraInfo('peername')],
        [path, ''],
      );
      const socket = near.getExtraInfo('socket');
      assert.deepEqual([socket?.family, socket?.type, socket?.getpeername()], [AF_UNIX, SOCK_STREAM, path]);
      assert.equal(near.getExtraInfo('pipe'), null);
      socket?.setNoDelay(true);
      socket?.setKeepAlive(true, 1);
      await near[Symbol.asyncDispose]();
      await far.untilLost();
      await server[Symbol.asyncDispose]();
    }),
  );

  test(
    'createUnixConnection() to a path without a server fails with the system’s error, and makes no protocol',
    withPath(async (loop, path) => {
      const sockets = socketCount();
      const factory = (): never => assert.fail('made a protocol');
      await assert.rejects(loop.createUnixConnection(factory, path), {
        code: 'ENOENT',
        syscall: 'connect',
        address: path,
      });
      await leaveStale(path);
      await assert.rejects(loop.createUnixConnection(factory, path), { code: 'ECONNREFUSED', address: path });
      unlinkSync(path);
      writeFileSync(path, 'a file');
      await assert.rejects(loop.createUnixConnection(factory, path), { code: /ECONNREFUSED|ENOTSOCK/ });
      await assertSockets(sockets, 'an attempt that failed left a socket');
    }),
  );

  test(
    'a unix connection talks to a peer that does not use gyre, in both directions and half-closed',
    withPath(async (loop, path) => {
      const { server, ended } = await nodeServer(path);
      const accepted = once(server, 'connection');
      const near = new Recorder();
      near.keepOpen = true;
      const [transport] = await loop.createUnixConnection(() => near, path);
      const [socket] = (await accepted) as [Socket];
      socket.end('question');
      await near.untilTold('eof');
      transport.write(`${near.text}, answer`);
      transport.close();
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      assert.equal(Buffer.concat(chunks).toString(), 'question, answer');
      await near.untilLost();
      await ended();
    }),
  );

  test(
    'createUnixConnection() accepts a connected socket as sock',
    withPath(async (loop, path) => {
      const { server, ended } = await nodeServer(path);
      server.on('connection', (socket) => socket.pipe(socket));
      const socket = connect({ path });
      await once(socket, 'connect');
      const near = new Recorder();
      const [transport] = await loop.createUnixConnection(() => near, null, { sock: socket });
      assert.equal(transport.getExtraInfo('socket')?.family, AF_UNIX);
      // Node does not reveal the names of a socket that it has not opened.
      assert.equal(transport.getExtraInfo('peername', 'unknown'), 'unknown');
      transport.write('echo');
      assert.equal(String(await near.untilReceived(4)), 'echo');
      await transport[Symbol.asyncDispose]();
      await ended();
    }),
  );

  test(
    'createUnixConnection() rejects a TCP socket',
    onNode(async (loop) => {
      const { server, port } = await listeningNodeServer();
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      assert.throws(() => loop.createUnixConnection(makeNothing, null, { sock: socket }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"sock".*unix socket/,
      });
      // The socket still belongs to its owner.
      assert.equal(socket.destroyed, false);
      await closed(socket);
      await closed(server);
    }),
  );

  test(
    'createUnixConnection() that is cancelled at any moment leaves nothing behind',
    withPath(async (loop, path) => {
      const { ended } = await nodeServer(path);
      const sockets = socketCount();
      for (let turns = 0; turns < 12; turns++) {
        const connecting = loop.createUnixConnection(makeNothing, path);
        for (let i = 0; i < turns; i++) await sleep(0);
        connecting.cancel();
        const transport = await connecting.then(
          ([made]) => made,
          (error) => assert.ok(error instanceof CancelledError),
        );
        await transport?.[Symbol.asyncDispose]();
      }
      await ended();
      await assertSockets(sockets - 1, 'a cancelled attempt left a socket');
    }),
  );

  test(
    'createUnixConnection() with an aborted signal starts nothing, and a later abort cancels it',
    withPath(async (loop, path) => {
      const { ended } = await nodeServer(path);
      const { unix } = loop._backend;
      const refuse = (): never => assert.fail('connects or listens');
      Object.assign(loop._backend, { unix: { ...unix, connect: refuse, listen: refuse } });
      const connecting = loop.createUnixConnection(makeNothing, path, { signal: AbortSignal.abort('why') });
      await assert.rejects(connecting, { name: 'CancelledError', cause: 'why' });
      const serving = loop.createUnixServer(makeNothing, `${path}2`, { signal: AbortSignal.abort() });
      await assert.rejects(serving, CancelledError);
      Object.assign(loop._backend, { unix });
      const controller = new AbortController();
      const aborted = loop.createUnixConnection(makeNothing, path, { signal: controller.signal });
      controller.abort();
      await assert.rejects(aborted, CancelledError);
      await ended();
    }),
  );

  test(
    'createUnixConnection() whose factory throws closes its connection',
    withPath(async (loop, path) => {
      const { server, ended } = await nodeServer(path);
      const accepted = once(server, 'connection');
      const factory = (): never => {
        throw new Error('no protocol');
      };
      await assert.rejects(loop.createUnixConnection(factory, path), /no protocol/);
      const [socket] = (await accepted) as [Socket];
      socket.resume();
      await once(socket, 'end');
      socket.destroy();
      await ended();
    }),
  );

  test(
    'a unix connection whose peer closes with data unread is lost by that error',
    withPath(async (loop, path) => {
      const { server, ended } = await nodeServer(path);
      const accepted = once(server, 'connection');
      const near = new Recorder();
      const [transport] = await loop.createUnixConnection(() => near, path);
      transport.write('never read');
      const [socket] = (await accepted) as [Socket];
      await once(socket.pause(), 'readable').catch(() => {});
      transport.write(Buffer.alloc(4 << 20));
      await near.untilTold('pause');
      socket.destroy();
      await near.untilLost();
      assert.match(String((near.exception as NodeJS.ErrnoException).code), /EPIPE|ECONNRESET/);
      await ended();
    }),
  );
});

describe('a unix server and its file', { skip: noUnix }, () => {
  test(
    'createUnixServer() makes its file, lists it in sockets, and removes it on close, while connections continue',
    withPath(async (loop, path) => {
      const far = new Recorder();
      const server = await loop.createUnixServer(() => far, path);
      assert.equal(lstatSync(path).isSocket(), true);
      const [socket] = server.sockets;
      assert.deepEqual([socket?.family, socket?.getsockname(), socket?.getpeername()], [AF_UNIX, path, null]);
      const [near] = await loop.createUnixConnection(makeNothing, path);
      await far.untilTold('made');
      server.close();
      assert.equal(existsSync(path), false);
      near.write('still there');
      await far.untilReceived(11);
      near.close();
      await server.waitClosed();
    }),
  );

  test(
    'createUnixServer() replaces a stale socket file',
    withPath(async (loop, path) => {
      await leaveStale(path);
      const server = await loop.createUnixServer(makeNothing, path);
      assert.equal(await answers(path), true);
      await server[Symbol.asyncDispose]();
      assert.equal(existsSync(path), false);
    }),
  );

  test(
    'createUnixServer() at the path of a live server fails, and that server sees only a client that hangs up',
    withPath(async (loop, path) => {
      const first = await loop.createUnixServer(makeNothing, path);
      await assert.rejects(loop.createUnixServer(makeNothing, path), {
        code: 'EADDRINUSE',
        syscall: 'listen',
        address: path,
      });
      assert.equal(await answers(path), true);
      await first[Symbol.asyncDispose]();
    }),
  );

  test(
    'createUnixServer() at the path of a server with a full queue fails',
    { skip: noPython },
    withPath(async (loop, path) => {
      const holder = spawn(
        'python3',
        [
          '-c',
          `import socket,sys
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0)
cs=[]
for i in range(64):
    c=socket.socket(socket.AF_UNIX); c.setblocking(False)
    try: c.connect(sys.argv[1]); cs.append(c)
    except BlockingIOError: break
print('full',flush=True); sys.stdin.read()`,
          path,
        ],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      await once(holder.stdout, 'data');
      await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
      holder.stdin.end();
      await once(holder, 'exit');
    }),
  );

  test(
    'createUnixServer() leaves a file alone that is no socket',
    withPath(async (loop, path) => {
      writeFileSync(path, 'precious');
      await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
      assert.equal(readFileSync(path, 'utf8'), 'precious');
      unlinkSync(path);
      mkdirSync(path);
      await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
      assert.equal(lstatSync(path).isDirectory(), true);
    }),
  );

  test(
    'a unix server does not remove a file that replaced its own',
    withPath(async (loop, path) => {
      for (const replace of [
        async () => writeFileSync(path, 'precious'),
        async () => mkdirSync(path),
        async () => {},
      ]) {
        const server = await loop.createUnixServer(makeNothing, path);
        unlinkSync(path);
        await replace();
        const before = existsSync(path) ? lstatSync(path).ino : null;
        server.close();
        assert.equal(existsSync(path) ? lstatSync(path).ino : null, before);
        await server.waitClosed();
        await new Promise((resolve) => setImmediate(resolve));
        if (before !== null) renameSync(path, `${path}.old-${before}`);
      }
    }),
  );

  test(
    'a unix server leaves its path to a successor that took it over',
    withPath(async (loop, path) => {
      const old = await loop.createUnixServer(makeNothing, path);
      unlinkSync(path);
      const successor = await loop.createUnixServer(makeNothing, path);
      await old[Symbol.asyncDispose]();
      assert.equal(await answers(path), true);
      await successor[Symbol.asyncDispose]();
      assert.equal(existsSync(path), false);
    }),
  );

  test(
    'a unix server resolves its path against the working directory at the time of listen',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const home = process.cwd();
        const elsewhere = join(directory, 'elsewhere');
        mkdirSync(elsewhere);
        writeFileSync(join(elsewhere, 'socket'), 'precious');
        process.chdir(directory);
        try {
          const server = await loop.createUnixServer(makeNothing, 'socket');
          assert.deepEqual(server.sockets[0]?.getsockname(), 'socket');
          const [transport] = await loop.createUnixConnection(makeNothing, './socket');
          process.chdir(elsewhere);
          await transport[Symbol.asyncDispose]();
          await server[Symbol.asyncDispose]();
          assert.equal(existsSync(join(directory, 'socket')), false);
          assert.equal(readFileSync('socket', 'utf8'), 'precious');
        } finally {
          process.chdir(home);
        }
      }),
    ),
  );

  test(
    'createUnixServer() accepts a listening server as sock, and rejects one that does not listen',
    withPath(async (loop, path) => {
      const { server: given } = await nodeServer(path);
      const far = new Recorder();
      const server = await loop.createUnixServer(() => far, null, { sock: given });
      assert.equal(server.sockets[0]?.getsockname(), path);
      const [near] = await loop.createUnixConnection(makeNothing, path);
      near.write('hello');
      await far.untilReceived(5);
      await near[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      const { server: tcp } = await listeningNodeServer();
      assert.throws(() => loop.createUnixServer(makeNothing, null, { sock: tcp }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"sock".*unix socket/,
      });
      assert.equal(tcp.listening, true);
      await closed(tcp);
      for (const sock of [createServer(), {}, 'x', 1.5]) {
        assert.throws(() => loop.createUnixServer(makeNothing, null, { sock }), {
          code: 'ERR_INVALID_ARG_TYPE',
        });
      }
    }),
  );

  test(
    'createUnixServer() with startServing: false binds its path',
    withPath(async (loop, path) => {
      const server = await loop.createUnixServer(makeNothing, path, { startServing: false, backlog: 1 });
      assert.deepEqual([existsSync(path), server.sockets.length, server.isServing()], [true, 1, false]);
      assert.equal(server.address(), path);
      await server.startServing();
      assert.equal(await answers(path), true);
      await server[Symbol.asyncDispose]();
      assert.equal(existsSync(path), false);
      const other = await loop.createUnixServer(makeNothing, path, { startServing: false });
      other.close();
      assert.equal(existsSync(path), false);
    }),
  );

  test(
    'createUnixServer() that is cancelled while it starts leaves no file, even if it probed another server',
    withPath(async (loop, path) => {
      const sockets = socketCount();
      for (const stale of [false, true]) {
        for (let turns = 0; turns < 6; turns++) {
          if (stale) await leaveStale(path);
          const starting = loop.createUnixServer(makeNothing, path);
          for (let i = 0; i < turns; i++) await sleep(0);
          starting.cancel();
          const server = await starting.catch(() => null);
          await server?.[Symbol.asyncDispose]();
          // No later either: every request has its answer by now.
          for (let i = 0; i < 10; i++) await sleep(0);
          assert.ok(!existsSync(path) || (stale && !(await answers(path))), `after ${turns} turns`);
          if (turns === 0) assert.equal(existsSync(path), stale);
          if (existsSync(path)) unlinkSync(path);
        }
      }
      await assertSockets(sockets, 'a cancelled start left a socket');
    }),
  );

  test(
    'createUnixServer() in a missing directory fails with the system’s error',
    withPath(async (loop, path) => {
      const missing = join(path, 'no', 'socket');
      await assert.rejects(
        loop.createUnixServer(() => new Protocol(), missing),
        { code: 'ENOENT', syscall: 'listen', address: missing },
      );
    }),
  );

  test(
    'createUnixServer() in a directory without write permission fails',
    { skip: process.getuid?.() === 0 ? false : 'only root can become somebody who may not' },
    withPath(async (_loop, path) => {
      chmodSync(join(path, '..'), 0o755);
      const child = fileURLToPath(new URL('./unix-permission.child.ts', import.meta.url));
      const cwd = fileURLToPath(new URL('../../..', import.meta.url));
      const running = spawn(process.execPath, [...loaderOptions, child, path], {
        cwd,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const chunks: Buffer[] = [];
      running.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(running, 'close');
      assert.deepEqual(JSON.parse(Buffer.concat(chunks).toString()), {
        listen: ['EACCES', 'listen'],
        connect: ['EACCES', 'connect'],
      });
    }),
  );

  test(
    'a unix server serves clients of another language one after the other',
    { skip: noPython },
    withPath(async (loop, path) => {
      const server = await loop.createUnixServer(() => {
        const recorder = new Recorder();
        recorder.dataReceived = (data) => recorder.transport.write(data);
        return recorder;
      }, path);
      for (let i = 0; i < 3; i++) {
        const python = spawn('python3', [
          '-c',
          `import socket,sys
s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); assert s.getpeername()==sys.argv[1]
s.sendall(b'x'*100000); n=0
while n<100000: n+=len(s.recv(65536))
print(n)`,
          path,
        ]);
        const chunks: Buffer[] = [];
        python.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
        await once(python, 'close');
        assert.equal(Buffer.concat(chunks).toString().trim(), '100000');
      }
      await server[Symbol.asyncDispose]();
    }),
  );
});

describe('the paths of unix sockets', { skip: noUnix }, () => {
  test(
    'createUnixServer() rejects a path that the system would cut off, to the byte',
    onNode((loop) =>
      inDirectory(async (directory) => {
        const limit = process.platform === 'linux' ? 107 : 103;
        const longest = join(directory, 'x'.repeat(limit - directory.length - 1));
        assert.equal(Buffer.byteLength(longest), limit);
        const server = await loop.createUnixServer(makeNothing, longest);
        assert.equal(await answers(longest), true);
        await server[Symbol.asyncDispose]();
        for (const path of [`${longest}x`, 'ü'.repeat(60)]) {
          const wanted = { code: 'ERR_OUT_OF_RANGE', message: new RegExp(`"path".*at most ${limit} bytes`) };
          assert.throws(() => loop.createUnixServer(makeNothing, path), wanted);
          assert.throws(() => loop.createUnixConnection(makeNothing, path), wanted);
        }
      }),
    ),
  );

  test(
    'paths of the abstract namespace work if Node has them, and are rejected otherwise',
    onNode(async (loop) => {
      const path = `\0gyre-test-${process.pid}`;
      const isNode = loop._backend.name === 'node';
      const has =
        process.platform === 'linux' && (!isNode || Number.parseInt(process.versions.node, 10) >= 22);
      assert.equal(loop._backend.abstractUnix, has);
      if (!has) {
        const wanted = { code: 'ERR_UNSUPPORTED', message: /abstract.*Node 22/ };
        assert.throws(() => loop.createUnixServer(makeNothing, path), wanted);
        assert.throws(() => loop.createUnixConnection(makeNothing, path), wanted);
        return;
      }
      const server = await loop.createUnixServer(makeNothing, path);
      const listed = readFileSync('/proc/net/unix', 'utf8')
        .split('\n')
        .filter((line) => line.endsWith(` @${path.slice(1)}`));
      assert.equal(listed.length, 1);
      await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
      const [transport] = await loop.createUnixConnection(makeNothing, path);
      assert.equal(transport.getExtraInfo('peername'), path);
      await transport[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await assert.rejects(loop.createUnixConnection(makeNothing, path), { code: 'ECONNREFUSED' });
    }),
  );

  test(
    'createUnixServer() and createUnixConnection() name other wrong arguments at the call',
    onNode(async (loop) => {
      const { createUnixConnection, createUnixServer } = wrongly(loop);
      for (const create of [createUnixConnection, createUnixServer]) {
        const type = (name: string): object => ({
          code: 'ERR_INVALID_ARG_TYPE',
          message: new RegExp(`"${name}`),
        });
        assert.throws(() => create(null, '/gyre/x'), type('protocolFactory'));
        assert.throws(() => create(makeNothing), type('path'));
        assert.throws(() => create(makeNothing, null, { sock: null }), type('path'));
        assert.throws(() => create(makeNothing, 7), type('path'));
        assert.throws(() => create(makeNothing, '/gyre/x', { sock: 0 }), type('path'));
        assert.throws(() => create(makeNothing, '/gyre/x', { mode: 0o600 }), type('options.mode'));
        assert.throws(() => create(makeNothing, '/gyre/x', { signal: {} }), type('options.signal'));
        assert.throws(
          () => create(makeNothing, '/gyre/x', { sslHandshakeTimeout: 1 }),
          type('options.sslHandshake'),
        );
        assert.throws(() => create(makeNothing, null, { sock: 'x' }), type('sock'));
        for (const path of ['', 'a\0b', '\0a\0']) {
          assert.throws(() => create(makeNothing, path), { code: /ERR_OUT_OF_RANGE|ERR_UNSUPPORTED/ });
        }
      }
      assert.throws(() => createUnixServer(makeNothing, '/gyre/x', { backlog: 0 }), {
        code: 'ERR_OUT_OF_RANGE',
      });
      assert.throws(() => createUnixServer(makeNothing, '/gyre/x', { startServing: 1 }), /startServing/);
      // No name is known that the certificate must have.
      assert.throws(() => createUnixConnection(makeNothing, '/gyre/x', { ssl: true }), /serverHostname/);
      assert.equal(existsSync('/gyre/x'), false);
    }),
  );

  test('createUnixServer() and createUnixConnection() of a loop without a network throw', () => {
    const loop = bareLoop();
    const wanted = { code: 'ERR_UNSUPPORTED', message: /unix sockets.*NodeEventLoop/ };
    assert.throws(() => loop.createUnixConnection(makeNothing, '/gyre/x'), wanted);
    assert.throws(() => loop.createUnixServer(makeNothing, '/gyre/x'), wanted);
    loop.close();
  });
});

/** The two functions, with types that accept wrong arguments. */
function wrongly(
  loop: BaseEventLoop,
): Record<'createUnixConnection' | 'createUnixServer', (...args: unknown[]) => unknown> {
  return {
    createUnixConnection: (...args) => Reflect.apply(loop.createUnixConnection, loop, args),
    createUnixServer: (...args) => Reflect.apply(loop.createUnixServer, loop, args),
  };
}

describe('loop.close() with unix sockets', { skip: noUnix }, () => {
  test('loop.close() names its unix sockets by their path, and removes the file', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'socket');
      const sockets = socketCount();
      const loop = new NodeEventLoop();
      const reports: string[] = [];
      loop.setExceptionHandler((_loop, { message }) => reports.push(message));
      const far = new Recorder();
      await loop.runUntilComplete(async () => {
        await loop.createUnixServer(() => far, path);
        await loop.createUnixConnection(makeNothing, path);
        await far.untilTold('made');
      });
      loop.close();
      assert.deepEqual(reports.sort(), [
        `the event loop was closed, but a connection over ${path} was still open, accepted by the server on ${path}`,
        `the event loop was closed, but a connection with ${path} was still open`,
        `the event loop was closed, but a server was still listening on ${path}`,
      ]);
      assert.equal(existsSync(path), false);
      await assertSockets(sockets, 'a closed loop left a socket');
    }));

  test('loop.close() ends pending operations of unix sockets', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'socket');
      await leaveStale(path);
      const sockets = socketCount();
      const loop = new NodeEventLoop();
      const reports: string[] = [];
      loop.setExceptionHandler((_loop, { message }) => reports.push(message));
      const lost = [loop.createUnixServer(makeNothing, path), loop.createUnixConnection(makeNothing, path)];
      loop.close();
      assert.equal(reports.filter((report) => report.includes(path)).length, 2, reports.join('\n'));
      assert.deepEqual(
        lost.map((future) => future.cancelled()),
        [true, true],
      );
      await assertSockets(sockets, 'a closed loop left a socket');
      assert.equal(await answers(path), false);
    }));
});
