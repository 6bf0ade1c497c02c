import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SocketAddress } from '../../../src/index.ts';
import { AF_INET, NodeEventLoop, sleep } from '../../../src/index.ts';
import {
  addressOf,
  DatagramRecorder,
  endAll,
  endpoint,
  endpointPair,
  freeUdpPort,
  nodeSocket,
} from '../../helpers/datagrams.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { needsNodeSockets, onNode } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { assertSockets, socketCount } from '../sockets.ts';

// --- the end ---

for (const ending of ['close', 'abort'] as const) {
  test(
    `${ending}() calls connectionLost(null) once, on a later turn, and frees the port`,
    onNode(async (loop) => {
      const before = socketCount();
      const { near, far } = await endpointPair(loop);
      const { transport } = far;
      const [host, port] = addressOf(far);
      near.transport.sendto('never read');
      const turns: string[] = [];
      loop.callSoon(() => turns.push(`next turn, lost: ${far.lost}`));
      transport[ending]();
      transport[ending]();
      assert.deepEqual([transport.isClosing(), far.lost], [true, false]);
      await far.untilLost();
      transport.close();
      transport.abort();
      await hostPasses();
      assert.deepEqual([far.log, far.exception], [['made', 'lost'], null]);
      assert.deepEqual(turns, ['next turn, lost: false']);
      const again = await endpoint(loop, { localAddr: [host, port] });
      await endAll(near, again);
      await assertSockets(before, 'a socket is left');
    }),
  );
}

test(
  'datagrams that were sent before close() arrive',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    for (let i = 0; i < 50; i++) near.transport.sendto(`${i}`);
    near.transport.close();
    await far.untilReceived(50);
    assert.deepEqual(far.texts.at(-1), '49');
    await near.untilLost();
    await endAll(far);
  }),
);

test(
  'await using closes an endpoint and waits for connectionLost()',
  onNode(async (loop) => {
    const recorder = new DatagramRecorder();
    {
      const [transport] = await loop.createDatagramEndpoint(() => recorder, { family: AF_INET });
      await using _endpoint = transport;
    }
    assert.deepEqual(recorder.log, ['made', 'lost']);
    await recorder.transport[Symbol.asyncDispose]();
  }),
);

test(
  'sendto() after the end drops the datagram, and warns at the fifth time',
  onNode(async (loop) => {
    const warnings: Error[] = [];
    const listener = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listener);
    const { near, far } = await endpointPair(loop);
    near.transport.close();
    for (let i = 0; i < 4; i++) near.transport.sendto('dropped');
    await near.untilLost();
    await hostPasses();
    assert.deepEqual(warnings, []);
    near.transport.sendto('dropped');
    await hostPasses();
    assert.equal(warnings.length, 1);
    for (let i = 0; i < 9; i++) near.transport.sendto('dropped');
    await hostPasses();
    process.removeListener('warning', listener);
    assert.equal(warnings.length, 1);
    assert.equal((warnings as (Error & { code?: string })[])[0]?.code, 'GYRE_WRITE_AFTER_CLOSE');
    assert.equal(near.transport.getWriteBufferSize(), 0);
    assert.throws(() => near.transport.sendto(5 as never), TypeError);
    assert.deepEqual(far.log, ['made']);
    await endAll(far);
  }),
);

test(
  'closing the raw socket ends the endpoint',
  { skip: needsNodeSockets },
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    near.transport.getExtraInfo('rawSocket')?.close();
    near.transport.sendto('too late');
    await near.untilLost();
    assert.equal(near.transport.isClosing(), true);
    assert.deepEqual([near.exception, near.codes], [null, []]);
    near.transport.abort();
    await endAll(far);
  }),
);

// --- a protocol that throws ---

for (const method of ['datagramReceived', 'errorReceived'] as const) {
  for (const how of ['throws', 'rejects'] as const) {
    test(
      `a datagram protocol whose ${method}() ${how} is reported and its endpoint aborted, and others continue`,
      onNode(async (loop, reports) => {
        const bug = new Error('bug');
        const { near, far } = await endpointPair(loop);
        const others = await endpointPair(loop);
        far[method] = () => {
          if (how === 'rejects') return Promise.reject(bug) as never;
          throw bug;
        };
        if (method === 'datagramReceived') near.transport.sendto('x');
        else far.transport.sendto(Buffer.alloc(70_000), addressOf(near));
        await far.untilLost();
        assert.deepEqual([far.log, far.exception], [['made', 'lost'], bug]);
        const [report, ...more] = reports.take();
        assert.deepEqual(more, []);
        assert.equal(report?.message, `exception in protocol.${method}(): its endpoint is aborted`);
        assert.deepEqual([report?.exception, report?.transport, report?.protocol], [bug, far.transport, far]);
        others.near.transport.sendto('go on');
        await others.far.untilReceived(1);
        await endAll(near, others.near, others.far);
      }),
    );
  }
}

