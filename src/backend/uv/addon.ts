/**
 * The types of the native part. native/src implements the functions, and native/src/gyre.h draws the shared
 * memory.
 */

import { fileURLToPath } from 'node:url';
import { packageFile, requireHere } from '../../platform/package-files.ts';

/** The id of a handle. A function that can fail returns a negative error number instead. */
export type Id = number;

/** `[host, port]`, `[host, port, flowinfo, scope]` or a path; null if there is no address. */
export type NativeAddress = [string, number] | [string, number, number, number] | string | null;

/** The exports of the native module. */
interface Native {
  readonly abi: number;
  /**
   * Starts the native part for one copy of gyre in one thread. It calls `dispatch` with the number of
   * records, once in each poll phase that has records. Null: there is no memory.
   */
  open(dispatch: (count: number) => void, slabs: Buffer[], buffers: (Uint8Array | undefined)[]): Addon | null;
}

export interface Addon {
  /** The event records: see gyre.h. */
  readonly events: Int32Array;
  /** `tryWriteArena` sends bytes from here. */
  readonly arena: Uint8Array;
  /** `sendAll` sends the datagrams that are gathered here. */
  readonly outbox: Uint8Array;

  close(id: Id): void;
  fileno(id: Id): number;
  openCount(): number;
  /** The step at which the last call failed, for calls with several steps. */
  failedAt(): number;

  readStart(id: Id): number;
  readStop(id: Id): void;
  /**
   * If on, the next read goes into the buffer that `buffers` has for the id. Returns whether it was on
   * before.
   */
  readInto(id: Id, on: boolean): boolean;
  /** These three return how many bytes the kernel took. */
  tryWrite(id: Id, data: Uint8Array): number;
  tryWriteArena(id: Id, length: number): number;
  /** Sends `count` chunks from index `first` on, without the first `offset` bytes of the first one. */
  tryWriteAll(id: Id, chunks: Uint8Array[], first: number, count: number, offset: number): number;
  write(id: Id, data: Uint8Array, offset: number): number;
  shutdown(id: Id): number;
  reset(id: Id): void;
  sockname(id: Id): NativeAddress;
  peername(id: Id): NativeAddress;
  setNoDelay(id: Id, on: boolean): number;
  setKeepAlive(id: Id, on: boolean, delaySeconds: number): number;
  open(fd: number): Id;
  /** As `open`, but only for a connected stream socket. */
  openConnected(fd: number): Id;

  tcpConnect(host: string, port: number, scope: number, localHost: string | null, localPort: number): Id;
  unixConnect(path: string): Id;
  /** These three bind an address or take a socket over. If the backlog is 0, they do not listen yet. */
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
  /** Accepts again after an error, which stops a listener, or after `acceptStop()`. */
  acceptStart(id: Id): number;
  /** Stops accepting. Connections that were accepted before may still be reported. */
  acceptStop(id: Id): number;

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
  /** Returns 0 or an error. */
  trySend(id: Id, data: Uint8Array, address: Uint8Array | null): number;
  /** Copies a datagram, and sends it when the kernel has room. One datagram at a time. */
  send(id: Id, data: Uint8Array, address: Uint8Array | null): number;
  /** Sends the first `bytes` bytes of the outbox. Returns how many datagrams were not sent. */
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

  /** If `env` is null, the child gets the variables of the process. */
  spawn(
    candidates: string[],
    argv: string[],
    env: (string | Uint8Array)[] | null,
    cwd: string | null,
    fds: Int32Array,
    uid: number,
    gid: number,
    detached: boolean,
  ): Id;
  pid(id: Id): number;
  kill(id: Id, signum: number): number;
  /** Returns two connected sockets, or an error. For tests. */
  socketPair(): [number, number] | number;
  /** Returns `[read end, write end]`, or an error. */
  pipe(): [number, number] | number;
  closeFd(fd: number): void;
  hasPidfd(): boolean;

  pollOpen(): Id;
  pollWant(id: Id, fd: number, events: number, token: number): number;
  /** Whether a handle of the native part owns the descriptor. */
  usesDescriptor(fd: number): boolean;

  /**
   * Takes over a pipe, FIFO, socket or terminal. `lent`: the caller keeps the descriptor, and will close it
   * soon. native/src/pipe.c lists the errors.
   */
  pipeOpen(fd: number, write: boolean, lent: boolean): Id;
  /** Whether a handle that writes can learn, by reading, that its reader has gone. */
  pipeTells(id: Id): boolean;
  /** Whether the handle's descriptor is open, and still the same file. */
  pipeStands(id: Id): boolean;

