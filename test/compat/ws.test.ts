/** `ws`, unmodified, client and server over gyre transports. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { sleep } from '../../src/index.ts';
import type { Connections } from './transport-kinds.ts';
import { kindNames, over } from './transport-kinds.ts';

/** A server that returns every message, as an upgrade of `node:http`. */
function makeServer(perMessageDeflate: boolean): {
  sockets: WebSocketServer;
  accept: (duplex: TransportDuplex) => void;
} {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate });
  sockets.on('connection', (client: WebSocket) => {
    client.on('message', (data: Buffer, isBinary: boolean) => client.send(isBinary ? data : data.toString()));
  });
  const http = createServer();
  http.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.handleUpgrade(message, socket, head, (client) => sockets.emit('connection', client, message));
  });
  return { sockets, accept: (duplex) => void http.emit('connection', duplex) };
}

async function dial(connections: Connections, perMessageDeflate: boolean = false): Promise<WebSocket> {
  const client = new WebSocket('ws://here/', {
    createConnection: () => connections.dial(),
    perMessageDeflate,
  });
  await once(client, 'open');
  return client;
}

async function ended(client: WebSocket): Promise<number> {
  const [code] = (await once(client, 'close')) as [number];
  return code;
}

for (const kind of kindNames) {
  for (const deflate of [false, true]) {
    const { accept } = makeServer(deflate);
    const how = deflate ? ', compressed' : '';

    test(
      `ws over ${kind}: messages of all sizes come back in order${how}`,
      over(kind, accept, async (connections) => {
        const client = await dial(connections, deflate);
        const sent = [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024].map((size) => Buffer.alloc(size, 'x'));
        const received: number[] = [];
        client.on('message', (data: Buffer) => {
          received.push(data.length);
          if (received.length === sent.length) client.close(1000, 'done');
        });
        for (const data of sent) client.send(data);
        assert.equal(await ended(client), 1000);
        assert.deepEqual(
          received,
          sent.map((data) => data.length),
        );
        await connections.allClosed();
      }),
    );
  }

  const { sockets, accept } = makeServer(false);

  test(
    `ws over ${kind}: 16 MiB pass one socket`,
    over(kind, accept, async (connections) => {
      const client = await dial(connections);
      const piece = Buffer.alloc(256 * 1024, 'x');
      let bytes = 0;
      client.on('message', (data: Buffer) => {
        bytes += data.length;
        if (bytes === 64 * piece.length) client.close();
      });
      for (let i = 0; i < 64; i++) {
        client.send(piece);
        while (client.bufferedAmount > 1024 * 1024) await sleep(0);
      }
      await ended(client);
      assert.equal(bytes, 64 * piece.length);
      await connections.allClosed();
    }),
  );

  test(
    `ws over ${kind}: ping and pong work, and the client sees a server that closes`,
    over(kind, accept, async (connections) => {
      const client = await dial(connections);
      client.ping('hello');
      const [pong] = (await once(client, 'pong')) as [Buffer];
      assert.equal(pong.toString(), 'hello');
      for (const other of sockets.clients) other.close(4000, 'enough');
      assert.equal(await ended(client), 4000);
      await connections.allClosed();
    }),
  );

  test(
    `ws over ${kind}: the server sees a client that is terminated`,
    over(kind, accept, async (connections) => {
      const client = await dial(connections);
      const [other] = sockets.clients as Set<WebSocket>;
      const gone = ended(other as WebSocket);
      client.terminate();
      assert.equal(await ended(client), 1006);
      assert.equal(await gone, 1006);
      await connections.allClosed();
    }),
  );

  test(
    `ws over ${kind}: a server can refuse the upgrade`,
    over(
      kind,
      (duplex) => {
        duplex.once('data', () => duplex.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
      },
      async (connections) => {
        const client = new WebSocket('ws://here/', { createConnection: () => connections.dial() });
        const [error] = (await once(client, 'error')) as [Error];
        assert.match(error.message, /403/);
        await connections.allClosed();
      },
    ),
  );
}
