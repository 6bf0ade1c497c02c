import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { COMES, eventually, GOES, throughOutage, until } from './outage.ts';
import { startResp } from './resp-server.ts';

test('ioredis works, loses the network for a minute, and goes on', async () => {
  await throughOutage(startResp, async () => {
    const client = new Redis({
      host: 'server',
      commandTimeout: 5000,
      connectTimeout: 5000,
      maxRetriesPerRequest: null,
    });
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.message));
    await client.set('key', 'value');
    assert.equal(await client.get('key'), 'value');
    const counts = await Promise.all(Array.from({ length: 100 }, () => client.incr('count')));
    assert.equal(counts.at(-1), 100);
    const subscriber = client.duplicate();
    await subscriber.subscribe('channel');
    setTimeout(() => client.publish('channel', 'hello'), 100);
    assert.deepEqual(await once(subscriber, 'message'), ['channel', 'hello']);
    subscriber.disconnect();
    await until(GOES + 1);
    await assert.rejects(client.get('key'), { message: 'Command timed out' });
    // The connection is not known to be dead; a new one cannot be made.
    client.disconnect(true);
    await until(COMES);
    assert.equal(await eventually(() => client.get('key')), 'value');
    assert.ok(errors.some((message) => /connect/.test(message)));
    assert.ok(performance.now() < (COMES + 30) * 1000);
    await client.quit();
  });
});

test('redis works, loses the network for a minute, and goes on', async () => {
  await throughOutage(startResp, async () => {
    const client = createClient({
      url: 'redis://server',
      pingInterval: 1000,
      disableClientInfo: true,
      RESP: 2,
      socket: {
        connectTimeout: 5000,
        socketTimeout: 5000,
        reconnectStrategy: (retries: number) => Math.min(retries * 100, 2000),
      },
    } as never);
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    await client.set('key', 'value');
    assert.equal(await client.get('key'), 'value');
    await until(GOES + 20);
    assert.ok(errors.length > 0);
    assert.equal(client.isReady, false);
    assert.equal(await eventually(() => client.get('key')), 'value');
    assert.ok(performance.now() > COMES * 1000);
    await client.close();
  });
});
