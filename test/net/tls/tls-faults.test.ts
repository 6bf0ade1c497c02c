/** Peers that violate TLS, and ends at the worst moment. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { SecureVersion } from 'node:tls';
import { NodeEventLoop, Protocol, sleep, TimeoutError } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { closed, listeningNodeServer, onNode, portOf, Recorder } from '../../helpers/pairs.ts';
import { FAULTS, faultyProxy } from '../faulty-proxy.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import {
  closedServer,
  closedSocket,
  end,
  nodeTlsClient,
  nodeTlsServer,
  recordingServer,
  tlsRecorders,
} from './tls-peers.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
/**
 * Before the first byte, within the first record's header, within the hello, after it, and so on to the end
 * of the handshake.
 */
const OFFSETS: readonly number[] = [
  0, 1, 4, 5, 6, 50, 127, 150, 300, 516, 517, 518, 700, 900, 1200, 1500, 2000,
];

// --- at each step of a handshake ---

for (const version of VERSIONS) {
  const versions = { minVersion: version, maxVersion: version };

  for (const fault of FAULTS) {
    test(
      `${version}: a client reports a server that fails at any step of the handshake (${fault})`,
      onNode(async (loop) => {
        const { server, port } = await nodeTlsServer({ ...serverTls(), ...versions }, (socket) =>
          socket.resume(),
        );
        const before = socketCount();
        let failures = 0;
        for (const after of OFFSETS) {
          const proxy = await faultyProxy(port, 'client', fault, after);
          const client = new Recorder();
          const options = { ssl: clientTls(), sslHandshakeTimeout: fault === 'stall' ? 0.15 : 30 };
          try {
            await loop.createConnection(() => client, '127.0.0.1', proxy.port, options);
            // The handshake was complete when the fault began.
            client.transport.abort();
            await client.untilLost();
          } catch (error) {
            failures++;
            assert.deepEqual(client.log, []);
            assert.ok(error instanceof Error);
            const { code } = error as { code?: string };
            if (fault === 'stall') assert.ok(error instanceof TimeoutError, String(code));
            else if (fault === 'garbage') assert.match(String(code), /^ERR_SSL_|^ECONNRESET/);
            else assert.match(String(code), /^ECONNRESET|EPIPE/);
          }
          await proxy.close();
          await assertSockets(before, `after ${after} bytes`);
        }
        assert.ok(failures > 8, `${failures} failures`);
        await closedServer(server);
      }),
    );

    test(
      `${version}: a server survives a client that fails at any step of the handshake (${fault})`,
      onNode(async (loop, reports) => {
        const { server, port, made } = await recordingServer(loop, serverTls(), {
          sslHandshakeTimeout: fault === 'stall' ? 0.15 : 30,
        });
        const before = socketCount();
        for (const after of OFFSETS) {
          const proxy = await faultyProxy(port, 'server', fault, after);
          const socket = await nodeTlsClient(proxy.port, versions).catch(() => null);
          // A client with a complete handshake sees the end of it here.
          if (socket !== null) await closedSocket(socket);
          for (const recorder of made.splice(0)) {
            recorder.transport.abort();
            await recorder.untilLost();
          }
          // The server gives up the handshakes that still stall.
          await proxy.close();
          await assertSockets(before, `after ${after} bytes`);
          assert.equal(server.isServing(), true);
        }
        // On a busy machine a good handshake may need more than the short time, too.
        let socket = null;
        while (socket === null) socket = await nodeTlsClient(port, versions).catch(() => null);
        await closedSocket(socket);
        server.close();
        server.abortClients();
        await server.waitClosed();
        assert.deepEqual(reports.takeMessages(), []);
      }),
    );
  }
}

