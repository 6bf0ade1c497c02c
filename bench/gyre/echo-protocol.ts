/** The protocol of the servers `echo` and `tls`. */
import type { Transport } from 'gyre';
import { Protocol } from 'gyre';

export class Echo extends Protocol {
  transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.transport?.write(data);
  }
}
