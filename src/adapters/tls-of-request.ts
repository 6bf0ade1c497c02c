/** The TLS options of a request, and the `ssl` of its agent, as one `ssl` of gyre. */
import { invalidArgType } from '../base/validate.ts';

/** The options of `tls.connect()` that a request may have. */
const TLS_OPTIONS = [
  'ALPNProtocols',
  'allowPartialTrustChain',
  'ca',
  'cert',
  'checkServerIdentity',
  'ciphers',
  'clientCertEngine',
  'crl',
  'dhparam',
  'ecdhCurve',
  'honorCipherOrder',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'rejectUnauthorized',
  'requestOCSP',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'session',
  'sessionIdContext',
  'sigalgs',
] as const;

/**
 * Returns the options of a session. Those of the agent win over those of the request, as in Node.
 *
 * @param ssl true, `tls.ConnectionOptions` or a `tls.SecureContext`
 * @param request the options of the request, with others among them
 * @param protocols the protocols that ALPN offers, unless one of both names others
 */
export function tlsOf(ssl: unknown, request: object, protocols: readonly string[]): object {
  const own: Record<string, unknown> = { ALPNProtocols: protocols };
  for (const name of TLS_OPTIONS) {
    const value = (request as Record<string, unknown>)[name];
    if (value !== undefined) own[name] = value;
  }
  if (ssl === true) return own;
  return { ...own, ...(isSecureContext(ssl) ? { secureContext: ssl } : (ssl as object)) };
}

function isSecureContext(ssl: unknown): boolean {
  return typeof ssl === 'object' && ssl !== null && 'context' in ssl;
}

/** Checks the type of `ssl`. Its content is checked at the connection, as for `createConnection()`. */
export function checkSsl(ssl: unknown): void {
  if (ssl === true || (typeof ssl === 'object' && ssl !== null && !Array.isArray(ssl))) return;
  throw invalidArgType('options.ssl', ssl, 'true, tls.ConnectionOptions or a tls.SecureContext');
}
