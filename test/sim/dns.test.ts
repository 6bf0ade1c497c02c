import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../../src/entry/sim.ts';
import { simulate } from '../../src/entry/sim.ts';
import { getRunningLoop, openConnection, sleep, startServer } from '../../src/index.ts';

const seed = 1;

/** Looks a name up on a host. Returns the different addresses in their order. */
function lookUp(host: Host, name: string): Promise<string[]> {
  return host.run(async () => {
    const found = await getRunningLoop().getaddrinfo(name, 80);
    return [...new Set(found.map(({ sockaddr }) => sockaddr[0] as string))];
  });
}

test('every host resolves every other host by its name, in any case, and connects to it', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('Server'), world.host('client')];
    void server.run(async () => {
      const listener = await startServer(
        async (_reader, writer) => {
          writer.write('found');
          writer.close();
          await writer.waitClosed();
        },
        null,
        80,
      );
      await listener.serveForever();
    });
    await sleep(1);
    assert.deepEqual((await lookUp(client, 'SERVER')).sort(), [...server.addresses].sort());
    assert.deepEqual(await lookUp(client, 'localhost'), ['::1', '127.0.0.1']);
    const text = await client.run(async () => {
      const [reader, writer] = await openConnection('server', 80);
      const data = String(await reader.read());
      writer.close();
      await writer.waitClosed();
      return data;
    });
    assert.equal(text, 'found');
    const { address } = await client.run(async () => {
      const [host] = await getRunningLoop().getnameinfo([server.addresses[0] as string, 80]);
      return { address: host };
    });
    assert.equal(address, 'Server');
    assert.throws(() => world.host('server'), { code: 'ERR_OUT_OF_RANGE' });
  });
});

test('set() adds a name, also in place of the name of a host, until delete()', async () => {
  await simulate({ seed }, async (world) => {
    const [server, client] = [world.host('server'), world.host('client')];
    const unknown = { code: 'ENOTFOUND' };
    await assert.rejects(lookUp(client, 'db.example'), unknown);
    world.dns.set('DB.example.', ['10.9.9.9', '10.9.9.8']);
    assert.deepEqual(await lookUp(client, 'db.example'), ['10.9.9.9', '10.9.9.8']);
    world.dns.set('server', ['10.9.9.7']);
    assert.deepEqual(await lookUp(client, 'server'), ['10.9.9.7']);
    assert.deepEqual([world.dns.delete('server'), world.dns.delete('server')], [true, false]);
    assert.equal((await lookUp(client, 'server')).length, server.addresses.length);
    world.dns.delete('db.example');
    await assert.rejects(lookUp(client, 'db.example'), unknown);
  });
});

test('fail() makes look-ups of one name or of all fail, until the fault ends', async () => {
  await simulate({ seed }, async (world) => {
    const client = world.host('client');
    world.host('server');
    world.dns.set('db.example', ['10.9.9.9']);
    {
      using _ = world.dns.fail('db.example');
      await assert.rejects(lookUp(client, 'db.example'), { code: 'ENOTFOUND' });
      await lookUp(client, 'server');
    }
    {
      using _ = world.dns.fail('*', 'EAI_AGAIN');
      for (const name of ['db.example', 'server', 'other'])
        await assert.rejects(lookUp(client, name), { code: 'EAI_AGAIN' });
    }
    await lookUp(client, 'db.example');
  });
});

test('answers take the time of their record, or of a delay of all name servers', async () => {
  await simulate({ seed }, async (world) => {
    const client = world.host('client');
    world.dns.set('quick.example', ['10.9.9.9']);
    world.dns.set('slow.example', ['10.9.9.9'], { delay: 3 });
    const seconds = async (name: string): Promise<number> => {
      const begin = world.time();
      await lookUp(client, name).catch(() => {});
      return Math.round((world.time() - begin) * 1000) / 1000;
    };
    assert.deepEqual([await seconds('quick.example'), await seconds('slow.example')], [0.001, 3]);
    using _ = world.dns.delay(20);
    assert.deepEqual([await seconds('quick.example'), await seconds('unknown')], [20, 20]);
  });
});

test('names are told in the trace', async () => {
  const { trace } = await simulate({ seed, trace: true }, async (world) => {
    world.dns.set('db.example', ['10.9.9.9']);
    world.dns.fail('db.example').end();
  });
  assert.deepEqual(
    trace.filter(({ kind }) => kind === 'fault').map(({ label }) => label),
    [
      'name db.example has 10.9.9.9',
      'begins: dns of db.example: ENOTFOUND',
      'ends: dns of db.example: ENOTFOUND',
    ],
  );
});

test('the name servers reject wrong values', async () => {
  await simulate({ seed }, async ({ dns }) => {
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => dns.set(5 as never, []), type);
    assert.throws(() => dns.set('', []), range);
    assert.throws(() => dns.set('a', '10.0.0.1' as never), type);
    assert.throws(() => dns.set('a', ['10.0.0']), range);
    assert.throws(() => dns.set('a', [], { delay: -1 }), range);
    assert.throws(() => dns.set('a', [], { ttl: 1 } as never), type);
    assert.throws(() => dns.fail('a', 'EOTHER' as never), range);
    assert.throws(() => dns.delay(-1), range);
  });
});
