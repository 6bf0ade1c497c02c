/**
 * The native part, as TypeScript sees it: native/src has the functions, native/src/gyre.h the shared memory.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** An id of a handle; where a function may fail, a negative number is the error. */
export type Id = number;

/** `[host, port]`, `[host, port, flowinfo, scope]`, or a path; null where there is none. */
export type NativeAddress = [string, number] | [string, number, number, number] | string | null;

/** The native part as it is loaded. */
interface Native {
  readonly abi: number;
  /**
   * For one copy of gyre in one thread: it calls `dispatch` with the number of records, once in each poll
   * phase that has some. Null without memory.
   */
  open(dispatch: (count: number) => void, slabs: Buffer[], buffers: (Uint8Array | undefined)[]): Addon | null;
}

export interface Addon {
  /** Records: see gyre.h. */
  readonly events: Int32Array;
  /** What is copied here is sent by `tryWriteArena`. */
  readonly arena: Uint8Array;
  /** What is gathered here is sent by `sendAll`. */
  readonly outbox: Uint8Array;

  close(id: Id): void;
  fileno(id: Id): number;
  openCount(): number;
  /** Of the last call that failed, where it has several steps. */
  failedAt(): number;

  readStart(id: Id): number;
  readStop(id: Id): void;
  /** On: the next read goes into the buffer that `buffers` has for the id. Answers whether it was on. */
  readInto(id: Id, on: boolean): boolean;
  /** These three: how many bytes the kernel has taken. */
  tryWrite(id: Id, data: Uint8Array): number;
  tryWriteArena(id: Id, length: number): number;
  /** Of the chunks, `count` from `first` on; of that one, what stands behind `offset`. */
  tryWriteAll(id: Id, chunks: Uint8Array[], first: number, count: number, offset: number): number;
  write(id: Id, data: Uint8Array, offset: number): number;
  shutdown(id: Id): number;
  reset(id: Id): void;
  sockname(id: Id): NativeAddress;
  peername(id: Id): NativeAddress;
  setNoDelay(id: Id, on: boolean): number;
  setKeepAlive(id: Id, on: boolean, delaySeconds: number): number;
  open(fd: number): Id;
  /** As `open`, for what is a connected stream socket. */
  openConnected(fd: number): Id;

  tcpConnect(host: string, port: number, scope: number, localHost: string | null, localPort: number): Id;
  unixConnect(path: string): Id;
  /** These three bind or take over; with a backlog of 0 they do not listen yet. */
  tcpListen(
    host: string,
    port: number,
    scope: number,
    backlog: number,
    ipv6Only: boolean,
    reusePort: boolean,
  ): Id;
  unixListen(path: string, backlog: number): Id;
  listenOn(fd: number, backlog: number): Id;
  listenerStart(id: Id, backlog: number): number;
  /** An error of accepting has stopped the listener: it accepts again. */
  acceptStart(id: Id): number;

  packAddress(host: string, port: number, scope: number): Uint8Array | number;
  unpackAddress(bytes: Uint8Array): NativeAddress;
  datagram(
    family: number,
    local: Uint8Array | null,
    remote: Uint8Array | null,
    reusePort: boolean,
    broadcast: boolean,
  ): Id;
  datagramOpen(fd: number): Id;
  receiveStart(id: Id): number;
  receiveStop(id: Id): void;
  /** 0, or an error. */
  trySend(id: Id, data: Uint8Array, address: Uint8Array | null): number;
  /** As soon as there is room; one at a time. */
  send(id: Id, data: Uint8Array, address: Uint8Array | null): number;
  /** What the first so many bytes of the outbox hold: how many datagrams were not sent. */
  sendAll(bytes: number): number;

  getaddrinfo(
    host: string | null,
    service: string | null,
    family: number,
    type: number,
    proto: number,
    flags: number,
  ): Id;
  takeAddresses(id: Id): [family: number, type: number, proto: number, canonname: string, NativeAddress][];
  getnameinfo(host: string, port: number, scope: number, flags: number): Id;
  takeNames(id: Id): [host: string, service: string];
  forget(id: Id): void;

  spawn(
    candidates: string[],
    argv: string[],
    env: (string | Uint8Array)[],
    cwd: string | null,
    fds: Int32Array,
    uid: number,
    gid: number,
    detached: boolean,
  ): Id;
  pid(id: Id): number;
  kill(id: Id, signum: number): number;
  /** Two sockets that are connected with each other, or an error: for tests. */
  socketPair(): [number, number] | number;
  /** `[to read from, to write to]`, or an error. */
  pipe(): [number, number] | number;
  closeFd(fd: number): void;
  hasPidfd(): boolean;

