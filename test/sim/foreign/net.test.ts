import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import promises from 'node:timers/promises';
import { inHosts } from './hosts.ts';

/** Runs a server and a client on two hosts. The server's function gets a promise of the client's end. */
async function pair(
  server: (clientDone: Promise<void>) => Promise<unknown>,
  client: () => Promise<unknown>,
): Promise<void> {
  let done = (): void => {};
  const clientDone = new Promise<void>((resolve) => {
    done = resolve;
  });
  await inHosts({
    server: [['10.0.0.1', 'fd00::1'], () => server(clientDone)],
    client: [['10.0.0.2', 'fd00::2'], () => client().finally(done)],
  });
}

async function textOf(socket: net.Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text;
}

async function listen(server: net.Server, ...args: unknown[]): Promise<void> {
  (server.listen as (...args: unknown[]) => void).apply(server, args);
  await once(server, 'listening');
}

describe('node:net inside simulated hosts', () => {
  test('a client and a server exchange data and end their connection', async () => {
    await pair(
      async (clientDone) => {
        const server = net.createServer((socket) => {
          assert.equal(socket.remoteAddress, '::ffff:10.0.0.2');
          assert.equal(socket.localPort, 80);
          socket.pipe(socket);
        });
        await listen(server, 80);
        assert.deepEqual(server.address(), { address: '::', family: 'IPv6', port: 80 });
        await clientDone;
        server.close();
        await once(server, 'close');
      },
      async () => {
        const socket = net.connect(80, '10.0.0.1');
        await once(socket, 'connect');
        assert.equal(socket.remoteAddress, '10.0.0.1');
        assert.equal(socket.localAddress, '10.0.0.2');
        assert.equal(socket.remoteFamily, 'IPv4');
        socket.end('hello');
        assert.equal(await textOf(socket), 'hello');
        assert.equal(socket.bytesRead, 5);
        assert.equal(socket.bytesWritten, 5);
        assert.ok(performance.now() > 0);
      },
    );
  });

  test('a megabyte waits for a reader that is slow', async () => {
    const size = 1_000_000;
    await pair(
      async (clientDone) => {
        const server = net.createServer((socket) => socket.end(Buffer.alloc(size, 'x')));
        await listen(server, { port: 80, host: '10.0.0.1' });
        await clientDone;
        server.close();
      },
      async () => {
        const socket = net.connect(80, '10.0.0.1');
        await once(socket, 'connect');
        await promises.setTimeout(5000);
        assert.ok(socket.bytesRead < 200_000);
        let length = 0;
        for await (const chunk of socket) length += chunk.length;
        assert.equal(length, size);
      },
    );
  });

  test('the errors of connect and listen are those of Node', async () => {
    await pair(
      async (clientDone) => {
        const server = net.createServer();
        await listen(server, 81);
        const second = net.createServer().listen(81);
        const [error] = await once(second, 'error');
        assert.equal(error.message, 'listen EADDRINUSE: address already in use :::81');
        assert.equal(error.code, 'EADDRINUSE');
        const other = net.createServer().listen(81, '10.9.9.9');
        assert.equal((await once(other, 'error'))[0].code, 'EADDRNOTAVAIL');
        await clientDone;
        server.close();
      },
      async () => {
        const socket = net.connect(80, '10.0.0.1');
        const [error] = await once(socket, 'error');
        assert.equal(error.message, 'connect ECONNREFUSED 10.0.0.1:80');
        assert.deepEqual(
          [error.code, error.address, error.port, error.syscall],
          ['ECONNREFUSED', '10.0.0.1', 80, 'connect'],
        );
        const lost = net.connect(80, '10.0.0.77');
        assert.equal((await once(lost, 'error'))[0].code, 'EHOSTUNREACH');
        assert.ok(performance.now() > 3000);
      },
    );
  });

  test('a reset shows as ECONNRESET, and destroy() of one end as the end of the other', async () => {
    await pair(
      async (clientDone) => {
        const server = net.createServer((socket) => {
          socket.once('data', (data) => {
            if (String(data) === 'reset') socket.resetAndDestroy();
            else socket.destroy();
          });
        });
        await listen(server, 80);
        await clientDone;
        server.close();
      },
      async () => {
        const reset = net.connect(80, '10.0.0.1');
        reset.write('reset');
        const [error] = await once(reset, 'error');
        assert.equal(error.message, 'read ECONNRESET');
        const destroyed = net.connect(80, '10.0.0.1');
        destroyed.write('destroy');
        destroyed.resume();
        await once(destroyed, 'end');
      },
    );
  });

  test('a unix socket works within a host', async () => {
    await inHosts({
      host: [
        ['10.0.0.1'],
        async () => {
          const server = net.createServer((socket) => socket.end('hello'));
          await listen(server, '/run.sock');
          assert.equal(server.address(), '/run.sock');
          assert.equal(await textOf(net.connect('/run.sock')), 'hello');
          server.close();
          await once(server, 'close');
        },
      ],
    });
  });

  test('half-open sockets, pause and maxConnections behave as on the machine', async () => {
    await pair(
      async (clientDone) => {
        const server = net.createServer({ allowHalfOpen: true }, (socket) => {
          let text = '';
          socket.on('data', (data) => {
            text += data;
          });
          socket.on('end', () => setTimeout(() => socket.end(`got ${text}`), 1000));
        });
        server.maxConnections = 1;
        await listen(server, 80);
        const [dropped] = await once(server, 'drop');
        assert.equal(dropped.remotePort > 1024, true);
        await clientDone;
        server.close();
      },
      async () => {
        const socket = net.connect({ port: 80, host: '10.0.0.1' });
        await once(socket, 'connect');
        const second = net.connect({ port: 80, host: '10.0.0.1' });
        second.resume();
        await once(second, 'close');
        socket.end('question');
        assert.equal(await textOf(socket), 'got question');
      },
    );
  });

  test('outside of every host net is the real one, also during the simulation', async () => {
    const server = net.createServer((socket) => socket.end('real')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const inside = inHosts({ host: [['10.0.0.1'], () => promises.setTimeout(1000)] });
    assert.equal(await textOf(net.connect(port, '127.0.0.1')), 'real');
    await inside;
    server.close();
  });
});
