/**
 * Echo by a protocol that provides its memory: the data is read straight into it, and the next read reuses it
 * once it has left.
 */
import type { Transport } from 'gyre';
import { BufferedProtocol } from 'gyre';
import { serveProtocol } from './serve.ts';

const BYTES = 64 * 1024;

class Echo extends BufferedProtocol {
  transport: Transport | null = null;
  buffer: Buffer = Buffer.allocUnsafeSlow(BYTES);

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override getBuffer(): Buffer {
    return this.buffer;
  }

  override bufferUpdated(length: number): void {
    const transport = this.transport!;
    transport.write(this.buffer.subarray(0, length));
    // The transport owns it until it has left.
    if (transport.getWriteBufferSize() > 0) this.buffer = Buffer.allocUnsafeSlow(BYTES);
  }
}

await serveProtocol(() => new Echo());
