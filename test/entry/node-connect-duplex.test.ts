/** `connectDuplex`: a duplex that exists before its connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connectDuplex } from '../../src/entry/node.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { StreamProtocol, Transport } from '../../src/index.ts';
import { NodeEventLoop, sleep } from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { freePort, onNode, portOf, Recorder } from '../helpers/pairs.ts';
import { ManualTransport } from './manual-transport.ts';

function logOf(stream: Duplex): string[] {
  const log: string[] = [];
  for (const name of ['connect', 'ready', 'end', 'finish', 'close']) stream.on(name, () => log.push(name));
  stream.on('error', (error: NodeJS.ErrnoException) => log.push(`error ${error.code ?? error.message}`));
  return log;
}

test(
  'connectDuplex() returns at once, holds writes until the connection exists, and then reads',
  onNode(async (loop) => {
    const peer = new Recorder();
    const greeting = peer.connectionMade.bind(peer);
    peer.connectionMade = (transport: Transport) => {
      greeting(transport);
      transport.write('greeting');
    };
    const server = await loop.createServer(() => peer, '127.0.0.1', 0);
    const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)));
    const log = logOf(duplex);
    assert.deepEqual([duplex.connecting, duplex.pending, duplex.readyState], [true, true, 'opening']);
    assert.deepEqual([duplex.remoteAddress, duplex.address()], [undefined, {}]);
    duplex.setNoDelay(false).setKeepAlive(true, 1000);
    duplex.setTimeout(60_000);
    duplex.write('hello ');
    duplex.end('there');
    await once(duplex, 'connect');
    assert.deepEqual([duplex.connecting, duplex.pending, duplex.remotePort], [false, false, portOf(server)]);
    let text = '';
    for await (const data of duplex) text += String(data);
    if (!duplex.closed) await once(duplex, 'close');
    assert.deepEqual([text, peer.text], ['greeting', 'hello there']);
    assert.deepEqual(log, ['connect', 'ready', 'finish', 'end', 'close']);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'connectDuplex() fails with its writes if no connection can be made',
  onNode(async (loop) => {
    const port = await freePort();
    const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));
    const log = logOf(duplex);
    let failure: NodeJS.ErrnoException | null | undefined;
    duplex.write('hello', (error) => {
      failure = error as NodeJS.ErrnoException;
    });
    await once(duplex, 'close').catch(() => {});
    while (!log.includes('close')) await sleep(0);
    assert.deepEqual(log, ['error ECONNREFUSED', 'close']);
    assert.equal(failure?.code, 'ECONNREFUSED');
  }),
);

test(
  'connectDuplex(): destroy() cancels the connect, and no connection stays',
  onNode(async (loop) => {
    const server = await loop.createServer(() => new Recorder(), '127.0.0.1', 0);
    for (let turns = 0; turns < 6; turns++) {
      const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)));
      const log = logOf(duplex);
      duplex.end('hello');
      for (let i = 0; i < turns; i++) await sleep(0);
      duplex.destroy();
      while (!log.includes('close')) await sleep(0);
      assert.equal(duplex.readyState, 'closed');
    }
    server.close();
    await server.waitClosed();
  }),
);

test(
  'connectDuplex(): destroy() cancels the pending promise',
  onNode(async (loop) => {
    const connecting = loop.createFuture<unknown>();
    const duplex = connectDuplex(() => connecting);
    duplex.destroy();
    assert.equal(connecting.cancelled(), true);
    await once(duplex, 'close');
  }),
);

test('connectDuplex() applies socket methods to the connection once it exists', async () => {
  await withLoop(
    () => new SimulatedEventLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        const asked: unknown[] = [];
        const transport = new ManualTransport({
          socket: {
            setNoDelay: (on: boolean) => asked.push(['setNoDelay', on]),
            setKeepAlive: (on: boolean, seconds: number) => asked.push(['setKeepAlive', on, seconds]),
          } as never,
        });
        const made = loop.createFuture<void>();
        const duplex = connectDuplex(async (factory) => {
          await made;
          const protocol = factory();
          transport.setProtocol(protocol);
          protocol.connectionMade?.(transport);
        });
        duplex.setNoDelay(false).setKeepAlive(true, 1500);
        assert.deepEqual(asked, []);
        made.setResult();
        await once(duplex, 'connect');
        duplex.setNoDelay();
        assert.deepEqual(asked, [
          ['setNoDelay', false],
          ['setKeepAlive', true, 1.5],
          ['setNoDelay', true],
        ]);
        duplex.destroy();
        transport.lose(null);
        duplex.setNoDelay();
        assert.equal(asked.length, 3);
      }),
  );
});

test('connectDuplex() aborts a connection that comes after destroy()', async () => {
  await withLoop(
    () => new SimulatedEventLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        const transport = new ManualTransport();
        let make: (() => StreamProtocol) | null = null;
        const duplex = connectDuplex((factory) => {
          make = factory;
          return new Promise(() => {});
        });
        duplex.destroy();
        await once(duplex, 'close');
        const protocol = (make as unknown as () => StreamProtocol)();
        protocol.connectionMade?.(transport);
        assert.deepEqual(transport.calls, ['abort']);
      }),
  );
});

test(
  'connectDuplex(): setKeepAlive() accepts any delay, before and after the connection',
  onNode(async (loop) => {
    const peer = new Recorder();
    const server = await loop.createServer(() => peer, '127.0.0.1', 0);
    const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)));
    const odd = [-1, Number.NaN, 1e12, Number.POSITIVE_INFINITY, undefined, null, '1000'];
    for (const delay of odd) duplex.setKeepAlive(true, delay as number);
    duplex.write('hello');
    await peer.untilReceived(5);
    for (const delay of odd) duplex.setKeepAlive(true, delay as number);
    assert.equal(peer.text, 'hello');
    duplex.destroy();
    await peer.untilLost();
    server.close();
  }),
);

test(
  'connectDuplex() fails if its function connects something else',
  onNode(async (loop) => {
    const duplex = connectDuplex(async () => 'a connection');
    const log = logOf(duplex);
    while (!log.includes('close')) await sleep(0);
    assert.deepEqual(log, ['error ERR_INVALID_ARG_TYPE', 'close']);
    assert.equal(loop._owned.unreported.size, 0);
  }),
);

test(
  'connectDuplex() emits the connection once for clients that call connect()',
  onNode(async (loop) => {
    const peer = new Recorder();
    const server = await loop.createServer(() => peer, '127.0.0.1', 0);
    const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)));
    const log = logOf(duplex);
    duplex.connect(5432, 'elsewhere');
    await once(duplex, 'ready');
    for (let i = 0; i < 5; i++) await sleep(0);
    assert.deepEqual(log, ['connect', 'ready']);
    duplex.destroy();
    await once(duplex, 'close');
    server.close();
    await server.waitClosed();
  }),
);

test('connectDuplex() works outside of the given loop, and waits for it to run', async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const peer = new Recorder();
      const server = await loop.runUntilComplete(() => loop.createServer(() => peer, '127.0.0.1', 0));
      const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', portOf(server)), {
        loop,
      });
      const log = logOf(duplex);
      duplex.end('hello');
      duplex.resume();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(log.length, 0);
      await loop.runUntilComplete(async () => {
        while (!log.includes('close')) await sleep(0.001);
        server.close();
        await server.waitClosed();
      });
      assert.equal(peer.text, 'hello');
      assert.deepEqual(log, ['connect', 'ready', 'finish', 'end', 'close']);
    },
  );
});

test('connectDuplex() ends when its loop is closed meanwhile', async () => {
  const loop = new NodeEventLoop();
  loop.setExceptionHandler(() => {});
  const duplex = connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', 1), { loop });
  const log = logOf(duplex);
  loop.close();
  while (!log.includes('close')) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(log, ['close']);
});

test(
  'connectDuplex() rejects wrong arguments at the call, and leaves nothing',
  onNode(async (loop) => {
    assert.throws(() => connectDuplex(null as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => connectDuplex((() => 1) as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', -1)), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => connectDuplex((factory) => loop.createConnection(factory), { unknown: 1 } as never), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.equal(loop._owned.unreported.size, 0);
  }),
);
