import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { formatAddress } from '../../src/base/address.ts';
import type { SocketAddress } from '../../src/index.ts';
import { NodeEventLoop, Protocol, sleep } from '../../src/index.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { noIPv6 } from '../helpers/machine.ts';
import {
  cloggedPair,
  closed,
  foreignServer,
  freePort,
  listeningNodeServer,
  portOf,
  Recorder,
  recorders,
} from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { assertSockets, socketCount } from './sockets.ts';

// --- a stopped loop ---

test('a stopped loop calls no protocol, and loses nothing until its next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const near = new Recorder();
      const { transport, socket } = await loop.runUntilComplete(() => foreignServer(loop, near));
      const chunks: Buffer[] = [];
      socket.on('data', (data) => chunks.push(data));

      // Small data, then much, then the end; and in the other direction.
      socket.write('first');
      await hostPasses();
      transport.write('written while it is stopped');
      await once(socket, 'data');
      assert.equal(Buffer.concat(chunks).toString(), 'written while it is stopped');
      socket.end(Buffer.alloc(1024 * 1024, 'x'));
      await hostPasses();
      assert.deepEqual(near.log, ['made']);
      assert.equal(transport.isClosing(), false);

      await loop.runUntilComplete(() => near.untilReceived(5 + 1024 * 1024));
      await hostPasses();
      await loop.runUntilComplete(() => near.untilLost());
      assert.deepEqual(near.log, ['made', 'data', 'eof', 'lost']);
      assert.equal(near.exception, null);
      assert.equal(near.text.slice(0, 6), 'firstx');
      await closed(socket);
    },
  ));

test('a reset while the loop is stopped is reported in its next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const near = new Recorder();
      const { transport, socket } = await loop.runUntilComplete(() => foreignServer(loop, near));
      socket.resetAndDestroy();
      await hostPasses();
      assert.deepEqual(near.log, ['made']);
      await loop.runUntilComplete(() => near.untilLost());
      assert.deepEqual(near.log, ['made', 'lost']);
      assert.equal((near.exception as NodeJS.ErrnoException).code, 'ECONNRESET');
      assert.equal(transport.isClosing(), true);
    },
  ));

test('close() and abort() on a stopped loop reach the peer at once, and the protocol in the next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      for (const how of ['close', 'abort'] as const) {
        const near = new Recorder();
        const { transport, socket } = await loop.runUntilComplete(() => foreignServer(loop, near));
        socket.resume();
        const seen =
          how === 'close'
            ? once(socket, 'end').then(() => 'end')
            : once(socket, 'error').then(([error]) => (error as NodeJS.ErrnoException).code);
        transport[how]();
        assert.equal(await seen, how === 'close' ? 'end' : 'ECONNRESET');
        await hostPasses();
        assert.deepEqual(near.log, ['made']);
        await loop.runUntilComplete(() => near.untilLost());
        assert.equal(near.exception, null);
        await closed(socket);
      }
    },
  ));

test('a clogged transport of a stopped loop sends the rest in the next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { near, far, written } = await loop.runUntilComplete(() => cloggedPair(loop));
      near.transport.close();
      await hostPasses();
      assert.deepEqual(near.log, ['made', 'pause']);
      far.transport.resumeReading();
      await hostPasses();
      assert.deepEqual(far.log, ['made']);
      await loop.runUntilComplete(async () => {
        await far.untilLost();
        await near.untilLost();
      });
      assert.equal(far.received, written);
      assert.deepEqual(near.log, ['made', 'pause', 'resume', 'lost']);
    },
  ));

test('connections converse over a loop that is stopped and run again every few turns', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { near, far } = await loop.runUntilComplete(() => recorders(loop));
      const received = far.dataReceived;
      far.dataReceived = (data) => {
        received.call(far, data);
        far.transport.write(data);
      };
      let sent = '';
      for (let i = 0; near.text.length < 2000; i++) {
        if (sent.length < 2000) {
          const word = `${i} `.padEnd(40, '.');
          sent += word;
          if (i % 2 === 0) near.transport.write(word);
          else loop.callSoon(() => near.transport.write(word));
        }
        await loop.runUntilComplete(async () => {
          for (let j = 0; j < i % 4; j++) await sleep(0);
        });
        if (i % 3 === 0) await hostPasses();
      }
      assert.equal(near.text, sent);
      await loop.runUntilComplete(async () => {
        near.transport.close();
        await far.untilLost();
        await near.untilLost();
      });
    },
  ));

// --- a closed loop ---

test(
  'loop.close() ends open transports and servers and names each, without a call of their protocols',
  { skip: noIPv6 },
  () =>
    withLoop(
      () => new NodeEventLoop(),
      async (loop, reports) => {
        const before = socketCount();
        const foreign = await listeningNodeServer();
        const { server, near, far, clogged } = await loop.runUntilComplete(async () => {
          const pair = await recorders(loop);
          return {
            server: await loop.createServer(() => new Protocol(), ['127.0.0.1', '::1'], 0),
            ...pair,
            clogged: await cloggedPair(loop),
          };
        });
        const port = portOf(server);
        const all = [near, far, clogged.near, clogged.far];
        const logs = all.map(({ log }) => [...log]);
        const address = ({ transport }: Recorder, name: 'peername' | 'sockname'): string =>
          formatAddress(transport.getExtraInfo(name) as SocketAddress);
        const open = (one: Recorder): string =>
          `the event loop was closed, but a connection with ${address(one, 'peername')} was still open`;
        const accepted = (one: Recorder): string =>
          `${open(one)}, accepted by the server on ${address(one, 'sockname')}`;
        loop.close();
        assert.deepEqual(reports.takeMessages().sort(), [
          ...[open(near), accepted(far), open(clogged.near), accepted(clogged.far)].sort(),
          `the event loop was closed, but a server was still listening on 127.0.0.1:${port}, [::1]:${port}`,
        ]);
        assert.deepEqual([server.isServing(), near.transport.isClosing()], [false, true]);
        await hostPasses();
        assert.deepEqual(
          all.map(({ log }) => log),
          logs,
        );
        await closed(foreign.server);
        await assertSockets(before, 'a socket is left');
      },
    ),
);

