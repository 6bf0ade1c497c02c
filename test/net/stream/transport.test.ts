import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { BufferedProtocol, StreamProtocol, Transport } from '../../../src/index.ts';
import { AF_INET, AF_INET6, Protocol, SOCK_STREAM, sleep, TransportSocket } from '../../../src/index.ts';
import { noIPv6 } from '../../helpers/machine.ts';
import {
  assertFileno,
  cloggedPair,
  closed,
  connectedPair,
  foreignClient,
  foreignServer,
  onNode,
  Recorder,
  recorders,
} from '../../helpers/pairs.ts';

// A transport over real sockets. If it matters, the other side is a socket of Node's own.

// --- order ---

for (const host of ['127.0.0.1', '::1']) {
  test(
    `a protocol gets its connection, the data, the peer’s end and the end, in this order (${host})`,
    { skip: host === '::1' && noIPv6 },
    onNode(async (loop) => {
      const { near, far } = await recorders(loop, host);
      near.transport.write('hello');
      await far.untilReceived(5);
      far.transport.write('and back');
      await near.untilReceived(8);
      near.transport.close();
      await near.untilLost();
      await far.untilLost();
      assert.deepEqual(near.log, ['made', 'data', 'lost']);
      assert.deepEqual(far.log, ['made', 'data', 'eof', 'lost']);
      assert.deepEqual([near.text, far.text], ['and back', 'hello']);
      assert.deepEqual([near.exception, far.exception], [null, null]);
    }),
  );
}

test(
  'connectionLost() comes after close(), never within it, and isClosing() is true at once',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.close();
    assert.equal(near.lost, false);
    assert.equal(near.transport.isClosing(), true);
    await null;
    assert.equal(near.lost, false);
    await near.untilLost();
    await far.untilLost();
  }),
);

test(
  'close() and abort() work in each method of the protocol',
  onNode(async (loop) => {
    for (const end of ['close', 'abort'] as const) {
      for (const method of ['connectionMade', 'dataReceived', 'eofReceived'] as const) {
        const far = new Recorder();
        const told = far[method] as (arg?: unknown) => unknown;
        far[method] = (arg?: unknown) => {
          const answer = told.call(far, arg);
          far.transport[end]();
          assert.equal(far.lost, false);
          return answer as never;
        };
        const { socket } = await foreignClient(loop, far);
        if (method === 'dataReceived') socket.write('x');
        if (method === 'eofReceived') socket.end('x');
        await far.untilLost();
        assert.equal(far.exception, null);
        assert.equal(far.log.filter((word) => word === 'lost').length, 1);
        await closed(socket);
      }
    }
  }),
);

test(
  'all methods of a protocol are optional',
  onNode(async (loop) => {
    const { near, far } = await connectedPair(loop, {}, {});
    near.write('nobody listens');
    near.writeEof();
    await far[Symbol.asyncDispose]();
    await near[Symbol.asyncDispose]();
    assert.deepEqual([near.isClosing(), far.isClosing()], [true, true]);
  }),
);

// --- half-close ---

test(
  'eofReceived() that returns true keeps the transport open for writing, and the peer gets later data',
  onNode(async (loop) => {
    const near = new Recorder();
    near.keepOpen = true;
    const { transport, socket } = await foreignServer(loop, near);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.end('question');
    await near.untilTold('eof');
    assert.equal(near.text, 'question');
    assert.equal(transport.isClosing(), false);
    transport.write('ans');
    await loop.createTask(() => sleep(0));
    transport.write('wer');
    transport.writeEof();
    await once(socket, 'end');
    assert.equal(Buffer.concat(chunks).toString(), 'answer');
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'data', 'eof', 'lost']);
    assert.equal(near.exception, null);
    await closed(socket);
  }),
);

test(
  'eofReceived() that returns anything but true closes the transport after the written data',
  onNode(async (loop) => {
    for (const answer of [undefined, false, 1, 'true', Promise.resolve(true)]) {
      const near = new Recorder();
      near.eofReceived = () => {
        near.transport.write('bye');
        return answer as never;
      };
      const { socket } = await foreignServer(loop, near);
      socket.end();
      const [data] = (await once(socket, 'data')) as [Buffer];
      assert.equal(String(data), 'bye');
      await near.untilLost();
      assert.equal(near.exception, null);
      await closed(socket);
    }
  }),
);

