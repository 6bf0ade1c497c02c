/** addReader, addWriter, removeReader, removeWriter over real descriptors. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { BaseEventLoop, Transport } from '../../../src/index.ts';
import {
  AF_INET,
  DatagramProtocol,
  NodeEventLoop,
  Protocol,
  SOCK_DGRAM,
  Socket,
  sleep,
  UvEventLoop,
} from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { busyPart } from '../../helpers/busy-part.ts';
import type { Ends } from '../../helpers/descriptors.ts';
import {
  addressOf,
  connectedSockets,
  noNative,
  onUv,
  passes,
  pipe,
  socketPair,
} from '../../helpers/descriptors.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { tooFewDescriptors } from '../../helpers/machine.ts';
import { portOf } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';

const skip = noNative;

function read(fd: number, size: number = 100): string {
  const buffer = Buffer.alloc(size);
  return buffer.toString('utf8', 0, readSync(fd, buffer));
}

/** Fills a pipe until it accepts no more. */
function fill(fd: number): number {
  const piece = Buffer.alloc(4096);
  let written = 0;
  for (;;) {
    try {
      written += writeSync(fd, piece);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      return written;
    }
  }
}

function flags(fd: number): number {
  const line = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return Number.parseInt(line?.[1] ?? '', 8);
}

test(
  'addReader() calls back with its arguments, in a turn and in the async context of the call',
  { skip },
  onUv(async (loop) => {
    const storage = new AsyncLocalStorage<string>();
    const { from, write, close } = pipe();
    const log: unknown[] = [];
    storage.run('of the add', () => {
      loop.addReader(
        from,
        (...args: unknown[]) => {
          log.push([read(from), args, storage.getStore()]);
        },
        'one',
        2,
      );
    });
    storage.run('of the write', () => write('hello'));
    assert.deepEqual(log, []);
    await passes();
    assert.deepEqual(log, [['hello', ['one', 2], 'of the add']]);
    write('again');
    await passes();
    assert.deepEqual(log.length, 2);
    assert.equal(loop.removeReader(from), true);
    close();
  }),
);

test(
  'addReader() calls back until everything was read, and not once more',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = pipe();
    const log: string[] = [];
    loop.addReader(from, () => log.push(read(from, 2)));
    write('abcdef');
    await passes();
    assert.deepEqual(log, ['ab', 'cd', 'ef']);
    loop.removeReader(from);
    close();
  }),
);

test(
  'a reader that reads nothing is called in turn after turn, and so are others',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = pipe();
    let calls = 0;
    loop.addReader(from, () => calls++);
    write('x');
    for (let turns = 0; turns < 1000 && calls <= 2; turns++) await sleep(0.001);
    assert.ok(calls > 2, `${calls} calls`);
    loop.removeReader(from);
    const before = calls;
    await passes();
    assert.equal(calls, before);
    close();
  }),
);

test(
  'addReader() replaces the previous callback of the descriptor',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = pipe();
    const log: string[] = [];
    const first = loop.addReader(from, () => log.push('first'));
    write('x');
    const second = loop.addReader(from, () => log.push(`second ${read(from)}`));
    assert.deepEqual([first.cancelled(), second.cancelled()], [true, false]);
    await passes();
    assert.deepEqual(log, ['second x']);
    // The replaced callback is no longer called.
    first.cancel();
    write('y');
    await passes();
    assert.deepEqual(log, ['second x', 'second y']);
    assert.equal(loop.removeReader(from), true);
    assert.equal(second.cancelled(), true);
    close();
  }),
);

test(
  'removeReader() returns whether there was a callback, and cancelling the handle removes it, too',
  { skip },
  onUv(async (loop) => {
    const { from, to, write, close } = pipe();
    let calls = 0;
    assert.equal(loop.removeReader(from), false);
    assert.equal(loop.removeWriter(to), false);
    loop.addReader(from, () => calls++);
    assert.deepEqual([loop.removeReader(from), loop.removeReader(from)], [true, false]);
    const handle = loop.addReader(from, () => calls++);
    handle.cancel();
    handle.cancel();
    assert.equal(loop.removeReader(from), false);
    loop.addWriter(to, () => calls++);
    assert.deepEqual(
      [loop.removeReader(to), loop.removeWriter(to), loop.removeWriter(to)],
      [false, true, false],
    );
    write('x');
    await passes();
    assert.equal(calls, 0);
    close();
  }),
);

