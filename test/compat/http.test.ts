/** `node:http`, unmodified, on both sides of gyre transports; and `node:https` through them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { TLSSocket as TlsSocket, connect as tlsConnect } from 'node:tls';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { connectDuplex, fromDuplex, toDuplex } from '../../src/entry/node.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import { sleep, waitFor } from '../../src/index.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { PATIENCE_SECONDS } from '../helpers/patience.ts';
import { duplexPair } from './memory.ts';
import type { Connections } from './transport-kinds.ts';
import { kindNames, over } from './transport-kinds.ts';

const MEBIBYTE = 1024 * 1024;
const SIZE = 64 * MEBIBYTE;

/** An agent whose sockets are duplexes over gyre transports. */
class GyreAgent extends Agent {
  dialled: number = 0;
  readonly #connections: Connections;

  constructor(connections: Connections, keepAlive: boolean = false) {
    super(keepAlive ? { keepAlive, maxSockets: 4 } : {});
    this.#connections = connections;
  }

  override createConnection(): Duplex {
    this.dialled++;
    return this.#connections.dial();
  }
}

/** Sends a request and returns its response. */
async function ask(
  agent: Agent,
  options: RequestOptions = {},
  send: (request: ClientRequest) => unknown = (sent) => sent.end(),
): Promise<IncomingMessage> {
  const sent = request({ host: 'here', agent, ...options });
  const answered = once(sent, 'response');
  await Promise.all([answered, send(sent)]);
  const [response] = (await answered) as [IncomingMessage];
  return response;
}

async function bodyOf(message: Readable): Promise<string> {
  let text = '';
  for await (const data of message) text += String(data);
  return text;
}

async function bytesOf(message: Readable): Promise<number> {
  let bytes = 0;
  for await (const data of message) bytes += (data as Buffer).length;
  return bytes;
}

/** Yields `bytes` bytes, made on demand. */
function* pieces(bytes: number): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let made = 0; made < bytes; made += piece.length) yield piece;
}

async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (message.url) {
    case '/echo':
      await pipeline(message, response);
      break;
    case '/large':
      response.setHeader('content-length', SIZE);
      await pipeline(Readable.from(pieces(SIZE)), response);
      break;
    case '/count':
      response.end(String(await bytesOf(message)));
      break;
    default:
      response.end(`${message.method} ${message.url} from ${message.socket.remoteAddress}`);
  }
}

function makeServer(): { http: ReturnType<typeof createServer>; accept: (duplex: TransportDuplex) => void } {
  const http = createServer((message, response) => {
    answer(message, response).catch(() => response.destroy());
  });
  return { http, accept: (duplex) => void http.emit('connection', duplex) };
}