test(
  'a handshake that takes too long is a TimeoutError on either side',
  onNode(async (loop, reports) => {
    loop.debug = true;
    // A busy machine makes callbacks slow, which debug mode reports.
    loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
    const { server: silent, port: silentPort } = await listeningNodeServer();
    const before = socketCount();
    await assert.rejects(
      loop.createConnection(() => new Protocol(), '127.0.0.1', silentPort, {
        ssl: clientTls(),
        sslHandshakeTimeout: 0.05,
      }),
      (error) => error instanceof TimeoutError && /0\.05 seconds/.test(error.message),
    );
    await closed(silent);
    await assertSockets(before - 1, 'the connection is closed');

    const { server, port } = await recordingServer(loop, serverTls(), { sslHandshakeTimeout: 0.05 });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    server.close();
    await server.waitClosed();
    const [report] = reports.take();
    assert.ok(report?.exception instanceof TimeoutError);
    loop.debug = false;
  }),
);

test(
  'both sides reject data that is no TLS',
  onNode(async (loop) => {
    const { server, port } = await recordingServer(loop);
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    server.close();
    await server.waitClosed();

    const plain = await loop.createServer(
      () => ({ connectionMade: (transport) => transport.write('220 mail.example.org ESMTP\r\n') }),
      '127.0.0.1',
      0,
    );
    await assert.rejects(
      loop.createConnection(() => new Protocol(), '127.0.0.1', portOf(plain), { ssl: clientTls() }),
      { code: 'ERR_SSL_WRONG_VERSION_NUMBER' },
    );
    plain.close();
    await plain.waitClosed();
  }),
);

// --- truncation ---

for (const version of VERSIONS) {
  test(
    `${version}: a connection that ends without TLS’s end was truncated: data comes first, then the error`,
    onNode(async (loop) => {
      const versions = { minVersion: version, maxVersion: version };
      for (const paused of [false, true]) {
        // The client gets truncated data.
        const { server, port } = await nodeTlsServer({ ...serverTls(), ...versions }, (socket) => {
          socket.write('x'.repeat(100_000));
        });
        const proxy = await faultyProxy(port, 'client');
        const client = new Recorder();
        client.keepOpen = true;
        await loop.createConnection(() => client, '127.0.0.1', proxy.port, { ssl: clientTls() });
        if (paused) client.transport.pauseReading();
        while (proxy.passed() < 100_000) await sleep(0.001);
        proxy.spoil('end');
        if (paused) {
          for (let i = 0; i < 50; i++) await sleep(0);
          assert.equal(client.lost, false);
          client.transport.resumeReading();
        }
        await client.untilLost();
        assert.deepEqual(client.log, ['made', 'data', 'lost']);
        assert.equal(client.received, 100_000);
        assert.equal((client.exception as { code?: string }).code, 'ERR_TLS_TRUNCATED');
        await proxy.close();
        await closedServer(server);

        // The server gets truncated data.
        const own = await recordingServer(loop);
        const other = await faultyProxy(own.port, 'server');
        const socket = await nodeTlsClient(other.port, versions);
        const far = await own.next();
        if (paused) far.transport.pauseReading();
        const passed = other.passed();
        socket.write('y'.repeat(100_000));
        while (other.passed() < passed + 100_000) await sleep(0.001);
        other.spoil('end');
        if (paused) far.transport.resumeReading();
        await far.untilLost();
        assert.equal(far.received, 100_000);
        assert.deepEqual(far.log, ['made', 'data', 'lost']);
        assert.equal((far.exception as { code?: string }).code, 'ERR_TLS_TRUNCATED');
        await other.close();
        await closedSocket(socket);
        own.server.close();
        await own.server.waitClosed();
      }
    }),
  );

  test(
    `${version}: garbage and resets on an open connection end it with their error`,
    onNode(async (loop) => {
      for (const fault of ['garbage', 'reset'] as const) {
        const { server, port, next } = await recordingServer(loop, {
          ...serverTls(),
          minVersion: version,
          maxVersion: version,
        });
        const proxy = await faultyProxy(port, 'client');
        const client = new Recorder();
        await loop.createConnection(() => client, '127.0.0.1', proxy.port, { ssl: clientTls() });
        const far = await next();
        far.transport.write('before');
        await client.untilReceived(6);
        proxy.spoil(fault);
        await client.untilLost();
        const { code } = client.exception as { code?: string };
        assert.match(String(code), fault === 'reset' ? /ECONNRESET/ : /ERR_SSL_/);
        far.transport.abort();
        await far.untilLost();
        await proxy.close();

        // The same to the server.
        const other = await faultyProxy(port, 'server');
        const socket = await nodeTlsClient(other.port);
        const accepted = await next();
        socket.write('before');
        await accepted.untilReceived(6);
        other.spoil(fault);
        await accepted.untilLost();
        const error = accepted.exception as { code?: string };
        assert.match(String(error.code), fault === 'reset' ? /ECONNRESET/ : /ERR_SSL_/);
        await closedSocket(socket);
        await other.close();
        server.close();
        await server.waitClosed();
      }
    }),
  );
}

