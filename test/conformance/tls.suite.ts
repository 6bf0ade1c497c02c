import assert from 'node:assert/strict';
import type { TLSSocket } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { Protocol, sleep, TimeoutError } from '../../src/index.ts';
import * as certificates from '../helpers/certificates.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { streamTransportChecks } from '../helpers/check-stream-transport.ts';
import { Recorder, recorders } from '../helpers/pairs.ts';
import {
  closedServer,
  closedSocket,
  end,
  nodeTlsClient,
  nodeTlsServer,
  recordingServer,
  tlsRecorders,
} from '../net/tls/tls-peers.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

const makeNothing = (): object => ({});
const type = 'ERR_INVALID_ARG_TYPE';

export function tlsSuite(target: Target): void {
  section(
    'TLS',
    target,
    (test) => {
      test('create_connection() and create_server() with ssl return encrypted transports', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const { near, far } = await tlsRecorders(loop);
          near.transport.write('question');
          await far.untilReceived(8);
          far.transport.write('answer');
          await near.untilReceived(6);
          assert.deepEqual([far.text, near.text], ['question', 'answer']);
          assert.equal(near.transport.getExtraInfo('peercert')?.subject.CN, 'localhost');
          assert.equal(near.transport.getExtraInfo('cipher')?.version, 'TLSv1.3');
          assert.notEqual(near.transport.getExtraInfo('sslContext'), null);
          assert.notEqual(far.transport.getExtraInfo('sslObject'), null);
          await end(near, far);
          assert.deepEqual([near.exception, far.exception], [null, null]);
        }));

      test('create_connection() accepts a context, options, or true for the default trust, and uses no TLS by default', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { server, port } = await recordingServer(loop);
          for (const ssl of [clientTls(), createSecureContext(clientTls())]) {
            const [transport] = await loop.createConnection(makeNothing, '127.0.0.1', port, { ssl });
            await transport[Symbol.asyncDispose]();
          }
          await assert.rejects(loop.createConnection(makeNothing, '127.0.0.1', port, { ssl: true }), {
            code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
          });
          for (const ssl of [undefined, null, false]) {
            const [transport] = await loop.createConnection(makeNothing, '127.0.0.1', port, { ssl });
            assert.equal(transport.getExtraInfo('sslObject'), null);
            await transport[Symbol.asyncDispose]();
          }
          server.close();
          await server.waitClosed();
        }));

      test('create_connection() checks server_hostname, which defaults to the host, and which an empty string turns off', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const { server, port } = await recordingServer(loop, serverTls(certificates.other));
          const connect = (options: object) =>
            loop.createConnection(makeNothing, '127.0.0.1', port, { ssl: clientTls(), ...options });
          await assert.rejects(connect({}), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
          for (const serverHostname of ['other.test', '']) {
            const [transport] = await connect({ serverHostname });
            await transport[Symbol.asyncDispose]();
          }
          const plain = await machine.peers.listen();
          const plainPort = plain.port;
          assert.throws(() => loop.createConnection(makeNothing, null, plainPort, { ssl: true }), {
            code: type,
          });
          assert.throws(
            () => loop.createConnection(makeNothing, '127.0.0.1', plainPort, { serverHostname: 'localhost' }),
            { code: type, message: /without ssl/ },
          );
          await plain.close();
          server.close();
          await server.waitClosed();
        }));

      test('create_connection() makes no protocol and leaves no connection when the handshake fails or takes too long', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          let made = 0;
          const factory = (): object => ({ made: made++ });
          const { server, port } = await recordingServer(loop, serverTls(certificates.expired));
          await assert.rejects(loop.createConnection(factory, '127.0.0.1', port, { ssl: clientTls() }), {
            code: 'CERT_HAS_EXPIRED',
          });
          server.close();
          await server.waitClosed();
          const silent = await machine.peers.listen();
          const options = { ssl: clientTls(), sslHandshakeTimeout: 0.02 };
          await assert.rejects(
            loop.createConnection(factory, '127.0.0.1', silent.port, options),
            (error) => error instanceof TimeoutError,
          );
          assert.equal(made, 0);
          await silent.close();
        }));

      test('create_connection() with ssl that is cancelled leaves no connection behind', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const { server, port } = await recordingServer(loop);
          for (let turns = 0; turns < 20; turns++) {
            const options = { ssl: clientTls() };
            const connecting = loop.createConnection(() => new Protocol(), '127.0.0.1', port, options);
            for (let i = 0; i < turns; i++) await sleep(0);
            connecting.cancel();
            const transport = await connecting.then(
              ([made]) => made,
              () => null,
            );
            await transport?.[Symbol.asyncDispose]();
          }
          server.close();
          await server.waitClosed();
          // The last client may hear of its end after the server.
          for (let turns = 0; turns < 1000 && loop._owned.resources.size > 0; turns++) await sleep(0.001);
          assert.equal(loop._owned.resources.size, 0);
        }));

      test('create_connection() and create_server() with ssl talk to peers that do not use gyre', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { server, port } = await nodeTlsServer(serverTls(), (socket) => {
            socket.on('data', (data: Buffer) => socket.end(data));
          });
          const near = new Recorder();
          await loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
          near.transport.write('echo');
          await near.untilLost();
          assert.deepEqual([near.text, near.exception], ['echo', null]);
          await closedServer(server);

          const own = await recordingServer(loop);
          const socket = await nodeTlsClient(own.port);
          const far = await own.next();
          socket.write('hello');
          await far.untilReceived(5);
          far.transport.close();
          socket.resume();
          await far.untilLost();
          await closedSocket(socket);
          own.server.close();
          await own.server.waitClosed();
        }));

      test('create_server() with an unusable certificate fails at the call', ({ loop }) => {
        const serve = (ssl: unknown) => loop.createServer(makeNothing, '127.0.0.1', 0, { ssl });
        assert.throws(() => serve(true), { code: type });
        assert.throws(() => serve({}), { code: type });
        assert.throws(() => serve({ ...serverTls(), key: 'no key' }));
      });

      test('create_server() requests client certificates, selects a context by name and negotiates a protocol', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const other = { ...certificates.other, ca: certificates.ca };
          const server = {
            ...serverTls(),
            requestCert: true,
            ca: certificates.ca,
            ALPNProtocols: ['a', 'b'],
            // The selected context's authority also checks the certificates of clients.
            SNICallback: (name: string, done: (error: Error | null, context?: never) => void) =>
              done(null, (name === 'other.test' ? createSecureContext(other) : undefined) as never),
          };
          const { server: serving, port, next } = await recordingServer(loop, server);
          const near = new Recorder();
          await loop.createConnection(() => near, '127.0.0.1', port, {
            ssl: { ...clientTls(), ...certificates.client, ALPNProtocols: ['b'] },
            serverHostname: 'other.test',
          });
          const far = await next();
          assert.equal(far.transport.getExtraInfo('peercert')?.subject.CN, 'a client');
          assert.equal((far.transport.getExtraInfo('sslObject') as TLSSocket).alpnProtocol, 'b');
          await end(near, far);
          serving.close();
          await serving.waitClosed();
        }));

      test('Server.close() and Server.wait_closed() count the connections whose handshake is not over', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { server, port, made } = await recordingServer(loop);
          const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
          transport.write(Buffer.of(22, 3, 1));
          await sleep(0.01);
          server.close();
          const waiting = server.waitClosed();
          await sleep(0.01);
          assert.equal(waiting.done(), false);
          server.abortClients();
          await waiting;
          assert.equal(made.length, 0);
          await transport[Symbol.asyncDispose]();
        }));

      test('create_unix_connection() and create_unix_server() accept ssl', ({ loop, machine }) =>
        loop.runUntilComplete(() =>
          machine.files.inDirectory(async (directory) => {
            const path = `${directory}/socket`;
            const [near, far] = [new Recorder(), new Recorder()];
            const server = await loop.createUnixServer(() => far, path, { ssl: serverTls() });
            const options = { ssl: clientTls(), serverHostname: 'localhost' };
            await loop.createUnixConnection(() => near, path, options);
            assert.match(near.transport.getExtraInfo('cipher')?.version ?? '', /TLS/);
            near.transport.write('hello');
            await far.untilReceived(5);
            await end(near, far);
            server.close();
            await server.waitClosed();
          }),
        ));

      test("connect_accepted_socket() with ssl is the server's side", ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const server = await machine.peers.listen();
          const { port } = server;
          const near = new Recorder();
          const connecting = loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
          const far = new Recorder();
          const { sock } = await server.accept();
          await loop.connectAcceptedSocket(() => far, sock, { ssl: serverTls() });
          await connecting;
          near.transport.write('hello');
          await far.untilReceived(5);
          assert.equal(far.text, 'hello');
          await end(near, far);
          await server.close();
        }));

      test('start_tls() returns a new transport for the same connection, without another connection_made', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { near, far } = await recorders(loop);
          near.transport.write('in clear, ');
          await far.untilReceived(10);
          const [transport] = await Promise.all([
            loop.startTls(near.transport, near, clientTls(), { serverHostname: 'localhost' }),
            loop.startTls(far.transport, far, serverTls(), { serverSide: true }),
          ]);
          transport.write('in secret');
          await far.untilReceived(19);
          transport.close();
          await near.untilLost();
          await far.untilLost();
          assert.deepEqual([near.log, near.exception], [['made', 'lost'], null]);
          assert.deepEqual([far.text, far.log], ['in clear, in secret', ['made', 'data', 'eof', 'lost']]);
        }));

      test('start_tls() rejects a closing transport and other objects, and aborts the connection if it fails', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { near, far } = await recorders(loop);
          const options = { serverHostname: 'localhost' };
          assert.throws(() => loop.startTls({} as never, near, clientTls(), options), { code: type });
          const starting = loop.startTls(near.transport, near, clientTls(), options);
          far.transport.write('this is no TLS at all');
          await assert.rejects(starting, { code: 'ERR_SSL_WRONG_VERSION_NUMBER' });
          await near.untilLost();
          await far.untilLost();
          assert.throws(() => loop.startTls(near.transport, near, clientTls(), options), {
            code: 'ERR_TRANSPORT_CLOSED',
          });
        }));

      const checks = streamTransportChecks((loop) => tlsRecorders(loop));
      for (const [name, check] of Object.entries(checks)) {
        test(`create_connection() and create_server() transports with ssl: ${name}`, ({ loop }) =>
          loop.runUntilComplete(() => check(loop)));
      }
    },
    'tls',
  );
}
