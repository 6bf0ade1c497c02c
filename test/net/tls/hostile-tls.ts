/**
 * A peer that breaks the rules of TLS. An honest `TLSSocket` makes the handshake, and its bytes pass through
 * this file, which can change them. Afterwards records of any type and content are sealed with the keys of
 * the session, which `keylog` tells.
 */
import { createCipheriv, createHmac } from 'node:crypto';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { ConnectionOptions, SecureVersion, TlsOptions } from 'node:tls';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { clientTls, serverTls } from '../../helpers/certificates.ts';

export const CHANGE_CIPHER_SPEC = 20;
export const ALERT = 21;
export const HANDSHAKE = 22;
export const DATA = 23;

const HEADER_BYTES = 5;
const TAG_BYTES = 16;
const KEY_BYTES = 16;

/** The cipher of both versions whose records {@link HostileTls} can seal. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';

/** Options of an honest peer for a session whose records can be sealed. */
export function sealable(version: SecureVersion): TlsOptions & { minVersion: SecureVersion } {
  return { minVersion: version, maxVersion: version, ciphers: CIPHERS };
}

/** In place of a segment: ends the connection, without the end of TLS. */
export const END: Buffer = Buffer.alloc(0);

/** Makes a record without encryption. */
export function record(type: number, content: Uint8Array, version: number = 0x0303): Buffer {
  const header = Buffer.from([type, version >> 8, version & 255, content.length >> 8, content.length & 255]);
  return Buffer.concat([header, content]);
}

/** Splits bytes into records. A last one may be incomplete. */
export function recordsOf(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + HEADER_BYTES + (bytes.length >= at + HEADER_BYTES ? bytes.readUInt16BE(at + 3) : 0);
    records.push(bytes.subarray(at, end));
    at = end;
  }
  return records;
}

export function contentOf(one: Buffer): Buffer {
  return one.subarray(HEADER_BYTES);
}

/** Changes the flights of the honest peer. It returns the segments that are sent instead. */
export type Mangler = (flight: Buffer, index: number) => Buffer[];

export class HostileTls {
  readonly #socket: Socket;
  readonly #version: SecureVersion;
  readonly #isServer: boolean;
  readonly #tls: TLSSocket;
  readonly #keys: Map<string, Buffer> = new Map();
  readonly #sent: Buffer[] = [];
  readonly #got: Buffer[] = [];
  #secret: Buffer = Buffer.alloc(0);
  #key: Buffer = Buffer.alloc(0);
  #iv: Buffer = Buffer.alloc(0);
  #sequence: bigint = 0n;
  #flights: number = 0;
  #sentBeforeFinished: number = 0;
  #sawFinished: boolean = false;
  #timer: NodeJS.Immediate | null = null;
  /** The alert of the victim, as the honest peer reports it. */
  alert: string | undefined;
  readonly secured: Promise<boolean>;
  readonly closed: Promise<void>;