// --- the end of a connection ---

test(
  'a peer that does not answer the end of TLS is abandoned after the shutdown timeout, with a TimeoutError',
  onNode(async (loop) => {
    const { server, port, next } = await recordingServer(loop);
    const proxy = await faultyProxy(port, 'client');
    const client = new Recorder();
    await loop.createConnection(() => client, '127.0.0.1', proxy.port, {
      ssl: clientTls(),
      sslShutdownTimeout: 0.05,
    });
    const far = await next();
    proxy.spoil('stall');
    client.transport.write('the last');
    client.transport.close();
    await client.untilLost();
    assert.ok(client.exception instanceof TimeoutError);
    await far.untilLost();
    assert.equal(far.text, 'the last');
    await proxy.close();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a peer that disconnects after our end of TLS is a clean end',
  onNode(async (loop) => {
    for (const fault of ['end', 'reset'] as const) {
      const { server, port, next } = await recordingServer(loop);
      const proxy = await faultyProxy(port, 'client');
      const client = new Recorder();
      await loop.createConnection(() => client, '127.0.0.1', proxy.port, { ssl: clientTls() });
      const far = await next();
      far.transport.pauseReading();
      client.transport.write('the last');
      client.transport.close();
      while (client.transport.getWriteBufferSize() > 0) await sleep(0);
      for (let i = 0; i < 20; i++) await sleep(0.001);
      assert.equal(client.lost, false);
      proxy.spoil(fault);
      await client.untilLost();
      assert.equal(client.exception, null, fault);
      far.transport.resumeReading();
      far.transport.abort();
      await far.untilLost();
      await proxy.close();
      server.close();
      await server.waitClosed();
    }
  }),
);

test(
  'data after close() is dropped, and the end of the peer is still seen',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    far.transport.write(Buffer.alloc(500_000));
    near.transport.close();
    await near.untilLost();
    await far.untilLost();
    assert.deepEqual([near.exception, far.exception], [null, null]);
    assert.equal(near.log.includes('eof'), false);
  }),
);

test(
  'a protocol that keeps the connection open after the peer’s end can answer, and must close it itself',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    far.keepOpen = true;
    near.transport.write('question');
    near.transport.close();
    await far.untilTold('eof');
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.equal(far.transport.isClosing(), false);
    far.transport.write('an answer that nobody waits for');
    far.transport.close();
    await far.untilLost();
    await near.untilLost();
    assert.deepEqual([near.exception, far.exception, far.text], [null, null, 'question']);
  }),
);

test(
  'abort() during the shutdown, and close() on both sides at once, end the connection',
  onNode(async (loop) => {
    const { near, far } = await tlsRecorders(loop);
    near.transport.close();
    far.transport.close();
    await near.untilLost();
    await far.untilLost();
    assert.deepEqual([near.exception, far.exception], [null, null]);
    const other = await tlsRecorders(loop);
    other.far.transport.pauseReading();
    other.near.transport.close();
    await sleep(0);
    await sleep(0.01);
    assert.equal(other.near.lost, false);
    other.near.transport.abort();
    await other.near.untilLost();
    assert.equal(other.near.exception, null);
    other.far.transport.abort();
    await other.far.untilLost();
  }),
);

// --- the server's own ---

