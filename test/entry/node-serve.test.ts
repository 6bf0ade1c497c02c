/** `serve`: servers and apps of Node's ecosystem over connections of the loop, and their graceful end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import * as http2 from 'node:http2';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createNetServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { ServeOptions, TransportDuplex } from '../../src/entry/node.ts';
import { Agent, AppServer, connectDuplex, serve } from '../../src/entry/node.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import { CancelledError, getRunningLoop, openConnection, sleep } from '../../src/index.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { makeLoop, onNode, Recorder } from '../helpers/pairs.ts';
import { begin, get, responseOf } from './requests.ts';

const local = { host: '127.0.0.1', port: 0 };
const GET = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

function portOf(server: AppServer): number {
  return (server.address() as { port: number }).port;
}

/** Connects a recorder to the server. */
async function client(loop: BaseEventLoop, server: AppServer): Promise<Recorder> {
  const recorder = new Recorder();
  await loop.createConnection(() => recorder, '127.0.0.1', portOf(server));
  return recorder;
}

/** A listener that holds each response back, and the responses that it holds. */
function holding(): {
  listener: (_: unknown, response: ServerResponse) => void;
  held: Promise<ServerResponse>;
} {
  let hold: (response: ServerResponse) => void = () => {};
  const held = new Promise<ServerResponse>((resolve) => {
    hold = resolve;
  });
  return { listener: (_, response) => hold(response), held };
}

test(
  'serve: a handler is code of the loop, and url, address() and sockets tell where the server listens',
  onNode(async (loop) => {
    const server = await serve(async (request, response) => {
      assert.equal(getRunningLoop(), loop);
      await sleep(0);
      response.end(`${request.method} ${request.socket.remoteAddress}`);
    }, local);
    assert.ok(server instanceof AppServer);
    assert.equal(server.url, `http://127.0.0.1:${portOf(server)}`);
    assert.equal(server.sockets.length, 1);
    assert.equal(server.isServing(), true);
    assert.equal(await get(server.url), 'GET 127.0.0.1');
    await server.close();
    assert.equal(server.isServing(), false);
    assert.equal(server.address(), null);
    await server.close();
  }),
);

test(
  'serve: the url of a server on all interfaces leads to localhost',
  onNode(async () => {
    await using server = await serve((_request, response) => response.end('here'), { port: 0 });
    assert.match(server.url, /^http:\/\/localhost:\d+$/);
    assert.equal(await get(server.url), 'here');
  }),
);

test(
  'close(): connections without a request and idle ones are closed, and the request in flight is answered',
  onNode(async (loop) => {
    const { listener, held } = holding();
    const server = await serve((request, response) => {
      if (request.url === '/held') listener(request, response);
      else response.end('done');
    }, local);
    const silent = await client(loop, server);
    const idle = await client(loop, server);
    idle.transport.write(GET);
    await idle.until(() => idle.text.endsWith('done'));
    const sent = begin(`${server.url}/held`, { agent: new Agent({ keepAlive: true }) });
    const response = await held;

    const closed = server.close({ deadline: null });
    await Promise.all([silent.untilLost(), idle.untilLost()]);
    assert.equal(closed.done(), false);
    response.end('late');
    const answer = await responseOf(sent);
    assert.equal(answer.headers.connection, 'close');
    assert.equal(await text(answer), 'late');
    await closed;
  }),
);

test(
  'close(): a connection whose response has begun before is closed after the response',
  onNode(async (loop) => {
    const { listener, held } = holding();
    const server = await serve(listener, local);
    const slow = await client(loop, server);
    slow.transport.write(GET);
    const response = await held;
    response.write('first ');
    await slow.until(() => slow.text.includes('first'));
    const closed = server.close({ deadline: null });
    response.end('last');
    await slow.untilLost();
    assert.match(slow.text, /last\r\n0\r\n\r\n$/);
    await closed;
  }),
);

