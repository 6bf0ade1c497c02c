/**
 * Each allocation of the native part fails once, one after the other. The caller gets an error, and nothing
 * is left open, crashes or waits for ever.
 */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildNative, whyNotNative } from '../../../scripts/build-native.mjs';
import type { Id } from '../../../src/backend/uv/addon.ts';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { Transport, TransportSocket } from '../../../src/index.ts';
import {
  AF_INET,
  createSubprocessExec,
  DatagramProtocol,
  openConnection,
  PIPE,
  Protocol,
  UvEventLoop,
  waitFor,
} from '../../../src/index.ts';
import type { Held } from '../../fuzz/handles.ts';
import { held } from '../../fuzz/handles.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import { tooFewDescriptors } from '../../helpers/machine.ts';
import { RawAddon } from './raw-addon.ts';

const ENOMEM = -12;

const skip = whyNotNative() ?? false;
if (skip === false) process.env.GYRE_NATIVE ??= buildNative('faults');

const noPidfd =
  skip === false && !new RawAddon().addon.hasPidfd() && 'the kernel has no descriptors of processes';

/** A function of the build for tests. */
interface Faulty {
  /** Makes the n-th allocation from now on fail; negative: none. Returns the number that was left before. */
  failAllocation(n: number): number;
}

/** Longer than any scenario takes, however loaded the machine is. */
const PATIENCE_SECONDS = 20;

/** The errors that a scenario may end with: no memory, or a peer without memory. */
const FAILURES = new Set(['ENOMEM', 'ENOBUFS', 'ECONNRESET', 'EPIPE', 'ENOTCONN', 'ECONNREFUSED', 'EBADF']);

/**
 * Runs `scenario` on a loop of its own with its n-th allocation failing, for each n until none fails. Returns
 * the number of allocations.
 */
async function failEverywhere(scenario: (loop: UvEventLoop) => Promise<unknown>): Promise<number> {
  // Allocations that happen once per process happen before.
  await runFailing(-1, scenario);
  await untilNothingIsOpen();
  const before = held();
  for (let n = 0; ; n++) {
    const fired = await runFailing(n, scenario);
    await untilNothingIsOpen();
    for (let passes = 0; passes < 5000 && isMore(held(), before); passes++) await hostPass();
    assert.ok(!isMore(held(), before), `allocation ${n}: ${JSON.stringify([before, held()])}`);
    if (!fired) return n;
  }
}

async function untilNothingIsOpen(): Promise<void> {
  for (let passes = 0; passes < 1_000_000 && addon().openCount() > 0; passes++) await hostPass();
  assert.equal(addon().openCount(), 0);
}

function isMore(now: Held, before: Held): boolean {
  return now.descriptors > before.descriptors || now.children > before.children;
}

/** Returns whether an allocation failed. */
async function runFailing(n: number, scenario: (loop: UvEventLoop) => Promise<unknown>): Promise<boolean> {
  const loop = new UvEventLoop();
  loop.setExceptionHandler(() => {});
  const faulty = addon() as unknown as Faulty;
  try {
    await loop.runUntilComplete(async () => {
      faulty.failAllocation(n);
      await waitFor(scenario(loop), PATIENCE_SECONDS);
    });
    return faulty.failAllocation(-1) < 0 && n >= 0;
  } catch (error) {
    const fired = faulty.failAllocation(-1) < 0;
    assert.ok(fired, error as Error);
    const { code } = error as NodeJS.ErrnoException;
    assert.ok(FAILURES.has(String(code)), `allocation ${n}: ${(error as Error).stack}`);
    return true;
  } finally {
    loop.close();
  }
}

/** Returns all data to its sender. */
class Echo extends Protocol {
  #transport: Transport | null = null;
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }
  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
  }
}

/** Sends a question, and ends with the answer or the error. */
class Asker extends Protocol {
  readonly #size: number;
  readonly #done: (error: Error | null) => void;
  #received: number = 0;
  #transport: Transport | null = null;

