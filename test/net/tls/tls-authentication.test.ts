/** Certificates, shared keys, names and protocols: gyre judges its peers as Node does, on either side. */
import { test } from 'node:test';
import type { ConnectionOptions, SecureVersion, TlsOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode } from '../../helpers/pairs.ts';
import type { Outcome } from './outcomes.ts';
import { agrees, connected, refused } from './outcomes.ts';

type Check = (outcome: Outcome) => void;
type Row = readonly [
  name: string,
  server: TlsOptions,
  client: ConnectionOptions,
  check: Check,
  code?: string,
];

/**
 * These rows run with TLS 1.2, too. OpenSSL judges a certificate, a name or a protocol alike in both
 * versions. Only the order of the messages differs, and with it the time at which a peer learns the result.
 */
const ALSO_WITH_TLS_1_2: readonly string[] = [
  'a chain through an intermediate authority',
  'an expired certificate',
  'a client certificate',
  'no client certificate',
  'no client certificate, which the server accepts',
  'a client certificate that nobody requests',
  'a client certificate of another authority',
  'a context for the name, at once',
  'a context for the name, later',
  'no context for the name',
  'the same protocol',
  'no common protocol',
  'a callback that selects none',
];

function versionsOf(row: string): readonly SecureVersion[] {
  return ALSO_WITH_TLS_1_2.includes(row) ? ['TLSv1.2', 'TLSv1.3'] : ['TLSv1.3'];
}

const { ca, chained, client, crl, expired, expiredCrl, locked, other, passphrase, pfx, revoked } =
  certificates;

/** The root that has not issued the leaf itself. */
const intermediate = chained.cert.slice(chained.cert.indexOf('-----BEGIN', 1));

