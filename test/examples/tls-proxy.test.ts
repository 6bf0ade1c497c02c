import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { ca, certificatePath } from '../helpers/certificates.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { closed, freePort, listeningNodeServer } from '../helpers/pairs.ts';
import type { Program } from './program.ts';
import { withProgram } from './program.ts';

const MEBIBYTE = 1024 * 1024;

function proxyTo(port: number, body: (program: Program, port: number) => Promise<void>): Promise<void> {
  const [certificate, key] = [certificatePath('server'), certificatePath('server-key')];
  return withProgram(['tls-proxy.ts', certificate, key, '0', `127.0.0.1:${port}`], async (program) => {
    const [, proxyPort] = await program.untilSaid(/proxy on 127\.0\.0\.1 (\d+)/);
    await body(program, Number(proxyPort));
  });
}

async function ask(options: RequestOptions, body: string | Buffer): Promise<string> {
  const sent = request({ ...options, host: 'localhost', ca, agent: false, method: 'POST' });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return text(response);
}

test('examples/tls-proxy.ts carries requests from https to http, and ends by SIGINT', async () => {
  const http = createHttpServer((message, response) => message.pipe(response));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  await proxyTo((http.address() as AddressInfo).port, async (program, port) => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => ask({ port }, `body ${i}`)));
    assert.deepEqual(
      answers,
      Array.from({ length: 10 }, (_, i) => `body ${i}`),
    );
    assert.match(program.output, /127\.0\.0\.1: TLSv1\.3/);
    const large = 'x'.repeat(16 * MEBIBYTE);
    assert.ok((await ask({ port }, large)) === large);
    program.interrupt();
    assert.equal(await program.ended(), 0, program.output);
    assert.match(program.output, /closed\n$/);
  });
  http.close();
});

test('examples/tls-proxy.ts reads no faster than the other side accepts', async () => {
  const { server, port: backPort } = await listeningNodeServer();
  await proxyTo(backPort, async (_program, port) => {
    const accepted = once(server, 'connection');
    const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    const [back] = await accepted;
    const piece = Buffer.alloc(MEBIBYTE, 'x');
    const total = 128;
    let written = 0;
    const write = (): void => {
      while (written < total) {
        written++;
        if (!client.write(piece)) return;
      }
      client.removeListener('drain', write);
      client.end();
    };
    client.on('drain', write);
    write();
    // The server does not read: kernel and proxy hold far less than all data.
    let before = -1;
    while (written !== before) {
      before = written;
      await hostPasses(100);
      await once(client, 'drain', { signal: AbortSignal.timeout(300) }).catch(() => {});
    }
    assert.ok(written < total, 'the proxy took everything');
    let bytes = 0;
    for await (const data of back) bytes += data.length;
    assert.equal(bytes, total * MEBIBYTE);
    back.end();
    client.destroy();
  });
  await closed(server);
});

test('examples/tls-proxy.ts passes an end on, and drops a client when no server listens', async () => {
  const greeter = createServer((socket) => socket.end('bye\n'));
  greeter.listen(0, '127.0.0.1');
  await once(greeter, 'listening');
  await proxyTo((greeter.address() as AddressInfo).port, async (_program, port) => {
    const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    assert.equal(await text(client), 'bye\n');
  });
  greeter.close();

  await proxyTo(await freePort(), async (program, port) => {
    const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    client.on('error', () => {});
    await new Promise((resolve) => client.once('close', resolve));
    await program.untilSaid(/ECONNREFUSED/);
  });
});

test('examples/tls-proxy.ts prints its usage', () =>
  withProgram(['tls-proxy.ts', 'cert.pem'], async (program) => {
    assert.equal(await program.ended(), 2);
    assert.match(program.output, /<certificate> <key>/);
  }));
