/**
 * The parts of Node that are not exported, and how they are found without `process.binding()`: as fields of
 * objects that Node's public classes make.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

/** Node's `JSStream`: a native stream whose bytes come from JavaScript. TLS, HTTP and HTTP/2 read from it. */
export interface NativeStream {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readBuffer(data: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
}

/** A handle of Node, with the field by which it finds its JavaScript object. */
export type Owned = { [owner: symbol]: unknown };

const found: { readonly stream: NativeStream; readonly owner: symbol } = findStream();

export const JSStream: new () => NativeStream = found.stream.constructor as new () => NativeStream;
/** The field of a handle that holds its socket or server. */
export const ownerSymbol: symbol = found.owner;
/** The method of a socket that replaces its handle. */
export const kReinitializeHandle: symbol = symbolOf(net.Socket.prototype, 'kReinitializeHandle');

function findStream(): { stream: NativeStream; owner: symbol } {
  const socket = new tls.TLSSocket(new Duplex({ read() {} }));
  const { _handle: handle } = socket as unknown as { _handle: { _parent: NativeStream } };
  const owner = symbolOf(handle, 'owner_symbol');
  socket.destroy();
  return { stream: handle._parent, owner };
}

function symbolOf(target: object, name: string): symbol {
  const symbol = Object.getOwnPropertySymbols(target).find(({ description }) => description === name);
  if (symbol === undefined) throw new Error(`gyre/sim does not know this release of Node: it has no ${name}`);
  return symbol;
}
