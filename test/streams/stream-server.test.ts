/** Connections by iteration: `for await (const [reader, writer] of server)`. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { simulate as simulateWorld } from '../../src/entry/sim.ts';
import type { StreamConnection, StreamServer } from '../../src/index.ts';
import {
  CancelledError,
  InvalidStateError,
  openConnection,
  openUnixConnection,
  sleep,
  startServer,
  startUnixServer,
} from '../../src/index.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { isNative, makeLoop, onNode, portOf } from '../helpers/pairs.ts';
import { inSimulation } from '../helpers/simulation.ts';

/** Connects, and returns all that the server sends until it closes; the code of the error if it fails. */
async function ask(port: number, text: string): Promise<string> {
  try {
    const [reader, writer] = await openConnection('127.0.0.1', port);
    writer.write(text);
    const answer = String(await reader.read());
    writer.close();
    await writer.waitClosed();
    return answer;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function answer([reader, writer]: StreamConnection): Promise<void> {
  writer.write(`heard ${String(await reader.readexactly(1))}`);
  writer.close();
  await writer.waitClosed();
}

test(
  'iteration over a server gives a reader and a writer of each connection',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const clients = ['a', 'b', 'c'].map((text) => loop.createTask(() => ask(portOf(server), text)));
    let count = 0;
    for await (const connection of server) {
      await answer(connection);
      if (++count === 3) break;
    }
    assert.deepEqual(await Promise.all(clients), ['heard a', 'heard b', 'heard c']);
    await server.waitClosed();
  }),
);

test(
  'leaving the iteration closes the server: taken connections stay open, the others are aborted',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const taken = loop.createTask(() => ask(portOf(server), 'a'));
    const connections: StreamConnection[] = [];
    const ends: Promise<string>[] = [];
    for await (const connection of server) {
      connections.push(connection);
      const [reader] = await openConnection('127.0.0.1', portOf(server));
      ends.push(reader.read().then(String, (error) => error.code));
      while (connectionsOf(server) < 2) await sleep(0.001);
      break;
    }
    assert.equal(server.isServing(), false);
    assert.deepEqual(await Promise.all(ends), ['ECONNRESET']);
    await answer(connections[0] as StreamConnection);
    assert.equal(await taken, 'heard a');
    await server.waitClosed();
  }),
);

test(
  'an exception in the body of the loop closes the server, too',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    void loop.createTask(() => ask(portOf(server), 'a'));
    await assert.rejects(async () => {
      for await (const [, writer] of server) {
        writer.transport.abort();
        throw new RangeError('no');
      }
    }, RangeError);
    assert.equal(server.isServing(), false);
    await server.waitClosed();
  }),
);

test(
  'a cancel of the waiting iteration closes the server',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const task = loop.createTask(async () => {
      for await (const _ of server) assert.fail();
    });
    await sleep(0);
    task.cancel();
    await assert.rejects(async () => await task, CancelledError);
    assert.equal(server.isServing(), false);
    await server.waitClosed();
  }),
);

test(
  'server.close() ends the iteration, and iterating over a closed server gives nothing',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const task = loop.createTask(async () => {
      for await (const _ of server) assert.fail();
      return 'ended';
    });
    await sleep(0);
    server.close();
    assert.equal(await task, 'ended');
    for await (const _ of server) assert.fail();
    await server.waitClosed();
  }),
);

test(
  'serveForever() that is cancelled ends the iteration',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const serving = server.serveForever();
    const task = loop.createTask(async () => {
      for await (const _ of server) assert.fail();
      return 'ended';
    });
    await sleep(0);
    serving.cancel();
    await assert.rejects(async () => await serving, CancelledError);
    assert.equal(await task, 'ended');
  }),
);

test(
  'a second iteration at the same time is refused, and the first goes on',
  onNode(async (loop) => {
    const server = await startServer(null, '127.0.0.1', 0);
    const client = loop.createTask(() => ask(portOf(server), 'a'));
    for await (const connection of server) {
      assert.throws(() => server[Symbol.asyncIterator](), InvalidStateError);
      await answer(connection);
      break;
    }
    assert.equal(await client, 'heard a');
  }),
);