const servers: readonly Row[] = [
  ['a chain through an intermediate authority', chained, {}, connected({ authorized: true })],
  [
    'a chain whose intermediate authority is missing',
    { ...chained, cert: chained.cert.slice(0, chained.cert.indexOf('-----BEGIN', 1)) },
    {},
    refused(/UNABLE_TO_VERIFY_LEAF_SIGNATURE/, /gone/),
  ],
  [
    'an intermediate authority that only the server knows',
    { ...chained, cert: chained.cert.slice(0, chained.cert.indexOf('-----BEGIN', 1)), ca: intermediate },
    {},
    connected({ authorized: true }),
  ],
  [
    'an intermediate authority as trust',
    chained,
    { ca: intermediate },
    refused(/UNABLE_TO_GET_ISSUER_CERT/, /gone/),
  ],
  [
    'an intermediate authority as trust, which is allowed',
    chained,
    { ca: intermediate, allowPartialTrustChain: true } as ConnectionOptions,
    connected({ authorized: true }),
  ],
  ['authorities in a list of text and bytes', {}, { ca: [other.cert, Buffer.from(ca)] }, connected()],
  ['authorities in one text', {}, { ca: `${other.cert}\n${ca}` }, connected()],
  ['no trusted authority', {}, { ca: [] }, refused(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED/, /gone/)],
  ['an expired certificate', expired, {}, refused(/CERT_HAS_EXPIRED/, /gone/)],
  ['a self-signed certificate', certificates.selfSigned, {}, refused(/DEPTH_ZERO_SELF_SIGNED_CERT/, /gone/)],
  [
    'a self-signed certificate as trust',
    certificates.selfSigned,
    { ca: certificates.selfSigned.cert },
    connected(),
  ],
  ['a certificate for another name', other, {}, refused(/ERR_TLS_CERT_ALTNAME_INVALID/, /gone/)],
  [
    'a certificate without trust, which the client accepts',
    certificates.untrusted,
    { rejectUnauthorized: false },
    connected({ authorized: false, authorizationError: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }),
  ],
  [
    'a certificate for another name, which the client accepts',
    other,
    { rejectUnauthorized: false },
    connected({ authorized: false, authorizationError: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
  ],
  ['a server that the revocation list of the client lacks', {}, { crl }, connected()],
  ['a server that was revoked', revoked, { crl, servername: 'client.test' }, refused(/CERT_REVOKED/, /gone/)],
  ['a revocation list that is out of date', {}, { crl: expiredCrl }, refused(/CRL_HAS_EXPIRED/, /gone/)],
  // Keys and certificates in other forms.
  ['PKCS #12 with a passphrase', { pfx, passphrase }, {}, connected()],
  ['PKCS #12 in a list', { pfx: [{ buf: pfx, passphrase }] }, {}, connected()],
  ['an encrypted key', { ...locked, passphrase }, {}, connected()],
  [
    'an encrypted key in a list',
    { cert: locked.cert, key: [{ pem: locked.key, passphrase }] },
    {},
    connected(),
  ],
  [
    'keys and certificates as bytes',
    { cert: Buffer.from(certificates.rsa.cert), key: Buffer.from(certificates.rsa.key) },
    {},
    connected(),
  ],
];

const asking: TlsOptions = { requestCert: true, ca };

const clients: readonly Row[] = [
  ['a client certificate', asking, client, connected()],
  ['a client certificate as PKCS #12', asking, { pfx, passphrase, ca }, connected()],
  ['no client certificate', asking, {}, refused(/gone|ALERT/, /PEER_DID_NOT_RETURN|UNABLE_TO_GET_ISSUER/)],
  [
    'no client certificate, which the server accepts',
    { ...asking, rejectUnauthorized: false },
    {},
    ({ server }) => connected()({ client: server, server }),
  ],
  [
    'a client certificate that nobody requests',
    {},
    client,
    (outcome) => {
      connected()(outcome);
      if (outcome.server.facts?.peer !== undefined) throw new Error('the server has got it');
    },
  ],
  [
    'a client certificate of another authority',
    asking,
    certificates.untrusted,
    refused(/gone|ALERT/, /gone/),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ],
  [
    'a client certificate that has expired',
    asking,
    expired,
    refused(/gone|ALERT/, /gone/),
    'CERT_HAS_EXPIRED',
  ],
  [
    'a client certificate that was revoked',
    { ...asking, crl },
    revoked,
    refused(/gone|ALERT/, /gone/),
    'CERT_REVOKED',
  ],
  ['a client certificate beside a revocation list', { ...asking, crl }, client, connected()],
  [
    'a client certificate beside a revocation list that is out of date',
    { ...asking, crl: [expiredCrl] },
    client,
    refused(/gone|ALERT/, /gone/),
    'CRL_HAS_EXPIRED',
  ],
  [
    'a client certificate of another authority, which the server accepts',
    { ...asking, rejectUnauthorized: false },
    certificates.untrusted,
    connected(),
  ],
  ['a client certificate with its chain', asking, chained, connected()],
];

for (const [name, server, clientOptions, check, code] of [...servers, ...clients] as readonly Row[]) {
  for (const version of versionsOf(name)) {
    const versions = { minVersion: version, maxVersion: version };
    // A PKCS #12 file brings a certificate of its own.
    const base = 'pfx' in server ? {} : serverTls();
    test(
      `${version}: gyre and Node agree about ${name}`,
      onNode(
        agrees(
          {
            server: { ...base, ...server, ...versions },
            client: { ...clientTls(), ...clientOptions },
            ...(code === undefined ? {} : { code }),
          },
          check,
        ),
      ),
    );
  }
}

// --- keys that both sides share ---

const psk = Buffer.from('0123456789abcdef');
const clientKey = { pskCallback: () => ({ psk, identity: 'me' }), checkServerIdentity: () => undefined };
const serverKey = (wanted: string, key: Buffer = psk): TlsOptions['pskCallback'] => {
  return (_socket, identity) => (identity === wanted ? key : null);
};
const psk12 = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
const psk13 = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3' } as const;

const shared: readonly (readonly [string, TlsOptions, ConnectionOptions, Check])[] = [
  ['TLS 1.2', { ...psk12, pskIdentityHint: 'gyre', pskCallback: serverKey('me') }, psk12, connected()],
  ['TLS 1.3', { ...psk13, pskCallback: serverKey('me') }, psk13, connected({ peer: undefined })],
  [
    'TLS 1.2 and an unknown identity',
    { ...psk12, pskCallback: serverKey('another') },
    psk12,
    refused(/ALERT|DECRYPT/, /./),
  ],
  [
    'TLS 1.2 and another key',
    { ...psk12, pskCallback: serverKey('me', Buffer.alloc(16)) },
    psk12,
    refused(/ALERT|gone/, /./),
  ],
  [
    'TLS 1.3 and another key',
    { ...psk13, pskCallback: serverKey('me', Buffer.alloc(16)) },
    psk13,
    refused(/ALERT|gone/, /./),
  ],
  [
    'TLS 1.3 and an unknown identity, which falls back to the certificate',
    { ...serverTls(), ...psk13, pskCallback: serverKey('another') },
    { ...psk13, ...clientTls() },
    connected({ authorized: true }),
  ],
];

for (const [name, server, clientOptions, check] of shared) {
  test(
    `gyre and Node agree about a shared key by ${name}`,
    onNode(agrees({ server, client: { ...clientKey, ...clientOptions } }, check)),
  );
}

// --- names ---

const both = createSecureContext({ ...other, ca });
type Answer = (error: Error | null, context?: ReturnType<typeof createSecureContext>) => void;

const names: readonly (readonly [string, TlsOptions, ConnectionOptions, Check])[] = [
  ['no name', {}, { servername: '', checkServerIdentity: () => undefined }, connected({ servername: false })],
  ['a name in capitals', {}, { servername: 'LOCALHOST' }, connected({ servername: 'LOCALHOST' })],
  [
    'a context for the name, at once',
    { SNICallback: (_name: string, done: Answer) => done(null, both) },
    { servername: 'www.other.test' },
    connected({ servername: 'www.other.test' }),
  ],
  [
    'a context for the name, later',
    { SNICallback: (_name: string, done: Answer) => void setImmediate(done, null, both) },
    { servername: 'other.test' },
    connected({ servername: 'other.test' }),
  ],
  [
    'no context for the name',
    { SNICallback: (_name: string, done: Answer) => done(null) },
    {},
    connected({ servername: 'localhost' }),
  ],
];

// --- protocols ---

const protocols: readonly (readonly [string, TlsOptions, ConnectionOptions, Check])[] = [
  ['the same protocol', { ALPNProtocols: ['h2'] }, { ALPNProtocols: ['h2'] }, connected({ alpn: 'h2' })],
  [
    'the order of the server’s protocols',
    { ALPNProtocols: ['a', 'b'] },
    { ALPNProtocols: ['b', 'a'] },
    connected({ alpn: 'a' }),
  ],
  [
    'protocols as bytes',
    { ALPNProtocols: Buffer.from('\x02h2\x01a', 'latin1') },
    { ALPNProtocols: new Uint8Array(Buffer.from('\x01a', 'latin1')) },
    connected({ alpn: 'a' }),
  ],
  [
    'a protocol of 255 bytes',
    { ALPNProtocols: ['x'.repeat(255)] },
    { ALPNProtocols: ['y', 'x'.repeat(255)] },
    connected({ alpn: 'x'.repeat(255) }),
  ],
  ['a protocol that is not ASCII', { ALPNProtocols: ['grüße'] }, { ALPNProtocols: ['grüße'] }, connected()],
  ['protocols of the server alone', { ALPNProtocols: ['h2'] }, {}, connected({ alpn: false })],
  ['protocols of the client alone', {}, { ALPNProtocols: ['h2'] }, connected({ alpn: false })],
  ['an empty list of the server', { ALPNProtocols: [] }, { ALPNProtocols: ['h2'] }, () => {}],
  ['an empty list of the client', { ALPNProtocols: ['h2'] }, { ALPNProtocols: [] }, () => {}],
  [
    'no common protocol',
    { ALPNProtocols: ['a'] },
    { ALPNProtocols: ['b'] },
    refused(/ALERT_NO_APPLICATION_PROTOCOL/, /NO_APPLICATION_PROTOCOL/),
  ],
  [
    'a protocol that a callback selects by name and list',
    { ALPNCallback: ({ servername, protocols: list }) => list.find((name) => name === `for-${servername}`) },
    { ALPNProtocols: ['a', 'for-localhost'] },
    connected({ alpn: 'for-localhost' }),
  ],
  [
    'a callback that selects none',
    { ALPNCallback: () => undefined },
    { ALPNProtocols: ['a'] },
    refused(/ALERT_NO_APPLICATION_PROTOCOL/, /./),
  ],
];

for (const [name, server, clientOptions, check] of [...names, ...protocols]) {
  for (const version of versionsOf(name)) {
    test(
      `${version}: gyre and Node agree about ${name}`,
      onNode(
        agrees(
          {
            server: { ...serverTls(), ...server, maxVersion: version },
            client: { ...clientTls(), ...clientOptions },
          },
          check,
        ),
      ),
    );
  }
}