  pollOpen(): Id;
  pollWant(id: Id, fd: number, events: number, token: number): number;
  /** Whether it is the descriptor of a handle of ours. */
  usesDescriptor(fd: number): boolean;

  /**
   * Takes a pipe, FIFO, socket or terminal over. `lent`: the descriptor stays the caller's, to close it soon.
   * Errors: native/src/pipe.c.
   */
  pipeOpen(fd: number, write: boolean, lent: boolean): Id;
  /** Whether reading from it, which is written to, tells that its reader has gone. */
  pipeTells(id: Id): boolean;
  /** Whether its descriptor is still open, and still its own. */
  pipeStands(id: Id): boolean;

  /** An address is a path or what `packAddress` has made. */
  socketOpen(family: number, type: number, proto: number): number;
  /**
   * Takes a socket over, which does not block from now on. What is not given back is closed with the thread.
   */
  socketAdopt(fd: number): [family: number, type: number, proto: number] | number;
  /** Another descriptor of the same socket, which is JavaScript's. */
  socketDuplicate(fd: number): number;
  /** Gives it back: somebody else closes it. */
  socketRelease(fd: number): void;
  socketName(fd: number): NativeAddress | number;
  socketPeer(fd: number): NativeAddress | number;
  socketBind(fd: number, address: Uint8Array | string): number;
  socketConnect(fd: number, address: Uint8Array | string): number;
  socketListen(fd: number, backlog: number): number;
  socketAccept(fd: number): [fd: number, NativeAddress] | number;
  socketShutdown(fd: number, how: number): number;
  /** Bytes that wait to be read; of datagrams, those of the first. */
  socketReadable(fd: number): number;
  /** These two: into the first `length` of the bytes. */
  socketRecv(fd: number, bytes: Uint8Array, length: number): number;
  socketRecvFrom(fd: number, bytes: Uint8Array, length: number): [received: number, NativeAddress] | number;
  socketSend(fd: number, bytes: Uint8Array, offset: number): number;
  socketSendTo(fd: number, bytes: Uint8Array, address: Uint8Array | string): number;
  /** From an open file, whose position is not moved. */
  socketSendFile(fd: number, file: number, offset: number, count: number): number;
  socketGetOption(fd: number, level: number, option: number, bytes: Uint8Array): number;
  socketSetOption(fd: number, level: number, option: number, bytes: Uint8Array): number;
}

/** What this file and the native part must agree on: raised whenever a function or a record changes. */
export const ABI = 6;

/** The native part, or why there is none. */
export type Loaded = { addon: Addon } | { addon: null; reason: string; broken: boolean };

/**
 * Loads the native part: the repository's own build, or the package for this platform. `GYRE_NATIVE` names
 * another build (one with a sanitizer).
 *
 * @returns `broken`: it is there and does not work, which somebody should hear of
 */
export function loadAddon(
  dispatch: (count: number) => void,
  slabs: Buffer[],
  buffers: (Uint8Array | undefined)[],
): Loaded {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  // Their libuv is an imitation: a call of it ends the process.
  if (bun !== undefined || deno !== undefined) {
    return absent(`the native backend needs Node itself, and this is ${bun === undefined ? 'Deno' : 'Bun'}`);
  }
  const require = createRequire(import.meta.url);
  const name = `@gyre/uv-${process.platform}-${process.arch}-gnu`;
  const asked = process.env.GYRE_NATIVE;
  const own = fileURLToPath(new URL('../../../native/build/gyre.node', import.meta.url));
  for (const file of asked === undefined ? [own, name] : [asked]) {
    try {
      const native = require(file) as Native;
      if (native.abi !== ABI) return broken(`${file} is of another version of gyre`);
      const addon = native.open(dispatch, slabs, buffers);
      return addon === null ? broken(`${file} has no memory to begin with`) : { addon };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND' || file === asked)
        return broken(`${file} cannot be loaded: ${message}`);
    }
  }
  return absent(`the package ${name} is not installed`);
}

function absent(reason: string): Loaded {
  return { addon: null, reason, broken: false };
}

function broken(reason: string): Loaded {
  return { addon: null, reason, broken: true };
}
