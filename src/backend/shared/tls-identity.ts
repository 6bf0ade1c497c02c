/** Whether a certificate is the one that was wanted. */
import type { PeerCertificate } from 'node:tls';
import { node } from '../../platform/node-modules.ts';

/** The check of a client that accepts every name. */
export function anyName(): undefined {}

/** Checks the name of a server. Never throws: see `guardCallbacks()` in tls-context.ts. */
export function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  try {
    return node.net.isIP(host) === 0
      ? node.tls.checkServerIdentity(host, certificate)
      : checkAddress(host, certificate);
  } catch (error) {
    return notNamed(host, error);
  }
}

/** Asks OpenSSL, because Node 22.23 finds no IPv6 address in a certificate. */
function checkAddress(host: string, certificate: PeerCertificate): Error | undefined {
  // A server with a pre-shared key has sent no certificate.
  const { raw } = certificate as Partial<PeerCertificate>;
  if (raw !== undefined && new node.crypto.X509Certificate(raw).checkIP(host) !== undefined) return undefined;
  return node.tls.checkServerIdentity(host, certificate) ?? notNamed(host);
}

function notNamed(host: string, cause?: unknown): Error {
  const error = new Error(`the certificate is not valid for ${host}`, cause === undefined ? {} : { cause });
  return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** The error for a client that was asked for a certificate, and has sent none. */
export function noClientCertificate(): Error & { code: string } {
  return Object.assign(new Error('the client has sent no certificate'), {
    code: 'UNABLE_TO_GET_ISSUER_CERT',
  });
}
