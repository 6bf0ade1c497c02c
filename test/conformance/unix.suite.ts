import assert from 'node:assert/strict';
import { AF_UNIX, CancelledError, sleep } from '../../src/index.ts';
import { streamTransportChecks } from '../helpers/check-stream-transport.ts';
import { Recorder, recorders } from '../helpers/pairs.ts';
import { unixRecorders } from '../helpers/unix-pairs.ts';
import type { Fixture, Target } from './section.ts';
import { section } from './section.ts';

/** Runs `body` on the loop, with the path of a socket in a directory that is removed afterwards. */
function withPath({ loop, machine }: Fixture, body: (path: string) => Promise<void>): Promise<void> {
  return loop.runUntilComplete(() => machine.files.inDirectory((directory) => body(`${directory}/socket`)));
}

const makeNothing = (): object => ({});

export function unixSuite(target: Target): void {
  section(
    'Unix sockets',
    target,
    (test) => {
      test('create_unix_connection() and create_unix_server() make the protocol, call connection_made and return the pair', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop } = fixture;
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

      test('create_unix_connection() has the path as its peername, and an empty sockname', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop } = fixture;
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

      test('create_unix_connection() fails with ENOENT if there is no socket', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop } = fixture;
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

      test('create_unix_connection() that is cancelled leaves no connection behind', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop } = fixture;
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

      test('create_unix_server() makes a socket file, and removes its own one when it closes', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          const server = await loop.createUnixServer(makeNothing, path);
          assert.equal(machine.files.kindOf(path), 'socket');
          await server[Symbol.asyncDispose]();
          assert.equal(machine.files.kindOf(path), 'none');
          const replaced = await loop.createUnixServer(makeNothing, path);
          machine.files.remove(path);
          machine.files.write(path, 'precious');
          await replaced[Symbol.asyncDispose]();
          assert.equal(machine.files.kindOf(path), 'file');
        }));

      test('create_unix_server() fails with EADDRINUSE if another server listens or a file exists at the path', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          const server = await loop.createUnixServer(makeNothing, path);
          await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
          await server[Symbol.asyncDispose]();
          machine.files.write(path, 'precious');
          await assert.rejects(loop.createUnixServer(makeNothing, path), { code: 'EADDRINUSE' });
          assert.equal(machine.files.kindOf(path), 'file');
        }));

      for (const name of Object.keys(streamTransportChecks(unixRecorders))) {
        test(`create_unix_connection() and create_unix_server() transports: ${name}`, ({ loop, machine }) => {
          const checks = streamTransportChecks((one) => unixRecorders(one, machine.files.inDirectory));
          return loop.runUntilComplete(() => (checks[name] as (typeof checks)[string])(loop));
        });
      }

      test('connect_accepted_socket() serves a connection that other code has accepted', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          const { peers } = machine;
          const servers = [await peers.listenAt(path), await peers.listen()];
          for (const server of servers) {
            const client = await peers.connect(server.port === 0 ? path : server.port);
            const near = new Recorder();
            const accepted = await server.accept();
            const [transport] = await loop.connectAcceptedSocket(() => near, accepted.sock);
            client.write('question');
            await near.untilReceived(8);
            transport.write('answer');
            transport.close();
            assert.equal(await client.rest(), 'answer');
            await client.close();
            await near.untilLost();
            await server.close();
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
      test('sendfile() sends a file, or count bytes of it from an offset, and returns the number of bytes', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          machine.files.write(path, '0123456789');
          const { near, far } = await recorders(loop);
          assert.equal(await loop.sendfile(near.transport, path), 10);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 8 }), 2);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 2, count: 3 }), 3);
          assert.equal(await loop.sendfile(near.transport, path, { offset: 20 }), 0);
          assert.equal(String(await far.untilReceived(15)), '012345678989234');
          near.transport.close();
          await Promise.all([near.untilLost(), far.untilLost()]);
        }));

      test('sendfile() respects the flow control of the transport', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          machine.files.write(path, '');
          machine.files.truncate(path, 64 << 20);
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

      test('sendfile() over a closing transport fails, and so does a count of zero', (fixture) =>
        withPath(fixture, async (path) => {
          const { loop, machine } = fixture;
          machine.files.write(path, 'x');
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