test(
  'a reader that is removed in the turn in which it is due is not called',
  { skip },
  onUv(async (loop) => {
    const pairs = [pipe(), pipe(), pipe()];
    const log: number[] = [];
    for (const { from } of pairs) {
      loop.addReader(from, () => {
        log.push(from);
        for (const other of pairs) loop.removeReader(other.from);
      });
    }
    for (const { write } of pairs) write('x');
    await passes();
    assert.equal(log.length, 1);
    for (const { close } of pairs) close();
  }),
);

test(
  'a reader and a writer of one descriptor are independent',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = socketPair();
    const log: string[] = [];
    loop.addReader(from, () => {
      log.push(`read ${read(from)}`);
    });
    loop.addWriter(from, () => {
      log.push('writable');
      loop.removeWriter(from);
    });
    await passes();
    assert.deepEqual(log, ['writable']);
    write('x');
    await passes();
    assert.deepEqual(log, ['writable', 'read x']);
    loop.addWriter(from, () => {
      log.push('writable');
      loop.removeWriter(from);
    });
    loop.removeReader(from);
    write('y');
    await passes();
    assert.deepEqual(log, ['writable', 'read x', 'writable']);
    close();
  }),
);

test(
  'a reader is called before the writer if both are ready',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = socketPair();
    const log: string[] = [];
    write('x');
    loop.addWriter(from, () => {
      log.push('writer');
      loop.removeWriter(from);
    });
    loop.addReader(from, () => {
      log.push('reader');
      loop.removeReader(from);
    });
    await passes();
    assert.deepEqual(log, ['reader', 'writer']);
    close();
  }),
);

test(
  'addWriter() calls back when a full pipe has room again',
  { skip },
  onUv(async (loop) => {
    const { from, to, close } = socketPair();
    using far = new Socket(undefined, undefined, undefined, { fileno: to });
    const written = fill(far.fileno());
    let calls = 0;
    loop.addWriter(far, () => {
      calls++;
      loop.removeWriter(far);
    });
    await passes();
    assert.equal(calls, 0);
    read(from, written);
    await passes();
    assert.equal(calls, 1);
    far.detach();
    close();
  }),
);

test(
  'addReader() and addWriter() call back at the end and at the error of the peer',
  { skip },
  onUv(async (loop) => {
    const ended = pipe();
    const broken = pipe();
    const log: string[] = [];
    loop.addReader(ended.from, () => {
      log.push(`read "${read(ended.from)}"`);
      loop.removeReader(ended.from);
    });
    fillPipe(broken.to);
    loop.addWriter(broken.to, () => {
      log.push('writer');
      loop.removeWriter(broken.to);
    });
    loop.addReader(broken.to, () => {
      log.push('reader of the writing end');
      loop.removeReader(broken.to);
    });
    await passes();
    assert.deepEqual(log, []);
    ended.closeTo();
    broken.closeFrom();
    await passes();
    assert.deepEqual(log.sort(), ['read ""', 'reader of the writing end', 'writer']);
    ended.close();
    broken.close();
  }),
);

/** Fills a pipe by a second open file, which has flags of its own. */
function fillPipe(fd: number): void {
  const again = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  fill(again);
  closeSync(again);
}

test(
  'addReader() accepts all kinds of descriptors',
  { skip: skip || (existsSync('/dev/ptmx') ? false : 'this system has no /dev/ptmx') },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    const udp = new Socket(AF_INET, SOCK_DGRAM);
    udp.bind(['127.0.0.1', 0]);
    const terminal = openSync('/dev/ptmx', 'r+');
    const fifo = `${tmpdir()}/gyre-fifo-${process.pid}`;
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
    const fifoFd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const told = new Set<number>();
    const all = [near.fileno(), udp.fileno(), terminal, fifoFd];
    for (const fd of all) {
      loop.addWriter(fd, () => {
        told.add(fd);
        loop.removeWriter(fd);
      });
    }
    await passes();
    assert.deepEqual([...told].sort(), [...all].sort());
    for (const socket of [near, far, udp]) socket.close();
    closeSync(terminal);
    closeSync(fifoFd);
    spawnSync('rm', [fifo]);
  }),
);