test(
  'writeEof() ends the writing side after the written data, and reading continues until the peer’s end',
  onNode(async (loop) => {
    const near = new Recorder();
    const { transport, socket } = await foreignClient(loop, near);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    assert.equal(transport.canWriteEof(), true);
    transport.write('request');
    transport.writeEof();
    transport.writeEof();
    assert.equal(transport.isClosing(), false);
    await once(socket, 'end');
    assert.equal(Buffer.concat(chunks).toString(), 'request');
    socket.write('reply');
    await near.untilReceived(5);
    assert.equal(transport.isReading(), true);
    socket.end();
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'data', 'eof', 'lost']);
    assert.equal(near.exception, null);
    await closed(socket);
  }),
);

test(
  'write() after writeEof() throws, and earlier data still arrives',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.write('all');
    near.transport.writeEof();
    for (const write of [
      () => near.transport.write('more'),
      () => near.transport.write(''),
      () => near.transport.writelines(['more']),
    ]) {
      assert.throws(write, { name: 'LoopError', code: 'ERR_TRANSPORT_CLOSED', message: /writeEof/ });
    }
    await far.untilTold('eof');
    assert.equal(far.text, 'all');
    await near.untilLost();
    await far.untilLost();
  }),
);

// --- writing ---

test(
  'write() sends strings as UTF-8, any Uint8Array as bytes, and ignores empty data',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const bytes = new Uint8Array([0, 255, 128]);
    near.transport.write('grüße ☃ 😀');
    near.transport.write('');
    near.transport.write(bytes);
    near.transport.write(Buffer.from('buffer'));
    near.transport.write(new Uint8Array(Buffer.from('..view..')).subarray(2, 6));
    near.transport.write(new Uint8Array(0));
    near.transport.writelines(['a', Buffer.from('b'), '', 'c']);
    near.transport.writelines(new Set(['set']));
    const expected = Buffer.concat([Buffer.from('grüße ☃ 😀'), bytes, Buffer.from('bufferviewabcset')]);
    assert.deepEqual(await far.untilReceived(expected.length), expected);
    near.transport.close();
    await far.untilLost();
    await near.untilLost();
  }),
);

test(
  'write() rejects other values at the call, on an open and on a closed transport, and sends nothing',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const check = (): void => {
      const { transport } = near;
      for (const data of [
        undefined,
        null,
        1,
        {},
        [1, 2],
        new ArrayBuffer(2),
        new DataView(new ArrayBuffer(2)),
      ]) {
        assert.throws(() => transport.write(data as never), {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: /"data".*a string or a Uint8Array; got/,
        });
      }
      assert.throws(() => transport.writelines('text'), { code: 'ERR_INVALID_ARG_TYPE', message: /"list"/ });
      assert.throws(() => transport.writelines(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => transport.writelines(['first', 2 as never]), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"list".*got 2/,
      });
      assert.throws(() => transport.getExtraInfo(1 as never), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"name"/,
      });
      assert.throws(() => transport.setWriteBufferLimits({ high: -1 }), { code: 'ERR_OUT_OF_RANGE' });
      for (const protocol of [undefined, null, 1, 'x', { dataReceived: 1 }]) {
        assert.throws(() => transport.setProtocol(protocol as never), {
          code: 'ERR_INVALID_ARG_TYPE',
          message: /"protocol/,
        });
      }
    };
    check();
    near.transport.write('only this');
    near.transport.close();
    await far.untilLost();
    await near.untilLost();
    assert.equal(far.text, 'only this');
    check();
  }),
);

