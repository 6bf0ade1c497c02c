/**
 * The form in which programs keep the sessions of a client.
 *
 * A resumed session is not verified again, so it must not be used for a server of another name. Current
 * versions of Node put the name in front of the session, and ignore a session for another name, or without a
 * name. Earlier versions have the session alone. The native engine has the form of its host, so that its
 * sessions and those of `node:tls` can replace each other.
 */
import { node } from '../../../platform/node-modules.ts';

const PREFIX: Buffer = Buffer.from('\0nodejs:tls:session:1\0');
const NAME_LENGTH_BYTES = 2;
/** Node's name for a server without a name. */
const NO_NAME = 'localhost';

/** Returns a client's session as a program gets it. */
export function wrapSession(session: Buffer, serverHostname: string | null): Buffer {
  if (!hostWraps()) return session;
  const name = Buffer.from(serverHostname ?? NO_NAME);
  const length = Buffer.alloc(NAME_LENGTH_BYTES);
  length.writeUInt16BE(name.length);
  return Buffer.concat([PREFIX, length, name, session]);
}

/**
 * Returns the session that OpenSSL knows, or null if the client must not resume it.
 *
 * @param given by a program
 * @param verified whether the client rejects servers without a valid certificate
 */
export function unwrapSession(
  given: Uint8Array,
  serverHostname: string | null,
  verified: boolean,
): Uint8Array | null {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const nameAt = PREFIX.length + NAME_LENGTH_BYTES;
  if (bytes.length < nameAt || !bytes.subarray(0, PREFIX.length).equals(PREFIX)) {
    return verified && hostWraps() ? null : given;
  }
  const nameEnd = nameAt + bytes.readUInt16BE(PREFIX.length);
  if (bytes.length < nameEnd || bytes.toString('utf8', nameAt, nameEnd) !== (serverHostname ?? NO_NAME)) {
    return null;
  }
  return bytes.subarray(nameEnd);
}

let wraps: boolean | null = null;

/** Asks the host's `getSession()` with a session of one byte, because there is no other sign of it. */
function hostWraps(): boolean {
  wraps ??= asksHost();
  return wraps;
}

function asksHost(): boolean {
  const session = Buffer.alloc(1);
  const socket = { _handle: { getSession: () => session }, _tlsOptions: {} };
  try {
    const given = (node.tls.TLSSocket.prototype.getSession as (this: object) => unknown).call(socket);
    return Buffer.isBuffer(given) && given.subarray(0, PREFIX.length).equals(PREFIX);
  } catch {
    return false;
  }
}