test(
  'a datagram protocol that throws no Error, or in connectionLost(), is reported',
  onNode(async (loop, reports) => {
    const { near, far } = await endpointPair(loop);
    far.datagramReceived = () => {
      // biome-ignore lint/style/useThrowOnlyError: users do, and it must be told all the same
      throw 'text';
    };
    near.transport.sendto('x');
    await far.untilLost();
    assert.equal((far.exception as Error).cause, 'text');
    const lost = near.connectionLost;
    near.connectionLost = (exception) => {
      lost.call(near, exception);
      throw new Error('at the end');
    };
    await endAll(near);
    assert.deepEqual(reports.takeMessages(), [
      'exception in protocol.datagramReceived(): its endpoint is aborted',
      'exception in protocol.connectionLost(): its endpoint is aborted',
    ]);
  }),
);

test(
  'a datagram protocol that throws in connectionMade() fails the opening, and gets connectionLost()',
  onNode(async (loop, reports) => {
    const before = socketCount();
    const bug = new Error('bug');
    const recorder = new DatagramRecorder();
    recorder.connectionMade = () => {
      throw bug;
    };
    await assert.rejects(
      loop.createDatagramEndpoint(() => recorder, { family: AF_INET }),
      bug,
    );
    await recorder.untilLost();
    assert.equal(recorder.exception, bug);
    assert.deepEqual(reports.takeMessages(), [
      'exception in protocol.connectionMade(): its endpoint is aborted',
    ]);
    await assertSockets(before, 'a socket is left');
  }),
);

test(
  'a datagram protocol may send, close and abort in any of its methods',
  onNode(async (loop) => {
    for (const ending of ['close', 'abort'] as const) {
      const { near, far } = await endpointPair(loop);
      far.datagramReceived = (_data, address) => {
        far.transport.sendto('answer', address);
        far.transport[ending]();
      };
      near.transport.sendto('one');
      near.transport.sendto('two');
      await near.untilReceived(1);
      await far.untilLost();
      assert.deepEqual(near.texts, ['answer']);

      const closing = new DatagramRecorder();
      const made = closing.connectionMade;
      closing.connectionMade = (transport) => {
        made.call(closing, transport);
        transport[ending]();
      };
      await loop.createDatagramEndpoint(() => closing, { family: AF_INET });
      await closing.untilLost();
      assert.deepEqual(closing.log, ['made', 'lost']);
      await endAll(near);
    }
  }),
);

// --- a stopped loop ---

test('a stopped loop calls no datagram protocol, and delivers held datagrams in order in its next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
      for (let i = 0; i < 20; i++) near.transport.sendto(`${i}`);
      far.transport.sendto(Buffer.alloc(70_000), addressOf(near));
      await hostPasses();
      assert.deepEqual([near.log, far.log], [['made'], ['made']]);
      await loop.runUntilComplete(async () => {
        await far.untilReceived(20);
        near.transport.sendto('20');
        await far.untilReceived(21);
      });
      assert.deepEqual(
        far.texts,
        Array.from({ length: 21 }, (_, i) => `${i}`),
      );
      assert.deepEqual(far.codes, ['EMSGSIZE']);
      near.transport.sendto('21');
      await hostPasses();
      await loop.runUntilComplete(() => far.untilReceived(22));
      await loop.runUntilComplete(() => endAll(near, far));
    },
  ));

test('a stopped loop holds datagrams up to a limit, and drops more, as a kernel does', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
      const piece = Buffer.alloc(10_000, 'x');
      // 256 KiB, and the datagram that found the loop stopped. Twice: delivered datagrams make room again.
      const held = 1 + Math.floor((256 * 1024) / (10_000 + 512));
      for (const expected of [held, 2 * held]) {
        for (let round = 0; round < 20; round++) {
          for (let i = 0; i < 10; i++) near.transport.sendto(piece);
          await hostPasses();
        }
        await loop.runUntilComplete(async () => {
          await far.untilReceived(expected);
          await hostPasses();
        });
        assert.equal(far.datagrams.length, expected);
      }
      near.transport.sendto('and it goes on');
      await loop.runUntilComplete(() => far.until(() => far.texts.at(-1) === 'and it goes on'));
      await loop.runUntilComplete(() => endAll(near, far));
    },
  ));

test('close() and abort() of an endpoint on a stopped loop free the port at once, and connectionLost() comes in the next run', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      for (const ending of ['close', 'abort'] as const) {
        const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
        near.transport.sendto('never read');
        await hostPasses();
        far.transport[ending]();
        const before = socketCount();
        await hostPasses();
        await assertSockets(before - (socketCount() < before ? 1 : 0), 'the socket is still open');
        assert.deepEqual(far.log, ['made']);
        await loop.runUntilComplete(() => far.untilLost());
        assert.deepEqual([far.log, far.exception], [['made', 'lost'], null]);
        await loop.runUntilComplete(() => endAll(near));
      }
    },
  ));

