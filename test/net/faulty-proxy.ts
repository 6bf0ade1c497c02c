/**
 * A proxy that spoils the data that passes: it cuts, resets, goes silent or sends garbage after a number of
 * bytes.
 */
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** The fault: ends the connection (FIN), resets it, goes silent, or sends data that is no TLS. */
export type Fault = 'end' | 'reset' | 'stall' | 'garbage';

export const FAULTS: readonly Fault[] = ['end', 'reset', 'stall', 'garbage'];

/** The victim: the client of the proxy, or the server behind it. */
export type Victim = 'client' | 'server';

export interface FaultyProxy {
  port: number;
  /** The number of bytes that went to the victim. */
  passed: () => number;
  /** Spoils the connection now, after any number of bytes. */
  spoil: (fault: Fault) => void;
  close: () => Promise<void>;
}

/**
 * @param target the port that it leads to
 * @param after the number of bytes after which it spoils the rest
 */
export async function faultyProxy(
  target: number,
  victim: Victim,
  fault: Fault = 'end',
  after: number = Number.POSITIVE_INFINITY,
): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let passed = 0;
  let spoil: (fault: Fault) => void = () => {};
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    const [spoiled, source] = victim === 'client' ? [client, upstream] : [upstream, client];
    let spoilt = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // A test that fails does not close the proxy.
      socket.unref();
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    spoil = (how) => {
      if (spoilt) return;
      spoilt = true;
      if (how === 'end') spoiled.end();
      else if (how === 'reset') spoiled.resetAndDestroy();
      else if (how === 'garbage') spoiled.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(1000)));
    };
    const pass = (data: Buffer): void => {
      if (spoilt) return;
      const part = data.subarray(0, after - passed);
      passed += part.length;
      spoiled.write(part);
      if (passed >= after) spoil(fault);
    };
    source.on('data', pass);
    source.on('end', () => {
      if (!spoilt) spoiled.end();
    });
    spoiled.on('data', (data: Buffer) => source.write(data));
    spoiled.on('end', () => source.end());
    spoiled.on('close', () => source.destroy());
    source.on('close', () => {
      if (!spoilt) spoiled.destroy();
    });
    upstream.once('connect', () => {
      if (after === 0) spoil(fault);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  server.unref();
  return {
    port: (server.address() as { port: number }).port,
    passed: () => passed,
    spoil: (how) => spoil(how),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