  /** An address is a path, or bytes from `packAddress`. */
  socketOpen(family: number, type: number, proto: number): number;
  /**
   * Takes over a socket, and makes it non-blocking. When the thread ends, the native part closes it,
   * unless it was released.
   */
  socketAdopt(fd: number): [family: number, type: number, proto: number] | number;
  /** Returns another descriptor of the same socket. JavaScript owns it. */
  socketDuplicate(fd: number): number;
  /** Gives up the ownership: the caller closes the descriptor. */
  socketRelease(fd: number): void;
  socketName(fd: number): NativeAddress | number;
  socketPeer(fd: number): NativeAddress | number;
  socketBind(fd: number, address: Uint8Array | string): number;
  socketConnect(fd: number, address: Uint8Array | string): number;
  socketListen(fd: number, backlog: number): number;
  socketAccept(fd: number): [fd: number, NativeAddress] | number;
  socketShutdown(fd: number, how: number): number;
  /** The bytes that can be read; for datagrams, those of the first one. */
  socketReadable(fd: number): number;
  /** These two receive at most `length` bytes into `bytes`. */
  socketRecv(fd: number, bytes: Uint8Array, length: number): number;
  socketRecvFrom(fd: number, bytes: Uint8Array, length: number): [received: number, NativeAddress] | number;
  socketSend(fd: number, bytes: Uint8Array, offset: number): number;
  socketSendTo(fd: number, bytes: Uint8Array, address: Uint8Array | string): number;
  /** Sends a part of an open file. The file's position does not move. */
  socketSendFile(fd: number, file: number, offset: number, count: number): number;
  socketGetOption(fd: number, level: number, option: number, bytes: Uint8Array): number;
  socketSetOption(fd: number, level: number, option: number, bytes: Uint8Array): number;

  /** Whether the host exports OpenSSL 3. If not, no other function of TLS may be called. */
  tlsAvailable(): boolean;
  /** A context without a certificate. Role 0: both sides, 1: server, 2: client. null: no memory. */
  tlsContext(role: number, minVersion: number, maxVersion: number, options: number): NativeContext | null;
  /** These return null, or the text of OpenSSL's error. */
  tlsRoots(pem: Uint8Array): TlsFault;
  tlsUseRoots(context: NativeContext): TlsFault;
  tlsAddCa(context: NativeContext, pem: Uint8Array): TlsFault;
  tlsAddCrl(context: NativeContext, pem: Uint8Array): TlsFault;
  tlsPartialChain(context: NativeContext): TlsFault;
  tlsUseCertificate(context: NativeContext, pem: Uint8Array): TlsFault;
  tlsUseKey(context: NativeContext, pem: Uint8Array, passphrase: Uint8Array | null): TlsFault;
  /** The passphrase ends with a NUL. */
  tlsUsePfx(context: NativeContext, der: Uint8Array, passphrase: Uint8Array | null): TlsFault;
  tlsCiphers(context: NativeContext, list: string): TlsFault;
  tlsSuites(context: NativeContext, list: string): TlsFault;
  tlsGroups(context: NativeContext, list: string): TlsFault;
  tlsSigalgs(context: NativeContext, list: string): TlsFault;
  /** null: OpenSSL chooses the parameters. */
  tlsDh(context: NativeContext, pem: Uint8Array | null): TlsFault;
  tlsProtocols(context: NativeContext, names: Uint8Array, serverSide: boolean): TlsFault;
  /** Asks clients for a certificate, and may demand one. */
  tlsVerify(context: NativeContext, demands: boolean): TlsFault;
  /** A timeout of -1 is the default. */
  tlsResumption(
    context: NativeContext,
    idContext: Uint8Array | null,
    ticketKeys: Uint8Array | null,
    timeout: number,
  ): TlsFault;

