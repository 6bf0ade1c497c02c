/** Factories that are no factories: refused at the call, or at their connection, and nowhere else. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BaseEventLoop, Future, Server, Transport } from '../../src/index.ts';
import { PIPE, Protocol } from '../../src/index.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { onNode, portOf } from '../helpers/pairs.ts';

interface Places {
  port: number;
  path: string;
}

type Call = (loop: BaseEventLoop, factory: never, places: Places) => Future<unknown>;

/** Calls with a factory, which is called once. */
const onceEach: Record<string, Call> = {
  createConnection: (loop, factory, { port }) => loop.createConnection(factory, '127.0.0.1', port),
  createUnixConnection: (loop, factory, { path }) => loop.createUnixConnection(factory, path),
  createDatagramEndpoint: (loop, factory) =>
    loop.createDatagramEndpoint(factory, { localAddr: ['127.0.0.1', 0] }),
  subprocessExec: (loop, factory) => loop.subprocessExec(factory, process.execPath, ['-v'], { stdout: PIPE }),
  subprocessShell: (loop, factory) => loop.subprocessShell(factory, 'exit', { stdout: PIPE }),
};

/** Calls with a factory that are refused before they touch their socket or pipe. */
const others: Record<string, Call> = {
  createServer: (loop, factory) => loop.createServer(factory, '127.0.0.1', 0),
  createUnixServer: (loop, factory) => loop.createUnixServer(factory, '/nowhere'),
  connectAcceptedSocket: (loop, factory) => loop.connectAcceptedSocket(factory, null),
  connectReadPipe: (loop, factory) => loop.connectReadPipe(factory, null),
  connectWritePipe: (loop, factory) => loop.connectWritePipe(factory, null),
};

async function withServers(loop: BaseEventLoop, body: (places: Places) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
  const path = join(directory, 'socket');
  const tcp = await loop.createServer(Protocol, '127.0.0.1', 0);
  const unix = await loop.createUnixServer(Protocol, path);
  await body({ port: portOf(tcp), path });
  for (const server of [tcp, unix]) {
    server.abortClients();
    await server[Symbol.asyncDispose]();
  }
  await rm(directory, { recursive: true });
}

test(
  'every call refuses, at the call, a factory that cannot return a protocol',
  onNode(async (loop) => {
    const refused = [
      undefined,
      null,
      5,
      'Echo',
      {},
      new Protocol(),
      async () => new Protocol(),
      function* () {},
    ];
    for (const [name, call] of Object.entries({ ...onceEach, ...others })) {
      for (const factory of refused) {
        assert.throws(
          () => call(loop, factory as never, { port: 1, path: '/nowhere' }),
          {
            code: 'ERR_INVALID_ARG_TYPE',
            message: /^The "protocolFactory" argument must be a function that/,
          },
          `${name} ${String(factory)}`,
        );
      }
    }
  }),
);

test(
  'a factory that throws or returns no protocol fails its call with an error that names it',
  { skip: process.platform === 'win32' },
  onNode((loop) =>
    withServers(loop, async (places) => {
      const own = new RangeError('own');
      const throwing = (): never => {
        throw own;
      };
      for (const [name, call] of Object.entries(onceEach)) {
        await assert.rejects(
          async () => await call(loop, throwing as never, places),
          (error) => error === own,
          name,
        );
        for (const value of [undefined, null, 5, 'protocol', Promise.resolve({}), { connectionMade: 5 }]) {
          await assert.rejects(
            async () => await call(loop, (() => value) as never, places),
            { code: 'ERR_INVALID_ARG_TYPE', message: /^The "protocolFactory\(\)/ },
            name,
          );
        }
      }
    }),
  ),
);

/** Connects a client of Node's own. Resolves with the answer to `x`, or with `closed`. */
function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.write('x');
    socket.on('error', () => {});
    socket.once('close', () => resolve('closed'));
    socket.once('data', (data) => {
      resolve(String(data));
      socket.destroy();
    });
  });
}

class Echo extends Protocol {
  #transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
  }
}

test(
  'a factory of a server that fails now and then harms its own connection only, and each failure is reported',
  onNode(async (loop, reports) => {
    const results: (() => unknown)[] = [
      () => {
        throw new RangeError('own');
      },
      () => undefined,
      () => Promise.resolve(new Echo()),
      () => ({ dataReceived: 5 }),
    ];
    let calls = 0;
    const factory = (): Echo => (calls++ % 2 === 0 ? new Echo() : (results.shift()?.() as Echo));
    const server: Server = await loop.createServer(factory, '127.0.0.1', 0);
    const answers: string[] = [];
    for (let i = 0; i < 8; i++) answers.push(await ask(portOf(server)));
    assert.deepEqual(answers, Array(4).fill(['x', 'closed']).flat());
    const failures = reports.take();
    assert.deepEqual(
      failures.map(({ message }) => message),
      Array(4).fill('exception in the protocol factory: the connection is aborted'),
    );
    assert.deepEqual(
      failures.map(({ exception }) => (exception as { code?: string }).code),
      [undefined, ...Array(3).fill('ERR_INVALID_ARG_TYPE')],
    );
    await server[Symbol.asyncDispose]();
  }),
);

for (const kind of ['TCP', 'TLS'] as const) {
  test(
    `a ${kind} server refuses a protocol that serves another connection, and takes it again when that has ended`,
    onNode(async (loop, reports) => {
      const shared = new Echo();
      const ssl = kind === 'TLS' ? serverTls() : null;
      const server = await loop.createServer(() => shared, '127.0.0.1', 0, ssl === null ? {} : { ssl });
      const options = kind === 'TLS' ? { ssl: clientTls(), serverHostname: 'localhost' } : {};
      const connectOne = async (): Promise<[Transport, Client]> => {
        const factory = (): Client => new Client(loop.createFuture());
        const pair = await loop.createConnection(factory, '127.0.0.1', portOf(server), options);
        pair[0].write('x');
        return pair;
      };
      /** How the next client fares. The reset may come before its connect has ended. */
      const outcome = async (): Promise<string> => {
        try {
          const [, client] = await connectOne();
          return await client.outcome;
        } catch (error) {
          assert.equal((error as { code: string }).code, 'ECONNRESET');
          return 'lost';
        }
      };
      const [first, client] = await connectOne();
      assert.equal(await client.outcome, 'x');
      for (let i = 0; i < 2; i++) assert.equal(await outcome(), 'lost');
      assert.deepEqual(
        reports.take().map(({ exception, server: reported }) => [String(exception), reported === server]),
        Array(2).fill([
          'InvalidStateError: protocolFactory() returned an instance of Echo that serves an open connection: ' +
            'return a new protocol for each connection',
          true,
        ]),
      );
      const again = loop.createFuture<string>();
      first.setProtocol(new Client(again));
      first.write('y');
      assert.equal(await again, 'y');
      await first[Symbol.asyncDispose]();
      while (!String(server).includes('0 connections')) await new Promise((resolve) => setImmediate(resolve));
      const [next, later] = await connectOne();
      assert.equal(await later.outcome, 'x');
      await next[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    }),
  );
}

class Client extends Protocol {
  readonly outcome: Future<string>;

  constructor(outcome: Future<string>) {
    super();
    this.outcome = outcome;
  }

  override dataReceived(data: Buffer): void {
    this.outcome.setResult(String(data));
  }

  override connectionLost(): void {
    if (!this.outcome.done()) this.outcome.setResult('lost');
  }
}