test('loop.close() names transports that were already closing', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const { near, far } = await loop.runUntilComplete(() => cloggedPair(loop));
      near.transport.close();
      far.keepOpen = true;
      far.transport.writeEof();
      loop.close();
      const messages = reports.takeMessages();
      assert.equal(messages.length, 2);
      assert.match(messages.join('\n'), /was still closing/);
      assert.match(messages.join('\n'), /was still eofSent/);
      await hostPasses();
      assert.deepEqual([near.lost, far.lost], [false, false]);
    },
  ));

test('loop.close() cancels pending connects and names each, and nothing opens later', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const before = socketCount();
      const { server: foreign, port } = await listeningNodeServer();
      let made = 0;
      const factory = (): Protocol => {
        made++;
        return new Protocol();
      };
      const openings = [
        loop.createConnection(factory, '127.0.0.1', port),
        loop.createConnection(factory, 'localhost', port),
        loop.createServer(factory, '127.0.0.1', 0),
        loop.createServer(factory, ['::1', '127.0.0.1'], await freePort()),
      ];
      const outcomes = openings.map((opening) =>
        (opening as Promise<unknown>).then(
          () => 'opened',
          (error) => error.code,
        ),
      );
      // Literal addresses are requested a few microtasks later.
      for (let i = 0; i < 20; i++) await null;
      loop.close();
      const messages = reports.takeMessages().join('\n');
      assert.match(messages, /connecting to 127\.0\.0\.1:\d+ was still under way/);
      assert.match(messages, /looking up localhost was still under way/);
      assert.match(messages, /a server was still starting/);
      assert.match(messages, /opening a server on \[::1\]:\d+ was still under way/);
      assert.deepEqual(await Promise.all(outcomes), Array(4).fill('ERR_CANCELLED'));
      await hostPasses();
      assert.equal(made, 0);
      await closed(foreign);
      await assertSockets(before, 'a socket is left');
    },
  ));

test('an operation that continues after its loop was closed, between two awaits, opens nothing', async () => {
  const before = socketCount();
  await withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const port = await freePort();
      loop.createConnection(() => new Protocol(), '127.0.0.1', port).catch(() => {});
      loop.createServer(() => new Protocol(), ['127.0.0.1', '::1'], 0).catch(() => {});
      const asked: string[] = [];
      const ask = (method: string) => () => {
        asked.push(method);
        return { cancel: () => {} } as never;
      };
      Object.assign(loop._backend, {
        tcp: { connect: ask('connect'), listen: ask('listen') },
        names: { resolve: ask('resolve') },
      });
      loop.close();
      await hostPasses();
      assert.deepEqual(asked, []);
      reports.take();
    },
  );
  await assertSockets(before, 'a socket was opened');
});

test('loop.close() after any number of turns of a connect leaves no socket', async () => {
  const before = socketCount();
  const { server: foreign, port } = await listeningNodeServer();
  foreign.on('connection', (socket) => socket.on('end', () => socket.destroy()).resume());
  const open = socketCount();
  for (let turns = 0; turns <= 12; turns++) {
    await withLoop(
      () => new NodeEventLoop(),
      async (loop, reports) => {
        loop.createConnection(() => new Protocol(), null, port, { happyEyeballsDelay: 0 }).catch(() => {});
        loop.createServer(() => new Protocol(), ['127.0.0.1', '::1', '127.0.0.2'], 0).catch(() => {});
        await loop.runUntilComplete(async () => {
          for (let i = 0; i < turns; i++) await sleep(0);
        });
        loop.close();
        assert.ok(reports.take().length > 0);
      },
    );
    await hostPasses();
    await assertSockets(open, `closed after ${turns} turns`);
  }
  await closed(foreign);
  await assertSockets(before, 'a socket is left');
});

test('a leak report in debug mode names the place of creation', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      loop.debug = true;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      await loop.runUntilComplete(() => loop.createServer(() => new Protocol(), '127.0.0.1', 0));
      loop.close();
      const [report] = reports.take();
      assert.match(String(report?.message), /a server was still listening/);
      assert.match(String(report?.sourceTraceback), /stopped-and-closed\.test\.ts/);
    },
  ));

// --- the process ---

const run = promisify(execFile);
const child = fileURLToPath(new URL('./exit.child.ts', import.meta.url));

for (const ending of ['stop', 'close']) {
  test(
    `a process can exit with servers and connections open, when its loop is ${ending}ped`.replace(
      'closeped',
      'closed',
    ),
    async () => {
      const cwd = fileURLToPath(new URL('../..', import.meta.url));
      // A process that does not exit is killed after a minute, and then `run` rejects.
      const { stdout } = await run(process.execPath, [...loaderOptions, child, ending], {
        cwd,
        timeout: 60_000,
      });
      const { told, reports } = JSON.parse(stdout) as { told: string[]; reports: string[] };
      assert.deepEqual(told, []);
      if (ending === 'stop') {
        assert.deepEqual(reports, []);
        return;
      }
      const all = reports.join('\n');
      assert.match(all, /a server was still listening on 0\.0\.0\.0:\d+, \[::\]:\d+/);
      assert.match(all, /a connection with 127\.0\.0\.1:\d+ was still open/);
    },
  );
}
