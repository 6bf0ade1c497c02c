import assert from 'node:assert/strict';
import { AF_INET, AF_INET6, IPPROTO_TCP, sleep } from '../../src/index.ts';
import { streamTransportChecks } from '../helpers/check-stream-transport.ts';
import { noIPv6 } from '../helpers/machine.ts';
import { Recorder, recorders } from '../helpers/pairs.ts';
import { freePort } from './machine.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function tcpConnectionsSuite(target: Target): void {
  section(
    'Creating connections',
    target,
    (test) => {
      test('create_connection() connects, makes the protocol without arguments, calls connection_made and returns the pair', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const server = await machine.peers.listen();
          const { port } = server;
          const steps: string[] = [];
          const recorder = new Recorder();
          const made = recorder.connectionMade;
          recorder.connectionMade = (transport) => {
            steps.push('connection made');
            made.call(recorder, transport);
          };
          const [transport, protocol] = await loop.createConnection(
            (...args: unknown[]) => {
              steps.push(`factory of ${args.length}`);
              return recorder;
            },
            '127.0.0.1',
            port,
          );
          steps.push('answered');
          assert.deepEqual(steps, ['factory of 0', 'connection made', 'answered']);
          assert.deepEqual([protocol, recorder.transport], [recorder, transport]);
          transport.close();
          await recorder.untilLost();
          await server.close();
        }));

      test(
        'create_connection() without a host connects to this machine, by either family or by the given one',
        ({ loop, machine }) =>
          loop.runUntilComplete(async () => {
            for (const [address, family] of [
              ['127.0.0.1', AF_INET],
              ['::1', AF_INET6],
            ] as const) {
              const server = await machine.peers.listen(address);
              const { port } = server;
              for (const options of [{}, { family, proto: IPPROTO_TCP }]) {
                const [transport] = await loop.createConnection(() => ({}), null, port, options);
                assert.equal(transport.getExtraInfo('peername')?.[0], address);
                await transport[Symbol.asyncDispose]();
              }
              await server.close();
            }
          }),
        noIPv6,
      );

      test(
        'create_connection() to a port without a listener fails with ECONNREFUSED, and makes no protocol',
        ({ loop, machine }) =>
          loop.runUntilComplete(async () => {
            const port = await freePort(machine);
            let made = 0;
            const factory = (): object => ({ made: made++ });
            await assert.rejects(loop.createConnection(factory, '127.0.0.1', port), { code: 'ECONNREFUSED' });
            await assert.rejects(loop.createConnection(factory, null, port), { code: 'ECONNREFUSED' });
            assert.equal(made, 0);
          }),
        noIPv6,
      );

      test('create_connection() binds to local_addr', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const server = await machine.peers.listen();
          const { port } = server;
          const localAddr = ['127.0.0.1', await freePort(machine)] as const;
          const [transport] = await loop.createConnection(() => ({}), '127.0.0.1', port, { localAddr });
          assert.deepEqual(transport.getExtraInfo('sockname'), localAddr);
          await transport[Symbol.asyncDispose]();
          await server.close();
        }));

      test('create_connection() needs a port or a socket, and rejects an address together with a socket', ({
        loop,
      }) => {
        const factory = (): object => ({});
        const code = 'ERR_INVALID_ARG_TYPE';
        assert.throws(() => loop.createConnection(factory, '127.0.0.1'), { code, message: /"port"/ });
        assert.throws(() => loop.createConnection(factory, '127.0.0.1', 80, { sock: 0 }), { code });
        assert.throws(() => loop.createConnection(factory, null, 80, { sock: 0 }), { code });
        assert.throws(() => loop.createConnection(factory, null, null, { sock: 0, family: AF_INET }), {
          code,
        });
        assert.throws(() => loop.createConnection(factory, null, null, { sock: 0, localAddr: ['::1', 0] }), {
          code,
        });
      });

      test('create_connection() that is cancelled leaves no connection behind', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const server = await machine.peers.listen();
          const { port } = server;
          for (let turns = 0; turns < 10; turns++) {
            const connecting = loop.createConnection(() => ({}), '127.0.0.1', port);
            for (let i = 0; i < turns; i++) await sleep(0);
            connecting.cancel();
            const transport = await connecting.then(
              ([made]) => made,
              () => null,
            );
            await transport?.[Symbol.asyncDispose]();
          }
          assert.equal(loop._owned.resources.size, 0);
          await server.close();
        }));

      test('create_connection() talks to a peer that does not use gyre', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const near = new Recorder();
          near.keepOpen = true;
          const server = await machine.peers.listen();
          const [transport] = await loop.createConnection(() => near, '127.0.0.1', server.port);
          const peer = await server.accept();
          peer.end('question');
          await near.untilTold('eof');
          transport.write(`${near.text}, answer`);
          transport.close();
          assert.equal(await peer.rest(), 'question, answer');
          await near.untilLost();
          await server.close();
        }));

      const checks = streamTransportChecks((loop) => recorders(loop));
      for (const [name, check] of Object.entries(checks)) {
        test(`create_connection() and create_server() transports: ${name}`, ({ loop }) =>
          loop.runUntilComplete(() => check(loop)));
      }
    },
    'tcp',
  );
}
