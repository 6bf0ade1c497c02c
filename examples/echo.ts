/** An echo server in 25 lines, with back-pressure: `node --import tsx examples/echo.ts 8888`. */
import type { Transport } from 'gyre';
import { CancelledError, getRunningLoop, Protocol, run } from 'gyre';

class Echo extends Protocol {
  #transport!: Transport;
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }
  override dataReceived(data: Buffer): void {
    this.#transport.write(data);
  }
  override pauseWriting(): void {
    this.#transport.pauseReading();
  }
  override resumeWriting(): void {
    this.#transport.resumeReading();
  }
}
await run(async () => {
  const server = await getRunningLoop().createServer(() => new Echo(), '127.0.0.1', Number(process.argv[2]));
  console.log('echo on', String(server.sockets[0]?.getsockname()));
  await server.serveForever();
  // Ctrl-C cancels all of this; when it comes here, its cleanup is done.
}).catch((error) => error instanceof CancelledError || Promise.reject(error));
