import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { inHosts } from './hosts.ts';

/** Runs an HTTP server until the client on the other host has ended. */
async function withServer(
  listener: http.RequestListener,
  client: (server: http.Server) => Promise<unknown>,
  serverOptions: http.ServerOptions = {},
): Promise<void> {
  let ready = (_server: http.Server): void => {};
  const listening = new Promise<http.Server>((resolve) => {
    ready = resolve;
  });
  let done = (): void => {};
  const ended = new Promise<void>((resolve) => {
    done = resolve;
  });
  await inHosts({
    server: [
      ['10.0.0.1'],
      async () => {
        const server = http.createServer(serverOptions, listener).listen(80);
        await once(server, 'listening');
        ready(server);
        await ended;
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      },
    ],
    client: [
      ['10.0.0.2'],
      async () => {
        try {
          await client(await listening);
        } finally {
          done();
        }
      },
    ],
  });
}

function get(options: http.RequestOptions): Promise<[http.IncomingMessage, string]> {
  return new Promise((resolve, reject) => {
    http
      .get(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (data) => {
          text += data;
        });
        response.on('end', () => resolve([response, text]));
      })
      .on('error', reject);
  });
}

describe('HTTP between simulated hosts', () => {
  test('a request gets its response, with the date of the host', async () => {
    await withServer(
      (request, response) => response.end(`${request.method} ${request.url}`),
      async () => {
        const [response, text] = await get({ host: '10.0.0.1', path: '/path' });
        assert.equal(text, 'GET /path');
        assert.equal(response.headers.date, 'Thu, 01 Jan 2026 00:00:00 GMT');
        await promises.setTimeout(60_000);
        const [later] = await get({ host: '10.0.0.1' });
        assert.equal(later.headers.date, 'Thu, 01 Jan 2026 00:01:00 GMT');
      },
    );
  });

  test('a kept connection is used again until its timeout has passed in virtual time', async () => {
    const ports = new Set<number | undefined>();
    await withServer(
      (request, response) => {
        ports.add(request.socket.remotePort);
        response.end();
      },
      async () => {
        const agent = new http.Agent({ keepAlive: true });
        const options = { host: '10.0.0.1', agent };
        await get(options);
        await promises.setTimeout(3000);
        await get(options);
        assert.equal(ports.size, 1);
        // The server closes it after five seconds.
        await promises.setTimeout(10_000);
        await get(options);
        assert.equal(ports.size, 2);
        agent.destroy();
      },
      { keepAliveTimeout: 5000 },
    );
  });

  test('two hosts do not share the connections of the global agent', async () => {
    const peers = new Set<string>();
    let left = 2;
    let done = (): void => {};
    const ended = new Promise<void>((resolve) => {
      done = resolve;
    });
    const client = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await get({ host: '10.0.0.1' });
        await promises.setTimeout(100);
      }
      if (--left === 0) done();
    };
    await inHosts({
      server: [
        ['10.0.0.1'],
        async () => {
          const server = http.createServer((request, response) => {
            peers.add(`${request.socket.remoteAddress}:${request.socket.remotePort}`);
            response.end();
          });
          server.listen(80);
          await ended;
          server.closeAllConnections();
          server.close();
        },
      ],
      one: [['10.0.0.2'], client],
      two: [['10.0.0.3'], client],
    });
    assert.equal(peers.size, 2);
    assert.deepEqual(Object.keys(http.globalAgent.freeSockets), []);
    assert.deepEqual(Object.keys(http.globalAgent.sockets), []);
  });

  test('fetch works, with a body and with a signal', async () => {
    await withServer(
      (request, response) => {
        response.setHeader('x-length', String(request.headers['content-length']));
        request.pipe(response);
      },
      async () => {
        const started = performance.now();
        const response = await fetch('http://10.0.0.1/', { method: 'POST', body: 'hello' });
        assert.equal(await response.text(), 'hello');
        assert.equal(response.headers.get('x-length'), '5');
        assert.ok(performance.now() - started < 1000);
        await assert.rejects(fetch('http://10.0.0.1/', { signal: AbortSignal.abort() }), {
          name: 'AbortError',
        });
      },
    );
  });

  test('the timeout of a fetch passes in virtual time', async () => {
    await withServer(
      () => {},
      async () => {
        const started = performance.now();
        await assert.rejects(fetch('http://10.0.0.1/', { signal: AbortSignal.timeout(60_000) }), {
          name: 'TimeoutError',
        });
        assert.equal(performance.now() - started, 60_000);
        // undici waits 300 seconds for the headers.
        await assert.rejects(fetch('http://10.0.0.1/'), (error: Error & { cause: { code: string } }) => {
          assert.equal(error.cause.code, 'UND_ERR_HEADERS_TIMEOUT');
          return true;
        });
        assert.ok(Math.abs(performance.now() - 360_000) < 5000);
      },
    );
  });

  test('outside of every host fetch uses the network of the machine, before and after', async () => {
    const server = http.createServer((_request, response) => response.end('real')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/`;
    const during = inHosts({ host: [['10.0.0.1'], () => promises.setTimeout(1000)] });
    assert.equal(await (await fetch(url)).text(), 'real');
    await during;
    assert.equal(await (await fetch(url)).text(), 'real');
    server.closeAllConnections();
    server.close();
  });
});
