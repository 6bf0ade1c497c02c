/** `undici`, unmodified, over gyre transports, to a server of `node:http` over them. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { buildConnector } from 'undici';
import { Agent, Client, fetch, Pool } from 'undici';
import { sleep } from '../../src/index.ts';
import type { Connections } from './transport-kinds.ts';
import { kindNames, over } from './transport-kinds.ts';

const SIZE = 64 * 1024 * 1024;

/** undici requests a socket, and is called back once it is connected. */
function connector(connections: Connections): buildConnector.connector {
  return (_options, callback) => {
    const duplex = connections.dial();
    const failed = (error: Error): void => callback(error, null);
    duplex.once('error', failed);
    duplex.once('connect', () => {
      duplex.removeListener('error', failed);
      callback(null, duplex as Socket);
    });
  };
}

function* pieces(bytes: number): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let made = 0; made < bytes; made += piece.length) yield piece;
}

async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
  let bytes = 0;
  for await (const data of message) bytes += (data as Buffer).length;
  if (message.url === '/large') Readable.from(pieces(SIZE)).pipe(response);
  else if (message.url === '/never') response.write('and');
  else response.end(`${message.method} ${message.url} ${bytes}`);
}

const http = createServer((message, response) => void answer(message, response));
const accept = (duplex: unknown): void => void http.emit('connection', duplex);

async function count(body: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const data of body) bytes += data.length;
  return bytes;
}

for (const kind of kindNames) {
  const origin = 'http://here';

  test(
    `undici over ${kind}: requests are pipelined on one connection`,
    over(kind, accept, async (connections) => {
      const client = new Client(origin, { connect: connector(connections), pipelining: 4 });
      const texts = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const { body } = await client.request({ path: `/${i}`, method: 'GET' });
          return body.text();
        }),
      );
      assert.deepEqual(
        texts,
        Array.from({ length: 20 }, (_, i) => `GET /${i} 0`),
      );
      assert.equal(connections.open.size, 1);
      await client.close();
      await connections.allClosed();
    }),
  );

  test(
    `undici over ${kind}: 64 MiB go up and 64 MiB go down`,
    over(kind, accept, async (connections) => {
      const pool = new Pool(origin, { connect: connector(connections), connections: 2 });
      const up = await pool.request({ path: '/', method: 'POST', body: Readable.from(pieces(SIZE)) });
      assert.equal(await up.body.text(), `POST / ${SIZE}`);
      const down = await pool.request({ path: '/large', method: 'GET' });
      for (let i = 0; i < 100; i++) await sleep(0);
      assert.equal(await count(down.body), SIZE);
      await pool.close();
      await connections.allClosed();
    }),
  );

  test(
    `undici over ${kind}: fetch() works`,
    over(kind, accept, async (connections) => {
      const dispatcher = new Agent({ connect: connector(connections) });
      const response = await fetch(`${origin}/fetched`, { dispatcher, method: 'POST', body: 'body' });
      assert.equal(await response.text(), 'POST /fetched 4');
      await dispatcher.close();
      await connections.allClosed();
    }),
  );

  test(
    `undici over ${kind}: an aborted request closes its connection, and the next one opens another`,
    over(kind, accept, async (connections) => {
      const client = new Client(origin, { connect: connector(connections) });
      const abort = new AbortController();
      const { body } = await client.request({ path: '/never', method: 'GET', signal: abort.signal });
      abort.abort();
      await assert.rejects(body.text());
      const next = await client.request({ path: '/next', method: 'GET' });
      assert.equal(await next.body.text(), 'GET /next 0');
      await client.close();
      await connections.allClosed();
    }),
  );

  test(
    `undici over ${kind}: a reset connection fails its request`,
    over(
      kind,
      (duplex) => {
        duplex.once('data', () => duplex.resetAndDestroy());
      },
      async (connections) => {
        const client = new Client(origin, { connect: connector(connections) });
        await assert.rejects(client.request({ path: '/', method: 'POST', body: 'x' }));
        await client.destroy();
        await connections.allClosed();
      },
    ),
  );
}