test(
  'close(): at the deadline the connections of slow peers and endless requests are aborted',
  onNode(async (loop) => {
    const { listener, held } = holding();
    const server = await serve(listener, local);
    const stuck = await client(loop, server);
    stuck.transport.write(GET);
    const closed = once(await held, 'close');
    await server.close({ deadline: 0.01 });
    await stuck.untilLost();
    await closed;
  }),
);

test(
  'close(): a later call may bring the deadline forward, and both wait for the same end',
  onNode(async (loop) => {
    const { listener, held } = holding();
    const server = await serve(listener, { ...local, deadline: null });
    const stuck = await client(loop, server);
    stuck.transport.write(GET);
    await held;
    const patient = server.close();
    await server.close({ deadline: 0 });
    await patient;
    await stuck.untilLost();
  }),
);

test(
  'close(): a cancel aborts the connections at once',
  onNode(async (loop) => {
    const { listener, held } = holding();
    const server = await serve(listener, local);
    const stuck = await client(loop, server);
    stuck.transport.write(GET);
    await held;
    const abort = new AbortController();
    const closing = server.close({ deadline: null, signal: abort.signal });
    abort.abort();
    await assert.rejects(closing, CancelledError);
    await stuck.untilLost();
    await server.close();
  }),
);

test(
  'close(): onClosing ends upgraded connections, its error is the error of close(), and the deadline cancels it',
  onNode(async (loop) => {
    const http = createServer().on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      upgraded = socket;
    });
    let upgraded: { end(): void } | null = null;
    const onClosing = async (): Promise<void> => {
      await sleep(0);
      upgraded?.end();
      throw new Error('from onClosing');
    };
    const server = await serve(http, { ...local, onClosing });
    const peer = await client(loop, server);
    peer.transport.write('GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await peer.until(() => peer.text.includes('101'));
    await assert.rejects(server.close({ deadline: null }), { message: 'from onClosing' });
    assert.equal(peer.lost, true);

    const endless = await serve(http, { ...local, onClosing: () => sleep(3600) });
    await endless.close({ deadline: 0 });
  }),
);

test(
  'serveForever(): a cancel answers the request in flight, and a second cancel aborts it',
  onNode(async (loop) => {
    for (const times of [1, 2]) {
      const { listener, held } = holding();
      const server = await serve(listener, { ...local, deadline: null });
      const serving = loop.createTask(() => server.serveForever());
      const peer = await client(loop, server);
      peer.transport.write(GET);
      const response = await held;
      serving.cancel();
      while (server.isServing()) await sleep(0);
      assert.equal(serving.done(), false);
      if (times === 1) response.end('answered');
      else serving.cancel();
      await assert.rejects(serving, CancelledError);
      await peer.untilLost();
      assert.equal(peer.text.endsWith('answered'), times === 1);
      await server.close();
    }
  }),
);

test(
  'serveForever(): ends when the server is closed, or with its signal; a closed server refuses it',
  onNode(async () => {
    const server = await serve(() => {}, local);
    const forever = server.serveForever();
    await server.close();
    await forever;
    assert.throws(() => server.serveForever(), { code: 'ERR_TRANSPORT_CLOSED' });

    const abort = new AbortController();
    const other = await serve(() => {}, local);
    const aborted = other.serveForever({ signal: abort.signal });
    abort.abort();
    await assert.rejects(aborted, CancelledError);
    assert.equal(other.isServing(), false);
  }),
);

test(
  'serve: an http.Server whose connections end emits close, and can be served again',
  onNode(async () => {
    const http = createServer((_request, response) => response.end('again'));
    let closes = 0;
    http.on('close', () => closes++);
    for (let i = 1; i <= 2; i++) {
      const server = await serve(http, local);
      assert.equal(await get(server.url), 'again');
      await server.close();
      assert.equal(http.listenerCount('request'), 1);
    }
    await sleep(0);
    assert.equal(closes, 2);
    // A server of Node that was closed before is as good as a new one.
    const listening = once(http, 'listening');
    http.listen(0, '127.0.0.1');
    await listening;
    http.close();
    await once(http, 'close');
    await using server = await serve(http, local);
    assert.equal(await get(server.url), 'again');
  }),
);

