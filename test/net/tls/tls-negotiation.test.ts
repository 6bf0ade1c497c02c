/** Versions, ciphers, groups and signatures: gyre negotiates as Node does, on either side. */
import { test } from 'node:test';
import type { ConnectionOptions, SecureVersion, TlsOptions } from 'node:tls';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { onNode } from '../../helpers/pairs.ts';
import type { Outcome } from './outcomes.ts';
import { agrees, connected, refused } from './outcomes.ts';

type Both = Omit<TlsOptions, 'pskCallback'> & Omit<ConnectionOptions, 'pskCallback'>;

const only = (version: SecureVersion): Both => ({ minVersion: version, maxVersion: version });

/** The least that OpenSSL 3 wants for the versions and ciphers of the past. */
const past = (version: SecureVersion, ciphers: string = 'DEFAULT'): Both => ({
  ...only(version),
  ciphers: `${ciphers}@SECLEVEL=0`,
});

/** Certificates with an EC and an RSA key, of which the cipher chooses one. */
const twoKeys: TlsOptions = {
  cert: [certificates.server.cert, certificates.rsa.cert],
  key: [certificates.server.key, certificates.rsa.key],
};

const cases: readonly (readonly [string, Both, Both, (outcome: Outcome) => void])[] = [
  // Versions.
  ['the default version', {}, {}, connected({ protocol: 'TLSv1.3' })],
  ['TLS 1.3', only('TLSv1.3'), only('TLSv1.3'), connected({ protocol: 'TLSv1.3' })],
  ['TLS 1.2 by the server', only('TLSv1.2'), {}, connected({ protocol: 'TLSv1.2' })],
  ['TLS 1.2 by the client', {}, only('TLSv1.2'), connected({ protocol: 'TLSv1.2' })],
  ['TLS 1.1', past('TLSv1.1'), past('TLSv1.1'), connected({ protocol: 'TLSv1.1' })],
  ['TLS 1.0', past('TLSv1'), past('TLSv1'), connected({ protocol: 'TLSv1' })],
  [
    'TLS 1.3 for a client of TLS 1.2',
    only('TLSv1.3'),
    only('TLSv1.2'),
    refused(/ALERT_PROTOCOL_VERSION/, /UNSUPPORTED_PROTOCOL/),
  ],
  [
    'TLS 1.2 for a client of TLS 1.3',
    only('TLSv1.2'),
    only('TLSv1.3'),
    refused(/ALERT_PROTOCOL_VERSION/, /UNSUPPORTED_PROTOCOL/),
  ],
  // Ciphers.
  ...(['128', '256'] as const).map(
    (bits) =>
      [
        `ECDHE-ECDSA-AES${bits}-GCM`,
        {},
        { ...only('TLSv1.2'), ciphers: `ECDHE-ECDSA-AES${bits}-GCM-SHA${bits === '128' ? '256' : '384'}` },
        connected({ protocol: 'TLSv1.2' }),
      ] as const,
  ),
  [
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    {},
    { ...only('TLSv1.2'), ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' },
    connected({ protocol: 'TLSv1.2' }),
  ],
  [
    'AES in CBC mode with SHA-1',
    { ciphers: 'ECDHE-ECDSA-AES128-SHA' },
    only('TLSv1.2'),
    connected({ protocol: 'TLSv1.2' }),
  ],
  [
    'a key exchange by RSA',
    { ...certificates.rsa, ciphers: 'AES256-SHA256' },
    { ...only('TLSv1.2'), ciphers: 'AES256-SHA256' },
    connected({ ephemeral: {} }),
  ],
  [
    'a suite of TLS 1.3 among ciphers of TLS 1.2',
    { ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' },
    { ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' },
    connected({ protocol: 'TLSv1.3' }),
  ],
  [
    'the same list, and TLS 1.2',
    { ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' },
    { ...only('TLSv1.2'), ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' },
    connected({ protocol: 'TLSv1.2' }),
  ],
  [
    'TLS_AES_128_CCM_SHA256, which is no default',
    { ciphers: 'TLS_AES_128_CCM_SHA256' },
    { ciphers: 'TLS_AES_128_CCM_SHA256' },
    connected({ protocol: 'TLSv1.3' }),
  ],
  [
    'ciphers without encryption',
    { ...past('TLSv1.2', 'ECDHE-ECDSA-NULL-SHA') },
    { ...past('TLSv1.2', 'ECDHE-ECDSA-NULL-SHA') },
    connected({ protocol: 'TLSv1.2' }),
  ],
  [
    'a cipher without authentication',
    { ...past('TLSv1.2', 'ADH-AES128-GCM-SHA256'), dhparam: 'auto' } as Both,
    { ...past('TLSv1.2', 'ADH-AES128-GCM-SHA256'), checkServerIdentity: () => undefined },
    refused(/UNABLE_TO_GET_ISSUER_CERT/, /gone/),
  ],
  [
    'the order of the server’s ciphers',
    { ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384' },
    { ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256' },
    connected({ protocol: 'TLSv1.3' }),
  ],
  [
    'the order of the client’s ciphers',
    { ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384', honorCipherOrder: false },
    { ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256' },
    connected({ protocol: 'TLSv1.3' }),
  ],
  [
    'no common suite of TLS 1.3',
    { ...only('TLSv1.3'), ciphers: 'TLS_AES_128_GCM_SHA256' },
    { ...only('TLSv1.3'), ciphers: 'TLS_AES_256_GCM_SHA384' },
    refused(/ALERT_HANDSHAKE_FAILURE/, /NO_SHARED_CIPHER/),
  ],
  [
    'no common cipher of TLS 1.2',
    { ...only('TLSv1.2'), ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
    { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    refused(/ALERT_HANDSHAKE_FAILURE/, /NO_SHARED_CIPHER/),
  ],
  [
    'a cipher for another kind of key',
    { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
    { ...only('TLSv1.2') },
    refused(/ALERT_HANDSHAKE_FAILURE/, /NO_SHARED_CIPHER/),
  ],
  // Two keys.
  [
    'an EC key of two',
    twoKeys,
    { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', ...only('TLSv1.2') },
    connected(),
  ],
  ['an RSA key of two', twoKeys, { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', ...only('TLSv1.2') }, connected()],
  ['an RSA key of two by TLS 1.3', twoKeys, { sigalgs: 'rsa_pss_rsae_sha256' }, connected()],
  // Groups.
  ...(['X25519', 'prime256v1'] as const).flatMap((curve) =>
    (['TLSv1.2', 'TLSv1.3'] as const).map(
      (version) =>
        [`the group ${curve} by ${version}`, { ecdhCurve: curve }, only(version), connected()] as const,
    ),
  ),
  ['a list of groups', { ecdhCurve: 'P-384:P-256' }, { ecdhCurve: 'P-256:P-384' }, connected()],
  [
    'a group that needs another ClientHello',
    { ecdhCurve: 'P-384' },
    { ecdhCurve: 'X25519:P-384' },
    connected(),
  ],
  [
    'no common group',
    { ecdhCurve: 'P-384' },
    { ecdhCurve: 'P-256' },
    refused(/ALERT_HANDSHAKE_FAILURE/, /NO_SUITABLE_KEY_SHARE/),
  ],
  [
    'finite-field groups of OpenSSL’s choice',
    { ...certificates.rsa, dhparam: 'auto' } as Both,
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256', ...only('TLSv1.2') },
    connected(),
  ],
  [
    'finite-field groups of the server',
    { ...certificates.rsa, dhparam: certificates.dhparam },
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256', ...only('TLSv1.2'), minDHSize: 2048 },
    connected(),
  ],
  [
    'finite-field groups that are too small for the client',
    { ...certificates.rsa, dhparam: certificates.dhparam },
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256', ...only('TLSv1.2'), minDHSize: 3072 },
    refused(/ERR_TLS_DH_PARAM_SIZE/, /gone/),
  ],
  // Signatures.
  ...(['rsa_pss_rsae_sha256', 'rsa_pss_rsae_sha512'] as const).map(
    (sigalgs) => [`signatures by ${sigalgs}`, { ...certificates.rsa }, { sigalgs }, connected()] as const,
  ),
  ['a list of signatures', { sigalgs: 'RSA+SHA512:ECDSA+SHA384:ECDSA+SHA256' }, {}, connected()],
  ['a key of Ed25519', { ...certificates.steady }, { ca: certificates.steady.cert }, connected()],
  [
    'no common signature',
    { sigalgs: 'rsa_pss_rsae_sha256' },
    { sigalgs: 'ecdsa_secp256r1_sha256' },
    refused(/ALERT_HANDSHAKE_FAILURE/, /NO_SUITABLE_SIGNATURE_ALGORITHM|NO_SHARED/),
  ],
];

for (const [name, server, client, check] of cases) {
  test(
    `gyre and Node agree on a handshake with ${name}`,
    onNode(agrees({ server: { ...serverTls(), ...server }, client: { ...clientTls(), ...client } }, check)),
  );
}
