/**
 * Every call of gyre that waits takes a signal. A public call that is in no list below fails the first test.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { BaseEventLoop, SignalOptions } from '../../src/index.ts';
import * as gyre from '../../src/index.ts';
import { AF_INET, Protocol, Socket, sleep } from '../../src/index.ts';
import { clientTls } from '../helpers/certificates.ts';
import { isNative, onNode, portOf } from '../helpers/pairs.ts';

/** The silent server that the calls of the table use, and a way to clean up. */
interface Scene {
  loop: BaseEventLoop;
  port: number;
  defer(cleanUp: () => unknown): void;
}

/** Makes one call that waits, and that would wait for long without its signal. */
type Call = (scene: Scene, options: SignalOptions) => Promise<() => PromiseLike<unknown>>;

const HOST = '127.0.0.1';
const LOCAL = { localAddr: [HOST, 0] as const };
const forever = (): Promise<never> => new Promise(() => {});
const program = process.execPath;
const idle = ['-e', 'setTimeout(() => {}, 60_000)'];

async function streams({ port, defer }: Scene): Promise<[gyre.StreamReader, gyre.StreamWriter]> {
  const [reader, writer] = await gyre.openConnection(HOST, port);
  defer(() => writer.transport.abort());
  return [reader, writer];
}

async function child({ defer }: Scene): Promise<gyre.Process> {
  const started = await gyre.createSubprocessExec(program, idle, { stdin: gyre.PIPE, stdout: gyre.PIPE });
  defer(() => started[Symbol.asyncDispose]());
  return started;
}

async function held<L extends gyre.Lock | gyre.Semaphore | gyre.Condition>(lock: L): Promise<L> {
  await lock.acquire();
  return lock;
}

async function endpoint({ defer }: Scene): Promise<gyre.DatagramStream> {
  const opened = await gyre.openDatagramEndpoint(LOCAL);
  defer(() => opened[Symbol.asyncDispose]());
  return opened;
}

async function bound({ loop, defer }: Scene): Promise<gyre.Server> {
  const server = await loop.createServer(Protocol, HOST, 0, { startServing: false });
  defer(() => server[Symbol.asyncDispose]());
  return server;
}

async function transport({ loop, port, defer }: Scene): Promise<gyre.Transport> {
  const [made] = await loop.createConnection(Protocol, HOST, port);
  defer(() => made.abort());
  return made;
}

