/** Memory of TLS connections: many handshakes need no more than some, and small data keeps little. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transport } from '../../../src/index.ts';
import { Protocol, sleep } from '../../../src/index.ts';
import { clientTls, steady } from '../../helpers/certificates.ts';
import { collectGarbage } from '../../helpers/gc.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';

/** Set the variable for a longer run. */
const HANDSHAKES = Number(process.env.GYRE_TLS_HANDSHAKES ?? 400);
/** Connections at a time. */
const AT_ONCE = 20;

class Echo extends Protocol {
  #transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
  }
}

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

test(
  'the data of small TLS records shares memory instead of keeping a block of 64 KiB for each record',
  onNode(async (loop) => {
    const records = 24;
    const server = await loop.createServer(() => new Echo(), '127.0.0.1', 0, { ssl: steady });
    const options = { ssl: { ...clientTls(), ca: steady.cert } };
    const [transport, client] = await loop.createConnection(
      () => new Recorder(),
      '127.0.0.1',
      portOf(server),
      options,
    );
    for (let i = 1; i <= records; i++) {
      transport.write(Buffer.alloc(64));
      while (client.received < 64 * i) await sleep(0.001);
    }
    const blocks = new Set(client.chunks.map(({ buffer }) => buffer));
    const kept = [...blocks].reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.ok(kept <= 512 * 1024, `${records} records keep ${kept} bytes in ${blocks.size} blocks`);
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
  }),
);
