/**
 * A server by protocol or by streams that measures its own heap. Fork it with `protocol` or `streams`. It
 * posts its port, and answers each message with the used bytes of its heap.
 */
import type { StreamReader, StreamWriter, Transport } from '../../../src/index.ts';
import { getRunningLoop, Protocol, run, startServer } from '../../../src/index.ts';
import { heapUsed } from '../../helpers/gc.ts';
import { portOf } from '../../helpers/pairs.ts';

class Echo extends Protocol {
  transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.transport?.write(data);
  }
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let data = await reader.read(1024); data.length > 0; data = await reader.read(1024))
    writer.write(data);
  writer.close();
}

await run(async () => {
  const byStreams = process.argv[2] === 'streams';
  const server = byStreams
    ? await startServer(echo, '127.0.0.1', 0)
    : await getRunningLoop().createServer(() => new Echo(), '127.0.0.1', 0);
  process.on('message', async () => process.send?.(await heapUsed()));
  process.send?.(portOf(server));
  await server.serveForever();
});