  constructor(
    socket: Socket,
    isServer: boolean,
    version: SecureVersion,
    mangle: Mangler = (flight) => [flight],
  ) {
    this.#socket = socket.setNoDelay(true);
    this.#version = version;
    this.#isServer = isServer;
    let flight: Buffer[] = [];
    const leave = (): void => {
      this.#timer = null;
      const segments = mangle(Buffer.concat(flight), this.#flights++);
      flight = [];
      void this.send(segments);
    };
    const pipe = new Duplex({
      read: () => {},
      write: (data: Buffer, _encoding, done) => {
        this.#sent.push(data);
        flight.push(data);
        // A flight leaves as a whole.
        this.#timer ??= setImmediate(leave);
        done();
      },
    });
    const options: ConnectionOptions & TlsOptions = {
      ...(isServer ? serverTls() : clientTls()),
      ...sealable(version),
    } as ConnectionOptions & TlsOptions;
    this.#tls = isServer
      ? new TLSSocket(pipe, {
          ...options,
          isServer: true,
          secureContext: createSecureContext(options),
        } as never)
      : connectTls({ ...options, socket: pipe, servername: 'localhost' });
    this.#tls.on('keylog', (line: Buffer) => {
      const [label, , secret] = line.toString().trim().split(' ');
      this.#keys.set(label as string, Buffer.from(secret as string, 'hex'));
    });
    this.#tls.on('data', () => {});
    pipe.on('error', () => {});
    const failed = (error: NodeJS.ErrnoException): void => {
      this.alert ??= error.code;
    };
    this.#tls.on('error', failed);
    this.#tls.on('_tlsError', failed);
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      this.#got.push(data);
      if (!this.#sawFinished && this.#hasFinished()) {
        this.#sawFinished = true;
        this.#sentBeforeFinished = this.#dataRecords();
      }
      pipe.push(data);
    });
    this.secured = new Promise((resolve) => {
      this.#tls.once(isServer ? 'secure' : 'secureConnect', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        // The alert was pushed, and is handled by the next pass of the host.
        setImmediate(() => setImmediate(resolve));
      });
    });
  }

  /** The bytes that the honest peer has sent so far. */
  get sent(): Buffer {
    return Buffer.concat(this.#sent);
  }

  /** Waits for the handshake, and takes the keys over from the honest peer, which must send no more. */
  async takeOver(): Promise<void> {
    if (!(await this.secured)) throw new Error(`the handshake has failed: ${this.alert}`);
    // The last flight of the honest peer leaves first.
    for (let i = 0; i < 3 || this.#timer !== null; i++) await new Promise(setImmediate);
    if (this.#version === 'TLSv1.3') {
      this.#useSecret(this.#keyOf(this.#isServer ? 'SERVER_TRAFFIC_SECRET_0' : 'CLIENT_TRAFFIC_SECRET_0'));
      // A server has sent its tickets with these keys.
      if (this.#isServer) this.#sequence = BigInt(this.#dataRecords() - this.#sentBeforeFinished);
      return;
    }
    const [clientRandom, serverRandom] = this.#randoms();
    const seed = Buffer.concat([Buffer.from('key expansion'), serverRandom, clientRandom]);
    const block = prf(this.#keyOf('CLIENT_RANDOM'), seed, 2 * KEY_BYTES + 8);
    const side = this.#isServer ? 1 : 0;
    this.#key = block.subarray(side * KEY_BYTES, (side + 1) * KEY_BYTES);
    this.#iv = block.subarray(2 * KEY_BYTES + side * 4, 2 * KEY_BYTES + side * 4 + 4);
    // The Finished message was the first.
    this.#sequence = 1n;
  }

  /** Seals a record of the session. By TLS 1.3 it has `padding` zeros behind its content. */
  seal(type: number, content: string | Uint8Array, padding: number = 0): Buffer {
    const plain = typeof content === 'string' ? Buffer.from(content) : content;
    const sequence = Buffer.alloc(8);
    sequence.writeBigUInt64BE(this.#sequence++);
    if (this.#version === 'TLSv1.3') {
      const inner = Buffer.concat([plain, Buffer.from([type]), Buffer.alloc(padding)]);
      const nonce = Buffer.from(this.#iv);
      for (let i = 0; i < 8; i++) nonce[4 + i] = (nonce[4 + i] as number) ^ (sequence[i] as number);
      const header = record(DATA, Buffer.alloc(inner.length + TAG_BYTES)).subarray(0, HEADER_BYTES);
      return Buffer.concat([header, this.#encrypt(nonce, header, inner)]);
    }
    const header = record(type, plain).subarray(0, HEADER_BYTES);
    const sealed = this.#encrypt(
      Buffer.concat([this.#iv, sequence]),
      Buffer.concat([sequence, header]),
      plain,
    );
    return record(type, Buffer.concat([sequence, sealed]));
  }

  /** Uses the next keys, as after a KeyUpdate of this side. */
  updateKeys(): void {
    this.#useSecret(expand(this.#secret, 'traffic upd', 32));
  }

  /** Sends segments, one in each pass of the host. */
  async send(segments: readonly Buffer[]): Promise<void> {
    for (const [i, segment] of segments.entries()) {
      if (i > 0) await new Promise(setImmediate);
      if (segment === END) this.finish();
      else if (this.#socket.writable && segment.length > 0) this.#socket.write(segment);
    }
  }

  /** Ends the connection without the end of TLS. */
  finish(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#tls.destroy();
    this.#socket.destroy();
  }

  #encrypt(nonce: Buffer, extra: Buffer, plain: Uint8Array): Buffer {
    const cipher = createCipheriv('aes-128-gcm', this.#key, nonce).setAAD(extra);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  #useSecret(secret: Buffer): void {
    this.#secret = secret;
    this.#key = expand(secret, 'key', KEY_BYTES);
    this.#iv = expand(secret, 'iv', 12);
    this.#sequence = 0n;
  }

  #keyOf(label: string): Buffer {
    const key = this.#keys.get(label);
    if (key === undefined) throw new Error(`no ${label}`);
    return key;
  }

  /** The random bytes of client and server: at the same place in both hello messages. */
  #randoms(): [Buffer, Buffer] {
    const randomOf = (flight: Buffer): Buffer => flight.subarray(11, 43);
    const own = randomOf(this.sent);
    const other = randomOf(Buffer.concat(this.#got));
    return this.#isServer ? [other, own] : [own, other];
  }

  #hasFinished(): boolean {
    return recordsOf(Buffer.concat(this.#got)).some(([type]) => type === DATA);
  }

  #dataRecords(): number {
    return recordsOf(this.sent).filter(([type]) => type === DATA).length;
  }
}

/** HKDF-Expand-Label of TLS 1.3 with SHA-256, for up to 32 bytes. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** The pseudo-random function of TLS 1.2 with SHA-256. */
function prf(secret: Buffer, seed: Buffer, length: number): Buffer {
  const hmac = (...parts: Buffer[]): Buffer =>
    createHmac('sha256', secret).update(Buffer.concat(parts)).digest();
  const blocks: Buffer[] = [];
  for (let a = hmac(seed); blocks.length * 32 < length; a = hmac(a)) blocks.push(hmac(a, seed));
  return Buffer.concat(blocks).subarray(0, length);
}
