/** Echo by protocol. */
import type { Transport } from 'gyre';
import { Protocol } from 'gyre';
import { serveProtocol } from './serve.ts';

class Echo extends Protocol {
  transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.transport?.write(data);
  }
}

await serveProtocol(() => new Echo());
