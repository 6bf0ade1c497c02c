/** `openDatagramEndpoint()`: datagrams by await and by iteration. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate as simulateWorld } from '../../src/entry/sim.ts';
import type { DatagramStream, OpenDatagramOptions, SocketAddress } from '../../src/index.ts';
import { AF_INET, CancelledError, getRunningLoop, openDatagramEndpoint, sleep } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

const LOCAL: OpenDatagramOptions = { localAddr: ['127.0.0.1', 0] };

function nameOf(endpoint: DatagramStream): SocketAddress {
  return endpoint.getExtraInfo('sockname') as SocketAddress;
}

/** Waits until an endpoint holds `count` datagrams that nobody took. */
async function holds(endpoint: DatagramStream, count: number): Promise<void> {
  while (!String(endpoint).includes(`, ${count} received`)) await sleep(0.001);
}

test(
  'a server iterates over datagrams and answers each, and the answer is received',
  onNode(async (loop) => {
    const server = await openDatagramEndpoint(LOCAL);
    const serving = loop.createTask(async () => {
      for await (const { data, addr } of server) await server.send(`heard ${data}`, addr);
      return 'ended';
    });
    await using client = await openDatagramEndpoint({ remoteAddr: nameOf(server) as [string, number] });
    for (const text of ['a', '', 'c']) {
      await client.send(text);
      const { data, addr } = await client.receive();
      assert.equal(String(data), `heard ${text}`);
      assert.deepEqual(addr, nameOf(server));
    }
    server.close();
    assert.equal(await serving, 'ended');
    await server.waitClosed();
  }),
);

test(
  'datagrams that nobody takes wait up to the limit; later ones are dropped and counted',
  onNode(async () => {
    await using endpoint = await openDatagramEndpoint({ ...LOCAL, limit: 3 * (8 + 10) });
    const own = nameOf(endpoint);
    for (let i = 0; i < 5; i++) await endpoint.send(`datagram ${i}`, own);
    while (endpoint.dropped < 2) await sleep(0.001);
    assert.match(
      String(endpoint),
      /^DatagramStream \{ udp 127\.0\.0\.1:\d+, open, 3 received, 2 dropped \}$/,
    );
    const texts: string[] = [];
    for await (const { data } of endpoint) {
      texts.push(String(data));
      if (texts.length === 3) break;
    }
    assert.deepEqual(texts, ['datagram 0', 'datagram 1', 'datagram 2']);
    // The room is free again, and leaving the loop has closed nothing.
    await endpoint.send('later', own);
    assert.equal(String((await endpoint.receive()).data), 'later');
  }),
);

test(
  'several iterations and receives share the datagrams, each of which goes to one of them',
  onNode(async (loop) => {
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const seen: string[] = [];
    const iterate = async (): Promise<void> => {
      for await (const { data } of endpoint) {
        seen.push(String(data));
        return;
      }
    };
    const tasks = [loop.createTask(iterate), loop.createTask(iterate), loop.createTask(iterate)];
    await sleep(0);
    for (const text of ['a', 'b', 'c']) await endpoint.send(text, nameOf(endpoint));
    for (const task of tasks) await task;
    assert.deepEqual(seen.sort(), ['a', 'b', 'c']);
  }),
);

test(
  'a cancelled receive loses no datagram, even if one has woken it already',
  onNode(async (loop) => {
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const first = loop.createTask(() => endpoint.receive());
    const second = loop.createTask(() => endpoint.receive());
    await sleep(0);
    endpoint.transport.getProtocol().datagramReceived?.(Buffer.from('x'), ['127.0.0.1', 1]);
    first.cancel();
    await assert.rejects(async () => await first, CancelledError);
    assert.equal(String((await second).data), 'x');
  }),
);

test(
  'an iterator that is left takes no datagram, also with a step under way',
  onNode(async () => {
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const iterator = endpoint[Symbol.asyncIterator]();
    const step = iterator.next();
    await iterator.return?.();
    assert.deepEqual(await step, { value: undefined, done: true });
    await endpoint.send('kept', nameOf(endpoint));
    assert.equal(String((await endpoint.receive()).data), 'kept');
    assert.deepEqual(await iterator.next(), { value: undefined, done: true });
  }),
);