test('endpoints converse over a loop that is stopped and run again every few turns', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
      const received = far.datagramReceived;
      far.datagramReceived = (data, address) => {
        received.call(far, data, address);
        far.transport.sendto(data, address);
      };
      for (let i = 0; near.texts.length < 100; i++) {
        if (i < 100) near.transport.sendto(`${i}`);
        await loop.runUntilComplete(async () => {
          for (let j = 0; j < i % 4; j++) await sleep(0);
        });
        if (i % 3 === 0) await hostPasses();
      }
      assert.deepEqual(
        near.texts,
        Array.from({ length: 100 }, (_, i) => `${i}`),
      );
      await loop.runUntilComplete(() => endAll(near, far));
    },
  ));

// --- a closed loop ---

test('loop.close() ends open endpoints and names each, without a call of their protocols', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const before = socketCount();
      const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
      const names = [far, near].map((recorder) => addressOf(recorder).join(':'));
      near.transport.sendto('never read');
      loop.close();
      assert.deepEqual(
        reports.takeMessages(),
        names.map((name) => `the event loop was closed, but a datagram endpoint on ${name} was still open`),
      );
      await hostPasses();
      assert.deepEqual([near.log, far.log], [['made'], ['made']]);
      assert.equal(near.transport.isClosing(), true);
      near.transport.sendto('dropped');
      near.transport.close();
      near.transport.abort();
      await assertSockets(before, 'a socket is left');
    },
  ));

test('loop.close() cancels endpoints that are being opened and names each, and nothing opens later', () =>
  withLoop(
    () => new NodeEventLoop(),
    async (loop, reports) => {
      const before = socketCount();
      let made = 0;
      const factory = (): object => ({ made: made++ });
      const port = await freeUdpPort();
      const sock = await nodeSocket();
      const openings = [
        loop.createDatagramEndpoint(factory, { localAddr: ['127.0.0.1', port] }),
        loop.createDatagramEndpoint(factory, { remoteAddr: ['127.0.0.1', port] }),
        loop.createDatagramEndpoint(factory, { remoteAddr: ['localhost', port] }),
        loop.createDatagramEndpoint(factory, { sock }),
        loop.createDatagramEndpoint(factory, { family: AF_INET }),
      ];
      const outcomes = openings.map((opening) =>
        (opening as Promise<unknown>).then(
          () => 'opened',
          (error) => error.code,
        ),
      );
      for (let i = 0; i < 20; i++) await null;
      loop.close();
      const messages = reports.takeMessages().join('\n');
      assert.match(
        messages,
        new RegExp(`opening a datagram endpoint on 127.0.0.1:${port} was still under way`),
      );
      assert.match(
        messages,
        new RegExp(`opening a datagram endpoint to 127.0.0.1:${port} was still under way`),
      );
      assert.match(messages, /opening a datagram endpoint was still under way/);
      assert.match(messages, /looking up localhost was still under way/);
      assert.deepEqual(await Promise.all(outcomes), Array(5).fill('ERR_CANCELLED'));
      await assertSockets(before, 'a socket is left');
      assert.equal(made, 0);
    },
  ));

test('a process exits with endpoints open when its loop is stopped or closed', async () => {
  const child = fileURLToPath(new URL('./datagram-exit.child.ts', import.meta.url));
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  for (const ending of ['stop', 'close']) {
    // A process that does not exit is killed after a minute, and then this rejects.
    const { stdout } = await promisify(execFile)(process.execPath, [...loaderOptions, child, ending], {
      cwd,
      timeout: 60_000,
    });
    assert.equal(stdout, `${ending}\n`);
  }
});

test(
  'thousands of endpoints that open and close leave nothing behind',
  onNode(async (loop) => {
    const before = socketCount();
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    for (let round = 0; round < 40; round++) {
      const many = await Promise.all(
        Array.from({ length: 50 }, () => endpoint(loop, { remoteAddr: addressOf(far) })),
      );
      for (const { transport } of many) transport.sendto('x');
      for (const [i, { transport }] of many.entries()) {
        if (i % 2 === 0) transport.close();
        else transport.abort();
      }
      await Promise.all(many.map((one) => one.untilLost()));
    }
    await endAll(far);
    await assertSockets(before, 'a socket is left');
  }),
);

const MOST_BALLS = 5_000_000;

test(
  'a flood of datagrams starves neither timers nor other callbacks',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    let answering = true;
    let balls = 0;
    const echo = (recorder: DatagramRecorder) => (data: Buffer, address: SocketAddress) => {
      // Far more than the callbacks below can need: if they starve, the game ends.
      answering &&= ++balls < MOST_BALLS;
      if (answering) recorder.transport.sendto(data, address);
    };
    near.datagramReceived = echo(near);
    far.datagramReceived = echo(far);
    for (let i = 0; i < 16; i++) near.transport.sendto('ball');
    for (let i = 0; i < 100; i++) await sleep(i % 2 === 0 ? 0 : 0.001);
    assert.ok(answering, 'timers or callbacks starved');
    answering = false;
    await endAll(near, far);
  }),
);