test(
  'serve: a server that listens by itself, and one that is served already, are refused',
  onNode(async () => {
    const http = createServer((_request, response) => response.end('one'));
    const server = await serve(http, local);
    assert.throws(() => serve(http, local), { code: 'ERR_INVALID_STATE' });
    assert.equal(await get(server.url), 'one');
    await server.close();
    const listening = once(http, 'listening');
    http.listen(0, '127.0.0.1');
    await listening;
    assert.throws(() => serve(http, local), { code: 'ERR_INVALID_STATE' });
    http.close();
    await once(http, 'close');
    // Two calls in the same turn: the first one has it.
    const [first, second] = [serve(http, local), serve(http, local)];
    await assert.rejects(second, { code: 'ERR_INVALID_STATE' });
    await (await first).close();
  }),
);

test(
  'serve: an https.Server does its own TLS, or gets the connections behind the TLS of gyre',
  onNode(async () => {
    const https = createSecureServer(certificate, (request, response) => {
      response.end(String((request.socket as { encrypted?: boolean }).encrypted));
    });
    await using agent = new Agent({ ssl: { ca } });
    for (const options of [local, { ...local, ssl: certificate }]) {
      const server = await serve(https, options);
      assert.equal(await get(`https://127.0.0.1:${portOf(server)}`, { agent }), 'true');
      await server.close();
    }
  }),
);

/** Connects an HTTP/2 client over a connection of the loop. */
function session(
  loop: BaseEventLoop,
  server: AppServer,
  options: object = {},
): { connected: ClientHttp2Session; duplex: TransportDuplex } {
  const duplex = connectDuplex((factory) =>
    loop.createConnection(factory, '127.0.0.1', portOf(server), options),
  );
  return { connected: http2.connect('http://127.0.0.1', { createConnection: () => duplex }), duplex };
}

test(
  'serve: HTTP/2 over TLS with ALPN, by TLS of gyre and by TLS of Node; close() ends open streams first',
  onNode(async (loop) => {
    for (const own of [false, true]) {
      const { listener, held } = holding();
      const h2 = http2.createSecureServer(own ? certificate : {}, (_request, response) => {
        listener(null, response as unknown as ServerResponse);
      });
      const server = await serve(h2, {
        ...local,
        ...(own ? {} : { ssl: { ...certificate, ALPNProtocols: ['h2'] } }),
      });
      const { connected, duplex } = session(loop, server, { ssl: { ca, ALPNProtocols: ['h2'] } });
      const stream = connected.request({ ':path': '/' });
      const response = await held;
      assert.equal(duplex.alpnProtocol, 'h2');
      const closed = server.close({ deadline: null });
      await once(connected, 'goaway');
      assert.equal(closed.done(), false);
      response.end('over h2');
      assert.equal(await text(stream), 'over h2');
      await closed;
      if (!duplex.closed) await once(duplex, 'close');
    }
  }),
);

test(
  'serve: HTTP/2 without TLS; close() ends idle sessions, and the deadline those with endless streams',
  onNode(async (loop) => {
    let streams = 0;
    const server = await serve(
      http2.createServer().on('stream', () => {
        streams++;
      }),
      local,
    );
    const { connected: idle } = session(loop, server);
    await once(idle, 'connect');
    const { connected: busy } = session(loop, server);
    const stream = busy.request({ ':path': '/' });
    while (streams === 0) await sleep(0.001);
    // The abort may reach the client as a reset.
    const ended = [idle, busy, stream].map((each) => {
      each.on('error', () => {});
      return new Promise((resolve) => each.once('close', resolve));
    });
    await server.close({ deadline: 0.05 });
    await Promise.all(ended);
  }),
);

