/** `Agent`: the connections of `node:http` and `node:https` as connections of the loop. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import type { AgentOptions, TransportDuplex } from '../../src/entry/node.ts';
import { Agent, serve } from '../../src/entry/node.ts';
import { ca, server as certificate, other } from '../helpers/certificates.ts';
import { freePort, makeLoop, onNode } from '../helpers/pairs.ts';
import { inDirectory, noUnix } from '../helpers/unix-pairs.ts';
import { begin, codeOf, get, responseOf } from './requests.ts';

const local = { host: '127.0.0.1', port: 0 };

/** Answers with the port of the client, which names its connection. */
const tellPort = (request: IncomingMessage, response: { end(text: string): unknown }): void =>
  void response.end(String(request.socket.remotePort));

test(
  'Agent: requests go over connections of the loop, one for each without keep-alive',
  onNode(async () => {
    await using server = await serve((request, response) => {
      response.end(`${request.url} ${request.headers.connection}`);
    }, local);
    await using agent = new Agent();
    assert.equal(await get(`${server.url}/a`, { agent }), '/a close');
    assert.equal(await get(`${server.url}/b`, { agent }), '/b close');
  }),
);

test(
  'Agent: with keep-alive the next request uses the same connection, and maxSockets limits their number',
  onNode(async () => {
    await using server = await serve(tellPort, local);
    await using agent = new Agent({ keepAlive: true, maxSockets: 2 });
    const first = await get(server.url, { agent });
    assert.equal(await get(server.url, { agent }), first);
    const ports = await Promise.all(Array.from({ length: 10 }, () => get(server.url, { agent })));
    assert.equal(new Set(ports).size, 2);
    assert.ok(ports.includes(first));
  }),
);

test(
  'Agent: two agents at once keep their connections apart',
  onNode(async () => {
    await using server = await serve(tellPort, local);
    await using one = new Agent({ keepAlive: true, maxSockets: 1 });
    await using two = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (agent: Agent): Promise<string[]> =>
      Promise.all([get(server.url, { agent }), get(server.url, { agent })]);
    const [ofOne, ofTwo] = await Promise.all([ask(one), ask(two)]);
    assert.equal(new Set(ofOne).size, 1);
    assert.equal(new Set(ofTwo).size, 1);
    assert.notEqual(ofOne[0], ofTwo[0]);
  }),
);

test(
  'Agent: destroy() closes the connection of a request in flight, which fails',
  onNode(async () => {
    const server = await serve(() => {}, local);
    const agent = new Agent();
    const sent = begin(server.url, { agent });
    await once(sent, 'socket');
    const failed = codeOf(sent);
    agent.destroy();
    assert.equal(await failed, 'ECONNRESET');
    await server.close({ deadline: 0 });
  }),
);

test(
  'Agent: an aborted request closes its connection, and the next one opens another',
  onNode(async () => {
    const closed: Promise<unknown>[] = [];
    await using server = await serve((request, response) => {
      if (request.url === '/never') closed.push(once(request.socket, 'close'));
      else tellPort(request, response);
    }, local);
    await using agent = new Agent({ keepAlive: true });
    const before = await get(server.url, { agent });
    const abort = new AbortController();
    const sent = begin(`${server.url}/never`, { agent, signal: abort.signal });
    const failed = codeOf(sent);
    while (closed.length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    assert.equal(await failed, 'ABORT_ERR');
    await Promise.all(closed);
    assert.notEqual(await get(server.url, { agent }), before);
  }),
);

test(
  'Agent: a request that is aborted while it connects fails, and leaves no connection',
  onNode(async () => {
    await using server = await serve(tellPort, local);
    await using agent = new Agent();
    const abort = new AbortController();
    const sent = begin(server.url, { agent, signal: abort.signal });
    const failed = codeOf(sent);
    abort.abort();
    assert.equal(await failed, 'ABORT_ERR');
  }),
);

test(
  'Agent: a slow peer makes a request time out by the option timeout, counted by the loop',
  onNode(async () => {
    const server = await serve(() => {}, local);
    await using agent = new Agent({ timeout: 20 });
    const sent = begin(server.url, { agent });
    await once(sent, 'timeout');
    const failed = codeOf(sent);
    sent.destroy();
    assert.equal(await failed, 'ECONNRESET');
    await server.close({ deadline: 0 });
  }),
);

test(
  'Agent: an upgrade gives the connection of the loop to the client',
  onNode(async () => {
    const http = createServer().on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    await using server = await serve(http, local);
    await using agent = new Agent();
    const sent = begin(server.url, { agent, headers: { connection: 'Upgrade', upgrade: 'echo' } });
    const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Duplex];
    socket.write('hello');
    const [data] = await once(socket, 'data');
    assert.equal(String(data), 'hello');
    socket.end();
    await once(socket, 'close');
  }),
);

test(
  'Agent with ssl: https verifies the certificate, speaks http/1.1 by ALPN, and tells of TLS',
  onNode(async () => {
    await using server = await serve(tellPort, {
      ...local,
      ssl: { ...certificate, ALPNProtocols: ['h2', 'http/1.1'] },
    });
    await using agent = new Agent({ ssl: { ca }, keepAlive: true });
    assert.match(server.url, /^https:/);
    const sent = begin(server.url, { agent });
    const [socket] = (await once(sent, 'socket')) as [TransportDuplex];
    const secured = once(socket, 'secureConnect');
    const response = await responseOf(sent);
    await secured;
    assert.equal(socket.authorized, true);
    assert.equal(socket.alpnProtocol, 'http/1.1');
    response.resume();
    await once(response, 'end');
    // The host is an address, which the certificate names, too.
    assert.equal(await get(server.url, { agent }), String(socket.localPort));
  }),
);

