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

/** For localhost, with a key of RSA. */
export const rsa: Pair = pair('rsa');
/** For localhost, by an intermediate authority, whose certificate follows. */
export const chained: Pair = pair('chained');
/** A client's, which {@link crl} revokes. */
export const revoked: Pair = pair('revoked');
/** The revoked certificates of {@link ca}. */
export const crl: string = read('crl');
/** The same list, but its next update was due in 2024. */
export const expiredCrl: string = read('expired-crl');
/** Parameters of 2048 bits. */
export const dhparam: string = read('dhparam');
/** The passphrase of {@link locked} and {@link pfx}. */
export const passphrase: string = 'open sesame';
/** {@link server}, with its key encrypted. */
export const locked: Pair = { cert: server.cert, key: read('locked-key') };
/** {@link server} and {@link ca} as PKCS #12. */
export const pfx: Buffer = readFileSync(new URL('./certificates/server.pfx', import.meta.url));

/** Options of a server that a {@link clientTls} trusts. */
export function serverTls(certificate: Pair = server): TlsOptions {
  return { ...certificate };
}

/** Options of a client that trusts {@link ca}. */
export function clientTls(): ConnectionOptions {
  return { ca };
}
