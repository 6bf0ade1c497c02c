/**
 * The native context of TLS options. Node's `createSecureContext()` has checked the same options, so their
 * errors are Node's. The steps and their order are Node's, too: see `configSecureContext()` in its
 * lib/internal/tls.
 */
import type { SecureContextOptions } from 'node:tls';
import { node } from '../../../platform/node-modules.ts';
import type { NodeTlsContext } from '../../shared/tls-context.ts';
import type { Addon, NativeContext, TlsFault } from '../addon.ts';
import { addon } from '../dispatch.ts';
import { knowsAuthorities, loadAuthorities } from './authorities.ts';

/** The options that the native engine honours. Any other chooses the portable engine. */
const HONOURED: ReadonlySet<string> = new Set([
  ...['key', 'cert', 'pfx', 'passphrase', 'ca', 'crl', 'allowPartialTrustChain'],
  ...['ciphers', 'ecdhCurve', 'sigalgs', 'dhparam', 'minDHSize', 'honorCipherOrder'],
  ...['minVersion', 'maxVersion', 'secureProtocol', 'secureOptions'],
  ...['sessionIdContext', 'sessionTimeout', 'ticketKeys', 'session'],
  ...['ALPNProtocols', 'servername', 'requestCert', 'rejectUnauthorized', 'checkServerIdentity'],
]);

/** Returns why the native engine cannot serve a context; null: it can. */
export function whyPortable({ contextOptions, options }: NodeTlsContext): string | null {
  if (!addon().tlsAvailable()) return 'this Node does not export OpenSSL 3';
  if (contextOptions === null) return 'a SecureContext of Node cannot be read';
  for (const [name, value] of Object.entries(options)) {
    if (!HONOURED.has(name) && value !== undefined) return `the portable engine has the option ${name}`;
  }
  const { ca, ticketKeys } = options;
  // An option whose type only Node converts.
  if (ticketKeys !== undefined && !(ticketKeys instanceof Uint8Array)) return 'ticketKeys is no Buffer';
  if (!ca && !knowsAuthorities()) return 'OpenSSL chooses the default authorities (--use-openssl-ca)';
  return null;
}

/** Returns the native context; null with the reason: OpenSSL did not accept the options. */
export function buildContext(context: NodeTlsContext): { native: NativeContext | null; fault: TlsFault } {
  const options = context.contextOptions as SecureContextOptions;
  const { list, suites } = splitCiphers(options.ciphers);
  const { role, min, max } = versionsOf(options);
  const onlyTls13 = list === '' && min < TLS_1_3 && max > TLS_1_2;
  const native = addon().tlsContext(role, onlyTls13 ? TLS_1_3 : min, max, openSslOptions(options));
  if (native === null) return { native: null, fault: 'out of memory' };
  for (const step of stepsOf(addon(), native, context, { ...options, ciphers: list }, suites)) {
    const fault = step();
    if (fault !== null) return { native: null, fault };
  }
  return { native, fault: null };
}

type Step = () => TlsFault;

function* stepsOf(
  api: Addon,
  native: NativeContext,
  { serverSide, options: session }: NodeTlsContext,
  options: SecureContextOptions & { allowPartialTrustChain?: boolean | undefined },
  suites: string,
): Generator<Step> {
  // First of all, because a list may set the security level, which decides on what follows.
  if (suites !== '') yield () => api.tlsSuites(native, suites);
  yield () => api.tlsCiphers(native, options.ciphers as string);
  // The authorities come before the certificate, because they may complete its chain.
  const { ca, crl, cert, key, passphrase, pfx } = options;
  if (!ca) {
    yield loadAuthorities;
    yield () => api.tlsUseRoots(native);
  }
  for (const one of ca ? listOf(ca) : []) yield () => api.tlsAddCa(native, bytesOf(one));
  if (options.allowPartialTrustChain) yield () => api.tlsPartialChain(native);
  for (const one of cert ? listOf(cert) : []) yield () => api.tlsUseCertificate(native, bytesOf(one));
  for (const one of key ? listOf(key) : []) {
    const { pem, secret } = keyOf(one, passphrase);
    yield () => api.tlsUseKey(native, bytesOf(pem), secret === undefined ? null : bytesOf(secret));
  }
  const { sigalgs, ecdhCurve = node.tls.DEFAULT_ECDH_CURVE, dhparam } = options;
  if (sigalgs !== undefined && sigalgs !== null) yield () => api.tlsSigalgs(native, sigalgs);
  if (ecdhCurve !== 'auto') yield () => api.tlsGroups(native, ecdhCurve);
  if (dhparam !== undefined && dhparam !== null) {
    yield () => api.tlsDh(native, dhparam === 'auto' ? null : bytesOf(dhparam));
  }
  for (const one of crl ? listOf(crl) : []) yield () => api.tlsAddCrl(native, bytesOf(one));
  for (const one of pfx ? listOf(pfx) : []) {
    const { der, secret } = pfxOf(one, passphrase);
    yield () => api.tlsUsePfx(native, bytesOf(der), secret === undefined ? null : terminated(secret));
  }
  const { sessionIdContext, ticketKeys, sessionTimeout } = options;
  yield () =>
    api.tlsResumption(
      native,
      sessionIdContext ? bytesOf(sessionIdContext) : null,
      ticketKeys ?? null,
      sessionTimeout ?? -1,
    );
  const { ALPNProtocols: protocols, requestCert, rejectUnauthorized } = session;
  if (protocols) yield () => api.tlsProtocols(native, wireProtocols(protocols as Protocols), serverSide);
  if (serverSide && requestCert) yield () => api.tlsVerify(native, rejectUnauthorized !== false);
}

