/** Line echo by `readline`, with one write a line. */
import type { StreamReader, StreamWriter } from 'gyre';
import { startServer } from 'gyre';
import { BACKLOG, serve } from './serve.ts';

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    await writer.drain();
  }
  writer.close();
}

await serve(() => startServer(echo, '127.0.0.1', 0, { backlog: BACKLOG }));
