/** `trackHttpConnections`: an `http.Server` over gyre gets the methods of one that listens. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server as HttpServer, RequestListener, ServerOptions } from 'node:http';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { toDuplex, trackHttpConnections } from '../../src/entry/node.ts';
import type { BaseEventLoop, Server } from '../../src/index.ts';
import { onNode, portOf, Recorder } from '../helpers/pairs.ts';

/** A gyre server that serves `http`, and a client for it. */
async function fed(
  loop: BaseEventLoop,
  listener: RequestListener,
  options: ServerOptions = {},
): Promise<{ http: HttpServer; server: Server; client: () => Promise<Recorder> }> {
  const http = trackHttpConnections(createServer(options, listener));
  const server = await loop.createServer(
    () => ({
      connectionMade: (transport) =>
        void http.emit('connection', toDuplex(transport, { allowHalfOpen: true })),
    }),
    '127.0.0.1',
    0,
  );
  const client = async (): Promise<Recorder> => {
    const recorder = new Recorder();
    await loop.createConnection(() => recorder, '127.0.0.1', portOf(server));
    return recorder;
  };
  return { http, server, client };
}

const GET = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

test(
  'trackHttpConnections(): closeIdleConnections() closes connections without a request, closeAllConnections() the others',
  onNode(async (loop) => {
    let requests = 0;
    const { http, server, client } = await fed(loop, (_request, response) => {
      // The second one is never answered.
      if (++requests === 1) response.end('hello');
    });
    const idle = await client();
    idle.transport.write(GET);
    await idle.until(() => idle.text.endsWith('hello\r\n0\r\n\r\n') || idle.text.endsWith('hello'));
    const busy = await client();
    const requested = once(http, 'request');
    busy.transport.write(GET);
    await requested;

    http.closeIdleConnections();
    await idle.untilLost();
    assert.equal(busy.lost, false);
    http.closeAllConnections();
    await busy.untilLost();
    server.close();
    await server.waitClosed();
    http.close();
  }),
);

test(
  'trackHttpConnections() enforces headersTimeout',
  onNode(async (loop) => {
    const { http, server, client } = await fed(loop, () => assert.fail('the request never ends'), {
      headersTimeout: 50,
      connectionsCheckingInterval: 10,
    });
    const slow = await client();
    slow.transport.write('GET / HT');
    await slow.untilLost();
    assert.match(slow.text, /^HTTP\/1\.1 408 /);
    server.close();
    await server.waitClosed();
    http.close();
  }),
);

test(
  'trackHttpConnections() leaves a listening server alone, and rejects values that are no server',
  onNode(async () => {
    const http = createServer();
    let listening = 0;
    http.on('listening', () => listening++);
    await once(http.listen(0, '127.0.0.1'), 'listening');
    assert.equal(trackHttpConnections(http), http);
    assert.equal(listening, 1);
    http.close();
    await once(http, 'close');
    for (const wrong of [undefined, null, {}, 5, () => {}]) {
      assert.throws(() => trackHttpConnections(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  }),
);
