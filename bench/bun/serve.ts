/** Helpers of the servers of this folder. */
import { announce, readCertificate, unixPath } from '../announce.ts';

export function serve<Data>(handler: Bun.SocketHandler<Data>): void {
  if (unixPath === undefined) {
    announce(Bun.listen({ hostname: '127.0.0.1', port: 0, socket: handler }).port);
  } else {
    Bun.listen({ unix: unixPath, socket: handler });
    announce(0);
  }
}

export function serveTls<Data>(handler: Bun.SocketHandler<Data>): void {
  announce(Bun.listen({ hostname: '127.0.0.1', port: 0, tls: readCertificate(), socket: handler }).port);
}
