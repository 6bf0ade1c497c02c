import assert from 'node:assert/strict';
import dns from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { simulate } from '../../../src/entry/sim.ts';

describe('node:dns inside a simulated host', () => {
  test('lookup() finds hosts and names of the world, in all its forms', async () => {
    await simulate(async (world) => {
      world.host('server', { addresses: ['10.0.0.9', 'fd00::9'] });
      world.dns.set('api.example', ['10.0.0.9']);
      await world.host('client').run(async () => {
        const lookup = promisify(dns.lookup);
        assert.deepEqual(await lookup('server'), { address: '10.0.0.9', family: 4 });
        assert.deepEqual(await lookup('server', 6), { address: 'fd00::9', family: 6 });
        assert.deepEqual(await lookup('server', { all: true, order: 'ipv6first' } as dns.LookupAllOptions), [
          { address: 'fd00::9', family: 6 },
          { address: '10.0.0.9', family: 4 },
        ]);
        assert.deepEqual(await dns.promises.lookup('api.example'), { address: '10.0.0.9', family: 4 });
        assert.deepEqual(await lookup('127.0.0.1'), { address: '127.0.0.1', family: 4 });
        assert.equal((await lookup('localhost', 4)).address, '127.0.0.1');
        await assert.rejects(dns.promises.lookup('nowhere.example'), {
          code: 'ENOTFOUND',
          syscall: 'getaddrinfo',
          hostname: 'nowhere.example',
          message: 'getaddrinfo ENOTFOUND nowhere.example',
        });
        assert.throws(() => dns.lookup('server', { family: 5 }, () => {}), { code: 'ERR_INVALID_ARG_VALUE' });
        assert.throws(() => dns.lookup('server', undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
      });
    });
  });

  test('resolve4(), reverse(), lookupService() and Resolver answer from the world', async () => {
    await simulate(async (world) => {
      world.host('server', { addresses: ['10.0.0.9', 'fd00::9'] });
      await world.host('client').run(async () => {
        assert.deepEqual(await dns.promises.resolve4('server'), ['10.0.0.9']);
        assert.deepEqual(await new dns.promises.Resolver().resolve6('server'), ['fd00::9']);
        assert.deepEqual(await dns.promises.resolve('server', 'A'), ['10.0.0.9']);
        assert.deepEqual(await promisify(dns.reverse)('10.0.0.9'), ['server']);
        const service = await dns.promises.lookupService('10.0.0.9', 80);
        assert.deepEqual(service, { hostname: 'server', service: 'http' });
        await assert.rejects(dns.promises.resolveMx('server'), {
          code: 'ENODATA',
          message: 'queryMx ENODATA server',
        });
        await assert.rejects(dns.promises.resolve4('nowhere'), { code: 'ENOTFOUND', syscall: 'queryA' });
      });
    });
  });

  test('a client connects by name, and tries the next address of a name if one is a black hole', async () => {
    await simulate(async (world) => {
      const server = world.host('server', { addresses: ['10.0.0.9', 'fd00::9'] });
      world.dns.set('both.example', ['2001:db8::77', '10.0.0.9']);
      await server.run(async () => {
        const listening = net.createServer((socket) => socket.end('hello')).listen(80, '10.0.0.9');
        await once(listening, 'listening');
      });
      await world.host('client').run(async () => {
        for (const host of ['server', 'both.example']) {
          const socket = net.connect(80, host);
          const [data] = await once(socket, 'data');
          assert.equal(String(data), 'hello');
          assert.equal(socket.remoteAddress, '10.0.0.9');
        }
        // The attempt with the first address gets 250 milliseconds.
        assert.ok(performance.now() > 250 && performance.now() < 1000);
        const [error] = await once(net.connect(80, 'nowhere.example'), 'error');
        assert.equal(error.code, 'ENOTFOUND');
      });
    });
  });
});
