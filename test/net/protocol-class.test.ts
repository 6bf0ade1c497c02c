import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transport } from '../../src/index.ts';
import { DatagramProtocol, PIPE, Protocol, SubprocessProtocol } from '../../src/index.ts';
import { onNode, portOf } from '../helpers/pairs.ts';

test(
  'a class of protocols may be given instead of a factory, for servers and for clients',
  onNode(async (loop) => {
    const made: Echo[] = [];
    class Echo extends Protocol {
      transport: Transport | null = null;

      constructor() {
        super();
        made.push(this);
      }

      override connectionMade(transport: Transport): void {
        this.transport = transport;
      }

      override dataReceived(data: Buffer): void {
        this.transport?.write(data);
      }
    }
    class Client extends Protocol {
      readonly answered = loop.createFuture<string>();

      override connectionMade(transport: Transport): void {
        transport.write('hello');
      }

      override dataReceived(data: Buffer): void {
        this.answered.setResult(String(data));
      }
    }
    await using server = await loop.createServer(Echo, '127.0.0.1', 0);
    for (let count = 1; count <= 2; count++) {
      const [transport, protocol] = await loop.createConnection(Client, '127.0.0.1', portOf(server));
      assert.ok(protocol instanceof Client);
      assert.equal(await protocol.answered, 'hello');
      assert.equal(made.length, count);
      await transport[Symbol.asyncDispose]();
    }
  }),
);

test(
  'datagram endpoints and subprocesses take a class, too',
  onNode(async (loop) => {
    class Endpoint extends DatagramProtocol {}
    const [endpoint, protocol] = await loop.createDatagramEndpoint(Endpoint, { localAddr: ['127.0.0.1', 0] });
    assert.ok(protocol instanceof Endpoint);
    await endpoint[Symbol.asyncDispose]();
    class Child extends SubprocessProtocol {
      readonly exited = loop.createFuture<void>();

      override processExited(): void {
        this.exited.setResult();
      }
    }
    const [child, watcher] = await loop.subprocessExec(Child, process.execPath, ['--version'], {
      stdout: PIPE,
    });
    assert.ok(watcher instanceof Child);
    await watcher.exited;
    await child[Symbol.asyncDispose]();
  }),
);

test(
  'a constructor that throws fails the call, and leaves nothing behind',
  onNode(async (loop) => {
    class Failing extends Protocol {
      constructor() {
        super();
        throw new RangeError('no');
      }
    }
    await using server = await loop.createServer(Protocol, '127.0.0.1', 0);
    await assert.rejects(async () => await loop.createConnection(Failing, '127.0.0.1', portOf(server)), {
      name: 'RangeError',
      message: 'no',
    });
  }),
);
