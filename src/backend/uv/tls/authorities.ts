/** The certificates that a context without a `ca` trusts: those of Node, which the native part keeps once. */
import { node } from '../../../platform/node-modules.ts';
import { addon } from '../dispatch.ts';

/** Options of Node by which OpenSSL, and not Node, chooses the certificates. */
const BY_OPENSSL: readonly string[] = ['--use-openssl-ca'];

type Lists = { getCACertificates?: (type: 'default') => readonly string[] };

/**
 * The list that the native part has. Node returns another array when the program has set other certificates.
 */
let current: readonly string[] | null = null;

/** Whether Node tells which certificates it trusts by default. */
export function knowsAuthorities(): boolean {
  const options = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)];
  return (
    (node.tls as Lists).getCACertificates !== undefined || !BY_OPENSSL.some((name) => options.includes(name))
  );
}

/** Gives the native part the certificates that Node trusts. Returns null, or why it could not. */
export function loadAuthorities(): string | null {
  const list = (node.tls as Lists).getCACertificates?.('default') ?? earlierDefault();
  if (list === current) return null;
  const fault = addon().tlsRoots(Buffer.from(list.join('\n')));
  if (fault === null) current = list;
  return fault;
}

let earlier: readonly string[] | null = null;

/**
 * The default before Node 22.15: Node's own list, and the file that was named at the start of the process.
 */
function earlierDefault(): readonly string[] {
  earlier ??= [...node.tls.rootCertificates, ...extra()];
  return earlier;
}

function extra(): string[] {
  const file = process.env.NODE_EXTRA_CA_CERTS;
  if (file === undefined || file === '') return [];
  try {
    return [node.fs.readFileSync(file, 'latin1')];
  } catch {
    // Node has warned at its start.
    return [];
  }
}