  constructor(size: number, done: (error: Error | null) => void) {
    super();
    this.#size = size;
    this.#done = done;
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    transport.write(Buffer.alloc(this.#size));
  }

  override dataReceived(data: Buffer): void {
    this.#received += data.length;
    if (this.#received === this.#size) this.#transport?.close();
  }

  override connectionLost(error: Error | null): void {
    // The server has no memory for the connection, and closes it.
    const unanswered = Object.assign(new Error('no answer'), { code: 'ECONNRESET' });
    this.#done(error ?? (this.#received === this.#size ? null : unanswered));
  }
}

function ask(size: number, connect: (factory: () => Asker) => PromiseLike<unknown>): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const done = (error: Error | null): void => (error === null ? resolve() : reject(error));
    connect(() => new Asker(size, done)).then(undefined, reject);
  });
}

const SIZE = 4_000_000;

test('TCP reports each failed allocation, and leaves nothing open', { skip }, async () => {
  const allocations = await failEverywhere(async (loop) => {
    const server = await loop.createServer(() => new Echo(), '127.0.0.1', 0);
    const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
    try {
      await ask(SIZE, (factory) => loop.createConnection(factory, '127.0.0.1', port));
    } finally {
      server.close();
      server.abortClients();
    }
  });
  // A listener, a connection, its accepted side, and a write that waits; more if the answer waits, too.
  assert.ok(allocations >= 4, `${allocations}`);
});

test('a server without memory turns clients away, and serves later ones', { skip }, async () => {
  let turnedAway = 0;
  await failEverywhere(async (loop) => {
    const server = await loop.createServer(() => new Echo(), '127.0.0.1', 0);
    const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
    try {
      for (let i = 0; i < 3; i++) {
        try {
          await ask(10, (factory) => loop.createConnection(factory, '127.0.0.1', port));
        } catch (error) {
          if (i > 0) throw error;
          turnedAway++;
        }
      }
    } finally {
      server.close();
      server.abortClients();
    }
  });
  assert.ok(turnedAway > 2, `${turnedAway}`);
});

test('writeEof() reports each failed allocation, and leaves nothing open', { skip }, async () => {
  await failEverywhere(async (loop) => {
    class AtEnd extends Echo {
      override eofReceived(): boolean {
        return false;
      }
    }
    const server = await loop.createServer(() => new AtEnd(), '127.0.0.1', 0);
    const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
    try {
      const [reader, writer] = await openConnection('127.0.0.1', port);
      try {
        writer.write('question');
        writer.writeEof();
        assert.equal(String(await reader.read()), 'question');
      } finally {
        writer.close();
        await writer.waitClosed();
      }
    } finally {
      server.close();
      server.abortClients();
    }
  });
});

test('unix sockets report each failed allocation, and leave nothing open', { skip }, async () => {
  const path = join(tmpdir(), `gyre-faults-${process.pid}.sock`);
  const allocations = await failEverywhere(async (loop) => {
    const server = await loop.createUnixServer(() => new Echo(), path);
    try {
      await ask(SIZE, (factory) => loop.createUnixConnection(factory, path));
    } finally {
      server.close();
      server.abortClients();
    }
  });
  assert.ok(allocations >= 4, `${allocations}`);
});

test('pipes report each failed allocation, and leave nothing open', { skip }, async () => {
  const allocations = await failEverywhere(async (loop) => {
    const [from, to] = addon().pipe() as [number, number];
    // If the take-over fails, the test closes the descriptors.
    const left = new Set([from, to]);
    try {
      await ask(SIZE, async (factory) => {
        const asker = factory();
        const ended = (error: Error | null): void => asker.connectionLost(error);
        const [input] = await loop.connectReadPipe(
          () => ({ dataReceived: (data: Buffer) => asker.dataReceived(data), connectionLost: ended }),
          from,
        );
        left.delete(from);
        try {
          await loop.connectWritePipe(
            () => ({ connectionMade: (to: Transport) => asker.connectionMade(to) }),
            to,
          );
        } catch (error) {
          input.close();
          throw error;
        }
        left.delete(to);
      });
    } finally {
      for (const fd of left) closeSync(fd);
    }
  });
  assert.ok(allocations > 2, `${allocations}`);
});