test('write() after close() drops the data, and warns at the fifth time only', async (context) => {
  const warnings: unknown[][] = [];
  context.mock.method(process, 'emitWarning', (...args: unknown[]) => {
    warnings.push(args);
  });
  await onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.write('before');
    near.transport.close();
    for (let i = 0; i < 4; i++) near.transport.write('after');
    assert.deepEqual(warnings, []);
    near.transport.writelines(['after']);
    assert.equal(warnings.length, 1);
    assert.match(String(warnings[0]?.[0]), /5 times on a connection that is closed/);
    assert.deepEqual(warnings[0]?.[1], { code: 'GYRE_WRITE_AFTER_CLOSE' });
    await near.untilLost();
    await far.untilLost();
    for (let i = 0; i < 10; i++) near.transport.write('long after');
    near.transport.writeEof();
    assert.equal(warnings.length, 1);
    assert.equal(near.transport.getWriteBufferSize(), 0);
    assert.equal(far.text, 'before');
  })();
});

// --- abort and reset ---

test(
  'abort() resets the connection: the peer gets ECONNRESET, the protocol a clean end',
  onNode(async (loop) => {
    for (const open of [foreignClient, foreignServer]) {
      const near = new Recorder();
      const { transport, socket } = await open(loop, near);
      const failed = once(socket, 'error');
      socket.resume();
      transport.abort();
      assert.equal(near.lost, false);
      const [error] = (await failed) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      await near.untilLost();
      assert.equal(near.exception, null);
      await closed(socket);
    }
  }),
);

test(
  'abort() of a clogged connection drops the buffer and does not wait for the peer',
  onNode(async (loop) => {
    const { near, far, written } = await cloggedPair(loop);
    assert.ok(near.transport.getWriteBufferSize() > 0);
    near.transport.abort();
    assert.equal(near.transport.getWriteBufferSize(), 0);
    await near.untilLost();
    assert.equal(near.exception, null);
    assert.deepEqual(near.log, ['made', 'pause', 'lost']);
    far.transport.resumeReading();
    await far.untilLost();
    assert.ok(far.received < written, `${far.received} bytes arrived`);
  }),
);

test(
  'abort() after writeEof() and after close() ends the connection, clogged or not',
  onNode(async (loop) => {
    for (const first of ['writeEof', 'close'] as const) {
      for (const turns of [0, 1, 20]) {
        for (const pair of [await recorders(loop), await cloggedPair(loop)]) {
          const { near, far } = pair;
          near.transport[first]();
          for (let i = 0; i < turns; i++) await sleep(0);
          near.transport.abort();
          await near.untilLost();
          assert.equal(near.exception, null, `${first}, ${turns} turns`);
          far.transport.abort();
          await far.untilLost();
        }
      }
    }
  }),
);

test(
  'close() of a clogged connection waits for the peer, and everything arrives',
  onNode(async (loop) => {
    const { near, far, written } = await cloggedPair(loop);
    near.transport.close();
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.equal(near.lost, false);
    assert.ok(near.transport.getWriteBufferSize() > 0);
    far.transport.resumeReading();
    await far.untilLost();
    await near.untilLost();
    assert.equal(far.received, written);
    assert.deepEqual([near.exception, far.exception], [null, null]);
    assert.deepEqual(near.log, ['made', 'pause', 'resume', 'lost']);
  }),
);

test(
  'connectionLost() gets the error of a reset by the peer',
  onNode(async (loop) => {
    for (const open of [foreignClient, foreignServer]) {
      const near = new Recorder();
      const { transport, socket } = await open(loop, near);
      transport.write('x');
      await once(socket, 'data');
      socket.resetAndDestroy();
      await near.untilLost();
      assert.equal((near.exception as NodeJS.ErrnoException).code, 'ECONNRESET');
      assert.deepEqual(near.log, ['made', 'lost']);
      assert.equal(transport.isClosing(), true);
    }
  }),
);

test(
  'a reset while the write buffer is full ends the connection with the error, and drops the buffer',
  onNode(async (loop) => {
    const { near, far } = await cloggedPair(loop);
    far.transport.abort();
    await near.untilLost();
    assert.match(String((near.exception as NodeJS.ErrnoException).code), /^(ECONNRESET|EPIPE)$/);
    assert.equal(near.transport.getWriteBufferSize(), 0);
    assert.deepEqual(near.log, ['made', 'pause', 'lost']);
    await far.untilLost();
  }),
);

test(
  'a peer that closes before anything was read makes an ordinary connection',
  onNode(async (loop) => {
    const near = new Recorder();
    const { socket } = await foreignClient(loop, near);
    socket.destroy();
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'eof', 'lost']);
    assert.equal(near.exception, null);
  }),
);

