/** TCP echo by streams. */
import type { StreamReader, StreamWriter } from 'gyre';
import { serveStreams } from './serve.ts';

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let data = await reader.read(65_536); data.length > 0; data = await reader.read(65_536)) {
    writer.write(data);
    await writer.drain();
  }
  writer.close();
}

await serveStreams(echo);