test(
  'a client that has gone before it is taken is given all the same, with its data',
  onNode(async () => {
    await using server = await startServer(null, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    writer.write('bye');
    writer.close();
    await writer.waitClosed();
    reader.feedEof();
    for await (const [from, to] of server) {
      assert.equal(String(await from.read()), 'bye');
      to.close();
      break;
    }
  }),
);

test(
  'a slow iteration accepts no more than the backlog; the native backend leaves the others to the kernel',
  onNode(async () => {
    const server = await startServer(null, '127.0.0.1', 0, { backlog: 2 });
    const first: string[] = [];
    const clients: Promise<string>[] = [];
    // One after the other, so that the accepts are not of one batch.
    for (const text of ['a', 'b', 'c']) {
      clients.push(ask(portOf(server), text));
      while (connectionsOf(server) < Math.min(clients.length, 2)) await sleep(0.001);
    }
    if (!isNative) assert.equal(await clients[2], 'ECONNRESET');
    assert.equal(connectionsOf(server), 2);
    for await (const connection of server) {
      await answer(connection);
      first.push('taken');
      if (first.length === (isNative ? 3 : 2)) break;
    }
    const answers = await Promise.all(clients);
    assert.deepEqual(answers, ['heard a', 'heard b', isNative ? 'heard c' : 'ECONNRESET']);
    await server.waitClosed();
  }),
);

/** The number of connections of a server, from its one-line view. */
function connectionsOf(server: StreamServer): number {
  return Number(/(\d+) connection/.exec(String(server))?.[1]);
}

test(
  'after a full backlog, a server accepts again as soon as a connection is taken',
  onNode(async () => {
    await using server = await startServer(null, '127.0.0.1', 0, { backlog: 1 });
    const clients: Promise<string>[] = [];
    const iteration = server[Symbol.asyncIterator]();
    for (const text of ['a', 'b']) {
      clients.push(ask(portOf(server), text));
      await answer((await iteration.next()).value);
    }
    assert.deepEqual(await Promise.all(clients), ['heard a', 'heard b']);
  }),
);

test(
  'connections with TLS arrive after their handshake',
  onNode(async (loop) => {
    await using server = await startServer(null, '127.0.0.1', 0, { ssl: serverTls() });
    const asking = loop.createTask(async () => {
      const [reader, writer] = await openConnection('127.0.0.1', portOf(server), {
        ssl: clientTls(),
        serverHostname: 'localhost',
      });
      writer.write('a');
      const text = String(await reader.read());
      writer.close();
      return text;
    });
    for await (const connection of server) {
      assert.notEqual(connection[1].getExtraInfo('cipher'), null);
      await answer(connection);
      break;
    }
    assert.equal(await asking, 'heard a');
  }),
);

test(
  'startUnixServer(null) is iterated over in the same way',
  { skip: process.platform === 'win32' },
  onNode(async (loop) => {
    const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
    const path = join(directory, 'socket');
    await using server = await startUnixServer(null, path);
    const client = loop.createTask(async () => {
      const [reader, writer] = await openUnixConnection(path);
      writer.write('a');
      const text = String(await reader.read());
      writer.close();
      return text;
    });
    for await (const connection of server) {
      await answer(connection);
      break;
    }
    assert.equal(await client, 'heard a');
    await rm(directory, { recursive: true });
  }),
);

test('loop.close() ends a connection that nobody took, and names it and its server', async () => {
  const loop = makeLoop();
  const messages: string[] = [];
  loop.setExceptionHandler((_loop, { message }) => messages.push(message));
  const client = await loop.runUntilComplete(async () => {
    const server = await startServer(null, '127.0.0.1', 0);
    const socket = connect(portOf(server), '127.0.0.1');
    while (connectionsOf(server) < 1) await sleep(0.001);
    return socket;
  });
  const ended = new Promise<void>((resolve) => client.on('error', () => {}).once('close', () => resolve()));
  client.resume();
  loop.close();
  await ended;
  assert.equal(messages.length, 2);
  assert.match(String(messages[0]), /a server was still listening on 127\.0\.0\.1:\d+/);
  assert.match(String(messages[1]), /accepted by the server on 127\.0\.0\.1/);
});

test('in a simulated world, a server that nobody iterates over accepts exactly its backlog', async () => {
  const lines: string[] = [];
  await simulateWorld({ seed: 1 }, async (world) => {
    const host = world.host('server', { addresses: ['10.0.0.1'] });
    void host.run(async () => {
      const server = await startServer(null, '10.0.0.1', 80, { backlog: 1 });
      await sleep(5);
      lines.push(String(server));
      server.close();
      await server.waitClosed();
      lines.push(String(server));
    });
    await world.host('client', { addresses: ['10.0.0.2'] }).run(async () => {
      const ends = await Promise.all(
        [1, 2, 3].map(async () => {
          const [reader, writer] = await openConnection('10.0.0.1', 80);
          const end = await reader.read().then(String, (error) => error.code);
          writer.close();
          return end;
        }),
      );
      lines.push(ends.join());
    });
  });
  // In the simulated kernel one connection is accepted a step, so the bound is exact.
  assert.deepEqual(lines, [
    'StreamServer { 10.0.0.1:80, listening, 1 connection }',
    'StreamServer { 10.0.0.1:80, closed, 0 connections }',
    'ECONNRESET,ECONNRESET,ECONNRESET',
  ]);
});

test(
  'a callback that is neither a function nor null is refused',
  inSimulation(async () => {
    for (const callback of [undefined, 5, {}]) {
      assert.throws(() => startServer(callback as never, '127.0.0.1', 0), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  }),
);