test(
  'close() ends the iteration and pending receives, and drops the datagrams that wait',
  onNode(async (loop) => {
    const endpoint = await openDatagramEndpoint(LOCAL);
    const receiving = loop.createTask(() => endpoint.receive());
    const iterating = loop.createTask(async () => {
      for await (const _ of endpoint) assert.fail();
    });
    await sleep(0);
    endpoint.close();
    await iterating;
    const closed = { code: 'ERR_TRANSPORT_CLOSED' };
    await assert.rejects(async () => await receiving, closed);
    await assert.rejects(async () => await endpoint.receive(), closed);
    await assert.rejects(async () => await endpoint.send('x', ['127.0.0.1', 9]), closed);
    for await (const _ of endpoint) assert.fail();
    await endpoint.waitClosed();

    const other = await openDatagramEndpoint(LOCAL);
    await other.send('dropped', nameOf(other));
    await holds(other, 1);
    other.close();
    for await (const _ of other) assert.fail();
    await other.waitClosed();
  }),
);

test(
  'a refused datagram is told by the next receive of a connected endpoint, which stays open',
  onNode(async () => {
    const gone = await openDatagramEndpoint(LOCAL);
    const addr = nameOf(gone) as [string, number];
    await gone[Symbol.asyncDispose]();
    await using endpoint = await openDatagramEndpoint({ remoteAddr: addr });
    await endpoint.send('anyone?');
    await assert.rejects(async () => await endpoint.receive(), { code: 'ECONNREFUSED' });
    assert.equal(endpoint.transport.isClosing(), false);
  }),
);

test(
  'a datagram that is too long is told by the next send, and never by the iteration of a server',
  onNode(async (loop) => {
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const own = nameOf(endpoint);
    const receiving = loop.createTask(() => endpoint.receive());
    await endpoint.send(Buffer.alloc(70_000), own);
    let error: unknown = null;
    while (error === null) {
      await sleep(0.001);
      error = await endpoint.send('short', own).then(
        () => null,
        (reason: unknown) => reason,
      );
    }
    assert.equal((error as { code: string }).code, 'EMSGSIZE');
    await endpoint.send('short', own);
    assert.equal(String((await receiving).data), 'short');
  }),
);

test('send() waits while the kernel takes no more, and every datagram leaves in order', async () => {
  await simulateWorld({ seed: 1 }, async (world) => {
    const host = world.host('a', { addresses: ['10.0.0.1'] });
    await host.run(async () => {
      const loop = getRunningLoop();
      await using endpoint = await openDatagramEndpoint({ family: AF_INET });
      const protocol = endpoint.transport.getProtocol();
      protocol.pauseWriting?.();
      const sending = endpoint.send('x', ['10.0.0.1', 9]);
      const cancelled = loop.createTask(() => endpoint.send('x', ['10.0.0.1', 9]));
      await sleep(1);
      assert.equal(sending.done(), false);
      assert.equal(cancelled.done(), false);
      cancelled.cancel();
      protocol.resumeWriting?.();
      await sending;
      await assert.rejects(async () => await cancelled, CancelledError);
    });
  });
});

test(
  'a loop of sends that all complete at once lets timers run',
  onNode(async (loop) => {
    await using endpoint = await openDatagramEndpoint(LOCAL);
    let stopped = false;
    loop.callLater(0.01, () => {
      stopped = true;
    });
    while (!stopped) await endpoint.send('x', ['127.0.0.1', 9]).catch(() => {});
  }),
);

test(
  'a signal ends the waits, and an aborted one opens nothing',
  onNode(async () => {
    const controller = new AbortController();
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const waits = [
      endpoint.receive({ signal: controller.signal }),
      endpoint.waitClosed({ signal: controller.signal }),
    ];
    controller.abort();
    for (const wait of waits) await assert.rejects(async () => await wait, CancelledError);
    const { signal } = controller;
    await assert.rejects(async () => await openDatagramEndpoint({ ...LOCAL, signal }), CancelledError);
    await assert.rejects(async () => await endpoint.send('x', nameOf(endpoint), { signal }), CancelledError);
  }),
);

test(
  'wrong arguments are refused at the call',
  onNode(async () => {
    const open = openDatagramEndpoint as (...args: unknown[]) => unknown;
    assert.throws(() => open(), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => open({}), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => open({ ...LOCAL, limit: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => open({ ...LOCAL, limits: 1 }), /known options/);
    assert.throws(() => open({ ...LOCAL, signal: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
    await using endpoint = await openDatagramEndpoint(LOCAL);
    const send = endpoint.send.bind(endpoint) as (...args: unknown[]) => unknown;
    assert.throws(() => send(5, nameOf(endpoint)), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => send('x'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => send('x', ['localhost', 1]), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => send('x', nameOf(endpoint), { sgnal: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  }),
);
