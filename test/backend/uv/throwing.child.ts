/**
 * A hundred messages there and back. With each of them a tick, a microtask and a tick of the next turn throw.
 */
import type { Transport } from '../../../src/index.ts';
import { getRunningLoop, Protocol, run, UvEventLoop } from '../../../src/index.ts';

const MESSAGES = 100;
let caught = 0;
let echoed = 0;

process.on('uncaughtException', () => {
  caught++;
});

function fail(): never {
  throw new Error('nobody catches it');
}

class Server extends Protocol {
  #transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    process.nextTick(fail);
    queueMicrotask(fail);
    getRunningLoop().callSoon(() => {
      process.nextTick(fail);
      this.#transport?.write(data);
    });
  }
}

class Client extends Server {
  override dataReceived(): void {
    echoed++;
    if (echoed < MESSAGES) this.send();
    else done();
  }

  send(): void {
    this.transport.write('x');
  }

  transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
    this.send();
  }
}

let done!: () => void;
await run(
  async () => {
    const loop = getRunningLoop();
    const all = loop.createFuture<void>();
    done = () => all.setResult(undefined);
    const server = await loop.createServer(() => new Server(), '127.0.0.1', 0);
    const [host, port] = server.sockets[0]!.getsockname() as [string, number];
    const [transport] = await loop.createConnection(() => new Client(), host, port);
    await all;
    transport.close();
    server.close();
    await server.waitClosed();
  },
  { loopFactory: () => new UvEventLoop() },
);
console.log(`caught ${caught}, echoed ${echoed}`);
