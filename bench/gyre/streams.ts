/** TCP echo by streams. */
import type { StreamReader, StreamWriter } from 'gyre';
import { startServer } from 'gyre';
import { BACKLOG, serve } from './serve.ts';

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let data = await reader.read(65_536); data.length > 0; data = await reader.read(65_536)) {
    writer.write(data);
    await writer.drain();
  }
  writer.close();
}

await serve(() => startServer(echo, '127.0.0.1', 0, { backlog: BACKLOG }));
