/**
 * `node:http`, unmodified, on both sides of gyre's transports. Its handlers are code of the loop: they sleep,
 * start tasks and are cancelled like any other. The result is a web server whose idle connections close by
 * the loop's clock, and which leaves nothing behind when it ends.
 *
 *   $ node --import tsx examples/http-over-gyre.ts 8080         serves until Ctrl-C
 *   $ node --import tsx examples/http-over-gyre.ts 0 --ask      sends itself three requests instead
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import type { Server, Transport } from 'gyre';
import { CancelledError, gather, getRunningLoop, Protocol, run, sleep, TimeoutError, timeout } from 'gyre';
import type { TransportDuplex } from 'gyre/node';
import { connectDuplex, toDuplex } from 'gyre/node';

/** Seconds that a request may take. */
const LONGEST = 2;

/** `/sleep/0.1` answers after that many seconds. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, seconds] = /^\/sleep\/([\d.]+)$/.exec(request.url ?? '') ?? [];
  if (seconds === undefined) {
    response.writeHead(404).end('try /sleep/0.1\n');
    return;
  }
  try {
    await timeout(LONGEST, () => sleep(Number(seconds)));
    response.end(`slept ${seconds} s\n`);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    response.writeHead(503).end('that takes too long\n');
  }
}

const http = createServer((request, response) => {
  getRunningLoop().createTask(() => answer(request, response));
});

/** `node:http` gets a connection that gyre has accepted from its first byte on. */
class Http extends Protocol {
  override connectionMade(transport: Transport): void {
    http.emit('connection', toDuplex(transport, { allowHalfOpen: true }));
  }
}

/** The client's side: its sockets are connections of gyre. */
class GyreAgent extends Agent {
  override createConnection({ port }: { port: number }): TransportDuplex {
    const loop = getRunningLoop();
    return connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));
  }
}

async function ask(port: number): Promise<void> {
  const agent = new GyreAgent({ keepAlive: true });
  const asked = ['/sleep/0.1', '/sleep/0.2', '/sleep/60'].map(async (path) => {
    const [response] = (await once(get({ port, path, agent }), 'response')) as [IncomingMessage];
    console.log(response.statusCode, path, (await text(response)).trim());
  });
  await gather(...asked);
  agent.destroy();
}

function portOf(server: Server): number {
  return server.sockets[0]?.getsockname()?.[1] as number;
}

async function main(port: number, asks: boolean): Promise<void> {
  const server = await getRunningLoop().createServer(() => new Http(), '127.0.0.1', port);
  console.log(`http on http://127.0.0.1:${portOf(server)}/sleep/0.1`);
  if (!asks) {
    await server.serveForever();
    return;
  }
  await ask(portOf(server));
  server.close();
  await server.waitClosed();
}

const { values, positionals } = parseArgs({
  options: { ask: { type: 'boolean', default: false } },
  allowPositionals: true,
});
await run(() => main(Number(positionals[0] ?? 8080), values.ask)).catch((error: unknown) => {
  if (!(error instanceof CancelledError)) throw error;
});
console.log('closed');
