/** Many handshakes need no more memory than some. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Protocol } from '../../../src/index.ts';
import { clientTls, steady } from '../../helpers/certificates.ts';
import { collectGarbage } from '../../helpers/gc.ts';
import { onNode, portOf } from '../../helpers/pairs.ts';

/** Set the variable for a longer run. */
const HANDSHAKES = Number(process.env.GYRE_TLS_HANDSHAKES ?? 400);
/** Connections at a time. */
const AT_ONCE = 20;

test(
  'many TLS connections one after the other need no more memory than the first of them',
  onNode(async (loop) => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0, { ssl: steady });
    const connect = async (): Promise<void> => {
      const options = { ssl: { ...clientTls(), ca: steady.cert } };
      const [transport] = await loop.createConnection(
        () => new Protocol(),
        '127.0.0.1',
        portOf(server),
        options,
      );
      await transport[Symbol.asyncDispose]();
    };
    const round = async (): Promise<void> => {
      await Promise.all(Array.from({ length: AT_ONCE }, connect));
    };
    const used = async (): Promise<number> => {
      await collectGarbage();
      return process.memoryUsage().rss / 1024 ** 2;
    };
    for (let done = 0; done < HANDSHAKES / 2; done += AT_ONCE) await round();
    const before = await used();
    for (let done = 0; done < HANDSHAKES / 2; done += AT_ONCE) await round();
    const grown = (await used()) - before;
    // A session that is never freed costs 20 KiB or more.
    assert.ok(
      grown < Math.max(20, HANDSHAKES * 0.004),
      `${grown.toFixed(1)} MiB for ${HANDSHAKES / 2} connections`,
    );
    server.close();
    await server.waitClosed();
  }),
);
