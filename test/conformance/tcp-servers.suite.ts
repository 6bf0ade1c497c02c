import assert from 'node:assert/strict';
import type { BaseEventLoop } from '../../src/index.ts';
import { AF_INET6, sleep } from '../../src/index.ts';
import { noIPv6 } from '../helpers/machine.ts';
import { portOf, Recorder } from '../helpers/pairs.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function tcpServersSuite(target: Target): void {
  section(
    'Creating listening connections',
    target,
    (test) => {
      test('create_server() serves each connection with a protocol of its own, made without arguments', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const args: unknown[][] = [];
          const fars: Recorder[] = [];
          const server = await loop.createServer(
            (...given: unknown[]) => {
              args.push(given);
              fars.push(new Recorder());
              return fars.at(-1) as Recorder;
            },
            '127.0.0.1',
            0,
          );
          const nears = [await dial(loop, portOf(server)), await dial(loop, portOf(server))];
          for (const [i, near] of nears.entries()) near.transport.write(`${i}`);
          while (fars.length < 2) await sleep(0.001);
          for (const far of fars) await far.untilReceived(1);
          assert.deepEqual(
            fars.map(({ text }) => text),
            ['0', '1'],
          );
          assert.deepEqual(args, [[], []]);
          server.close();
          for (const near of nears) near.transport.close();
          await server.waitClosed();
          for (const near of nears) await near.untilLost();
        }));

      for (const host of ['', null]) {
        test(
          `create_server() with host ${JSON.stringify(host)} listens on all interfaces, with a socket for each family and one port`,
          ({ loop }) =>
            loop.runUntilComplete(async () => {
              const server = await loop.createServer(() => ({}), host, 0);
              const port = portOf(server);
              assert.deepEqual(
                server.sockets.map((socket) => socket.getsockname()),
                [
                  ['0.0.0.0', port],
                  ['::', port, 0, 0],
                ],
              );
              for (const address of ['127.0.0.1', '::1']) {
                const near = await dial(loop, port, address);
                near.transport.close();
                await near.untilLost();
              }
              server.close();
              await server.waitClosed();
            }),
          noIPv6,
        );
      }

      test('create_server() listens on the given family only', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const server = await loop.createServer(() => ({}), null, 0, { family: AF_INET6 });
          assert.deepEqual(
            server.sockets.map(({ family }) => family),
            [AF_INET6],
          );
          await assert.rejects(dial(loop, portOf(server), '127.0.0.1'), { code: 'ECONNREFUSED' });
          server.close();
          await server.waitClosed();
        }));

      test(
        'create_server() on a port in use fails with EADDRINUSE, and leaves no socket open',
        ({ loop, machine }) =>
          loop.runUntilComplete(async () => {
            const taken = await machine.peers.listen();
            const { port } = taken;
            await assert.rejects(
              loop.createServer(() => ({}), ['::1', '127.0.0.1'], port),
              { code: 'EADDRINUSE' },
            );
            await assert.rejects(dial(loop, port, '::1'), { code: 'ECONNREFUSED' });
            await taken.close();
          }),
        noIPv6,
      );

      test('create_server() can use a port again as soon as its server is closed', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const first = await loop.createServer(() => new Recorder(), '127.0.0.1', 0);
          const port = portOf(first);
          const near = await dial(loop, port);
          // The server's side ends first, so that the port stays in TIME_WAIT.
          first.close();
          while (!near.lost) {
            first.closeClients();
            await sleep(0.001);
          }
          await first.waitClosed();
          const second = await loop.createServer(() => ({}), '127.0.0.1', port);
          assert.equal(portOf(second), port);
          second.close();
          await second.waitClosed();
        }));

      test('Server.close() stops serving and leaves existing connections open; Server.wait_closed() waits for them', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const far = new Recorder();
          const server = await loop.createServer(() => far, '127.0.0.1', 0);
          const port = portOf(server);
          const near = await dial(loop, port);
          await far.untilTold('made');
          server.close();
          server.close();
          await assert.rejects(dial(loop, port), { code: 'ECONNREFUSED' });
          const waiting = server.waitClosed();
          near.transport.write('still open');
          await far.untilReceived(10);
          assert.equal(waiting.done(), false);
          near.transport.close();
          await waiting;
          assert.equal(far.lost, true);
          await near.untilLost();
          await server.waitClosed();
        }));
    },
    'tcp',
  );
}

async function dial(loop: BaseEventLoop, port: number, host: string = '127.0.0.1'): Promise<Recorder> {
  const recorder = new Recorder();
  await loop.createConnection(() => recorder, host, port);
  return recorder;
}