test(
  'Server.close() lets a handshake finish, closeClients() and abortClients() end it, and waitClosed() waits for it',
  onNode(async (loop, reports) => {
    for (const how of ['close', 'closeClients', 'abortClients'] as const) {
      const { server, port, made } = await recordingServer(loop);
      const proxy = await faultyProxy(port, 'server', 'stall', 100);
      const connecting = nodeTlsClient(proxy.port).catch((error: Error) => error);
      while (proxy.passed() < 100) await sleep(0.001);
      for (let i = 0; i < 20; i++) await sleep(0.001);
      server.close();
      const waiting = server.waitClosed();
      for (let i = 0; i < 20; i++) await sleep(0);
      assert.equal(waiting.done(), false);
      if (how === 'close') await proxy.close();
      else server[how]();
      await waiting;
      await proxy.close();
      assert.ok((await connecting) instanceof Error);
      assert.equal(made.length, 0);
    }
    const { server, port, next } = await recordingServer(loop);
    const client = new Recorder();
    const connecting = loop.createConnection(() => client, '127.0.0.1', port, { ssl: clientTls() });
    while (server.isServing() && (loop._owned.unreported.size as number) < 2) await sleep(0);
    server.close();
    await connecting;
    const far = await next();
    far.transport.write('served');
    await client.untilReceived(6);
    server.closeClients();
    await client.untilLost();
    assert.deepEqual(client.log, ['made', 'data', 'eof', 'lost']);
    await server.waitClosed();
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

// --- cancelled, stopped, closed ---

test(
  'a TLS connect that is cancelled at any turn leaves nothing on either side',
  onNode(async (loop, reports) => {
    const { server, port, made } = await recordingServer(loop);
    const before = socketCount();
    for (
      let turns = 0, ended = 0;
      ended < 3 && turns < 5000;
      turns = turns < 60 ? turns + 1 : Math.ceil(turns * 1.3)
    ) {
      const controller = new AbortController();
      const client = new Recorder();
      const connecting = loop.createConnection(() => client, '127.0.0.1', port, {
        ssl: clientTls(),
        signal: controller.signal,
      });
      for (let i = 0; i < turns && !connecting.done(); i++) await sleep(0);
      if (connecting.done()) ended++;
      if (turns % 2 === 0) connecting.cancel();
      else controller.abort();
      await connecting.then(
        ([transport]) => transport[Symbol.asyncDispose](),
        () => {},
      );
      while (server.isServing() && loop._owned.unreported.size > 0) await sleep(0.001);
      for (const recorder of made.splice(0)) await recorder.untilLost();
      await assertSockets(before, `after ${turns} turns`);
    }
    server.close();
    await server.waitClosed();
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test('a loop that is closed in the middle of a handshake leaves nothing', async () => {
  for (let turns = 0; turns < 60; turns += 3) {
    const before = socketCount();
    const loop = new NodeEventLoop();
    loop.setExceptionHandler(() => {});
    await loop.runUntilComplete(async () => {
      const { port } = await recordingServer(loop);
      const connecting = loop.createConnection(() => new Recorder(), '127.0.0.1', port, { ssl: clientTls() });
      connecting._ignoreException();
      for (let i = 0; i < turns; i++) await sleep(0);
    });
    loop.close();
    await assertSockets(before, `after ${turns} turns`);
  }
});

test('a loop that is stopped in the middle of a handshake continues it in its next run', async () => {
  const loop = new NodeEventLoop();
  const near = new Recorder();
  let far: Recorder | null = null;
  const { server, port, next } = await loop.runUntilComplete(() => recordingServer(loop));
  const connecting = loop.createConnection(() => near, '127.0.0.1', port, { ssl: clientTls() });
  while (!connecting.done()) {
    await loop.runUntilComplete(() => sleep(0));
    await hostPasses(5);
  }
  await loop.runUntilComplete(async () => {
    far = await next();
  });
  // Written while the loop does not run.
  near.transport.write('outside');
  (far as unknown as Recorder).transport.write(Buffer.alloc(300_000));
  await hostPasses(50);
  assert.deepEqual(near.log, ['made']);
  await loop.runUntilComplete(async () => {
    await near.untilReceived(300_000);
    await (far as unknown as Recorder).untilReceived(7);
    await end(near, far as unknown as Recorder);
    server.close();
    await server.waitClosed();
  });
  loop.close();
});