test(
  'addReader() fails with the system’s error for a descriptor that cannot be watched, and leaves nothing',
  { skip },
  onUv(async (loop) => {
    const file = openSync('/etc/passwd', 'r');
    const folder = openSync('/tmp', 'r');
    const { from, to, close } = pipe();
    // The loop's own epoll set exists then, and takes no free number.
    loop.addReader(to, () => {}).cancel();
    close();
    for (const [fd, code, errno] of [
      [file, 'EPERM', -1],
      [folder, 'EPERM', -1],
      [from, 'EBADF', -9],
      [1_000_000, 'EBADF', -9],
    ] as const) {
      for (const add of ['addReader', 'addWriter'] as const) {
        assert.throws(() => loop[add](fd, () => {}), { code, errno, syscall: 'epoll_ctl' });
      }
      assert.equal(loop.removeReader(fd), false);
    }
    closeSync(file);
    closeSync(folder);
  }),
);

test(
  'addReader() that fails leaves the previous callback in place',
  { skip },
  onUv(async (loop) => {
    const { from, close } = pipe();
    const handle = loop.addReader(from, () => {});
    close();
    assert.throws(() => loop.addReader(from, () => {}), { code: 'EBADF' });
    assert.equal(handle.cancelled(), false);
    assert.equal(loop.removeReader(from), true);
  }),
);