test(
  'Agent with ssl: a certificate without trust, or for another host, fails the request',
  onNode(async () => {
    await using server = await serve(tellPort, { ...local, ssl: certificate });
    await using trusting = new Agent({ ssl: { ca } });
    await using plain = new Agent({ ssl: true });
    const url = server.url;
    assert.equal(await codeOf(begin(url, { agent: plain })), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    const wrong = begin(url, { agent: trusting, servername: 'wrong.test' });
    assert.equal(await codeOf(wrong), 'ERR_TLS_CERT_ALTNAME_INVALID');
    // TLS options of a request count, and make a pool of their own.
    assert.match(await get(url, { agent: plain, ca }), /^\d+$/);
    assert.match(await get(url, { agent: plain, rejectUnauthorized: false }), /^\d+$/);
    assert.match(await get(url, { agent: trusting, headers: { host: 'localhost' } }), /^\d+$/);
  }),
);

test(
  'Agent with ssl: a SecureContext works, and a host name in the Host header is the name to verify',
  onNode(async () => {
    await using server = await serve(tellPort, { ...local, ssl: other });
    await using agent = new Agent({ ssl: createSecureContext({ ca }) });
    assert.match(await get(server.url, { agent, headers: { host: 'other.test' } }), /^\d+$/);
    assert.equal(await codeOf(begin(server.url, { agent })), 'ERR_TLS_CERT_ALTNAME_INVALID');
  }),
);

test(
  'Agent: a request with a lookup function connects to the address that it answers',
  onNode(async () => {
    await using server = await serve(tellPort, local);
    const { port } = new URL(server.url);
    await using agent = new Agent();
    const asked: string[] = [];
    const lookup: NonNullable<AgentOptions['lookup']> = (host, options, callback) => {
      asked.push(`${host} ${options.family} ${options.all}`);
      if (host === 'lost.test') callback(Object.assign(new Error('lost'), { code: 'ENOTFOUND' }), '', 0);
      else callback(null, '127.0.0.1', 4);
    };
    assert.match(await get(`http://here.test:${port}`, { agent, lookup, family: 4 }), /^\d+$/);
    assert.equal(await codeOf(begin(`http://lost.test:${port}`, { agent, lookup })), 'ENOTFOUND');
    assert.deepEqual(asked, ['here.test 4 false', 'lost.test 0 false']);
  }),
);

test(
  'Agent: localAddress, family and a refused connection work as with the agent of Node',
  onNode(async () => {
    await using server = await serve((request, response) => {
      response.end(request.socket.remoteAddress);
    }, local);
    await using agent = new Agent({ localAddress: '127.0.0.2', family: 4 });
    assert.equal(await get(server.url, { agent }), '127.0.0.2');
    const port = await freePort();
    assert.equal(await codeOf(begin(`http://127.0.0.1:${port}`, { agent: new Agent() })), 'ECONNREFUSED');
    assert.equal(await codeOf(begin(server.url, { agent: new Agent(), family: 7 })), 'ERR_INVALID_ARG_TYPE');
  }),
);

test(
  'Agent: socketPath of the agent or of a request leads to a unix socket',
  { skip: noUnix },
  onNode(async () =>
    inDirectory(async (directory) => {
      const path = `${directory}/socket`;
      await using server = await serve((_request, response) => response.end('unix'), { path });
      assert.equal(server.url, `unix:${path}`);
      await using agent = new Agent({ socketPath: path });
      await using other = new Agent();
      assert.equal(await get('http://here/', { agent }), 'unix');
      assert.equal(await get('http://here/', { agent: other, socketPath: path }), 'unix');
    }),
  ),
);

test('Agent: an agent whose loop is closed fails its requests with ERR_LOOP_CLOSED, and one without a loop with ERR_NO_RUNNING_LOOP', async () => {
  const loop = makeLoop();
  const agent = new Agent({ loop });
  loop.close();
  assert.equal(await codeOf(begin('http://127.0.0.1:1', { agent })), 'ERR_LOOP_CLOSED');
  assert.equal(await codeOf(begin('http://127.0.0.1:1', { agent: new Agent() })), 'ERR_NO_RUNNING_LOOP');
  assert.throws(() => new Agent({ loop }), { code: 'ERR_LOOP_CLOSED' });
});

test('Agent: closing the loop closes the kept connections, and the agent serves the next loop', async () => {
  const agent = new Agent({ keepAlive: true });
  for (let i = 0; i < 2; i++) {
    const loop = makeLoop();
    // The kept connection is a leak of its loop.
    loop.setExceptionHandler(() => {});
    await loop.runUntilComplete(async () => {
      await using server = await serve(tellPort, local);
      assert.match(await get(server.url, { agent }), /^\d+$/);
    });
    loop.close();
  }
});

test('Agent: wrong arguments are refused with a code', () => {
  const wrong: [unknown, string][] = [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{ ca }, 'ERR_INVALID_ARG_TYPE'],
    [{ keepAlive: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxSockets: '2' }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxSockets: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ timeout: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    [{ ssl: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ ssl: [] }, 'ERR_INVALID_ARG_TYPE'],
    [{ socketPath: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ loop: {} }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [options, code] of wrong) assert.throws(() => new Agent(options as AgentOptions), { code });
});