for (const kind of kindNames) {
  const { accept } = makeServer();

  test(
    `http over ${kind}: a request gets its response, and the connection closes`,
    over(kind, accept, async (connections) => {
      const response = await ask(new GyreAgent(connections), { path: '/here' });
      const address = kind === 'TCP' || kind === 'TLS' ? '127.0.0.1' : 'undefined';
      assert.equal(await bodyOf(response), `GET /here from ${address}`);
      assert.equal(response.headers.connection, 'close');
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: a body goes there and back`,
    over(kind, accept, async (connections) => {
      const response = await ask(new GyreAgent(connections), { path: '/echo', method: 'POST' }, (sent) =>
        sent.end('body'),
      );
      assert.equal(await bodyOf(response), 'body');
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: 100 requests, four at a time, share four connections`,
    over(kind, accept, async (connections) => {
      const agent = new GyreAgent(connections, true);
      const bodies = await Promise.all(
        Array.from({ length: 100 }, async (_, i) =>
          bodyOf(await ask(agent, { path: '/echo', method: 'POST' }, (sent) => sent.end(`body ${i}`))),
        ),
      );
      assert.deepEqual(
        bodies,
        Array.from({ length: 100 }, (_, i) => `body ${i}`),
      );
      assert.equal(agent.dialled, 4);
      assert.equal(connections.open.size, 4);
      agent.destroy();
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: a download of 64 MiB keeps the reader’s pace`,
    over(kind, accept, async (connections) => {
      const response = await ask(new GyreAgent(connections), { path: '/large' });
      // The response is not read, so far less than all of it may be in flight.
      for (let i = 0; i < 100; i++) await sleep(0);
      const [connection] = connections.open as Set<TransportDuplex>;
      assert.ok((connection as TransportDuplex).bytesWritten < SIZE, 'the server was not held up');
      assert.equal(await bytesOf(response), SIZE);
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: an upload of 64 MiB arrives whole`,
    over(kind, accept, async (connections) => {
      const response = await ask(new GyreAgent(connections), { path: '/count', method: 'POST' }, (sent) =>
        pipeline(Readable.from(pieces(SIZE)), sent),
      );
      assert.equal(await bodyOf(response), String(SIZE));
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: a client waits for 100-continue`,
    over(kind, accept, async (connections) => {
      let continued = false;
      const response = await ask(
        new GyreAgent(connections),
        { path: '/count', method: 'PUT', headers: { expect: '100-continue' } },
        async (sent) => {
          sent.flushHeaders();
          await once(sent, 'continue');
          continued = true;
          sent.end('body');
        },
      );
      assert.deepEqual([continued, await bodyOf(response)], [true, '4']);
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: requests in one piece are answered in order`,
    over(kind, accept, async (connections) => {
      const duplex = connections.dial();
      const one = 'GET /1 HTTP/1.1\r\nHost: here\r\n\r\n';
      duplex.write(
        one +
          one.replace('/1', '/2') +
          one.replace('/1\b', '/3').replace('Host', 'Connection: close\r\nHost'),
      );
      const text = await bodyOf(duplex);
      assert.deepEqual(text.match(/GET \/\d/g), ['GET /1', 'GET /2', 'GET /1']);
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: a malformed request gets status 400, and the connection is closed`,
    over(kind, accept, async (connections) => {
      const duplex = connections.dial();
      duplex.write('this is no http\r\n\r\n');
      assert.match(await bodyOf(duplex), /^HTTP\/1\.1 400 Bad Request/);
      await connections.allClosed();
    }),
  );

  test(
    `http over ${kind}: the server notices a client that closes in the middle, and serves others`,
    over(kind, accept, async (connections) => {
      const response = await ask(new GyreAgent(connections), { path: '/large' });
      response.destroy();
      await connections.allClosed();
      assert.match(await bodyOf(await ask(new GyreAgent(connections), { path: '/next' })), /^GET \/next/);
      await connections.allClosed();
    }),
  );

  const idle = makeServer();
  idle.http.keepAliveTimeout = 20;
  test(
    `http over ${kind}: the server closes an idle connection by the loop’s clock`,
    over(kind, idle.accept, async (connections) => {
      const agent = new GyreAgent(connections, true);
      assert.match(await bodyOf(await ask(agent)), /^GET/);
      // The agent keeps its connections: only the server closes them.
      await waitFor(connections.allClosed(), PATIENCE_SECONDS);
      agent.destroy();
    }),
  );

  test(
    `http over ${kind}: a client emits its timeout`,
    over(
      kind,
      // The server never answers, and ends with its client, which may close before the connection is
      // accepted.
      (duplex) => {
        duplex.on('error', () => {});
        duplex.on('end', () => duplex.end());
        duplex.resume();
      },
      async (connections) => {
        const sent = request({ host: 'here', agent: new GyreAgent(connections), timeout: 20 });
        sent.on('error', () => {});
        sent.end();
        assert.deepEqual(await waitFor(once(sent, 'timeout'), PATIENCE_SECONDS), []);
        sent.destroy();
        await connections.allClosed();
      },
    ),
  );

  const upgrading = makeServer();
  upgrading.http.on('upgrade', (_message, socket: Duplex, head: Buffer) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
  test(
    `http over ${kind}: an upgrade passes the connection on, with the data after the request`,
    over(kind, upgrading.accept, async (connections) => {
      const sent = request({
        host: 'here',
        agent: new GyreAgent(connections),
        headers: { connection: 'Upgrade', upgrade: 'echo' },
      });
      sent.end();
      const [response, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, TransportDuplex];
      assert.equal(response.statusCode, 101);
      socket.write('and now for something else');
      const [data] = (await once(socket, 'data')) as [Buffer];
      assert.equal(data.toString(), 'and now for something else');
      socket.end();
      await connections.allClosed();
    }),
  );

  test(
    `tls.connect() and a TLSSocket run through duplexes over ${kind}`,
    over(
      kind,
      (duplex) => {
        const secure = new TlsSocket(duplex, { isServer: true, ...certificate });
        secure.on('error', () => {});
        secure.pipe(secure);
      },
      async (connections) => {
        const secure: TLSSocket = tlsConnect({ socket: connections.dial(), ca, servername: 'localhost' });
        await once(secure, 'secureConnect');
        assert.equal(secure.authorized, true);
        secure.write(Buffer.alloc(MEBIBYTE, 'x'));
        let bytes = 0;
        secure.on('data', (data: Buffer) => {
          bytes += data.length;
          if (bytes === MEBIBYTE) secure.end();
        });
        await once(secure, 'close');
        assert.equal(bytes, MEBIBYTE);
        await connections.allClosed();
      },
    ),
  );

  const secured = makeServer();
  test(
    `https over ${kind}: requests pass node:tls and a gyre transport`,
    over(
      kind,
      (duplex) => secured.http.emit('connection', new TlsSocket(duplex, { isServer: true, ...certificate })),
      async (connections) => {
        const sent = secureRequest({
          host: 'localhost',
          path: '/count',
          method: 'POST',
          ca,
          createConnection: (options) =>
            tlsConnect({ ...(options as object), socket: connections.dial(), servername: 'localhost' }),
        });
        sent.end(Buffer.alloc(MEBIBYTE));
        const [response] = (await once(sent, 'response')) as [IncomingMessage];
        assert.equal(await bodyOf(response), String(MEBIBYTE));
        await connections.allClosed();
      },
    ),
  );
}

test('http on a simulated loop: a kept-alive connection is closed by virtual time', async () => {
  await withLoop(
    () => new SimulatedEventLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        const { accept, http } = makeServer();
        http.keepAliveTimeout = 3_600_000;
        const [near, far] = duplexPair();
        await fromDuplex(far, () => ({
          connectionMade: (transport) => accept(toDuplex(transport, { allowHalfOpen: true })),
        }));
        const client = connectDuplex((factory) => fromDuplex(near, factory));
        client.write('GET /simulated HTTP/1.1\r\nHost: here\r\n\r\n');
        assert.match(await bodyOf(client), /GET \/simulated from undefined/);
        if (!client.closed) await once(client, 'close');
        assert.ok(loop.time() >= 3600 && loop.time() < 3610, `it is ${loop.time()}`);
      }),
  );
});
