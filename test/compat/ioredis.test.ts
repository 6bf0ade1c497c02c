/** `ioredis`, unmodified, over gyre transports to a real Redis. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { RedisOptions } from 'ioredis';
import { Redis } from 'ioredis';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { withProgram } from '../examples/program.ts';
import type { Dialler } from './clients.ts';
import { against, ways } from './clients.ts';
import type { RunningServer } from './servers.ts';
import { noRedis, startRedis } from './servers.ts';

let server: RunningServer | null = null;

before(async () => {
  if (noRedis === false) server = await startRedis();
});
after(() => server?.stop());

/** A connector for each client: ioredis asks it for a stream at each attempt to connect. */
function connectorOf(dialler: Dialler): RedisOptions['Connector'] {
  return class {
    #stream: TransportDuplex | null = null;

    check(): boolean {
      return true;
    }

    async connect(): Promise<TransportDuplex> {
      this.#stream = dialler.dial();
      return this.#stream;
    }

    disconnect(): void {
      this.#stream?.end();
    }
  } as never;
}

function client(dialler: Dialler, options: RedisOptions = {}): Redis {
  return new Redis({ Connector: connectorOf(dialler), ...options } as never);
}

for (const way of ways) {
  const options = { skip: noRedis };
  const over = (body: (dialler: Dialler) => Promise<void>): (() => Promise<void>) =>
    against(() => server as RunningServer, way, body);

  test(
    `ioredis over ${way}: commands, a pipeline of 10,000 and a transaction work`,
    options,
    over(async (dialler) => {
      const redis = client(dialler, { keepAlive: 1000, noDelay: true });
      await redis.flushall();
      assert.equal(await redis.set('key', 'value'), 'OK');
      assert.equal(await redis.get('key'), 'value');
      const pipeline = redis.pipeline();
      for (let i = 0; i < 10_000; i++) pipeline.incr('counter');
      const results = await pipeline.exec();
      assert.deepEqual(results?.at(-1), [null, 10_000]);
      assert.deepEqual(await redis.multi().set('a', '1').incr('a').exec(), [
        [null, 'OK'],
        [null, 2],
      ]);
      await assert.rejects(redis.call('NONSENSE'), /unknown command/);
      await redis.quit();
    }),
  );

  test(
    `ioredis over ${way}: 64 MiB go there and back`,
    options,
    over(async (dialler) => {
      const redis = client(dialler);
      const value = Buffer.alloc(64 * 1024 * 1024, 'abc');
      await redis.set('large', value);
      const back = await redis.getBuffer('large');
      assert.ok(back?.equals(value));
      await redis.del('large');
      await redis.quit();
    }),
  );

  test(
    `ioredis over ${way}: subscribers get published messages`,
    options,
    over(async (dialler) => {
      const listener = client(dialler);
      const speaker = client(dialler);
      await listener.subscribe('news');
      const heard = once(listener, 'message');
      await speaker.publish('news', 'hello');
      assert.deepEqual(await heard, ['news', 'hello']);
      await Promise.all([listener.quit(), speaker.quit()]);
    }),
  );

  test(
    `ioredis over ${way}: a connection that the server kills is opened again`,
    options,
    over(async (dialler) => {
      const redis = client(dialler, { retryStrategy: () => 1 });
      const other = client(dialler);
      const id = await redis.client('ID');
      // The client may see its end before the answer to the kill.
      const reconnecting = once(redis, 'reconnecting');
      await other.client('KILL', 'ID', id);
      await reconnecting;
      assert.equal(await redis.ping(), 'PONG');
      assert.equal(dialler.dialled, 3);
      redis.disconnect();
      other.disconnect();
      await Promise.all([once(redis, 'end'), once(other, 'end')]);
    }),
  );

  test(
    `ioredis over ${way}: a command that waits on the server fails when the client disconnects`,
    options,
    over(async (dialler) => {
      const redis = client(dialler);
      const waiting = assert.rejects(redis.blpop('nothing', 0), /closed/);
      await once(redis, 'ready');
      redis.disconnect();
      await waiting;
    }),
  );
}

test('examples/frameworks/ioredis.ts runs its commands over connections of the loop', { skip: noRedis }, () =>
  withProgram(['frameworks/ioredis.ts', String(server?.port)], async (program) => {
    assert.equal(await program.ended(), 0, program.output);
    assert.equal(program.output, 'hello\n');
  }),
);
