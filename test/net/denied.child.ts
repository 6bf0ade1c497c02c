/**
 * Runs under Node's permission model, without `--allow-net`: tries every function that needs the network, and
 * prints its errors.
 */
import type { Future } from '../../src/index.ts';
import { NodeEventLoop, Protocol, STDOUT, SubprocessProtocol } from '../../src/index.ts';

const loop = new NodeEventLoop();
const make = (): Protocol => new Protocol();
const tries: Record<string, () => Future<unknown>> = {
  'a server on an address': () => loop.createServer(make, '127.0.0.1', 0),
  'a server on every interface': () => loop.createServer(make, null, 0),
  'a server on a unix socket': () => loop.createUnixServer(make, '/gyre/nowhere'),
  'a connection': () => loop.createConnection(make, '127.0.0.1', 9),
  'a connection from an address': () =>
    loop.createConnection(make, '127.0.0.1', 9, { localAddr: ['127.0.0.1', 0] }),
  'a connection to a unix socket': () => loop.createUnixConnection(make, '/gyre/nowhere'),
  'a socket for datagrams': () => loop.createDatagramEndpoint(() => ({}), { localAddr: ['127.0.0.1', 0] }),
  'the shared pipe of a child': () =>
    loop.subprocessExec(() => new SubprocessProtocol(), 'true', [], { stderr: STDOUT }),
  names: () => loop.getaddrinfo('localhost', 80),
};

const codes: Record<string, unknown> = {};
await loop.runUntilComplete(async () => {
  for (const [title, attempt] of Object.entries(tries)) {
    try {
      await attempt();
      codes[title] = 'done';
    } catch (error) {
      codes[title] = (error as NodeJS.ErrnoException).code;
    }
  }
});
loop.close();
console.log(JSON.stringify(codes));
