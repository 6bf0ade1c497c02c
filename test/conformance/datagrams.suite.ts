import assert from 'node:assert/strict';
import type { SocketAddress } from '../../src/index.ts';
import { AF_INET, AF_INET6, IPPROTO_UDP, sleep } from '../../src/index.ts';
import { addressOf, DatagramRecorder, endAll, endpoint, endpointPair } from '../helpers/datagrams.ts';
import { noIPv6 } from '../helpers/machine.ts';
import { freeUdpPort } from './machine.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function datagramsSuite(target: Target): void {
  section(
    'Creating datagram endpoints',
    target,
    (test) => {
      test('create_datagram_endpoint() opens a socket, makes the protocol without arguments, calls connection_made and returns the pair', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const steps: string[] = [];
          const recorder = new DatagramRecorder();
          const made = recorder.connectionMade;
          recorder.connectionMade = (transport) => {
            steps.push('connection made');
            made.call(recorder, transport);
          };
          const [transport, protocol] = await loop.createDatagramEndpoint(
            (...args: unknown[]) => {
              steps.push(`factory of ${args.length}`);
              return recorder;
            },
            { localAddr: ['127.0.0.1', 0] },
          );
          assert.deepEqual(steps, ['factory of 0', 'connection made']);
          assert.deepEqual([protocol, recorder.transport], [recorder, transport]);
          await endAll(recorder);
        }));

      test('create_datagram_endpoint() binds to local_addr, connects to remote_addr, or both', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const localAddr = ['127.0.0.1', await freeUdpPort(machine)] as const;
          const far = await endpoint(loop, { localAddr, proto: IPPROTO_UDP });
          const near = await endpoint(loop, { remoteAddr: localAddr });
          const bound = ['127.0.0.1', await freeUdpPort(machine)] as const;
          const both = await endpoint(loop, { localAddr: bound, remoteAddr: localAddr });
          const names = [far, near, both].map(({ transport }) => [
            transport.getExtraInfo('sockname'),
            transport.getExtraInfo('peername'),
          ]);
          assert.deepEqual(names, [
            [localAddr, null],
            [names[1]?.[0], localAddr],
            [bound, localAddr],
          ]);
          both.transport.sendto('x');
          await far.untilReceived(1);
          assert.deepEqual(far.senders, [bound]);
          await endAll(far, near, both);
        }));

      test('create_datagram_endpoint() without an address needs a family', ({ loop }) =>
        loop.runUntilComplete(async () => {
          assert.throws(() => loop.createDatagramEndpoint(() => ({})), RangeError);
          for (const family of [AF_INET, AF_INET6]) await endAll(await endpoint(loop, { family }));
        }));

      for (const [name, host] of [
        ['IPv4', '127.0.0.1'],
        ['IPv6', '::1'],
      ] as const) {
        test(
          `create_datagram_endpoint() carries datagrams of any length both ways over ${name}, each whole and with its sender's address`,
          ({ loop }) =>
            loop.runUntilComplete(async () => {
              const { near, far } = await endpointPair(loop, host);
              near.transport.sendto('text');
              near.transport.sendto(new Uint8Array(0));
              near.transport.sendto(Buffer.alloc(65_507, 'x'));
              await far.untilReceived(3);
              assert.deepEqual(
                far.datagrams.map(({ length }) => length),
                [4, 0, 65_507],
              );
              const sender = far.senders[0] as SocketAddress;
              assert.deepEqual(sender, near.transport.getExtraInfo('sockname'));
              far.transport.sendto('answer', sender);
              await near.untilReceived(1);
              assert.deepEqual(
                [near.texts, near.senders],
                [['answer'], [near.transport.getExtraInfo('peername')]],
              );
              await endAll(near, far);
            }),
          host === '::1' && noIPv6,
        );
      }

      test('create_datagram_endpoint() with remote_addr sends to that address only, and without it each datagram needs an address', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const { near, far } = await endpointPair(loop);
          near.transport.sendto('own', addressOf(far));
          assert.throws(() => near.transport.sendto('other', ['127.0.0.2', 9]), RangeError);
          assert.throws(() => far.transport.sendto('to whom?'), TypeError);
          await far.untilReceived(1);
          await endAll(near, far);
        }));

      test('create_datagram_endpoint() reports a refused port and a datagram that is too long to error_received, and stays open', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const port = await freeUdpPort(machine);
          const near = await endpoint(loop, { remoteAddr: ['127.0.0.1', port] });
          near.transport.sendto('anybody?');
          await near.untilTold('error');
          near.transport.sendto(Buffer.alloc(70_000));
          await near.untilTold('error', 2);
          assert.deepEqual(near.codes, ['ECONNREFUSED', 'EMSGSIZE']);
          assert.equal(near.transport.isClosing(), false);
          await endAll(near);
          assert.equal(near.exception, null);
        }));

      test('create_datagram_endpoint() calls connection_lost once, on a turn after it was closed or aborted', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          for (const ending of ['close', 'abort'] as const) {
            const near = await endpoint(loop, { family: AF_INET });
            near.transport[ending]();
            assert.deepEqual([near.transport.isClosing(), near.lost], [true, false]);
            await near.untilLost();
            near.transport.close();
            await sleep(0);
            assert.deepEqual([near.log, near.exception], [['made', 'lost'], null]);
          }
        }));

      test('create_datagram_endpoint() with allow_broadcast reaches a whole network, and any peer may answer', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const far = await endpoint(loop, { localAddr: ['0.0.0.0', 0] });
          const remoteAddr = ['127.255.255.255', addressOf(far)[1]] as const;
          const near = await endpoint(loop, { remoteAddr, allowBroadcast: true });
          near.transport.sendto('who is there?');
          await far.untilReceived(1);
          far.transport.sendto('me', far.senders[0]);
          await near.untilReceived(1);
          assert.deepEqual([far.texts, near.texts], [['who is there?'], ['me']]);
          await endAll(near, far);
        }));

      test('create_datagram_endpoint() accepts a bound socket', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const { sock } = await machine.peers.datagrams();
          const far = await endpoint(loop, { sock });
          const near = await endpoint(loop, { remoteAddr: addressOf(far) });
          near.transport.sendto('question');
          await far.untilReceived(1);
          far.transport.sendto('answer', far.senders[0]);
          await near.untilReceived(1);
          assert.deepEqual([far.texts, near.texts], [['question'], ['answer']]);
          await endAll(near, far);
        }));

      test('create_datagram_endpoint() for a port in use fails with EADDRINUSE, and makes no protocol', ({
        loop,
        machine,
      }) =>
        loop.runUntilComplete(async () => {
          const taken = await machine.peers.datagrams();
          let made = 0;
          const localAddr = ['127.0.0.1', taken.port] as const;
          await assert.rejects(
            loop.createDatagramEndpoint(() => ({ made: made++ }) as object, { localAddr }),
            { code: 'EADDRINUSE' },
          );
          assert.equal(made, 0);
          await taken.close();
        }));

      test('create_datagram_endpoint() that is cancelled leaves no socket behind', ({ loop, machine }) =>
        loop.runUntilComplete(async () => {
          const localAddr = ['127.0.0.1', await freeUdpPort(machine)] as const;
          for (let turns = 0; turns < 6; turns++) {
            const opening = loop.createDatagramEndpoint(() => ({}), { localAddr });
            for (let i = 0; i < turns; i++) await sleep(0);
            opening.cancel();
            const transport = await opening.then(
              ([made]) => made,
              () => null,
            );
            await transport?.[Symbol.asyncDispose]();
          }
          const again = await endpoint(loop, { localAddr });
          assert.deepEqual(addressOf(again), localAddr);
          await endAll(again);
        }));

      test('create_datagram_endpoint() returns transports with the water marks of asyncio', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const near = await endpoint(loop, { family: AF_INET });
          assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
          near.transport.setWriteBufferLimits({ high: 400 });
          assert.deepEqual(near.transport.getWriteBufferLimits(), { low: 100, high: 400 });
          assert.equal(near.transport.getWriteBufferSize(), 0);
          await endAll(near);
        }));
    },
    'datagrams',
  );
}