// --- versions and ciphers ---

const TLS_1_2 = 0x303;
const TLS_1_3 = 0x304;
const VERSIONS: Readonly<Record<string, number>> = {
  TLSv1: 0x301,
  'TLSv1.1': 0x302,
  'TLSv1.2': TLS_1_2,
  'TLSv1.3': TLS_1_3,
};
const ROLES: Readonly<Record<string, number>> = { method: 0, server_method: 1, client_method: 2 };

/** OpenSSL's numbers of the versions, and the side for which the context is. */
function versionsOf(options: SecureContextOptions): { role: number; min: number; max: number } {
  const min = VERSIONS[options.minVersion ?? node.tls.DEFAULT_MIN_VERSION] ?? 0;
  const max = VERSIONS[options.maxVersion ?? node.tls.DEFAULT_MAX_VERSION] ?? 0;
  const [, protocol = '', side = ''] =
    /^(.+?)_((?:server_|client_)?method)$/.exec(options.secureProtocol ?? '') ?? [];
  const role = ROLES[side] ?? 0;
  if (protocol === '') return { role, min, max };
  if (protocol === 'SSLv23') return { role, min, max: TLS_1_2 };
  if (protocol === 'TLS') return { role, min: 0, max: TLS_1_3 };
  const only = VERSIONS[protocol.replace('_', '.')] ?? 0;
  return { role, min: only, max: only };
}

/** The suites of TLS 1.3 have names of their own, and OpenSSL takes them by a function of their own. */
function splitCiphers(ciphers: string | null | undefined): { list: string; suites: string } {
  const all = (ciphers || node.tls.DEFAULT_CIPHERS).split(':').filter((name) => name !== '');
  const isSuite = (name: string): boolean => name.startsWith('TLS_');
  return { list: all.filter((name) => !isSuite(name)).join(':'), suites: all.filter(isSuite).join(':') };
}

function openSslOptions({ honorCipherOrder, secureOptions = 0 }: SecureContextOptions): number {
  // `|` works with 32 bits, and so does Node's own context.
  return honorCipherOrder
    ? (secureOptions | node.crypto.constants.SSL_OP_CIPHER_SERVER_PREFERENCE) >>> 0
    : secureOptions;
}

// --- the forms of a value ---

type Bytes = string | NodeJS.ArrayBufferView;
type Protocols = readonly string[] | Uint8Array;

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function bytesOf(value: unknown): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value);
  const { buffer, byteOffset, byteLength } = value as ArrayBufferView;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function keyOf(one: unknown, passphrase: string | undefined): { pem: unknown; secret: Bytes | undefined } {
  const { pem, passphrase: own } = one as { pem?: unknown; passphrase?: string };
  return { pem: pem ?? one, secret: (pem === undefined ? undefined : own) ?? passphrase };
}

function pfxOf(one: unknown, passphrase: string | undefined): { der: unknown; secret: Bytes | undefined } {
  const { buf, passphrase: own } = one as { buf?: unknown; passphrase?: string };
  return { der: buf ?? one, secret: own || passphrase };
}

function terminated(secret: Bytes): Uint8Array {
  return Buffer.concat([bytesOf(secret), Buffer.alloc(1)]);
}

/** Each name after its length. */
function wireProtocols(protocols: Protocols): Uint8Array {
  if (protocols instanceof Uint8Array) return protocols;
  const names = protocols.map((name) => Buffer.from(name));
  return Buffer.concat(names.flatMap((name) => [Buffer.of(name.length), name]));
}
