/** Certificates for tests: see certificates/make.sh. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';

/** A certificate and its key, as `tls.createServer()` takes them. */
export interface Pair {
  cert: string;
  key: string;
}

/** The folder of the files, for programs that read them. */
export function certificatePath(name: string): string {
  return fileURLToPath(new URL(`./certificates/${name}.pem`, import.meta.url));
}

function read(name: string): string {
  return readFileSync(certificatePath(name), 'utf8');
}

function pair(name: string): Pair {
  return { cert: read(name), key: read(`${name}-key`) };
}

/** The authority that the tests trust. */
export const ca: string = read('ca');
/** For localhost, 127.0.0.1 and ::1. */
export const server: Pair = pair('server');
/** For other.test and *.other.test. */
export const other: Pair = pair('other');
/** A client's. */
export const client: Pair = pair('client');
/** For localhost, until 2021. */
export const expired: Pair = pair('expired');
/** For localhost, by an authority without trust. */
export const untrusted: Pair = pair('untrusted');
/** For localhost, by itself. */
export const selfSigned: Pair = pair('self-signed');

/**
 * For localhost, by itself, with a key of Ed25519. All its signatures have one length, so the packets of a
 * handshake do, too.
 */
export const steady: Pair = pair('steady');

/** Options of a server that a {@link clientTls} trusts. */
export function serverTls(certificate: Pair = server): TlsOptions {
  return { ...certificate };
}

/** Options of a client that trusts {@link ca}. */
export function clientTls(): ConnectionOptions {
  return { ca };
}
