/** Line echo by `readline`, with one write a line. */
import type { StreamReader, StreamWriter } from 'gyre';
import { serveStreams } from './serve.ts';

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    await writer.drain();
  }
  writer.close();
}

await serveStreams(echo);