// --- protocols that throw ---

for (const method of [
  'connectionMade',
  'dataReceived',
  'eofReceived',
  'pauseWriting',
  'resumeWriting',
  'connectionLost',
] as const) {
  for (const how of ['throws', 'rejects'] as const) {
    test(
      `a protocol whose ${method} ${how} is reported and its connection is aborted, and others continue`,
      onNode(async (loop, reports) => {
        const bystanders = await recorders(loop);
        const bug = new Error(`bug in ${method}`);
        const far = new Recorder();
        const told = far[method] as (arg?: unknown) => unknown;
        let calls = 0;
        far[method] = (arg?: unknown) => {
          told.call(far, arg);
          calls++;
          if (how === 'throws') throw bug;
          return Promise.reject(bug) as never;
        };
        const { transport, socket } = await foreignClient(loop, far);
        if (method === 'pauseWriting' || method === 'resumeWriting') {
          transport.write(Buffer.alloc(64 * 1024 * 1024));
          socket.resume();
        } else {
          socket.end('x');
        }
        await far.untilLost();
        await closed(socket);
        // A rejection is known a microtask later.
        await sleep(0);
        assert.equal(calls, 1);
        const [report, ...more] = reports.take();
        assert.deepEqual(more, []);
        assert.equal(report?.message, `exception in protocol.${method}(): its connection is aborted`);
        assert.equal(report?.exception, bug);
        assert.equal(report?.transport, far.transport);
        assert.equal(report?.protocol, far);
        assert.equal(far.exception, method === 'connectionLost' ? null : bug);
        assert.equal(far.log.filter((word) => word === 'lost').length, 1);

        bystanders.near.transport.write('still here');
        await bystanders.far.untilReceived(10);
        bystanders.near.transport.close();
        await bystanders.near.untilLost();
        await bystanders.far.untilLost();
      }),
    );
  }
}

test(
  'a protocol that throws a value that is no error is lost by an error with that value as cause',
  onNode(async (loop, reports) => {
    const near = new Recorder();
    near.dataReceived = () => {
      // biome-ignore lint/style/useThrowOnlyError: that somebody does is the subject
      throw 'a string';
    };
    const { socket } = await foreignServer(loop, near);
    socket.write('x');
    await near.untilLost();
    assert.equal(near.exception?.cause, 'a string');
    assert.equal(reports.take()[0]?.exception, 'a string');
    await closed(socket);
  }),
);

test(
  'an exception handler that throws does not stop the other connections',
  onNode(async (loop, reports) => {
    loop.setExceptionHandler(() => {
      throw new Error('bug in the handler');
    });
    const printed: unknown[] = [];
    const print = console.error;
    console.error = (...args: unknown[]) => printed.push(args[0]);
    try {
      const near = new Recorder();
      const far = new Recorder();
      far.dataReceived = () => {
        throw new Error('bug');
      };
      await connectedPair(loop, near, far);
      near.transport.write('x');
      await far.untilLost();
      await near.untilLost();
    } finally {
      console.error = print;
    }
    assert.equal(printed.length, 2);
    loop.setExceptionHandler((_loop, context) => reports.add(context));
  }),
);

// --- reading ---

test(
  'pauseReading() in dataReceived() holds later data back until resumeReading()',
  onNode(async (loop) => {
    const near = new Recorder();
    let paused = 0;
    const received = near.dataReceived;
    near.dataReceived = (data) => {
      assert.equal(near.transport.isReading(), true);
      received.call(near, data);
      near.transport.pauseReading();
      near.transport.pauseReading();
      assert.equal(near.transport.isReading(), false);
      paused++;
    };
    const { socket } = await foreignServer(loop, near);
    const data = Buffer.alloc(1024 * 1024, 'x');
    socket.end(data);
    for (let seen = 0; near.received < data.length; ) {
      await near.until(() => paused > seen);
      seen = paused;
      for (let i = 0; i < 10; i++) await sleep(0);
      assert.equal(paused, seen, 'data came while reading was paused');
      near.transport.resumeReading();
      near.transport.resumeReading();
    }
    await near.untilLost();
    await closed(socket);
  }),
);