test(
  'serve: a server of node:net gets connections of the loop',
  onNode(async () => {
    const net = createNetServer((socket) => socket.end(`hello ${socket.remoteAddress}`));
    await using server = await serve(net, local);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    assert.equal(String(await reader.read()), 'hello 127.0.0.1');
    writer.close();
    await writer.waitClosed();
  }),
);

test(
  'serve: a port in use, and a signal, leave nothing behind, and the target can be served again',
  onNode(async () => {
    const http = createServer((_request, response) => response.end());
    const server = await serve(() => {}, local);
    await assert.rejects(serve(http, { ...local, port: portOf(server) }), { code: 'EADDRINUSE' });
    const abort = new AbortController();
    const aborted = serve(http, { ...local, signal: abort.signal });
    abort.abort();
    await assert.rejects(aborted, CancelledError);
    await assert.rejects(serve(http, { ...local, signal: abort.signal }), CancelledError);
    assert.equal(http.listenerCount('request'), 1);
    await (await serve(http, local)).close();
    await server.close();
  }),
);

test('serve: closing the loop releases the target and its connections, and close() fails with ERR_LOOP_CLOSED', async () => {
  const http = createServer((_request, response) => response.end('next'));
  const loop = makeLoop();
  loop.setExceptionHandler(() => {});
  const server = await loop.runUntilComplete(() => serve(http, local));
  loop.close();
  assert.equal(http.listenerCount('request'), 1);
  assert.throws(() => server.close(), { code: 'ERR_LOOP_CLOSED' });
  assert.throws(() => serve(http, { ...local, loop }), { code: 'ERR_LOOP_CLOSED' });
  await onNode(async () => {
    await using again = await serve(http, local);
    assert.equal(await get(again.url), 'next');
  })();
});

test(
  'serve: wrong arguments are refused at the call, each with a code',
  onNode(async (loop) => {
    const type = 'ERR_INVALID_ARG_TYPE';
    for (const target of [undefined, null, 1, 'app', {}, { fetch() {} }, new Agent()]) {
      assert.throws(() => serve(target as never, local), { code: type });
    }
    assert.throws(() => serve({ fetch() {} } as never, local), /getRequestListener/);
    const wrong: [unknown, string][] = [
      [null, type],
      [{}, type],
      [{ port: 0, nonsense: 1 }, type],
      [{ port: 70_000 }, 'ERR_OUT_OF_RANGE'],
      [{ port: 0, host: 1 }, type],
      [{ port: 0, startServing: true }, type],
      [{ port: 0, path: '/tmp/x' }, type],
      [{ path: 1 }, type],
      [{ port: 0, deadline: '1' }, type],
      [{ port: 0, deadline: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ port: 0, deadline: Number.NaN }, 'ERR_OUT_OF_RANGE'],
      [{ port: 0, onClosing: 1 }, type],
      [{ port: 0, signal: 1 }, type],
      [{ port: 0, ssl: true }, type],
      [{ port: 0, loop: {} }, type],
    ];
    for (const [options, code] of wrong) {
      assert.throws(() => serve(() => {}, options as ServeOptions), { code }, JSON.stringify(options));
    }
    const server = await serve(() => {}, { ...local, loop });
    for (const [options, code] of [
      [null, type],
      [{ grace: 1 }, type],
      [{ deadline: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ signal: 1 }, type],
    ] as const) {
      assert.throws(() => server.close(options as never), { code });
    }
    assert.throws(() => server.serveForever({ signal: 1 } as never), { code: type });
    assert.equal(server.isServing(), true);
    await server.close();
  }),
);

test('serve: outside of a loop it is refused with ERR_NO_RUNNING_LOOP', () => {
  assert.throws(() => serve(() => {}, local), { code: 'ERR_NO_RUNNING_LOOP' });
});
