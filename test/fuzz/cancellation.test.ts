/**
 * An operation that is cancelled at any await leaves the process as it was: no descriptor, no child, nothing
 * in the loop. The fault that this test looks for gives the answer of one user to another.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BaseEventLoop, Future, Transport } from '../../src/index.ts';
import {
  CancelledError,
  createSubprocessExec,
  DatagramProtocol,
  DEVNULL,
  NodeEventLoop,
  openConnection,
  PIPE,
  Protocol,
  SubprocessProtocol,
  sleep,
  UvEventLoop,
} from '../../src/index.ts';
import { whyNoNativeBackend } from '../../src/loops/uv-event-loop.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { portOf } from '../helpers/pairs.ts';
import type { Held } from './handles.ts';
import { held } from './handles.ts';

const skip = existsSync('/proc/self/fd') ? false : 'this system has no /proc';

/** The numbers of turns before the cancel: first each, then at growing distances. */
function* steps(): Generator<number> {
  for (let turns = 0; turns < 24; turns++) yield turns;
  for (let turns = 24; turns < 100_000; turns = Math.ceil(turns * 1.5)) yield turns;
}

interface Everything extends Held {
  resources: number;
}

function everything(loop: BaseEventLoop): Everything {
  return { ...held(), resources: loop._owned.resources.size };
}

/**
 * Counts resources once nothing changes any more: the other side of an earlier connection may still be
 * closing.
 */
async function atRest(loop: BaseEventLoop): Promise<Everything> {
  let now = everything(loop);
  for (let quiet = 0; quiet < 50; quiet++) {
    await sleep(0.001);
    const next = everything(loop);
    if (next.descriptors !== now.descriptors || next.resources !== now.resources) quiet = 0;
    now = next;
  }
  return now;
}

/** Waits until the process holds as little as before: the system closes in its own time. */
async function untilAsBefore(loop: BaseEventLoop, before: Everything, what: string): Promise<void> {
  let now = everything(loop);
  for (let turns = 0; turns < 20_000; turns++) {
    const { descriptors, children, resources } = now;
    if (descriptors <= before.descriptors && children <= before.children && resources <= before.resources) {
      return;
    }
    await sleep(turns < 100 ? 0 : 0.001);
    now = everything(loop);
  }
  assert.deepEqual(now, before, what);
}

/**
 * Starts `operation` again and again, and cancels each some turns later than the last, until it completes
 * three times in a row. Then disposes of its results.
 */
async function cancelEverywhere<T>(
  loop: BaseEventLoop,
  operation: (signal: AbortSignal) => Future<T>,
  putAway: (value: T) => PromiseLike<unknown>,
): Promise<number> {
  const before = await atRest(loop);
  let cancelled = 0;
  let ended = 0;
  for (const turns of steps()) {
    const controller = new AbortController();
    const future = operation(controller.signal);
    for (let turn = 0; turn < turns && !future.done(); turn++) await sleep(0);
    if (future.done()) ended++;
    // By the future and by the signal alternately.
    if (turns % 2 === 0) future.cancel();
    else controller.abort();
    try {
      await putAway(await future);
    } catch (error) {
      if (!(error instanceof CancelledError)) throw error;
      cancelled++;
    }
    await untilAsBefore(loop, before, `after ${turns} turns`);
    if (ended === 3) return cancelled;
  }
  assert.fail('it never ended by itself');
}

const LOOPS: readonly [name: string, make: () => BaseEventLoop, skip: string | false][] = [
  ['node', () => new NodeEventLoop(), skip],
  ['uv', () => new UvEventLoop(), skip || (whyNoNativeBackend()?.reason ?? false)],
];

function fuzz(title: string, body: (loop: BaseEventLoop) => Promise<void>): void {
  for (const [name, make, reason] of LOOPS) {
    test(`${title} leaves nothing when it is cancelled at any await (${name})`, { skip: reason }, () =>
      withLoop(make, (loop, reports) =>
        loop.runUntilComplete(async () => {
          await body(loop);
          // A client that closes in the middle of a handshake is nothing to report.
          assert.deepEqual(reports.takeMessages(), []);
        }),
      ),
    );
  }
}

const close = async ([transport]: [Transport, unknown]): Promise<void> => {
  transport.abort();
  await transport[Symbol.asyncDispose]();
};

fuzz('createConnection()', async (loop) => {
  const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
  const port = portOf(server);
  await close(await loop.createConnection(() => new Protocol(), 'localhost', port));
  const cancelled = await cancelEverywhere(
    loop,
    (signal) => loop.createConnection(() => new Protocol(), 'localhost', port, { signal }),
    close,
  );
  assert.ok(cancelled > 0);
  server.close();
  await server.waitClosed();
});

fuzz('openConnection()', async (loop) => {
  const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
  const port = portOf(server);
  const cancelled = await cancelEverywhere(
    loop,
    (signal) => openConnection('127.0.0.1', port, { signal }),
    async ([, writer]) => {
      writer.close();
      await writer.waitClosed();
    },
  );
  assert.ok(cancelled > 0);
  server.close();
  await server.waitClosed();
});