async function nodeSocket({ port, defer }: Scene): Promise<import('node:net').Socket> {
  const socket = connect(port, HOST);
  defer(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A connected socket of the class {@link Socket}. */
async function socket({ loop, port, defer }: Scene): Promise<Socket> {
  const made = new Socket();
  defer(() => made.close());
  await loop.sockConnect(made, [HOST, port]);
  return made;
}

function datagramSocket({ defer }: Scene): Socket {
  const made = new Socket(AF_INET, gyre.SOCK_DGRAM);
  defer(() => made.close());
  made.bind([HOST, 0]);
  return made;
}

const calls: Record<string, Call> = {
  'Barrier.wait': async (_, options) => () => new gyre.Barrier(2).wait(options),
  'BaseEventLoop.connectAcceptedSocket': async (scene, options) => {
    const sock = await nodeSocket(scene);
    return () => scene.loop.connectAcceptedSocket(Protocol, sock, options);
  },
  'BaseEventLoop.connectReadPipe': async (scene, options) => {
    const cat = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    scene.defer(() => cat.kill());
    return () => scene.loop.connectReadPipe(Protocol, cat.stdout, options);
  },
  'BaseEventLoop.connectWritePipe': async (scene, options) => {
    const cat = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    scene.defer(() => cat.kill());
    return () => scene.loop.connectWritePipe(Protocol, cat.stdin, options);
  },
  'BaseEventLoop.createConnection':
    async ({ loop, port }, options) =>
    () =>
      loop.createConnection(Protocol, HOST, port, options),
  'BaseEventLoop.createDatagramEndpoint':
    async ({ loop }, options) =>
    () =>
      loop.createDatagramEndpoint(gyre.DatagramProtocol, { ...LOCAL, ...options }),
  'BaseEventLoop.createServer':
    async ({ loop }, options) =>
    () =>
      loop.createServer(Protocol, HOST, 0, options),
  'BaseEventLoop.createTask':
    async ({ loop }, options) =>
    () =>
      loop.createTask(() => sleep(3600), options),
  'BaseEventLoop.createUnixConnection':
    async ({ loop }, options) =>
    () =>
      loop.createUnixConnection(Protocol, '/nowhere/socket', options),
  'BaseEventLoop.createUnixServer':
    async ({ loop }, options) =>
    () =>
      loop.createUnixServer(Protocol, '/nowhere/socket', options),
  'BaseEventLoop.getaddrinfo':
    async ({ loop }, options) =>
    () =>
      loop.getaddrinfo('localhost', 80, options),
  'BaseEventLoop.getnameinfo':
    async ({ loop }, options) =>
    () =>
      loop.getnameinfo([HOST, 80], 0, options),
  'BaseEventLoop.sendfile': async (scene, options) => {
    const made = await transport(scene);
    return () => scene.loop.sendfile(made, program, options);
  },
  'BaseEventLoop.shutdownDefaultExecutor':
    async ({ loop }, options) =>
    () =>
      loop.shutdownDefaultExecutor(options),
  'BaseEventLoop.sockAccept': async ({ loop, defer }, options) => {
    const listener = new Socket();
    defer(() => listener.close());
    listener.bind([HOST, 0]);
    listener.listen();
    return () => loop.sockAccept(listener, options);
  },
  'BaseEventLoop.sockConnect': async ({ loop, port, defer }, options) => {
    const made = new Socket();
    defer(() => made.close());
    return () => loop.sockConnect(made, [HOST, port], options);
  },
  'BaseEventLoop.sockRecv': async (scene, options) => {
    const made = await socket(scene);
    return () => scene.loop.sockRecv(made, 1, options);
  },
  'BaseEventLoop.sockRecvInto': async (scene, options) => {
    const made = await socket(scene);
    return () => scene.loop.sockRecvInto(made, Buffer.alloc(1), options);
  },
  'BaseEventLoop.sockRecvfrom': async (scene, options) => {
    const made = datagramSocket(scene);
    return () => scene.loop.sockRecvfrom(made, 1, options);
  },
  'BaseEventLoop.sockRecvfromInto': async (scene, options) => {
    const made = datagramSocket(scene);
    return () => scene.loop.sockRecvfromInto(made, Buffer.alloc(1), options);
  },
  'BaseEventLoop.sockSendall': async (scene, options) => {
    const made = await socket(scene);
    return () => scene.loop.sockSendall(made, Buffer.alloc(32 * 1024 * 1024), options);
  },
  'BaseEventLoop.sockSendfile': async (scene, options) => {
    const made = await socket(scene);
    return () => scene.loop.sockSendfile(made, program, options);
  },
  'BaseEventLoop.sockSendto': async (scene, options) => {
    const made = datagramSocket(scene);
    return () => scene.loop.sockSendto(made, 'x', [HOST, 9], options);
  },
  'BaseEventLoop.startTls': async (scene, options) => {
    const made = await transport(scene);
    const tls = { serverHostname: 'localhost', ...options };
    return () => scene.loop.startTls(made, new Protocol(), clientTls(), tls);
  },
  'BaseEventLoop.subprocessExec':
    async ({ loop }, options) =>
    () =>
      loop.subprocessExec(gyre.SubprocessProtocol, program, idle, options),
  'BaseEventLoop.subprocessShell':
    async ({ loop }, options) =>
    () =>
      loop.subprocessShell(gyre.SubprocessProtocol, 'exec sleep 60', options),
  'Condition.acquire': async (_, options) => {
    const condition = await held(new gyre.Condition());
    return () => condition.acquire(options);
  },
  'Condition.wait': async (_, options) => {
    const condition = await held(new gyre.Condition());
    return () => condition.wait(options);
  },
  'Condition.waitFor': async (_, options) => {
    const condition = await held(new gyre.Condition());
    return () => condition.waitFor(() => false, options);
  },
  'DatagramStream.receive': async (scene, options) => {
    const opened = await endpoint(scene);
    return () => opened.receive(options);
  },
  'DatagramStream.send': async (scene, options) => {
    const opened = await endpoint(scene);
    opened.transport.getProtocol().pauseWriting?.();
    return () => opened.send('x', [HOST, 9], options);
  },
  'DatagramStream.waitClosed': async (scene, options) => {
    const opened = await endpoint(scene);
    return () => opened.waitClosed(options);
  },
  'Event.wait': async (_, options) => () => new gyre.Event().wait(options),
  'Lock.acquire': async (_, options) => {
    const lock = await held(new gyre.Lock());
    return () => lock.acquire(options);
  },
  'Lock.run': async (_, options) => {
    const lock = await held(new gyre.Lock());
    return () => lock.run(() => {}, options);
  },
  'Process.communicate': async (scene, options) => {
    const started = await child(scene);
    return () => started.communicate(null, options);
  },
  'Process.wait': async (scene, options) => {
    const started = await child(scene);
    return () => started.wait(options);
  },
  'Queue.get': async (_, options) => () => new gyre.Queue().get(options),
  'Queue.join': async (_, options) => {
    const queue = new gyre.Queue();
    queue.putNowait(1);
    return () => queue.join(options);
  },
  'Queue.put': async (_, options) => {
    const queue = new gyre.Queue(1);
    queue.putNowait(1);
    return () => queue.put(2, options);
  },
  'Semaphore.acquire': async (_, options) => () => new gyre.Semaphore(0).acquire(options),
  'Semaphore.run': async (_, options) => () => new gyre.Semaphore(0).run(() => {}, options),
  'Server.serveForever': async (scene, options) => {
    const server = await bound(scene);
    return () => server.serveForever(options);
  },
  'Server.startServing': async (scene, options) => {
    const server = await bound(scene);
    return () => server.startServing(options);
  },
  'Server.waitClosed': async (scene, options) => {
    const server = await bound(scene);
    return () => server.waitClosed(options);
  },
  'StreamReader.read': async (_, options) => () => new gyre.StreamReader().read(1, options),
  'StreamReader.readexactly': async (_, options) => () => new gyre.StreamReader().readexactly(1, options),
  'StreamReader.readline': async (_, options) => () => new gyre.StreamReader().readline(options),
  'StreamReader.readuntil': async (_, options) => () => new gyre.StreamReader().readuntil('x', options),
  'StreamReader.pipeTo': async (scene, options) => {
    const [reader, writer] = await streams(scene);
    return () => reader.pipeTo(writer, options);
  },
  'StreamReaderProtocol.waitClosed': async (_, options) => () =>
    new gyre.StreamReaderProtocol(new gyre.StreamReader()).waitClosed(options),
  'StreamWriter.drain': async (scene, options) => {
    const [, writer] = await streams(scene);
    writer.write(Buffer.alloc(32 * 1024 * 1024));
    return () => writer.drain(options);
  },
  'StreamWriter.startTls': async (scene, options) => {
    const [, writer] = await streams(scene);
    const tls = { serverHostname: 'localhost', ...options };
    return () => writer.startTls(clientTls(), tls);
  },
  'StreamWriter.waitClosed': async (scene, options) => {
    const [, writer] = await streams(scene);
    return () => writer.waitClosed(options);
  },
  createSubprocessExec: async (_, options) => () => gyre.createSubprocessExec(program, idle, options),
  createSubprocessShell: async (_, options) => () => gyre.createSubprocessShell('exec sleep 60', options),
  createTask: async (_, options) => () => gyre.createTask(() => sleep(3600), options),
  gather: async (_, options) => () => gyre.gather(options, sleep(3600)),
  openConnection:
    async ({ port }, options) =>
    () =>
      gyre.openConnection(HOST, port, options),
  openDatagramEndpoint: async (_, options) => () => gyre.openDatagramEndpoint({ ...LOCAL, ...options }),
  openUnixConnection: async (_, options) => () => gyre.openUnixConnection('/nowhere/socket', options),
  shield: async (_, options) => () => gyre.shield(forever(), options),
  sleep: async (_, options) => () => sleep(3600, undefined, options),
  startServer: async (_, options) => () => gyre.startServer(null, HOST, 0, options),
  startUnixServer: async (_, options) => () => gyre.startUnixServer(null, '/nowhere/socket', options),
  taskGroup: async (_, options) => () => gyre.taskGroup(() => sleep(3600), options),
  timeout: async (_, options) => () => gyre.timeout(3600, () => sleep(3600), options),
  timeoutAt: async (_, options) => () => gyre.timeoutAt(null, () => sleep(3600), options),
  wait: async (_, options) => () => gyre.wait([forever()], options),
  waitFor: async (_, options) => () => gyre.waitFor(forever(), null, options),
};

/** Calls that usually end at once, so that no abort can come during their wait. */
const atOnce: readonly string[] = ['BaseEventLoop.sockSendto', 'Server.startServing'];

/** Iterations, whose steps wait. */
const iterations: Record<string, Call> = {
  'CompletedIterator.next': async (_, options) => () => gyre.asCompleted([forever()], options).next(),
  'BaseEventLoop.signals':
    async ({ loop }, options) =>
    () =>
      loop.signals('SIGUSR2', options)[Symbol.asyncIterator]().next(),
};

/**
 * Public calls without a signal, and the reason. `[Symbol.asyncDispose]()` is called by the language alone.
 */
const exceptions: Record<string, string> = {
  'AbstractServer.waitClosed': 'abstract: see Server.waitClosed',
  'Barrier.abort': 'never waits',
  'Barrier.reset': 'never waits',
  'BaseEventLoop.createFuture': 'waits for nothing by itself: cancel() the future',
  'BaseEventLoop.runForever': 'stop() ends it',
  'BaseEventLoop.runInExecutor': 'its last arguments are those of the function: cancel() the future',
  'BaseEventLoop.runUntilComplete': 'cancel the future, or give the signal to the task in it',
  'CompletedIterator.return': 'never waits',
  'Executor.shutdown': 'an interface: PoolExecutor.shutdown() takes wait and cancelPending',
  'Executor.submit': 'an interface, tested in test/executor',
  'Future.catch': 'as with promises',
  'Future.finally': 'as with promises',
  'Future.then': 'as with promises',
  'Runner.close': 'the cleanup of the tasks must end',
  'Runner.run': 'tested below: it is called outside of loops',
  ensureFuture: 'returns a given future as it is: shield(aw, { signal }) ends a wait alone',
  run: 'tested below: it is called outside of loops',
  toThread: 'its last arguments are those of the function: cancel() the future',
  wrapFuture: 'returns a given future as it is: shield(aw, { signal }) ends a wait alone',
};

/** Returns the public functions and methods whose declared result can be awaited. */
function waitingCalls(): string[] {
  const folder = new URL('../../src/', import.meta.url);
  const read = (file: string): string =>
    readFileSync(new URL(file, folder), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const lists = [...read('index.ts').matchAll(/export (?:type )?\{([^}]*)\}/g)];
  const names = new Set(lists.flatMap(([, list]) => (list as string).split(',').map((name) => name.trim())));
  const found = new Set<string>();
  const parameters = String.raw`\((?:[^(){}]|\((?:[^()]|\([^()]*\))*\)|\{[^{}]*\})*\)`;
  const result = String.raw`:\s*(?:Future|Promise|Task)<`;
  const functions = new RegExp(
    String.raw`^export (?:async )?function (\w+)(?:<[^(]*>)?${parameters}${result}`,
    'gm',
  );
  const methods = new RegExp(
    String.raw`^  (?:abstract |override |async )*([a-z]\w*)(?:<[^(]*>)?${parameters}${result}`,
    'gm',
  );
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const text = read(file);
    for (const [, name] of text.matchAll(functions)) if (names.has(name as string)) found.add(name as string);
    for (const [, owner, body] of text.matchAll(
      /^(?:export )?(?:abstract )?(?:class|interface) (\w+)[^{]*\{\n([\s\S]*?)^\}/gm,
    )) {
      if (!names.has(owner as string)) continue;
      for (const [, name] of (body as string).matchAll(methods)) found.add(`${owner}.${name}`);
    }
  }
  return [...found].sort();
}

test('every public call whose result can be awaited takes a signal, or is an exception with a reason', () => {
  const tested = [...Object.keys(calls), ...Object.keys(iterations), ...Object.keys(exceptions)];
  const quiet = new Set([...tested, 'TaskGroup.createTask', 'eagerTaskFactory']);
  const missing = waitingCalls().filter((name) => !quiet.has(name));
  assert.deepEqual(missing, [], 'add these to a list of this file');
  assert.ok(waitingCalls().length > 70);
});

async function withScene(loop: BaseEventLoop, body: (scene: Scene) => Promise<void>): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const server = await loop.createServer(
    () => ({ connectionMade: (made: gyre.Transport) => made.pauseReading() }),
    HOST,
    0,
  );
  await body({ loop, port: portOf(server), defer: (cleanUp) => void cleanUps.push(cleanUp) });
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  server.abortClients();
  await server[Symbol.asyncDispose]();
}

function rejectsWith(reason: unknown): (error: Error) => boolean {
  return (error) => error instanceof gyre.CancelledError && error.cause === reason;
}

/** The calls of this backend: the portable one has no sockets of the class Socket. */
const entries = Object.entries({ ...calls, ...iterations }).filter(
  ([name]) => isNative || !name.includes('.sock'),
);

test(
  'a signal that is aborted before the call lets nothing begin, in every call',
  { skip: process.platform === 'win32' },
  onNode(async (loop) => {
    for (const [name, call] of entries) {
      await withScene(loop, async (scene) => {
        const reason = new Error(name);
        const signal = AbortSignal.abort(reason);
        const start = await call(scene, { signal });
        await assert.rejects(async () => await start(), rejectsWith(reason), name);
        assert.equal(getEventListeners(signal, 'abort').length, 0, name);
      });
    }
  }),
);

test(
  'a signal that aborts during the wait ends it with a CancelledError, and no listener stays, in every call',
  { skip: process.platform === 'win32' },
  onNode(async (loop) => {
    for (const [name, call] of entries) {
      if (atOnce.includes(name)) continue;
      await withScene(loop, async (scene) => {
        const controller = new AbortController();
        const reason = new Error(name);
        const start = await call(scene, { signal: controller.signal });
        const waiting = Promise.resolve(start());
        waiting.catch(() => {});
        controller.abort(reason);
        await assert.rejects(waiting, rejectsWith(reason), name);
        assert.equal(getEventListeners(controller.signal, 'abort').length, 0, name);
      });
    }
  }),
);

test(
  'a call that is cancelled otherwise removes its listener from the signal',
  { skip: process.platform === 'win32' },
  onNode(async (loop) => {
    for (const [name, call] of Object.entries(calls)) {
      if (atOnce.includes(name) || (!isNative && name.includes('.sock'))) continue;
      await withScene(loop, async (scene) => {
        const { signal } = new AbortController();
        const start = await call(scene, { signal });
        const waiting = start() as gyre.Future<unknown>;
        waiting.cancel();
        await assert.rejects(async () => await waiting, gyre.CancelledError, name);
        assert.equal(getEventListeners(signal, 'abort').length, 0, name);
      });
    }
  }),
);

test('run() and Runner.run() end with a CancelledError when their signal aborts, and never begin if it has', async () => {
  const loopFactory = (): SimulatedEventLoop => new SimulatedEventLoop();
  const runs = {
    run: (main: () => PromiseLike<void>, signal: AbortSignal) => gyre.run(main, { loopFactory, signal }),
    'Runner.run': async (main: () => PromiseLike<void>, signal: AbortSignal) => {
      await using runner = new gyre.Runner({ loopFactory });
      await runner.run(main, { signal });
    },
  };
  for (const [name, start] of Object.entries(runs)) {
    const controller = new AbortController();
    const reason = new Error(name);
    const log: string[] = [];
    const running = start(async () => {
      try {
        controller.abort(reason);
        await sleep(3600);
      } finally {
        log.push('cleaned up');
      }
    }, controller.signal);
    await assert.rejects(running, rejectsWith(reason), name);
    assert.deepEqual(log, ['cleaned up'], name);
    const again = start(async () => assert.fail(), controller.signal);
    await assert.rejects(again, rejectsWith(reason), name);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0, name);
    assert.throws(() => void gyre.run(async () => {}, { signal: 5 as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});
