import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import tls from 'node:tls';
import { Agent, fetch } from 'undici';
import type { ComparableEntry } from '../../../src/entry/sim.ts';
import { compareTraces, simulate } from '../../../src/entry/sim.ts';
import { ca, server as certificate, steady } from '../../helpers/certificates.ts';

const OPTIONS = { host: 'server', port: 443, ca, servername: 'localhost' };

/** Runs a server and a client on two hosts. The server lives until the client has ended. */
async function between(server: () => Promise<unknown>, client: () => Promise<unknown>): Promise<void> {
  await simulate({ seed: 1 }, async (world) => {
    await world.host('server').run(server);
    await world.host('client').run(client);
  });
}

function get(options: https.RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    https
      .get(options, async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve(text);
      })
      .on('error', reject);
  });
}

describe('TLS of Node between simulated hosts', () => {
  test('tls.connect() speaks TLS 1.3 with tls.createServer()', async () => {
    await between(
      async () => {
        const server = tls.createServer(certificate, (socket) => socket.pipe(socket)).listen(443);
        await once(server, 'listening');
      },
      async () => {
        const socket = tls.connect(OPTIONS);
        await once(socket, 'secureConnect');
        assert.equal(socket.getProtocol(), 'TLSv1.3');
        assert.equal(socket.authorized, true);
        assert.equal(socket.remotePort, 443);
        socket.write(Buffer.alloc(300_000, 'x'));
        socket.end();
        let length = 0;
        for await (const chunk of socket) length += chunk.length;
        assert.equal(length, 300_000);
        assert.ok(performance.now() < 5000);
      },
    );
  });

  test('a wrong certificate, a refused port and a reset are the errors of Node', async () => {
    await between(
      async () => {
        const server = tls.createServer(certificate).listen(443);
        server.on('secureConnection', (socket) => {
          socket.on('error', () => {});
          setTimeout(() => (socket as unknown as { _parent: net.Socket })._parent.resetAndDestroy(), 1000);
        });
        await once(server, 'listening');
      },
      async () => {
        const [untrusted] = await once(
          tls.connect({ ...OPTIONS, ca: undefined } as tls.ConnectionOptions),
          'error',
        );
        assert.match(untrusted.code, /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
        const [refused] = await once(tls.connect({ ...OPTIONS, port: 444 }), 'error');
        assert.equal(refused.code, 'ECONNREFUSED');
        const socket = tls.connect(OPTIONS);
        await once(socket, 'secureConnect');
        const [reset] = await once(socket, 'error');
        assert.equal(reset.message, 'read ECONNRESET');
      },
    );
  });

  test('STARTTLS: a plain socket of both ends becomes a TLS socket', async () => {
    await between(
      async () => {
        const server = net.createServer((plain) => {
          plain.once('data', () => {
            plain.write('go');
            const secure = new tls.TLSSocket(plain, { isServer: true, ...certificate });
            secure.once('data', (data) => secure.end(`got ${data}`));
          });
        });
        await once(server.listen(443), 'listening');
      },
      async () => {
        const plain = net.connect(443, 'server');
        plain.write('start');
        await once(plain, 'data');
        const secure = tls.connect({ socket: plain, ca, servername: 'localhost' });
        secure.write('secret');
        const [data] = await once(secure, 'data');
        assert.equal(String(data), 'got secret');
      },
    );
  });

  test('https keeps its connections, and resumes sessions', async () => {
    const ports = new Set<number | undefined>();
    let resumed = 0;
    await between(
      async () => {
        const server = https.createServer({ ...certificate, keepAliveTimeout: 5000 }, (request, response) => {
          ports.add(request.socket.remotePort);
          if ((request.socket as tls.TLSSocket).isSessionReused()) resumed++;
          response.end('secure');
        });
        await once(server.listen(443), 'listening');
      },
      async () => {
        const agent = new https.Agent({ keepAlive: true });
        for (let i = 0; i < 2; i++) assert.equal(await get({ ...OPTIONS, agent }), 'secure');
        assert.equal(ports.size, 1);
        await promises.setTimeout(60_000);
        assert.equal(await get({ ...OPTIONS, agent }), 'secure');
        assert.equal(ports.size, 2);
        assert.equal(resumed, 1);
        agent.destroy();
      },
    );
  });

  test('fetch of undici speaks https', async () => {
    await between(
      async () => {
        const server = https.createServer(certificate, (_request, response) => response.end('secure'));
        await once(server.listen(443), 'listening');
      },
      async () => {
        const dispatcher = new Agent({ connect: { ca, servername: 'localhost' } });
        const response = await fetch('https://server/', { dispatcher });
        assert.equal(await response.text(), 'secure');
        await dispatcher.destroy();
      },
    );
  });

  for (const secure of [false, true]) {
    test(`HTTP/2 works ${secure ? 'over TLS' : 'without TLS'}, with the date of the host`, async () => {
      await between(
        async () => {
          const server = secure ? http2.createSecureServer(certificate) : http2.createServer();
          server.on('stream', (stream, headers) => {
            stream.respond({ ':status': 200, 'x-path': String(headers[':path']) });
            stream.pipe(stream);
          });
          await once(server.listen(443), 'listening');
        },
        async () => {
          const session = http2.connect(`${secure ? 'https' : 'http'}://server:443`, {
            ca,
            servername: 'localhost',
          });
          await promises.setTimeout(60_000);
          const streams = Array.from({ length: 5 }, async (_, i) => {
            const stream = session.request({ ':path': `/${i}`, ':method': 'POST' });
            let text = '';
            stream.setEncoding('utf8').on('data', (data) => {
              text += data;
            });
            stream.end(`body ${i}`);
            const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'end')]);
            assert.equal(headers['x-path'], `/${i}`);
            assert.equal(headers.date, 'Wed, 01 Jan 2025 00:01:00 GMT');
            assert.equal(text, `body ${i}`);
          });
          await Promise.all(streams);
          let idle = false;
          session.setTimeout(30_000, () => {
            idle = true;
            session.close();
          });
          await once(session, 'close');
          assert.equal(idle, true);
        },
      );
    });
  }
});

test('a world with TLS and HTTP/2 of Node follows from its seed', async () => {
  // The randomness of OpenSSL decides the size of a session ticket.
  const secureOptions = constants.SSL_OP_NO_TICKET;
  const trace = async (): Promise<readonly ComparableEntry[]> => {
    const report = await simulate({ seed: 3, trace: true }, async (world) => {
      await world.host('server').run(async () => {
        const server = http2.createSecureServer(
          { ...steady, allowHTTP1: true, secureOptions },
          (request, response) => {
            response.end(`${request.httpVersion} ${Math.random()}`);
          },
        );
        await once(server.listen(443), 'listening');
      });
      const clients = Array.from({ length: 5 }, (_, i) =>
        world.host(`client${i}`).run(async () => {
          for (let round = 0; round < 3; round++) {
            assert.match(await get({ ...OPTIONS, ca: steady.cert }), /^1\.1 0\./);
            const session = http2.connect('https://server', { ca: steady.cert, servername: 'localhost' });
            const stream = session.request({ ':path': '/' });
            await once(stream.resume(), 'end');
            session.close();
            await promises.setTimeout(Math.random() * 1000);
          }
        }),
      );
      await Promise.all(clients);
    });
    return report.trace;
  };
  const first = await trace();
  for (let again = 0; again < 3; again++) assert.equal(compareTraces(first, await trace()), null);
});
