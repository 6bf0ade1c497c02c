/** TCP echo by protocol. */
import type { Transport } from 'gyre';
import { getRunningLoop, Protocol } from 'gyre';
import { BACKLOG, serve } from './serve.ts';

class Echo extends Protocol {
  transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.transport?.write(data);
  }
}

await serve(() => getRunningLoop().createServer(() => new Echo(), '127.0.0.1', 0, { backlog: BACKLOG }));
