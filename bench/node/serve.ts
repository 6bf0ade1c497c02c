/** Helpers of the servers of this folder. */
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { announce, BACKLOG, readCertificate, unixPath } from '../announce.ts';

export function serve(onConnection: (socket: Socket) => void): void {
  const server = createServer({ noDelay: true }, onConnection);
  const where = unixPath === undefined ? { host: '127.0.0.1', port: 0 } : { path: unixPath };
  server.listen({ ...where, backlog: BACKLOG }, () => {
    announce(unixPath === undefined ? (server.address() as AddressInfo).port : 0);
  });
}

export function serveTls(onConnection: (socket: Socket) => void): void {
  const server = createTlsServer({ ...readCertificate(), noDelay: true }, onConnection);
  server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, () => {
    announce((server.address() as AddressInfo).port);
  });
}

/** The load generator may drop a client while the server writes to it, which does not matter here. */
export function ignoreReset(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ECONNRESET' && code !== 'EPIPE' && code !== 'ABORT_ERR') throw error;
}
