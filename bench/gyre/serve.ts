/** Helpers of the servers of this folder. */
import type { Server, StreamProtocol, StreamReader, StreamWriter } from 'gyre';
import { getRunningLoop, run, startServer, startUnixServer } from 'gyre';
import { announce, BACKLOG, readCertificate, unixPath } from '../announce.ts';

export function serveProtocol(factory: () => StreamProtocol): Promise<void> {
  return run(async () => {
    const loop = getRunningLoop();
    await serve(
      unixPath === undefined
        ? await loop.createServer(factory, '127.0.0.1', 0, { backlog: BACKLOG })
        : await loop.createUnixServer(factory, unixPath, { backlog: BACKLOG }),
    );
  });
}

export function serveTls(factory: () => StreamProtocol): Promise<void> {
  return run(async () => {
    const options = { backlog: BACKLOG, ssl: readCertificate() };
    await serve(await getRunningLoop().createServer(factory, '127.0.0.1', 0, options));
  });
}

export function serveStreams(
  onConnection: (reader: StreamReader, writer: StreamWriter) => Promise<void>,
): Promise<void> {
  return run(async () => {
    await serve(
      unixPath === undefined
        ? await startServer(onConnection, '127.0.0.1', 0, { backlog: BACKLOG })
        : await startUnixServer(onConnection, unixPath, { backlog: BACKLOG }),
    );
  });
}

async function serve(server: Server): Promise<void> {
  const name = server.sockets[0]!.getsockname();
  announce(typeof name === 'string' ? 0 : (name as [string, number])[1]);
  await server.serveForever();
}
