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
import type { Door } from './lines.ts';
import { lineNames, over } from './lines.ts';

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

async function dial(door: Door, perMessageDeflate: boolean = false): Promise<WebSocket> {
  const client = new WebSocket('ws://here/', { createConnection: () => door.dial(), perMessageDeflate });
  await once(client, 'open');
  return client;
}

async function ended(client: WebSocket): Promise<number> {
  const [code] = (await once(client, 'close')) as [number];
  return code;
}

for (const line of lineNames) {
  for (const deflate of [false, true]) {
    const { accept } = makeServer(deflate);
    const how = deflate ? ', compressed' : '';

    test(
      `ws over ${line}: messages of all sizes come back in order${how}`,
      over(line, accept, async (door) => {
        const client = await dial(door, deflate);
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
        await door.allClosed();
      }),
    );
  }

  const { sockets, accept } = makeServer(false);

  test(
    `ws over ${line}: 64 MiB pass one socket`,
    over(line, accept, async (door) => {
      const client = await dial(door);
      const piece = Buffer.alloc(256 * 1024, 'x');
      let bytes = 0;
      client.on('message', (data: Buffer) => {
        bytes += data.length;
        if (bytes === 256 * piece.length) client.close();
      });
      for (let i = 0; i < 256; i++) {
        client.send(piece);
        while (client.bufferedAmount > 1024 * 1024) await sleep(0);
      }
      await ended(client);
      assert.equal(bytes, 256 * piece.length);
      await door.allClosed();
    }),
  );

  test(
    `ws over ${line}: ping and pong work, and the client sees a server that closes`,
    over(line, accept, async (door) => {
      const client = await dial(door);
      client.ping('hello');
      const [pong] = (await once(client, 'pong')) as [Buffer];
      assert.equal(pong.toString(), 'hello');
      for (const other of sockets.clients) other.close(4000, 'enough');
      assert.equal(await ended(client), 4000);
      await door.allClosed();
    }),
  );

  test(
    `ws over ${line}: the server sees a client that is terminated`,
    over(line, accept, async (door) => {
      const client = await dial(door);
      const [other] = sockets.clients as Set<WebSocket>;
      const gone = ended(other as WebSocket);
      client.terminate();
      assert.equal(await ended(client), 1006);
      assert.equal(await gone, 1006);
      await door.allClosed();
    }),
  );

  test(
    `ws over ${line}: a server can refuse the upgrade`,
    over(
      line,
      (duplex) => {
        duplex.once('data', () => duplex.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
      },
      async (door) => {
        const client = new WebSocket('ws://here/', { createConnection: () => door.dial() });
        const [error] = (await once(client, 'error')) as [Error];
        assert.match(error.message, /403/);
        await door.allClosed();
      },
    ),
  );
}