test(
  'the peer’s end waits for resumeReading(), even if the host has seen it long ago',
  onNode(async (loop) => {
    const near = new Recorder();
    near.keepOpen = true;
    const { transport, socket } = await foreignServer(loop, near);
    const received = near.dataReceived;
    near.dataReceived = (data) => {
      received.call(near, data);
      transport.pauseReading();
    };
    socket.write('x');
    await near.untilTold('data');
    // The peer's FIN has reached this kernel when the peer's socket says so. Then the host gets time to see
    // it.
    await new Promise<void>((resolve) => {
      socket.end(resolve);
    });
    for (let i = 0; i < 50; i++) await sleep(0);
    assert.deepEqual(near.log, ['made', 'data']);
    assert.equal(transport.isClosing(), false);
    transport.resumeReading();
    await near.untilTold('eof');
    transport.close();
    await near.untilLost();
    await closed(socket);
  }),
);

test(
  'a connection whose both ends are over is lost only after its data was read',
  onNode(async (loop) => {
    const near = new Recorder();
    const { transport, socket } = await foreignServer(loop, near);
    transport.pauseReading();
    transport.resumeReading();
    const received = near.dataReceived;
    near.dataReceived = (data) => {
      received.call(near, data);
      transport.pauseReading();
    };
    socket.write('x');
    await near.untilTold('data');
    await new Promise<void>((resolve) => {
      socket.end(resolve);
    });
    transport.writeEof();
    socket.resume();
    await once(socket, 'end');
    for (let i = 0; i < 50; i++) await sleep(0);
    assert.deepEqual(near.log, ['made', 'data']);
    transport.resumeReading();
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'data', 'eof', 'lost']);
    assert.equal(near.exception, null);
    await closed(socket);

    const other = new Recorder();
    const second = await foreignServer(loop, other);
    other.dataReceived = () => second.transport.pauseReading();
    second.socket.end('x');
    second.socket.resume();
    second.transport.writeEof();
    await once(second.socket, 'end');
    for (let i = 0; i < 50; i++) await sleep(0);
    second.transport.close();
    await other.untilLost();
    assert.equal(other.exception, null);
    await closed(second.socket);
  }),
);

test(
  'close() ends reading: no data comes after it, and resumeReading() does nothing',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.pauseReading();
    far.transport.write('unread');
    await sleep(0);
    near.transport.close();
    near.transport.resumeReading();
    assert.equal(near.transport.isReading(), false);
    await near.untilLost();
    assert.deepEqual(near.log, ['made', 'lost']);
    far.transport.abort();
    await far.untilLost();
  }),
);

test(
  'setProtocol() in the middle of the stream gives later events to the new protocol',
  onNode(async (loop) => {
    const first = new Recorder();
    const second = new Recorder();
    const { transport, socket } = await foreignServer(loop, first);
    assert.equal(transport.getProtocol(), first);
    const received = first.dataReceived;
    first.dataReceived = (data) => {
      received.call(first, data);
      transport.setProtocol(second);
    };
    socket.write('one');
    await first.untilReceived(3);
    assert.equal(transport.getProtocol(), second);
    socket.end('two');
    await second.untilLost();
    assert.deepEqual(first.log, ['made', 'data']);
    assert.deepEqual(second.log, ['data', 'eof', 'lost']);
    assert.deepEqual([first.text, second.text], ['one', 'two']);
    await closed(socket);
  }),
);

test(
  'a BufferedProtocol may return one buffer again and again',
  onNode(async (loop) => {
    const memory = new Uint8Array(1000);
    const hash = { bytes: 0, sum: 0 };
    let ended: () => void;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const protocol: BufferedProtocol = {
      getBuffer: (sizeHint) => {
        assert.ok(sizeHint >= 1 || sizeHint === -1);
        return memory;
      },
      bufferUpdated: (nbytes) => {
        assert.ok(nbytes >= 1 && nbytes <= memory.length);
        hash.bytes += nbytes;
        for (const byte of memory.subarray(0, nbytes)) hash.sum += byte;
      },
      connectionLost: () => ended(),
    };
    const { socket } = await foreignServer(loop, protocol);
    const data = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 251));
    socket.end(data);
    await end;
    assert.deepEqual(hash, { bytes: data.length, sum: data.reduce((sum, byte) => sum + byte, 0) });
    await closed(socket);
  }),
);

