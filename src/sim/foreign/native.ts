/**
 * The parts of Node that are not exported, and how they are found without `process.binding()`: as fields of
 * objects that Node's public classes make.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { LoopError } from '../../base/errors.ts';

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

interface Parts {
  readonly JSStream: new () => NativeStream;
  readonly ownerSymbol: symbol;
  readonly kReinitializeHandle: symbol;
}

/** Whether this is Node itself. Bun and Deno have other streams, and no async hooks. */
export const isNode: boolean = process.versions.bun === undefined && process.versions.deno === undefined;

/** The part that this release of Node lacks, or null. */
let missing: string | null = null;
const parts: Parts | null = isNode ? findParts() : null;

/** Stands for the class where it is missing, so that a class can extend it. */
class NoStream {}

export const JSStream: new () => NativeStream =
  parts?.JSStream ?? (NoStream as unknown as new () => NativeStream);
/** The field of a handle that holds its socket or server. */
export const ownerSymbol: symbol = parts?.ownerSymbol ?? Symbol('owner');
/** The method of a socket that replaces its handle. */
export const kReinitializeHandle: symbol = parts?.kReinitializeHandle ?? Symbol('handle');

/** @throws LoopError `ERR_UNSUPPORTED` with a release of Node that has changed these parts */
export function checkNative(): void {
  if (missing === null) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `simulated hosts cannot run code of Node ${process.version}, which has no ${missing}: ` +
      'use another release, or simulate with node: false',
  );
}

function findParts(): Parts | null {
  const socket = new tls.TLSSocket(new Duplex({ read() {} }));
  const handle = (socket as unknown as { _handle?: { _parent?: NativeStream } })._handle;
  const ownerSymbol = symbolOf(handle, 'owner_symbol');
  const kReinitializeHandle = symbolOf(net.Socket.prototype, 'kReinitializeHandle');
  const stream = handle?._parent;
  socket.destroy();
  if (typeof stream?.readBuffer !== 'function') missing = 'JSStream';
  if (stream === undefined || ownerSymbol === null || kReinitializeHandle === null) return null;
  return { JSStream: stream.constructor as new () => NativeStream, ownerSymbol, kReinitializeHandle };
}

function symbolOf(target: object | undefined, name: string): symbol | null {
  const symbols = target === undefined ? [] : Object.getOwnPropertySymbols(target);
  const symbol = symbols.find(({ description }) => description === name);
  if (symbol === undefined) missing = name;
  return symbol ?? null;
}
