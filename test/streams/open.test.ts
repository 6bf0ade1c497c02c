import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import type { StreamSockets } from '../../src/backend/backend.ts';
import type { BaseEventLoop, Server, StreamReader } from '../../src/index.ts';
import {
  allTasks,
  CancelledError,
  currentTask,
  IncompleteReadError,
  NodeEventLoop,
  openConnection,
  StreamWriter,
  sleep,
  startServer,
} from '../../src/index.ts';
import type { Reports } from '../helpers/loop-fixture.ts';
import { withLoop } from '../helpers/loop-fixture.ts';

/** Runs `body` as a task on a loop with real sockets, and checks that nothing is left afterwards. */
function onNode(body: (loop: BaseEventLoop, reports: Reports) => Promise<void>): () => Promise<void> {
  return () =>
    withLoop(
      () => new NodeEventLoop(),
      (loop, reports) => loop.runUntilComplete(() => body(loop, reports)),
    );
}

function portOf(server: Server): number {
  return server.sockets[0]?.getsockname()?.[1] as number;
}

const MIB = 1024 * 1024;

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const chunk of reader) {
    writer.write(chunk);
    await writer.drain();
  }
  writer.close();
}

/** Does the same as `echo`, where the peer is expected to reset the connection. */
async function tolerant(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await echo(reader, writer).catch((error) => assert.equal(error.code, 'ECONNRESET'));
}

test(
  'openConnection() and startServer() echo lines',
  onNode(async () => {
    await using server = await startServer(
      async (reader, writer) => {
        for await (const line of reader.lines()) {
          writer.write(line.toString().toUpperCase());
          await writer.drain();
        }
        writer.close();
      },
      '127.0.0.1',
      0,
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    assert.ok(writer instanceof StreamWriter);
    assert.deepEqual(writer.getExtraInfo('peername'), ['127.0.0.1', portOf(server)]);
    for (const line of ['one\n', 'two\n']) {
      writer.write(line);
      await writer.drain();
      assert.equal((await reader.readline()).toString(), line.toUpperCase());
    }
    writer.close();
    await writer.waitClosed();
    assert.equal(writer.isClosing(), true);
    assert.equal(await reader.readline().then(String), '');
  }),
);

test(
  'a stream that is closed in one direction still gets the answer',
  onNode(async () => {
    await using server = await startServer(
      async (reader, writer) => {
        const question = await reader.read();
        writer.write(`you said ${question.length} bytes`);
        writer.close();
      },
      '127.0.0.1',
      0,
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    assert.equal(writer.canWriteEof(), true);
    writer.writelines(['a'.repeat(1000), Buffer.alloc(234)]);
    writer.writeEof();
    assert.equal((await reader.read()).toString(), 'you said 1234 bytes');
    await writer.waitClosed();
  }),
);

test(
  'streams carry 64 MiB in both directions through a small limit and a reader that pauses',
  onNode(async () => {
    await using server = await startServer(echo, '127.0.0.1', 0, { limit: 16 * 1024 });
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server), { limit: 16 * 1024 });
    const total = 64 * MIB;
    const chunk = Buffer.alloc(64 * 1024);
    for (let i = 0; i < chunk.length; i++) chunk[i] = (i * 31 + (i >> 8)) & 0xff;
    let waits = 0;
    let largest = 0;
    const sending = (async () => {
      for (let sent = 0; sent < total; sent += chunk.length) {
        writer.write(chunk);
        largest = Math.max(largest, writer.transport.getWriteBufferSize());
        const drained = writer.drain();
        if (!drained.done()) waits++;
        await drained;
      }
      writer.writeEof();
    })();
    let received = 0;
    let mib = 0;
    for await (const piece of reader) {
      for (let i = 0; i < piece.length; i += 997) {
        assert.equal(piece[i], chunk[(received + i) % chunk.length]);
      }
      received += piece.length;
      if (received >> 20 > mib) {
        mib = received >> 20;
        await sleep(0);
        await sleep(0);
      }
    }
    await sending;
    assert.equal(received, total);
    assert.ok(waits > 0, 'the writer was never paused');
    assert.ok(largest <= 3 * chunk.length, `${largest} bytes in the write buffer`);
    writer.close();
    await writer.waitClosed();
  }),
);

