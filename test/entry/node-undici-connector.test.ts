/** `undiciConnector`: the connections of undici as connections of the loop. */
import assert from 'node:assert/strict';
import { createSecureServer } from 'node:http2';
import { test } from 'node:test';
import { Client, fetch, Pool, Agent as UndiciAgent } from 'undici';
import type { UndiciConnectorOptions } from '../../src/entry/node.ts';
import { serve, undiciConnector } from '../../src/entry/node.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { freePort, makeLoop, onNode } from '../helpers/pairs.ts';
import { inDirectory, noUnix } from '../helpers/unix-pairs.ts';

const local = { host: '127.0.0.1', port: 0 };

test(
  'undiciConnector: fetch() of undici runs over connections of the loop, which a pool keeps',
  onNode(async () => {
    const ports = new Set<number | undefined>();
    await using server = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.end(request.url);
    }, local);
    const dispatcher = new UndiciAgent({ connect: undiciConnector(), connections: 1 });
    for (const path of ['/a', '/b']) {
      assert.equal(await (await fetch(server.url + path, { dispatcher })).text(), path);
    }
    assert.equal(ports.size, 1);
    await dispatcher.close();
  }),
);

test(
  'undiciConnector: https verifies the certificate with the options of ssl',
  onNode(async () => {
    await using server = await serve((_request, response) => response.end('secure'), {
      ...local,
      ssl: certificate,
    });
    const client = new Client(server.url, { connect: undiciConnector({ ssl: { ca } }) });
    const { body } = await client.request({ path: '/', method: 'GET' });
    assert.equal(await body.text(), 'secure');
    await client.close();
    const strict = new Client(server.url, { connect: undiciConnector() });
    await assert.rejects(strict.request({ path: '/', method: 'GET' }), {
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
    await strict.destroy();
  }),
);

test(
  'undiciConnector: with allowH2 undici speaks HTTP/2 over TLS of gyre',
  onNode(async () => {
    const http2 = createSecureServer({}, (request, response) => response.end(request.httpVersion));
    await using server = await serve(http2, { ...local, ssl: { ...certificate, ALPNProtocols: ['h2'] } });
    const client = new Client(server.url, {
      connect: undiciConnector({ ssl: { ca }, allowH2: true }),
      allowH2: true,
    });
    const { body } = await client.request({ path: '/', method: 'GET' });
    assert.equal(await body.text(), '2.0');
    await client.close();
  }),
);

test(
  'undiciConnector: socketPath leads all requests to a unix socket',
  { skip: noUnix },
  onNode(async () =>
    inDirectory(async (directory) => {
      const path = `${directory}/socket`;
      await using _server = await serve((_request, response) => response.end('unix'), { path });
      const pool = new Pool('http://here', { connect: undiciConnector({ socketPath: path }) });
      const { body } = await pool.request({ path: '/', method: 'GET' });
      assert.equal(await body.text(), 'unix');
      await pool.close();
    }),
  ),
);

test(
  'undiciConnector: a refused connection, and one that is not made in time, fail the request with a code',
  onNode(async (loop) => {
    const ask = async (port: number, options: UndiciConnectorOptions): Promise<void> => {
      const client = new Client(`http://127.0.0.1:${port}`, { connect: undiciConnector(options) });
      try {
        await client.request({ path: '/', method: 'GET' });
      } finally {
        await client.destroy();
      }
    };
    await assert.rejects(ask(await freePort(), {}), { code: 'ECONNREFUSED' });
    // No TLS handshake follows the connection.
    const silent = await loop.createServer(() => ({}), '127.0.0.1', 0);
    const { port } = silent.address() as { port: number };
    const client = new Client(`https://127.0.0.1:${port}`, { connect: undiciConnector({ timeout: 0.02 }) });
    await assert.rejects(client.request({ path: '/', method: 'GET' }), { code: 'ERR_TIMEOUT' });
    await client.destroy();
    silent.close();
    await silent.waitClosed();
  }),
);

test('undiciConnector: outside of a loop, and with a closed loop, requests fail with a code', async () => {
  const loop = makeLoop();
  const connectors = [undiciConnector({ loop }), undiciConnector()];
  loop.close();
  const codes = ['ERR_LOOP_CLOSED', 'ERR_NO_RUNNING_LOOP'];
  for (const [i, connect] of connectors.entries()) {
    const client = new Client('http://127.0.0.1:1', { connect });
    await assert.rejects(client.request({ path: '/', method: 'GET' }), { code: codes[i] as string });
    await client.destroy();
  }
  assert.throws(() => undiciConnector({ loop }), { code: 'ERR_LOOP_CLOSED' });
});

test('undiciConnector: wrong arguments are refused with a code', () => {
  const wrong: [unknown, string][] = [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{ ca }, 'ERR_INVALID_ARG_TYPE'],
    [{ ssl: false }, 'ERR_INVALID_ARG_TYPE'],
    [{ allowH2: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ timeout: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ timeout: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    [{ socketPath: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ loop: {} }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [options, code] of wrong) {
    assert.throws(() => undiciConnector(options as UndiciConnectorOptions), { code });
  }
});