test(
  'addReader() rejects wrong arguments at the call',
  { skip },
  onUv(async (loop) => {
    const noop = (): void => {};
    const calls = [
      (fd: unknown) => loop.addReader(fd as number, noop),
      (fd: unknown) => loop.addWriter(fd as number, noop),
      (fd: unknown) => loop.removeReader(fd as number),
      (fd: unknown) => loop.removeWriter(fd as number),
    ];
    for (const call of calls) {
      for (const fd of ['0', null, undefined, {}, { fileno: 1 }, { fileno: () => '1' }, [1], 1n, true]) {
        assert.throws(() => call(fd), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
      for (const fd of [-1, 1.5, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, { fileno: () => -1 }]) {
        assert.throws(() => call(fd), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      }
    }
    for (const callback of [undefined, null, 'f', {}]) {
      assert.throws(() => loop.addReader(0, callback as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => loop.addWriter(1, callback as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    const closed = new Socket();
    closed.close();
    assert.throws(() => loop.addReader(closed, noop), { code: 'ERR_OUT_OF_RANGE' });
  }),
);

test(
  'addReader() accepts an object with fileno()',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = pipe();
    const object = { fileno: () => from };
    const log: string[] = [];
    loop.addReader(object, () => log.push(read(from)));
    write('x');
    await passes();
    assert.deepEqual(log, ['x']);
    assert.equal(loop.removeReader(from), true);
    assert.equal(loop.removeReader(object), false);
    close();
  }),
);

test(
  'addReader() rejects the descriptor of a transport, a server or an endpoint, also on another loop',
  { skip },
  onUv(async (loop) => {
    const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
    const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', portOf(server));
    const [endpoint] = await loop.createDatagramEndpoint(() => new DatagramProtocol(), {
      localAddr: ['127.0.0.1', 0],
    });
    const other = new UvEventLoop();
    const sockets = [server.sockets[0], transport.getExtraInfo('socket'), endpoint.getExtraInfo('socket')];
    for (const socket of sockets as { fileno(): number }[]) {
      for (const one of [loop, other]) {
        const error = { name: 'InvalidStateError', message: /belongs to a transport or server/ };
        assert.throws(() => one.addReader(socket, () => {}), error);
        assert.throws(() => one.addWriter(socket.fileno(), () => {}), error);
        assert.equal(one.removeReader(socket), false);
      }
    }
    other.close();
    await (transport as Transport)[Symbol.asyncDispose]();
    await endpoint[Symbol.asyncDispose]();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'hundreds of watched descriptors are all called when they are ready at once',
  { skip: skip || tooFewDescriptors(2000) },
  onUv(async (loop) => {
    const pipes: Ends[] = [];
    for (let i = 0; i < 700; i++) pipes.push(pipe());
    const got: number[] = [];
    for (const [i, { from }] of pipes.entries()) {
      loop.addReader(
        from,
        (index: number) => {
          got.push(index);
          assert.equal(read(from), String(index));
        },
        i,
      );
    }
    for (const [i, { write }] of pipes.entries()) write(String(i));
    await passes();
    assert.deepEqual(
      got.sort((a, b) => a - b),
      pipes.map((_, i) => i),
    );
    for (const { from, close } of pipes) {
      loop.removeReader(from);
      close();
    }
  }),
);

test(
  'a watcher that throws is reported, and is called again',
  { skip },
  onUv(async (loop, reports) => {
    const { from, write, close } = pipe();
    const bug = new Error('bug');
    const handle = loop.addReader(from, () => {
      read(from);
      throw bug;
    });
    for (let i = 0; i < 2; i++) {
      write('x');
      await passes();
    }
    const message = 'exception in a callback';
    assert.deepEqual(reports.take(), [
      { message, exception: bug, handle },
      { message, exception: bug, handle },
    ]);
    loop.removeReader(from);
    close();
  }),
);

test('a stopped loop calls no watcher and does not make the host spin, and calls it in its next run', {
  skip,
}, async () => {
  const { from, to, write, close } = socketPair();
  await withLoop(
    () => new UvEventLoop(),
    async (loop) => {
      const log: string[] = [];
      loop.addReader(from, () => {
        log.push(`read ${read(from)}`);
      });
      loop.addWriter(to, () => {
        log.push('writable');
        loop.removeWriter(to);
        loop.stop();
      });
      write('x');
      const busy = await busyPart();
      assert.ok(busy < 0.5, `${busy} of the time`);
      assert.deepEqual(log, []);
      await loop.runForever();
      assert.deepEqual(log.sort(), ['read x', 'writable']);
      // The descriptor is polled again.
      write('y');
      await loop.runUntilComplete(() => passes());
      assert.deepEqual(log, ['read x', 'writable', 'read y']);
      loop.removeReader(from);
    },
  );
  close();
});

test('a hang-up on a stopped loop does not make the host spin', { skip }, async () => {
  const { from, closeTo, close } = pipe();
  await withLoop(
    () => new UvEventLoop(),
    async (loop) => {
      let calls = 0;
      loop.addReader(from, () => {
        calls++;
        loop.removeReader(from);
        loop.stop();
      });
      closeTo();
      const busy = await busyPart();
      assert.ok(busy < 0.5, `${busy} of the time`);
      await loop.runForever();
      assert.equal(calls, 1);
    },
  );
  close();
});

test('loop.close() names watched descriptors with the task that added them, and ends the watch', {
  skip,
}, async () => {
  const { from, to, write, close } = socketPair();
  await withLoop(
    () => new UvEventLoop(),
    async (loop, reports) => {
      let calls = 0;
      await loop.runUntilComplete(
        loop.createTask(
          async () => {
            loop.addReader(from, () => calls++);
            loop.addWriter(from, () => calls++);
            loop.addReader(to, () => calls++);
          },
          { name: 'watchman' },
        ),
      );
      write('x');
      const before = calls;
      loop.close();
      assert.deepEqual(
        reports.take().map(({ message, owner }) => [message, owner]),
        [
          [`the event loop was closed, but descriptor ${from} was still watched for reading`, 'watchman'],
          [`the event loop was closed, but descriptor ${from} was still watched for writing`, 'watchman'],
          [`the event loop was closed, but descriptor ${to} was still watched for reading`, 'watchman'],
        ],
      );
      for (let i = 0; i < 10; i++) await hostPass();
      assert.equal(calls, before);
    },
  );
  close();
});

test('a leak report in debug mode says where a watcher was added', { skip }, async () => {
  const { from, close } = pipe();
  await withLoop(
    () => new UvEventLoop(),
    async (loop, reports) => {
      loop.debug = true;
      // A busy machine makes callbacks slow, which debug mode reports.
      loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
      await loop.runUntilComplete(async () => loop.addReader(from, () => {}));
      loop.close();
      const [report] = reports.take();
      assert.match(String(report?.sourceTraceback), /^[^\n]*watchers\.test\.ts/);
    },
  );
  close();
});

test(
  'closing a watched Socket ends its watch, and does not affect the next owner of its number',
  { skip },
  onUv(async (loop) => {
    const [near, far] = await connectedSockets(loop);
    let calls = 0;
    const reader = loop.addReader(near, () => calls++);
    const writer = loop.addWriter(near, () => calls++);
    const fd = near.fileno();
    near.close();
    assert.deepEqual([reader.cancelled(), writer.cancelled()], [true, true]);
    const others = [socketPair()];
    while (!others.some(({ from, to }) => from === fd || to === fd)) others.push(socketPair());
    for (const { from, to } of others) {
      writeSync(from, 'x');
      writeSync(to, 'x');
    }
    await passes();
    assert.equal(calls, 0);
    assert.equal(loop.removeReader(fd), false);
    far.close();
    for (const { close } of others) close();
  }),
);

test(
  'a watched descriptor that is closed is no longer called, and its number can be watched again',
  { skip },
  onUv(async (loop) => {
    const first = pipe();
    const log: string[] = [];
    const stale = loop.addReader(first.from, () => log.push('first'));
    loop.addWriter(first.to, () => log.push('writer'));
    first.close();
    await passes();
    const second = pipe();
    assert.deepEqual([second.from, second.to], [first.from, first.to]);
    second.write('x');
    await passes();
    assert.equal(log.length, 0);
    loop.addReader(second.from, () => log.push(`second ${read(second.from)}`));
    assert.equal(stale.cancelled(), true);
    await passes();
    assert.deepEqual(log, ['second x']);
    // No call throws, although the kernel does not know the descriptor.
    assert.equal(loop.removeWriter(first.to), true);
    assert.equal(loop.removeReader(first.from), true);
    second.close();
  }),
);

test(
  'removing both watchers of a closed descriptor causes no error',
  { skip },
  onUv(async (loop) => {
    const { from, close } = socketPair();
    loop.addReader(from, () => {});
    loop.addWriter(from, () => {});
    close();
    assert.equal(loop.removeReader(from), true);
    assert.equal(loop.removeWriter(from), true);
  }),
);

test(
  'a closed descriptor that a child still has open is no longer called once its watchers are removed',
  { skip },
  onUv(async (loop) => {
    const { from, closeFrom, closeTo, write } = pipe();
    const kept = pipe();
    const child = spawn('sleep', ['60'], { stdio: [from, 'ignore', 'ignore'] });
    await once(child, 'spawn');
    const log: string[] = [];
    loop.addReader(kept.from, () => log.push(read(kept.from)));
    loop.addReader(from, () => {});
    closeFrom();
    write('x');
    assert.equal(loop.removeReader(from), true);
    await passes();
    const busy = await busyPart();
    assert.ok(busy < 0.5, `${busy} of the time`);
    // The others are still watched.
    kept.write('still there');
    await passes();
    assert.deepEqual(log, ['still there']);
    loop.removeReader(kept.from);
    kept.close();
    child.kill();
    await once(child, 'exit');
    closeTo();
  }),
);

test(
  'addReader() leaves the blocking mode of a descriptor unchanged',
  { skip },
  onUv(async (loop) => {
    const { from, close } = pipe();
    const before = flags(from);
    loop.addReader(from, () => {});
    await passes(2);
    assert.equal(flags(from), before);
    assert.equal(before & constants.O_NONBLOCK, 0);
    loop.removeReader(from);
    assert.equal(flags(from), before);
    close();
  }),
);

test(
  'several loops can watch one descriptor independently',
  { skip },
  onUv(async (loop) => {
    const { from, write, close } = pipe();
    const log: string[] = [];
    const other = new UvEventLoop();
    const done = other.createFuture<void>();
    other.addReader(from, () => {
      log.push('other');
      other.removeReader(from);
      done.setResult();
    });
    loop.addReader(from, () => {
      log.push('one');
      loop.removeReader(from);
    });
    write('x');
    await other.runUntilComplete(done);
    other.close();
    await passes();
    assert.deepEqual(log.sort(), ['one', 'other']);
    close();
  }),
);

test('watchers do not keep the process alive', { skip }, () => {
  const program = `
    import { UvEventLoop } from ${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)};
    const loop = new UvEventLoop();
    loop.addReader(0, () => {});
    await loop.runUntilComplete(async () => {});
    process.stdout.write('ended');`;
  const done = spawnSync(process.execPath, [...loaderOptions, '--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([done.status, done.stdout], [0, 'ended']);
});

test('addReader() of a backend that cannot watch throws, and names one that can', async () => {
  const message = /UvEventLoop has it/;
  for (const makeLoop of [() => new NodeEventLoop(), bareLoop]) {
    await withLoop<BaseEventLoop>(makeLoop, (loop) => {
      const error = { name: 'LoopError', code: 'ERR_UNSUPPORTED', message };
      assert.throws(() => loop.addReader(0, () => {}), error);
      assert.throws(() => loop.removeReader(0), error);
      assert.throws(() => loop.addWriter(1, () => {}), error);
      assert.throws(() => loop.removeWriter(1), error);
      // A wrong argument gives the same error on every backend.
      assert.throws(() => loop.addReader('0' as unknown as number, () => {}), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    });
  }
});

test(
  'a watcher of a Socket counts as a pending call of its direction',
  { skip },
  onUv(async (loop) => {
    using socket = new Socket(AF_INET, SOCK_DGRAM);
    socket.bind(['127.0.0.1', 0]);
    loop.addReader(socket, () => {});
    assert.throws(() => loop.sockRecv(socket, 100), { name: 'InvalidStateError' });
    await loop.sockSendto(socket, 'x', addressOf(socket));
    loop.removeReader(socket);
    const first = loop.sockRecv(socket, 100);
    assert.equal(String(await first), 'x');
    const second = loop.sockRecv(socket, 100);
    assert.throws(() => loop.addReader(socket, () => {}), { name: 'InvalidStateError' });
    // It belongs to no callback, so there is none to remove.
    assert.equal(loop.removeReader(socket), false);
    await loop.sockSendto(socket, 'y', addressOf(socket));
    assert.equal(String(await second), 'y');
  }),
);

test(
  'a number whose watch was rejected can be used by a transport later',
  { skip },
  onUv(async (loop) => {
    const first = socketPair();
    // The loop's own epoll set exists then, and takes no free number.
    loop.addReader(first.to, () => {}).cancel();
    first.close();
    assert.throws(() => loop.addReader(first.from, () => {}), { code: 'EBADF' });
    const others = [socketPair()];
    while (!others.some(({ from }) => from === first.from)) others.push(socketPair());
    const [transport] = await loop.createConnection(() => new Protocol(), null, null, { sock: first.from });
    await transport[Symbol.asyncDispose]();
    for (const { from, closeTo, close } of others) {
      if (from === first.from) closeTo();
      else close();
    }
  }),
);

test(
  'a ready event of one descriptor never reaches the next one with its number',
  { skip },
  onUv(async (loop) => {
    for (let round = 0; round < 20; round++) {
      const [near, far] = await connectedSockets(loop);
      const pair = await connectedSockets(loop);
      const made: Socket[] = [];
      let calls = 0;
      const told = loop.createFuture<void>();
      // Called by the host, in the middle of its events.
      const dataReceived = (): void => {
        const fd = near.fileno();
        near.close();
        while (made.at(-1)?.fileno() !== fd) made.push(new Socket(AF_INET, SOCK_DGRAM));
        loop.addReader(fd, () => calls++);
        told.setResult();
      };
      const [transport] = await loop.createConnection(() => ({ dataReceived }), null, null, {
        sock: pair[0],
      });
      loop.addReader(near, () => {});
      await passes(2);
      await loop.sockSendall(pair[1], 'x');
      await loop.sockSendall(far, 'x');
      await told;
      await passes(2);
      assert.equal(calls, 0);
      for (const socket of [...made, far, pair[1]]) socket.close();
      await transport[Symbol.asyncDispose]();
    }
  }),
);

test('a number that belongs to a file by the time its watcher runs does no harm', { skip }, async () => {
  const pair = socketPair();
  const opened: number[] = [];
  await withLoop(
    () => new UvEventLoop(),
    async (loop) => {
      let calls = 0;
      loop.addReader(pair.from, () => {
        calls++;
        pair.close();
        while (!opened.includes(pair.from)) opened.push(openSync('/etc/passwd', 'r'));
        loop.stop();
      });
      pair.write('x');
      // Ready twice before the loop runs: the descriptor is not polled any more.
      for (let i = 0; i < 10; i++) await hostPass();
      await loop.runForever();
      assert.equal(calls, 1);
      assert.equal(loop.removeReader(pair.from), true);
    },
  );
  for (const fd of opened) closeSync(fd);
});
