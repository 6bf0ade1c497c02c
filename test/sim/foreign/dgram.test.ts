import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { simulate } from '../../../src/entry/sim.ts';

/** Binds a socket, and returns it. */
async function bound(type: dgram.SocketType, ...args: unknown[]): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type, reuseAddr: true });
  (socket.bind as (...args: unknown[]) => void).apply(socket, args);
  await once(socket, 'listening');
  return socket;
}

describe('node:dgram inside simulated hosts', () => {
  for (const [type, address, from] of [
    ['udp4', '10.0.0.1', '10.0.0.2'],
    ['udp6', 'fd00::1', 'fd00::2'],
  ] as const) {
    test(`${type}: datagrams go there and back, by name, by address and connected`, async () => {
      await simulate(async (world) => {
        await world.host('server', { addresses: ['10.0.0.1', 'fd00::1'] }).run(async () => {
          const socket = await bound(type, 53);
          socket.on('message', (data, sender) => {
            assert.equal(sender.address, from);
            assert.equal(sender.size, data.length);
            socket.send(`echo ${data}`, sender.port, sender.address);
          });
        });
        await world.host('client', { addresses: ['10.0.0.2', 'fd00::2'] }).run(async () => {
          const socket = dgram.createSocket(type);
          for (const host of [address, 'server']) {
            const sent = new Promise<number>((resolve) => {
              socket.send(['he', 'llo'], 53, host, (_error, bytes) => resolve(bytes));
            });
            const [data, sender] = await once(socket, 'message');
            assert.equal(String(data), 'echo hello');
            assert.equal(sender.address, address);
            assert.equal(await sent, 5);
          }
          assert.ok(socket.address().port > 1024);
          const connected = dgram.createSocket(type);
          connected.connect(53, address);
          await once(connected, 'connect');
          assert.equal(connected.remoteAddress().port, 53);
          connected.send('again');
          assert.equal(String((await once(connected, 'message'))[0]), 'echo again');
          socket.close();
          connected.close();
          await once(connected, 'close');
        });
      });
    });
  }

  test('a connected socket learns that nobody listens, and errors are those of Node', async () => {
    await simulate(async (world) => {
      world.host('server', { addresses: ['10.0.0.1'] });
      await world.host('client').run(async () => {
        const socket = dgram.createSocket('udp4');
        socket.connect(53, '10.0.0.1');
        await once(socket, 'connect');
        socket.send('lost');
        const [error] = await once(socket, 'error');
        assert.equal(error.message, 'recvmsg ECONNREFUSED');
        socket.close();
        const first = await bound('udp4', 1000, '127.0.0.1');
        const second = dgram.createSocket('udp4').bind(1000, '127.0.0.1');
        assert.equal((await once(second, 'error'))[0].code, 'EADDRINUSE');
        await assert.rejects(
          new Promise((resolve, reject) => {
            first.send(Buffer.alloc(70_000), 9, '127.0.0.1', (failure) =>
              failure ? reject(failure) : resolve(null),
            );
          }),
          { code: 'EMSGSIZE' },
        );
        first.setRecvBufferSize(10_000);
        assert.equal(first.getRecvBufferSize(), 20_000);
      });
    });
  });

  test('broadcast and multicast reach the hosts that want them', async () => {
    await simulate(async (world) => {
      const got: string[] = [];
      for (const name of ['one', 'two']) {
        await world.host(name).run(async () => {
          const socket = await bound('udp4', 5000);
          if (name === 'one') socket.addMembership('239.1.2.3');
          socket.on('message', (data) => got.push(`${name} ${data}`));
        });
      }
      await world.host('sender').run(async () => {
        const socket = await bound('udp4', 0);
        socket.setBroadcast(true);
        socket.send('to all', 5000, '255.255.255.255');
        await promises.setTimeout(100);
        socket.send('to the group', 5000, '239.1.2.3');
        await promises.setTimeout(100);
      });
      assert.deepEqual(got, ['one to all', 'two to all', 'one to the group']);
    });
  });
});