  tlsOpen(context: NativeContext, serverSide: boolean, name: string | null, session: Uint8Array | null): Id;
  /** These return bits of `TLS`. Take what they tell of before the next call. */
  tlsDecrypt(id: Id, data: Uint8Array): number;
  /** With a stream, it also sends; what is left is output. -1: no stream. */
  tlsEncrypt(id: Id, stream: Id, chunks: Uint8Array | Uint8Array[]): number;
  tlsEnd(id: Id): number;
  /** From the next poll phase on, the native part decrypts what it reads from the stream. */
  tlsFuse(id: Id, stream: Id): number;
  /** null: no memory. */
  tlsTakePlain(): Buffer | null;
  tlsTakeOutput(id: Id): Buffer | null;
  /** `[type, bytes, type, bytes, ...]`, with the types of `tlsWatch`. */
  tlsTakeNotes(id: Id): (number | Buffer)[];
  /** A message of null: no memory. The code is null for an error of OpenSSL. */
  tlsFault(
    id: Id,
  ): [message: string | null, library: string | null, reason: string | null, code: string | null];
  /** After a renegotiation: `tlsDecrypt` then returns the data that the session holds back. */
  tlsVerified(id: Id): void;
  /** The events to collect from now on: 1 = sessions, 2 = lines of a key log. */
  tlsWatch(id: Id, bits: number): void;

  /** Facts of a session. For a closed one each returns null, false or nothing. */
  tlsServername(id: Id): string | null;
  tlsAlpn(id: Id): string | null;
  tlsProtocol(id: Id): string | null;
  tlsCipher(id: Id): [name: string, standardName: string, version: string] | null;
  /** As DER: the peer's certificate, then its issuers as far as they are known. */
  tlsPeerCertificates(id: Id): Buffer[];
  tlsCertificate(id: Id): Buffer | null;
  /** null: the peer's certificate is valid. */
  tlsVerifyError(id: Id): [code: string, message: string] | null;
  tlsSession(id: Id): Buffer | null;
  tlsTicket(id: Id): Buffer | null;
  tlsIsReused(id: Id): boolean;
  tlsFinished(id: Id, peer: boolean): Buffer | null;
  /** null: OpenSSL has failed. */
  tlsExportKey(id: Id, length: number, label: string, context: Uint8Array | null): Buffer | null;
  /** For a client alone. */
  tlsEphemeralKey(id: Id): [type: string, name: string | null, size: number] | null;
  tlsSharedSigalgs(id: Id): string[];
  tlsSetMaxSendFragment(id: Id, size: number): boolean;
}

/** A context of the native TLS engine. The garbage collector frees it. */
export interface NativeContext {
  readonly __brand: 'tls context';
}

/** null: it worked. */
export type TlsFault = string | null;

/**
 * The version of the native part that this file needs. Raise it in both when a function or a record changes.
 */
export const ABI = 7;

/** The native part, or the reason why there is none. */
export type Loaded = { addon: Addon } | { addon: null; reason: string; broken: boolean };

/**
 * Loads the native part: the repository's own build, or the package for this platform. `GYRE_NATIVE` names
 * another build, such as one with a sanitizer.
 *
 * @returns `broken`: there is a native part, but it does not work; the user should learn this
 */
export function loadAddon(
  dispatch: (count: number) => void,
  slabs: Buffer[],
  buffers: (Uint8Array | undefined)[],
): Loaded {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  // Bun and Deno imitate libuv, and calling it ends the process.
  if (bun !== undefined || deno !== undefined) {
    return absent(`the native backend runs on Node only, and this is ${bun === undefined ? 'Deno' : 'Bun'}`);
  }
  const name = `@gyre/uv-${process.platform}-${process.arch}-gnu`;
  const asked = process.env.GYRE_NATIVE;
  const own = packageFile('native/build/gyre.node');
  const candidates = own === null ? [name] : [fileURLToPath(own), name];
  for (const file of asked === undefined ? candidates : [asked]) {
    try {
      const native = requireHere(file) as Native;
      if (native.abi !== ABI) return broken(`${file} was built for another version of gyre`);
      const addon = native.open(dispatch, slabs, buffers);
      return addon === null ? broken(`${file} could not allocate its memory`) : { addon };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND' || file === asked)
        return broken(`${file} cannot be loaded: ${message}`);
    }
  }
  return absent(whyNoPackage() ?? `the package ${name} is not installed`);
}

/** Returns why there is no native package for this system; null: there is one. */
export function whyNoPackage(): string | null {
  const { platform, arch } = process;
  if (platform !== 'linux' || !['x64', 'arm64'].includes(arch))
    return `there is no native package for ${platform} ${arch}`;
  return isGlibc() ? null : 'the native package needs glibc, and this Linux has another C library (musl)';
}

function isGlibc(): boolean {
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean | undefined };
  const { excludeNetwork } = report;
  // Otherwise it asks a name server for the names of all peers.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork;
  return header?.glibcVersionRuntime !== undefined;
}

function absent(reason: string): Loaded {
  return { addon: null, reason, broken: false };
}

function broken(reason: string): Loaded {
  return { addon: null, reason, broken: true };
}