fuzz('createConnection() with TLS', async (loop) => {
  const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0, { ssl: serverTls() });
  const port = portOf(server);
  const options = { ssl: clientTls(), serverHostname: 'localhost' };
  await close(await loop.createConnection(() => new Protocol(), '127.0.0.1', port, options));
  const cancelled = await cancelEverywhere(
    loop,
    (signal) => loop.createConnection(() => new Protocol(), '127.0.0.1', port, { ...options, signal }),
    close,
  );
  assert.ok(cancelled > 0);
  server.close();
  await server.waitClosed();
});

fuzz('startTls()', async (loop) => {
  const accepted: Transport[] = [];
  const server = await loop.createServer(
    () => ({
      connectionMade: (transport: Transport) => {
        accepted.push(transport);
        const ready = loop.startTls(transport, new Protocol(), serverTls(), { serverSide: true });
        ready.addDoneCallback(() => {
          // The client disconnects at any moment, so its own outcome does not matter.
          if (!ready.cancelled()) ready.exception();
        });
      },
    }),
    '127.0.0.1',
    0,
  );
  const port = portOf(server);
  const start = (signal: AbortSignal): Future<[Transport, Protocol]> =>
    loop.createTask(async (): Promise<[Transport, Protocol]> => {
      const [plain, protocol] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port, {
        signal,
      });
      const options = { serverHostname: 'localhost', signal };
      return [await loop.startTls(plain, protocol, clientTls(), options), protocol];
    });
  await close(await start(new AbortController().signal));
  const cancelled = await cancelEverywhere(loop, start, close);
  assert.ok(cancelled > 0);
  server.close();
  await server.waitClosed();
});

fuzz('createServer(), with clients that come while it is given up', async (loop) => {
  const before = await atRest(loop);
  const cancelled = await cancelEverywhere(
    loop,
    (signal) => loop.createServer(() => new Protocol(), ['127.0.0.1', 'localhost'], 0, { signal }),
    async (server) => {
      const clients = await Promise.all(
        Array.from({ length: 5 }, () =>
          loop.createConnection(() => new Protocol(), '127.0.0.1', portOf(server)),
        ),
      );
      server.close();
      server.abortClients();
      for (const client of clients) await close(client);
      await server.waitClosed();
    },
  );
  assert.ok(cancelled > 0);
  await untilAsBefore(loop, before, 'at the end');
});

fuzz('createUnixServer() and createUnixConnection()', async (loop) => {
  const path = join(tmpdir(), `gyre-fuzz-${process.pid}.sock`);
  const servers = await cancelEverywhere(
    loop,
    (signal) => loop.createUnixServer(() => new Protocol(), path, { signal }),
    async (server) => {
      server.close();
      await server.waitClosed();
    },
  );
  assert.ok(servers > 0);
  assert.equal(existsSync(path), false, 'the socket file is left');
  const server = await loop.createUnixServer(() => new Protocol(), path);
  const connections = await cancelEverywhere(
    loop,
    (signal) => loop.createUnixConnection(() => new Protocol(), path, { signal }),
    close,
  );
  assert.ok(connections > 0);
  server.close();
  await server.waitClosed();
});

fuzz('createDatagramEndpoint()', async (loop) => {
  const cancelled = await cancelEverywhere(
    loop,
    (signal) =>
      loop.createDatagramEndpoint(() => new DatagramProtocol(), {
        localAddr: ['localhost', 0],
        remoteAddr: ['localhost', 9],
        signal,
      }),
    async ([transport]) => {
      await transport[Symbol.asyncDispose]();
    },
  );
  assert.ok(cancelled > 0);
});

fuzz('subprocessExec()', async (loop) => {
  const cancelled = await cancelEverywhere(
    loop,
    (signal) => loop.subprocessExec(() => new SubprocessProtocol(), 'sleep', ['60'], { signal }),
    async ([transport]) => {
      transport.kill();
      await transport[Symbol.asyncDispose]();
    },
  );
  assert.ok(cancelled > 0);
});

fuzz('createSubprocessExec()', async (loop) => {
  const cancelled = await cancelEverywhere(
    loop,
    (signal) =>
      createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE, stderr: DEVNULL, signal }) as Future<
        Awaited<ReturnType<typeof createSubprocessExec>>
      >,
    async (child) => {
      assert.equal((await child.communicate('meow'))[0]?.toString(), 'meow');
    },
  );
  assert.ok(cancelled > 0);
});

fuzz('getaddrinfo() and getnameinfo()', async (loop) => {
  const addresses = await cancelEverywhere(
    loop,
    (signal) => loop.getaddrinfo('localhost', 'http', { signal }),
    async () => {},
  );
  const names = await cancelEverywhere(
    loop,
    (signal) => loop.getnameinfo(['127.0.0.1', 80], 0, { signal }),
    async () => {},
  );
  assert.ok(addresses > 0 && names > 0);
});