test(
  'a peer that does not read stops the writer at the other end, and every task in drain()',
  onNode(async (loop) => {
    const mayRead = loop.createFuture<void>();
    await using server = await startServer(
      async (reader, writer) => {
        await mayRead;
        let bytes = 0;
        for await (const chunk of reader) bytes += chunk.length;
        writer.write(String(bytes));
        writer.close();
      },
      '127.0.0.1',
      0,
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    const chunk = Buffer.alloc(256 * 1024);
    let sent = 0;
    let stop = false;
    const send = async (): Promise<void> => {
      while (!stop) {
        writer.write(chunk);
        sent += chunk.length;
        await writer.drain();
      }
    };
    const tasks = Array.from({ length: 20 }, () => loop.createTask(send));
    await untilStill(() => sent);
    assert.ok(sent < 64 * MIB, `${sent} bytes were written`);
    assert.ok(tasks.every((task) => !task.done()));
    stop = true;
    mayRead.setResult(undefined);
    for (const task of tasks) await task;
    writer.writeEof();
    assert.equal((await reader.read()).toString(), String(sent));
    writer.close();
    await writer.waitClosed();
  }),
);

/** Waits until `value()` has not changed for more turns than the network of one machine needs. */
async function untilStill(value: () => number): Promise<void> {
  for (let before = -1; before !== value(); ) {
    before = value();
    for (let i = 0; i < 500; i++) await sleep(0);
  }
}

// --- the peer resets the connection ---

/** Connects a client of Node's own to a gyre server. The returned task ends as the server's callback does. */
async function foreignPeer(
  loop: BaseEventLoop,
  callback: (reader: StreamReader, writer: StreamWriter) => Promise<unknown>,
): Promise<{ server: Server; peer: net.Socket; served: Promise<string> }> {
  const ended = loop.createFuture<string>();
  const server = await startServer(
    async (reader, writer) => {
      const result = await callback(reader, writer).then(String, (error) => (error as { code: string }).code);
      writer.close();
      ended.setResult(result);
    },
    '127.0.0.1',
    0,
  );
  const peer = net.connect(portOf(server), '127.0.0.1');
  peer.on('error', () => {});
  await once(peer, 'connect');
  return { server, peer, served: ended.then() };
}

const WAITS: Record<string, (reader: StreamReader, writer: StreamWriter) => PromiseLike<unknown>> = {
  'read(n)': (reader) => reader.read(10),
  'read()': (reader) => reader.read(),
  'readline()': (reader) => reader.readline(),
  'readexactly(n)': (reader) => reader.readexactly(10),
  'readuntil()': (reader) => reader.readuntil(';'),
  'lines()': (reader) => reader.lines().next(),
  'for await': (reader) => reader[Symbol.asyncIterator]().next(),
  'drain()': async (_reader, writer) => {
    // More than any kernel accepts while the peer does not read.
    for (;;) {
      writer.write(Buffer.alloc(MIB));
      await writer.drain();
    }
  },
  'waitClosed()': (_reader, writer) => writer.waitClosed(),
};

for (const [name, wait] of Object.entries(WAITS)) {
  test(
    `a stream’s ${name} throws the system’s error when the peer resets the connection`,
    onNode(async (loop) => {
      const begun = loop.createFuture<void>();
      const { server, peer, served } = await foreignPeer(loop, async (reader, writer) => {
        await reader.readexactly(1);
        begun.setResult(undefined);
        return wait(reader, writer);
      });
      peer.pause();
      peer.write('x');
      await begun;
      await untilStill(() => 0);
      peer.resetAndDestroy();
      assert.match(await served, /^(ECONNRESET|EPIPE)$/);
      server.close();
      await server.waitClosed();
    }),
  );
}

test(
  'a peer that ends cleanly gives every read the end of the stream, not an error',
  onNode(async (loop) => {
    const ends: Record<string, string> = {};
    for (const [name, wait] of Object.entries(WAITS)) {
      if (name === 'drain()' || name === 'waitClosed()') continue;
      const { server, peer, served } = await foreignPeer(loop, async (reader, writer) => {
        const result = (await wait(reader, writer)) as Buffer | IteratorResult<Buffer>;
        return Buffer.isBuffer(result) ? result.toString() : String(result.done);
      });
      peer.end('half');
      ends[name] = await served;
      server.close();
      await server.waitClosed();
    }
    assert.deepEqual(ends, {
      'read(n)': 'half',
      'read()': 'half',
      'readline()': 'half',
      'readexactly(n)': 'ERR_INCOMPLETE_READ',
      'readuntil()': 'ERR_INCOMPLETE_READ',
      'lines()': 'false',
      'for await': 'false',
    });
  }),
);

// --- ends ---

test(
  'StreamWriter.write() on a closed stream drops the data, and drain() fails',
  onNode(async () => {
    await using server = await startServer(echo, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    writer.close();
    writer.close();
    writer.write('dropped');
    await writer.waitClosed();
    writer.write('dropped');
    await assert.rejects(writer.drain(), { code: 'ERR_TRANSPORT_CLOSED' });
    assert.equal((await reader.read()).length, 0);
    await writer.waitClosed();
  }),
);

test(
  'StreamWriter.write() after writeEof() throws at the call',
  onNode(async () => {
    await using server = await startServer(echo, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    writer.write('all');
    writer.writeEof();
    assert.throws(() => writer.write('more'), { code: 'ERR_TRANSPORT_CLOSED' });
    assert.equal((await reader.read()).toString(), 'all');
    writer.close();
    await writer.waitClosed();
  }),
);

test(
  'a server callback that throws is reported, and its peer sees a reset',
  onNode(async (_loop, reports) => {
    await using server = await startServer(
      async (reader) => {
        await reader.readline();
        throw new Error('bad line');
      },
      '127.0.0.1',
      0,
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    writer.write('line\n');
    await assert.rejects(reader.read(), { code: 'ECONNRESET' });
    const [report] = reports.take();
    assert.match(String(report?.message), /callback of startServer/);
    assert.equal(String(report?.exception), 'Error: bad line');
  }),
);

test(
  'a server callback runs in the async context of startServer(), in a named task of its own',
  onNode(async () => {
    const storage = new AsyncLocalStorage<string>();
    const names: string[] = [];
    await using server = await storage.run('of the server', () =>
      startServer(
        async (reader, writer) => {
          const before = storage.getStore();
          const line = await reader.readline();
          names.push(currentTask()?.name ?? '');
          writer.write(`${before}, ${storage.getStore()}: ${line}`);
          writer.close();
        },
        '127.0.0.1',
        0,
      ),
    );
    const [reader, writer] = await storage.run('of the client', () =>
      openConnection('127.0.0.1', portOf(server)),
    );
    writer.write('line');
    writer.writeEof();
    assert.equal((await reader.read()).toString(), 'of the server, of the server: line');
    assert.deepEqual(names, [`connection from 127.0.0.1:${writer.getExtraInfo('sockname')?.[1]}`]);
    await writer.waitClosed();
  }),
);

test(
  '500 connections come and go, 50 at a time, and leave nothing behind',
  onNode(async (loop) => {
    await using server = await startServer(tolerant, '127.0.0.1', 0);
    const one = async (i: number): Promise<void> => {
      const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
      writer.write(`number ${i}\n`);
      assert.equal((await reader.readline()).toString(), `number ${i}\n`);
      if (i % 7 === 0) writer.transport.abort();
      else writer.close();
      await writer.waitClosed();
    };
    for (let i = 0; i < 500; i += 50) {
      const tasks = Array.from({ length: 50 }, (_, j) => loop.createTask(() => one(i + j)));
      for (const task of tasks) await task;
    }
    server.close();
    await server.waitClosed().catch(() => {});
    await untilStill(() => allTasks().size);
    assert.equal(allTasks().size, 1);
  }),
);

// --- opening ---

test(
  "openConnection() throws the system's error when no server listens",
  onNode(async () => {
    const server = await startServer(echo, '127.0.0.1', 0);
    const port = portOf(server);
    server.close();
    await server.waitClosed();
    await assert.rejects(openConnection('127.0.0.1', port), { code: 'ECONNREFUSED' });
  }),
);

test(
  'openConnection() that is cancelled, also by its signal, leaves no connection',
  onNode(async (loop) => {
    await using server = await startServer(tolerant, '127.0.0.1', 0);
    const port = portOf(server);
    for (let turns = 0; turns < 12; turns++) {
      const task = loop.createTask(async () => {
        const [, writer] = await openConnection('127.0.0.1', port);
        writer.close();
        await writer.waitClosed();
      });
      for (let i = 0; i < turns; i++) await sleep(0);
      task.cancel();
      await task.catch((error) => assert.ok(error instanceof CancelledError));
    }
    const controller = new AbortController();
    const opening = openConnection('127.0.0.1', port, { signal: controller.signal });
    controller.abort('why');
    await assert.rejects(opening, (error) => error instanceof CancelledError && error.cause === 'why');
    const late = openConnection('127.0.0.1', port, { signal: AbortSignal.abort('before') });
    await assert.rejects(late, (error) => error instanceof CancelledError && error.cause === 'before');
  }),
);

test(
  'openConnection() takes over a connected socket',
  onNode(async () => {
    await using server = await startServer(echo, '127.0.0.1', 0);
    const sock = net.connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true });
    await once(sock, 'connect');
    const [reader, writer] = await openConnection(null, null, { sock });
    writer.write('over');
    assert.equal((await reader.readexactly(4)).toString(), 'over');
    writer.close();
    await writer.waitClosed();
  }),
);

test(
  'openConnection() and startServer() pass their limit to their readers',
  onNode(async () => {
    await using server = await startServer(
      async (reader, writer) => {
        assert.equal(reader.limit, 100);
        await assert.rejects(reader.readuntil(';'), { code: 'ERR_LIMIT_OVERRUN' });
        writer.write('overrun');
        writer.close();
      },
      '127.0.0.1',
      0,
      { limit: 100 },
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server), { limit: 200 });
    assert.equal(reader.limit, 200);
    writer.write(Buffer.alloc(101));
    await assert.rejects(reader.readexactly(8), IncompleteReadError);
    writer.close();
    await writer.waitClosed();
  }),
);

test(
  'openConnection() and startServer() reject bad arguments at the call, and leave nothing half-started',
  onNode(async () => {
    const connect = openConnection as (...args: unknown[]) => unknown;
    const serve = startServer as (...args: unknown[]) => unknown;
    const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => connect('127.0.0.1', 80, null), TYPE);
    assert.throws(() => connect('127.0.0.1', 80, { limit: '5' }), TYPE);
    assert.throws(() => connect('127.0.0.1', 80, { limit: 0 }), RANGE);
    assert.throws(() => connect('127.0.0.1', 80, { limit: Number.NaN }), RANGE);
    assert.throws(() => connect('127.0.0.1', 80, { limits: 5 }), TYPE);
    assert.throws(() => connect('127.0.0.1', 80, { signal: 'x' }), TYPE);
    assert.throws(() => connect(5, 80), TYPE);
    assert.throws(() => connect('127.0.0.1', 65_536), RANGE);
    assert.throws(() => connect('127.0.0.1', ''), TYPE);
    assert.throws(() => connect(), TYPE);
    assert.throws(() => serve(), TYPE);
    assert.throws(() => serve('no function', '127.0.0.1', 0), TYPE);
    assert.throws(() => serve(echo, '127.0.0.1', 0, { limit: -1 }), RANGE);
    assert.throws(() => serve(echo, '127.0.0.1', 0, { factory: 1 }), TYPE);
    assert.throws(() => serve(echo, '127.0.0.1', Number.NaN), RANGE);
  }),
);

test('openConnection() and startServer() need a running loop', () => {
  assert.throws(() => openConnection('127.0.0.1', 80), { code: 'ERR_NO_RUNNING_LOOP' });
  assert.throws(() => startServer(echo, '127.0.0.1', 0), { code: 'ERR_NO_RUNNING_LOOP' });
});

test(
  'openConnection() with a signal that is already aborted starts no connect',
  onNode(async (loop) => {
    let connects = 0;
    const tcp = loop._backend.tcp as StreamSockets;
    const connect: StreamSockets['connect'] = (target, events) => {
      connects++;
      return tcp.connect(target, events);
    };
    Object.assign(loop._backend, { tcp: { ...tcp, connect } });
    const opening = openConnection('127.0.0.1', 9, { signal: AbortSignal.abort('why') });
    await assert.rejects(opening, { code: 'ERR_CANCELLED', cause: 'why' });
    assert.equal(connects, 0);
  }),
);
