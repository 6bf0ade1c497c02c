/**
 * ioredis over connections of the loop: a `Connector` makes its sockets, also when it connects again.
 *
 *   $ node --import tsx examples/frameworks/ioredis.ts 6379
 */
import { once } from 'node:events';
import { getRunningLoop, run } from 'gyre';
import type { TransportDuplex } from 'gyre/node';
import { connectDuplex } from 'gyre/node';
import { Redis } from 'ioredis';

const [port = '6379'] = process.argv.slice(2);

await run(async () => {
  const loop = getRunningLoop();

  class Connector {
    #duplex: TransportDuplex | null = null;

    check(): boolean {
      return true;
    }

    async connect(): Promise<TransportDuplex> {
      this.#duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));
      return this.#duplex;
    }

    disconnect(): void {
      this.#duplex?.end();
    }
  }

  const redis = new Redis({ Connector: Connector as never });
  await redis.set('gyre', 'hello');
  console.log(await redis.get('gyre'));
  const ended = once(redis, 'end');
  await redis.quit();
  await ended;
});