test(
  'the buffer of dataReceived() belongs to the protocol: later data does not overwrite it',
  onNode(async (loop) => {
    const near = new Recorder();
    const { socket } = await foreignServer(loop, near);
    for (let i = 0; i < 50; i++) {
      socket.write(String.fromCharCode(65 + (i % 26)).repeat(100));
      await near.untilReceived((i + 1) * 100);
    }
    const text = near.text;
    for (let i = 0; i < 50; i++) {
      assert.equal(text.slice(i * 100, (i + 1) * 100), String.fromCharCode(65 + (i % 26)).repeat(100));
    }
    near.transport.close();
    await near.untilLost();
    await closed(socket);
  }),
);

// --- extra info ---

for (const [host, family] of [
  ['127.0.0.1', AF_INET],
  ['::1', AF_INET6],
] as const) {
  test(
    `getExtraInfo() returns both addresses and the socket, also after the connection was lost (${host})`,
    { skip: host === '::1' && noIPv6 },
    onNode(async (loop) => {
      const near = new Recorder();
      const { transport, socket } = await foreignServer(loop, near, host);
      const ends = (port: number | undefined): unknown =>
        family === AF_INET ? [host, port] : [host, port, 0, 0];
      const { localPort, remotePort } = socket;
      const check = (isOpen: boolean): void => {
        assert.deepEqual(transport.getExtraInfo('peername'), ends(localPort));
        assert.deepEqual(transport.getExtraInfo('sockname'), ends(remotePort));
        const facts = transport.getExtraInfo('socket');
        assert.ok(facts instanceof TransportSocket);
        assert.equal(transport.getExtraInfo('socket'), facts);
        assert.deepEqual([facts.family, facts.type], [family, SOCK_STREAM]);
        assertFileno(loop, facts.fileno(), isOpen);
        assert.deepEqual(facts.getsockname(), ends(remotePort));
        assert.deepEqual(facts.getpeername(), ends(localPort));
        facts.setNoDelay();
        facts.setNoDelay(false);
        facts.setKeepAlive();
        facts.setKeepAlive(true, 0.5);
        facts.setKeepAlive(false, 60);
        assert.equal(transport.getExtraInfo('sslObject' as never), null);
        assert.equal(transport.getExtraInfo('nonsense' as never, 'fallback'), 'fallback');
      };
      check(true);
      transport.close();
      await near.untilLost();
      check(false);
      await closed(socket);
    }),
  );
}

test(
  'TransportSocket rejects values that are no boolean or no number of seconds',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const facts = near.transport.getExtraInfo('socket') as TransportSocket;
    assert.throws(() => facts.setNoDelay(1 as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"on"/ });
    assert.throws(() => facts.setKeepAlive('yes' as never), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"on"/,
    });
    for (const seconds of [-1, Number.NaN, Number.POSITIVE_INFINITY, 32_768]) {
      assert.throws(() => facts.setKeepAlive(true, seconds), {
        code: 'ERR_OUT_OF_RANGE',
        message: /"delaySeconds"/,
      });
    }
    assert.throws(() => facts.setKeepAlive(true, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    near.transport.close();
    await near.untilLost();
    await far.untilLost();
  }),
);

// --- water marks ---

test(
  'getWriteBufferLimits() returns asyncio’s defaults, or the limits of setWriteBufferLimits()',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const { transport } = near;
    assert.deepEqual(transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
    transport.setWriteBufferLimits({ high: 1000 });
    assert.deepEqual(transport.getWriteBufferLimits(), { low: 250, high: 1000 });
    transport.setWriteBufferLimits({ high: 0 });
    assert.deepEqual(transport.getWriteBufferLimits(), { low: 0, high: 0 });
    transport.setWriteBufferLimits();
    assert.deepEqual(transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
    transport.close();
    await near.untilLost();
    await far.untilLost();
  }),
);