test('datagrams report each failed allocation, and leave nothing open', { skip }, async () => {
  const allocations = await failEverywhere(async (loop) => {
    const answered = loop.createFuture<void>();
    class Far extends DatagramProtocol {
      override datagramReceived(): void {
        if (!answered.done()) answered.setResult(undefined);
      }
      override errorReceived(error: Error): void {
        if (!answered.done()) answered.setException(error);
      }
    }
    const [far] = await loop.createDatagramEndpoint(() => new Far(), { localAddr: ['127.0.0.1', 0] });
    const remoteAddr = far.getExtraInfo('sockname') as [string, number];
    const [near] = await loop.createDatagramEndpoint(() => new DatagramProtocol(), { remoteAddr });
    // A datagram without memory for it is lost, as datagrams may be.
    const sending = loop.callLater(0, function again(): void {
      near.sendto('x');
      if (!answered.done()) loop.callLater(0.01, again);
    });
    try {
      await answered;
    } finally {
      sending.cancel();
      near.abort();
      far.abort();
    }
  });
  assert.ok(allocations > 2, `${allocations}`);
});

test('name look-ups report each failed allocation', { skip }, async () => {
  await failEverywhere(async (loop) => {
    const found = await loop.getaddrinfo('localhost', 'http', { family: AF_INET });
    assert.deepEqual(found[0]?.sockaddr, ['127.0.0.1', 80]);
    assert.deepEqual(await loop.getnameinfo(['127.0.0.1', 80]), ['localhost', 'http']);
  });
});

test('subprocesses report each failed allocation, and leave nothing open', {
  skip: skip || noPidfd,
}, async () => {
  const allocations = await failEverywhere(async () => {
    await using child = await createSubprocessExec('cat', [], { stdin: PIPE, stdout: PIPE });
    const [output] = await child.communicate(Buffer.alloc(300_000));
    assert.equal(output?.length ?? 0, 300_000);
    assert.equal(await child.wait(), 0);
  });
  assert.ok(allocations > 8, `${allocations}`);
});

test('a full table of handles fails the next handle, and works again later', {
  skip: skip || tooFewDescriptors(600),
}, async () => {
  const ROOM = 256;
  const open = ({ addon }: RawAddon): Id => addon.datagram(AF_INET, null, null, false, false);
  for (let n = 0; ; n++) {
    const raw = new RawAddon();
    const { failAllocation } = raw.addon as unknown as Faulty;
    const ids: Id[] = [];
    for (let i = 0; i < ROOM; i++) ids.push(open(raw));
    failAllocation(n);
    const first = open(raw);
    const fired = failAllocation(-1) < 0;
    if (fired) assert.equal(first, ENOMEM);
    else ids.push(first);
    for (let i = 0; i < ROOM; i++) ids.push(open(raw));
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => raw.addon.fileno(id) > 2));
    for (const id of ids) raw.addon.close(id);
    await raw.untilOpen(0);
    if (!fired) {
      assert.equal(n, 4);
      return;
    }
  }
});

test('opening the native part returns null if an allocation fails', { skip }, () => {
  new UvEventLoop().close();
  const native = createRequire(import.meta.url)(String(process.env.GYRE_NATIVE));
  const { failAllocation } = addon() as unknown as Faulty;
  let failures = 0;
  for (let n = 0; ; n++) {
    failAllocation(n);
    const opened = native.open(() => {}, [], []);
    const fired = failAllocation(-1) < 0;
    if (!fired) break;
    assert.equal(opened, null);
    failures++;
  }
  assert.ok(failures > 3, `${failures}`);
});
