/**
 * The protocol between a server of gyre and run.ts: lines on the server's standard output and input.
 * `asyncio/measure.py` and `libuv/serve.h` do the same.
 */
import { readFileSync } from 'node:fs';
import { argv, exit, stdin } from 'node:process';
import { RUNTIME } from './measure.ts';

/** The first line of a server, once it listens. */
export interface Announcement {
  /** The port of the loopback address; 0 for a unix socket, whose path was given to the server. */
  port: number;
  runtime: string;
}

/** Long enough for a thousand clients that connect at once. */
export const BACKLOG = 1024;

/** The unix socket to listen on; undefined means a free port of the loopback address. */
export const unixPath: string | undefined = argv[2];

/** Reads the certificate and its key, whose files are the arguments of a server for TLS. */
export function readCertificate(): { cert: string; key: string } {
  const [cert, key] = argv.slice(2).map((file) => readFileSync(file, 'utf8'));
  if (cert === undefined || key === undefined) throw new Error('usage: server <certificate> <key>');
  return { cert, key };
}

/**
 * Tells run.ts where the server listens. Each line that comes back requests a garbage collection. The end of
 * the input ends the process.
 */
export function announce(port: number): void {
  const announcement: Announcement = { port, runtime: RUNTIME };
  console.log(JSON.stringify(announcement));
  stdin
    .on('data', () => {
      collectGarbage();
      console.log('{}');
    })
    .once('end', () => exit(0));
}

function collectGarbage(): void {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(synchronously: boolean): void } };
  if (Bun === undefined) gc?.();
  else Bun.gc(true);
}