for (const limits of [{}, { high: 1_000_000, low: 10 }, { high: 0 }]) {
  test(
    `pauseWriting() and resumeWriting() alternate with a slow reader and limits ${JSON.stringify(limits)}`,
    onNode(async (loop) => {
      const { near, far } = await recorders(loop);
      const { transport } = near;
      transport.setWriteBufferLimits(limits);
      const { high, low } = transport.getWriteBufferLimits();
      const sizes: string[] = [];
      const [pause, resume] = [near.pauseWriting, near.resumeWriting];
      near.pauseWriting = () => {
        assert.ok(transport.getWriteBufferSize() > high);
        sizes.push('pause');
        pause.call(near);
      };
      near.resumeWriting = () => {
        assert.ok(transport.getWriteBufferSize() <= low);
        sizes.push('resume');
        resume.call(near);
      };
      const piece = Buffer.alloc(512 * 1024);
      let written = 0;
      for (let round = 0; round < 3; round++) {
        far.transport.pauseReading();
        while (!near.paused || transport.getWriteBufferSize() < 4 * piece.length) {
          transport.write(piece);
          written += piece.length;
        }
        far.transport.resumeReading();
        await far.untilReceived(written);
        await near.until(() => !near.paused);
        assert.equal(transport.getWriteBufferSize(), 0);
      }
      assert.deepEqual(sizes, Array(3).fill(['pause', 'resume']).flat());
      transport.close();
      await near.untilLost();
      await far.untilLost();
    }),
  );
}

test(
  'setWriteBufferLimits() applies at once to buffered data',
  onNode(async (loop) => {
    const { near, far } = await cloggedPair(loop);
    const size = near.transport.getWriteBufferSize();
    near.transport.setWriteBufferLimits({ high: size, low: size });
    assert.deepEqual(near.log, ['made', 'pause', 'resume']);
    near.transport.setWriteBufferLimits({ high: size - 1, low: 0 });
    assert.deepEqual(near.log, ['made', 'pause', 'resume', 'pause']);
    near.transport.abort();
    await near.untilLost();
    far.transport.abort();
    await far.untilLost();
  }),
);

// --- context ---

test(
  'protocol methods run as code of the loop and of no task, for any creator of the connection',
  onNode(async (loop) => {
    const { currentTask, getRunningLoop } = await import('../../../src/index.ts');
    const seen: unknown[] = [];
    class Seer extends Protocol {
      constructor() {
        super();
        seen.push(['factory', getRunningLoop(), currentTask()]);
      }
      override connectionMade(): void {
        seen.push(['made', getRunningLoop(), currentTask()]);
      }
      override dataReceived(): void {
        seen.push(['data', getRunningLoop(), currentTask()]);
      }
      override connectionLost(): void {
        seen.push(['lost', getRunningLoop(), currentTask()]);
      }
    }
    const far = new Recorder();
    const server = await loop.createServer(() => far, '127.0.0.1', 0);
    const port = server.sockets[0]?.getsockname()?.[1] as number;
    const [transport, protocol] = await loop.createConnection(() => new Seer(), '127.0.0.1', port);
    assert.ok(protocol instanceof Seer);
    await far.untilTold('made');
    far.transport.write('x');
    await (async () => {
      while (seen.length < 3) await sleep(0);
    })();
    await transport[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
    assert.deepEqual(
      seen,
      ['factory', 'made', 'data', 'lost'].map((word) => [word, loop, null]),
    );
  }),
);

test(
  'an AsyncLocalStorage of the caller reaches the methods of the protocol that it connects',
  onNode(async (loop) => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const protocol: StreamProtocol = {
      connectionMade: () => seen.push(storage.getStore()),
      dataReceived: () => seen.push(storage.getStore()),
      connectionLost: () => seen.push(storage.getStore()),
    } as never;
    let transport: Transport | null = null;
    const far = new Recorder();
    await storage.run('the caller', async () => {
      ({ near: transport } = await connectedPair(loop, protocol, far));
    });
    far.transport.write('x');
    await (async () => {
      while (seen.length < 2) await sleep(0);
    })();
    await (transport as unknown as Transport)[Symbol.asyncDispose]();
    await far.untilLost();
    assert.deepEqual(seen, ['the caller', 'the caller', 'the caller']);
  }),
);
