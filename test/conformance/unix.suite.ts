import assert from 'node:assert/strict';
import { existsSync, lstatSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { BaseEventLoop } from '../../src/index.ts';
import { AF_UNIX, CancelledError, sleep } from '../../src/index.ts';
import { streamTransportChecks } from '../helpers/check-stream-transport.ts';
import { closed, listeningNodeServer, Recorder, recorders } from '../helpers/pairs.ts';
import { inDirectory, unixRecorders } from '../helpers/unix-pairs.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Runs `body` on the loop, with the path of a socket in a directory that is removed afterwards. */
function withPath(loop: BaseEventLoop, body: (path: string) => Promise<void>): Promise<void> {
  return loop.runUntilComplete(() => inDirectory((directory) => body(join(directory, 'socket'))));
}

const makeNothing = (): object => ({});

export function unixSuite(target: Target): void {
  section(
    'Unix sockets',
    target,
    (test) => {
      test('create_unix_connection() and create_unix_server() make the protocol, call connection_made and return the pair', ({
        loop,
      }) =>
        withPath(loop, async (path) => {
          const far = new Recorder();
          const near = new Recorder();
          const server = await loop.createUnixServer(() => far, path);
          const [transport, protocol] = await loop.createUnixConnection(() => near, path);
          assert.deepEqual([protocol, near.transport], [near, transport]);
          transport.write('hello');
          await far.untilReceived(5);
          transport.close();
          await Promise.all([near.untilLost(), far.untilLost()]);
          assert.deepEqual(
            [far.log, near.log],
            [
              ['made', 'data', 'eof', 'lost'],
              ['made', 'lost'],
            ],
          );
          await server[Symbol.asyncDispose]();
        }));

      test('create_unix_connection() has the path as its peername, and an empty sockname', ({ loop }) =>
        withPath(loop, async (path) => {
          const server = await loop.createUnixServer(makeNothing, path);
          const [transport] = await loop.createUnixConnection(makeNothing, path);
          assert.deepEqual(
            [transport.getExtraInfo('peername'), transport.getExtraInfo('sockname')],
            [path, ''],
          );
          assert.equal(transport.getExtraInfo('socket')?.family, AF_UNIX);
          await transport[Symbol.asyncDispose]();
          await server[Symbol.asyncDispose]();
        }));

      test('create_unix_connection() fails with ENOENT if there is no socket', ({ loop }) =>
        withPath(loop, async (path) => {
          await assert.rejects(loop.createUnixConnection(makeNothing, path), {
            code: 'ENOENT',
            syscall: 'connect',
          });
        }));

      test('create_unix_connection() and create_unix_server() accept either a path or a socket', ({
        loop,
      }) => {
        for (const method of ['createUnixConnection', 'createUnixServer'] as const) {
          const code = 'ERR_INVALID_ARG_TYPE';
          assert.throws(() => loop[method](makeNothing), { code, message: /"path"/ });
          assert.throws(() => loop[method](makeNothing, '/tmp/x', { sock: 0 }), { code, message: /"path"/ });
        }
      });

      test('create_unix_connection() with ssl needs the name in the certificate', ({ loop }) => {
        assert.throws(
          () => loop.createUnixConnection(makeNothing, '/tmp/x', { ssl: true }),
          /serverHostname/,
        );
      });

      test('create_unix_connection() that is cancelled leaves no connection behind', ({ loop }) =>
        withPath(loop, async (path) => {
          const server = await loop.createUnixServer(makeNothing, path);
          for (let turns = 0; turns < 10; turns++) {
            const connecting = loop.createUnixConnection(makeNothing, path);
            for (let i = 0; i < turns; i++) await sleep(0);
            connecting.cancel();
            const made = await connecting.catch((error) => assert.ok(error instanceof CancelledError));
            await made?.[0][Symbol.asyncDispose]();
          }
          await server[Symbol.asyncDispose]();
        }));

      test('create_unix_server() makes a socket file, and removes its own one when it closes', ({ loop }) =>
        withPath(loop, async (path) => {
          const server = await loop.createUnixServer(makeNothing, path);
          assert.equal(lstatSync(path).isSocket(), true);
          await server[Symbol.asyncDispose]();
          assert.equal(existsSync(path), false);
          const replaced = await loop.createUnixServer(makeNothing, path);
          unlinkSync(path);
          writeFileSync(path, 'precious');
          await replaced[Symbol.asyncDispose]();
          assert.equal(lstatSync(path).isFile(), true);
        }));

      test('create_unix_server() fails with EADDRINUSE if another server listens or a file exists at the path', ({
        loop,
      }) =>
        withPath(loop, async (path) => {
          const server = await loop.createUnixServer(makeNothing, path);
          await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
          await server[Symbol.asyncDispose]();
          writeFileSync(path, 'precious');
          await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
          assert.equal(lstatSync(path).isFile(), true);
        }));

      const checks = streamTransportChecks(unixRecorders);
      for (const [name, check] of Object.entries(checks)) {
        test(`create_unix_connection() and create_unix_server() transports: ${name}`, ({ loop }) =>
          loop.runUntilComplete(() => check(loop)));
      }

      test('connect_accepted_socket() serves a connection that other code has accepted', ({ loop }) =>
        withPath(loop, async (path) => {
          const servers = [createServer().listen(path), (await listeningNodeServer()).server];
          for (const server of servers) {
            const accepted = new Promise<Socket>((resolve) => {
              server.once('connection', resolve);
            });
            const address = server.address() as string | { port: number };
            const client =
              typeof address === 'string' ? connect(address) : connect(address.port, '127.0.0.1');
            const near = new Recorder();
            const [transport] = await loop.connectAcceptedSocket(() => near, await accepted);
            client.write('question');
            await near.untilReceived(8);
            transport.write('answer');
            transport.close();
            const chunks: Buffer[] = [];
            for await (const chunk of client) chunks.push(chunk as Buffer);
            assert.equal(Buffer.concat(chunks).toString(), 'answer');
            await near.untilLost();
            await closed(server);
          }
        }));

      test('connect_accepted_socket() rejects objects that are no socket', ({ loop }) => {
        for (const sock of [null, 'x', {}, 1.5]) {
          assert.throws(() => loop.connectAcceptedSocket(makeNothing, sock), {
            code: 'ERR_INVALID_ARG_TYPE',
          });
        }
      });
    },
    'unix',
  );

  section(
    'Files',
    target,
    (test) => {
      test('sendfile() sends a file, or count bytes of it from an offset, and returns the number of bytes', ({
        loop,
      }) =>
        withPath(loop, async (path) => {
          writeFileSync(path, '0123456789');
          const { near, far } = await recorders(loop);
          assert.equal(await loop.sendfile(near.transport, path), 10);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 8 }), 2);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 2, count: 3 }), 3);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 20 }), 0);
          assert.equal(String(await far.untilReceived(15)), '012345678989234');
          near.transport.close();
          await Promise.all([near.untilLost(), far.untilLost()]);
        }));

      test('sendfile() respects the flow control of the transport', ({ loop }) =>
        withPath(loop, async (path) => {
          writeFileSync(path, '');
          truncateSync(path, 64 << 20);
          const { near, far } = await recorders(loop);
          far.transport.pauseReading();
          const sending = loop.sendfile(near.transport, path);
          await near.untilTold('pause');
          assert.ok(near.transport.getWriteBufferSize() < 1 << 20);
          far.transport.resumeReading();
          assert.equal(await sending, 64 << 20);
          near.transport.close();
          await Promise.all([near.untilLost(), far.untilLost()]);
          assert.equal(far.received, 64 << 20);
        }));

      test('sendfile() over a closing transport fails, and so does a count of zero', ({ loop }) =>
        withPath(loop, async (path) => {
          writeFileSync(path, 'x');
          const { near, far } = await recorders(loop);
          assert.throws(() => loop.sendfile(near.transport, path, { count: 0 }), {
            code: 'ERR_OUT_OF_RANGE',
          });
          assert.throws(() => loop.sendfile(near.transport, path, { offset: -1 }), {
            code: 'ERR_OUT_OF_RANGE',
          });
          near.transport.close();
          await assert.rejects(loop.sendfile(near.transport, path), { code: 'ERR_TRANSPORT_CLOSED' });
          await Promise.all([near.untilLost(), far.untilLost()]);
        }));
    },
    'files',
  );
}
