import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BaseEventLoop, Transport } from '../../../src/index.ts';
import { gather, Protocol, sleep } from '../../../src/index.ts';
import { HostLoop, Hosts } from './hosts.ts';
import { codeOf } from './wire.ts';

class Recorder extends Protocol {
  readonly log: string[] = [];
  received: Buffer = Buffer.alloc(0);
  transport: Transport | null = null;
  keepsOpen: boolean = false;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
    this.log.push('made');
  }

  override dataReceived(data: Buffer): void {
    this.received = Buffer.concat([this.received, data]);
  }

  override eofReceived(): boolean {
    this.log.push('eof');
    return this.keepsOpen;
  }

  override pauseWriting(): void {
    this.log.push('pause');
  }

  override resumeWriting(): void {
    this.log.push('resume');
  }

  override connectionLost(error: Error | null): void {
    this.log.push(error === null ? 'lost' : `lost ${codeOf(error)}`);
  }
}

class Echo extends Recorder {
  override dataReceived(data: Buffer): void {
    this.transport?.write(data);
  }
}

interface World {
  hosts: Hosts;
  near: HostLoop;
  far: HostLoop;
}

/** Runs a server and a client on two hosts, until both are done. */
async function onTwoHosts(
  server: (world: World) => Promise<unknown>,
  client: (world: World) => Promise<unknown>,
): Promise<void> {
  const hosts = new Hosts();
  const near = new HostLoop(hosts.add('near'));
  const far = new HostLoop(hosts.add('far'));
  const world = { hosts, near, far };
  await Promise.all([
    far.runUntilComplete(() => server(world)),
    near.runUntilComplete(async () => {
      await sleep(0.1);
      await client(world);
    }),
  ]);
  near.close();
  far.close();
}

/** Serves one connection until it is lost. */
async function serveOne(loop: BaseEventLoop, protocol: Recorder, host: string = '10.0.0.2'): Promise<void> {
  const server = await loop.createServer(() => protocol, host, 80);
  while (!protocol.log.some((line) => line.startsWith('lost'))) await sleep(0.05);
  server.close();
}

test('a transport echoes, and both sides close in order', async () => {
  const [left, right] = [new Recorder(), new Echo()];
  await onTwoHosts(
    ({ far }) => serveOne(far, right),
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      assert.deepEqual(transport.getExtraInfo('peername'), ['10.0.0.2', 80]);
      transport.write('hello');
      await sleep(1);
      transport.close();
      await sleep(1);
    },
  );
  assert.equal(left.received.toString(), 'hello');
  assert.deepEqual(left.log, ['made', 'lost']);
  assert.deepEqual(right.log, ['made', 'eof', 'lost']);
});

test('a transfer of 1 MiB to a slow reader pauses the writer, and loses nothing', async () => {
  const size = 1_048_576;
  const [left, right] = [new Recorder(), new Recorder()];
  await onTwoHosts(
    async ({ far }) => {
      const served = serveOne(far, right);
      while (right.transport === null) await sleep(0.01);
      right.transport.pauseReading();
      await sleep(10);
      while (right.received.length < size) {
        right.transport.resumeReading();
        await sleep(0.001);
        right.transport.pauseReading();
        await sleep(0.1);
      }
      right.transport.resumeReading();
      await served;
    },
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      await sleep(1);
      transport.write(Buffer.from(Array.from({ length: size }, (_, i) => i % 241)));
      await sleep(5);
      // The buffers of both kernels are full, and the transport has the rest.
      assert.equal(transport.getWriteBufferSize(), size);
      transport.close();
      while (!left.log.includes('lost')) await sleep(1);
    },
  );
  assert.equal(right.received.length, size);
  assert.ok(right.received.every((byte, i) => byte === i % 241));
  assert.deepEqual(left.log.slice(0, 2), ['made', 'pause']);
});

test('after a half-close the other direction still works', async () => {
  const [left, right] = [new Recorder(), new Recorder()];
  right.keepsOpen = true;
  await onTwoHosts(
    async ({ far }) => {
      const served = serveOne(far, right);
      while (!right.log.includes('eof')) await sleep(0.01);
      await sleep(5);
      right.transport?.write(`got ${right.received}`);
      right.transport?.close();
      await served;
    },
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      transport.write('question');
      transport.writeEof();
      await sleep(20);
    },
  );
  assert.equal(left.received.toString(), 'got question');
  assert.deepEqual(left.log, ['made', 'eof', 'lost']);
});

test('an abort resets the connection, and the peer learns ECONNRESET', async () => {
  const [left, right] = [new Recorder(), new Recorder()];
  await onTwoHosts(
    ({ far }) => serveOne(far, right),
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      transport.abort();
      await sleep(1);
    },
  );
  assert.deepEqual(left.log, ['made', 'lost']);
  assert.deepEqual(right.log, ['made', 'lost ECONNRESET']);
});

test('a connect fails by ECONNREFUSED, EHOSTUNREACH, or ETIMEDOUT after 127 s', async () => {
  await onTwoHosts(
    () => sleep(1),
    async ({ near, far, hosts }) => {
      const failure = async (host: string): Promise<[string | undefined, number]> => {
        const begin = near.time();
        try {
          await near.createConnection(() => new Recorder(), host, 81);
          return [undefined, 0];
        } catch (error) {
          return [codeOf(error), Math.round((near.time() - begin) * 1000) / 1000];
        }
      };
      assert.deepEqual(await failure('10.0.0.2'), ['ECONNREFUSED', 0.001]);
      assert.deepEqual(await failure('10.0.0.3'), ['EHOSTUNREACH', 3]);
      hosts.stop();
      assert.deepEqual(await failure('10.0.0.2'), ['ETIMEDOUT', 127]);
      assert.equal(far.isClosed(), false);
    },
  );
});

