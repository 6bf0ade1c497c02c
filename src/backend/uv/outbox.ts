/**
 * The datagrams that all sockets send in a turn. They are copied into the outbox. One call of the native part
 * sends them, with one system call for consecutive datagrams of one socket.
 */
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { ownCopy } from '../../base/own-memory.ts';
import type { Id } from './addon.ts';
import { addon } from './dispatch.ts';
import { ADDRESS_BYTES, addressIn, inNetworkOrder, packed, wordOf } from './inet.ts';

/**
 * The head of each datagram, in words: id, length, whether an address follows, error or 0. As in
 * native/src/datagram.c.
 */
const HEAD_WORDS = 4;
const HEAD_BYTES = HEAD_WORDS * 4;
/** Bytes. Longer datagrams are sent separately, because copying them would cost more than it saves. */
const LONGEST = 2048;
const ERROR = 3;

/** The socket that queued the datagram. */
export interface Sender {
  readonly id: Id;
  /** A datagram was not sent. The receiver owns the data. */
  onUnsent(errno: number, data: Buffer, address: SocketAddress | null): void;
}

const senders: Sender[] = [];
let used: number = 0;
let words: Int32Array | null = null;

/**
 * Copies a datagram into the outbox. Returns false if there is no room, or if `address` is invalid: then the
 * caller sends the gathered datagrams before this one.
 */
export function gatherDatagram(sender: Sender, data: Uint8Array, address: SocketAddress | null): boolean {
  const { outbox } = addon();
  words ??= new Int32Array(outbox.buffer);
  const { length } = data;
  const dataAt = used + HEAD_BYTES + (address === null ? 0 : ADDRESS_BYTES);
  if (length > LONGEST || dataAt + length > outbox.length) return false;
  const at = used >> 2;
  if (address !== null && !putAddress(at + HEAD_WORDS, address)) return false;
  words[at] = sender.id;
  words[at + 1] = length;
  words[at + 2] = address === null ? 0 : 1;
  outbox.set(data, dataAt);
  senders.push(sender);
  used = (dataAt + length + 7) & ~7;
  return true;
}

function putAddress(at: number, address: SocketAddress): boolean {
  const to = words as Int32Array;
  const host = address.length === 2 ? wordOf(address[0] as string) : null;
  if (host !== null) {
    to[at] = AF_INET | (inNetworkOrder(address[1] as number) << 16);
    to[at + 1] = host;
    return true;
  }
  const bytes = packed(address);
  if (typeof bytes === 'number') return false;
  addon().outbox.set(bytes, at * 4);
  return true;
}

/** Sends the batch, and reports each datagram that failed to its socket. */
export function sendGathered(): void {
  if (used === 0) return;
  const failed = addon().sendAll(used);
  if (failed !== 0) reportUnsent();
  used = 0;
  senders.length = 0;
}

function reportUnsent(): void {
  const { buffer, byteOffset, length: bytes } = addon().outbox;
  const outbox = Buffer.from(buffer, byteOffset, bytes);
  const from = words as Int32Array;
  for (let at = 0, i = 0; at < used; i++) {
    const head = at >> 2;
    const length = from[head + 1] as number;
    const hasAddress = from[head + 2] !== 0;
    const dataAt = at + HEAD_BYTES + (hasAddress ? ADDRESS_BYTES : 0);
    const errno = from[head + ERROR] as number;
    if (errno !== 0) {
      const data = ownCopy(outbox.subarray(dataAt, dataAt + length));
      (senders[i] as Sender).onUnsent(errno, data, hasAddress ? addressIn(outbox, at + HEAD_BYTES) : null);
    }
    at = (dataAt + length + 7) & ~7;
  }
}
