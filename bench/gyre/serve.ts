/** What the servers of this folder share. */
import type { Future, Server } from 'gyre';
import { run } from 'gyre';
import { announce } from '../measure.ts';

/** Long enough for a thousand clients that connect at once. */
export const BACKLOG = 1024;

export async function serve(start: () => Future<Server>): Promise<void> {
  await run(async () => {
    const server = await start();
    const [, port] = server.sockets[0]!.getsockname() as [string, number];
    announce(port);
    await server.serveForever();
  });
}