test('a paused host receives nothing in its programs until it goes on, and its kernel still answers', async () => {
  const [left, right] = [new Recorder(), new Echo()];
  await onTwoHosts(
    ({ far }) => serveOne(far, right),
    async ({ near, far }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      await sleep(1);
      far.kernel.host.pause();
      transport.write('hello');
      await sleep(3600);
      assert.equal(left.received.length, 0);
      far.kernel.host.resume();
      await sleep(1);
      assert.equal(left.received.toString(), 'hello');
      transport.close();
      await sleep(1);
    },
  );
});

test('two loops of one host talk over loopback', async () => {
  const hosts = new Hosts();
  const kernel = hosts.add('host');
  const [first, second] = [new HostLoop(kernel), new HostLoop(kernel)];
  const [left, right] = [new Recorder(), new Echo()];
  await Promise.all([
    first.runUntilComplete(() => serveOne(first, right, '127.0.0.1')),
    second.runUntilComplete(async () => {
      await sleep(0.1);
      const [transport] = await second.createConnection(() => left, '127.0.0.1', 80);
      transport.write('hello');
      await sleep(0.0002);
      assert.equal(left.received.toString(), 'hello');
      transport.close();
      await sleep(1);
    }),
  ]);
  first.close();
  second.close();
});

test('a thousand connections at once are all served', async () => {
  const lost: Recorder[] = [];
  await onTwoHosts(
    async ({ far }) => {
      const server = await far.createServer(() => new Echo(), '10.0.0.2', 80, { backlog: 2000 });
      await sleep(60);
      server.close();
      await server.waitClosed();
    },
    async ({ near }) => {
      const one = async (i: number): Promise<void> => {
        const protocol = new Recorder();
        const [transport] = await near.createConnection(() => protocol, '10.0.0.2', 80);
        for (let round = 0; round < 5; round++) {
          transport.write(`${i}.`);
          await sleep(0.5);
        }
        assert.equal(protocol.received.toString(), `${i}.`.repeat(5));
        transport.close();
        await sleep(1);
        if (protocol.log.includes('lost')) lost.push(protocol);
      };
      await gather(...Array.from({ length: 1000 }, (_, i) => one(i)));
    },
  );
  assert.equal(lost.length, 1000);
});

test('a memory that is transferred while its data waits ends the connection by EFAULT', async () => {
  const [left, right] = [new Recorder(), new Recorder()];
  await onTwoHosts(
    async ({ far }) => {
      const served = serveOne(far, right);
      while (right.transport === null) await sleep(0.01);
      right.transport.pauseReading();
      await sleep(5);
      right.transport.resumeReading();
      await served;
    },
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      await sleep(1);
      const data = new Uint8Array(1_000_000);
      transport.write(data);
      await sleep(1);
      structuredClone(data.buffer, { transfer: [data.buffer] });
      await sleep(10);
    },
  );
  assert.deepEqual(left.log.at(-1), 'lost EFAULT');
});

test('the socket of a transport has a descriptor, and options with the values of Linux', async () => {
  const [left, right] = [new Recorder(), new Recorder()];
  await onTwoHosts(
    ({ far }) => serveOne(far, right),
    async ({ near }) => {
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      const socket = transport.getExtraInfo('socket') ?? assert.fail();
      assert.ok(socket.fileno() >= 3);
      const [level, keepAlive, type, receive, noDelay] = [1, 9, 3, 8, 1];
      assert.equal(socket.getsockopt(level, type), 1);
      assert.equal(socket.getsockopt(level, keepAlive), 0);
      socket.setKeepAlive(true, 30);
      assert.equal(socket.getsockopt(level, keepAlive), 1);
      assert.deepEqual(
        [4, 5, 6].map((option) => socket.getsockopt(6, option)),
        [30, 1, 10],
      );
      assert.equal(socket.getsockopt(6, noDelay), 1);
      socket.setsockopt(level, receive, 4096);
      assert.equal(socket.getsockopt(level, receive), 8192, 'Linux doubles it');
      assert.throws(
        () => socket.getsockopt(level, 9999),
        (error) => codeOf(error) === 'ENOPROTOOPT',
      );
      transport.close();
      await sleep(1);
      assert.equal(socket.fileno(), -1);
    },
  );
});

test('a server that cannot accept for want of descriptors goes on when there are some', async () => {
  const hosts = new Hosts();
  const [near, far] = [new HostLoop(hosts.add('near')), new HostLoop(hosts.add('far'))];
  const reports: unknown[] = [];
  far.setExceptionHandler((_loop, { exception }) => reports.push(codeOf(exception)));
  await Promise.all([
    far.runUntilComplete(async () => {
      const server = await far.createServer(() => new Echo(), '10.0.0.2', 80);
      far.kernel.machine.descriptors.limit = far.kernel.machine.descriptors.size;
      await sleep(5);
      far.kernel.machine.descriptors.limit = 1000;
      await sleep(20);
      server.close();
    }),
    near.runUntilComplete(async () => {
      await sleep(1);
      const left = new Recorder();
      const [transport] = await near.createConnection(() => left, '10.0.0.2', 80);
      await sleep(10);
      const again = new Recorder();
      const [second] = await near.createConnection(() => again, '10.0.0.2', 80);
      second.write('hello');
      await sleep(1);
      assert.equal(again.received.toString(), 'hello');
      transport.close();
      second.close();
      await sleep(1);
    }),
  ]);
  assert.ok(reports.includes('EMFILE'));
  near.close();
  far.close();
});
