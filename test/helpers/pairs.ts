/**
 * Connected pairs over real sockets: two gyre transports, or one and a socket of Node's own. In a *clogged*
 * pair one side has written more than the kernel accepts: most faults of close and cancel only show there.
 */
import assert from 'node:assert/strict';
import type { Server as NodeServer, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { BaseEventLoop, Protocol, Server, StreamProtocol, Transport } from '../../src/index.ts';
import { NodeEventLoop, UvEventLoop } from '../../src/index.ts';
import type { Reports } from './loop-fixture.ts';
import { withLoop } from './loop-fixture.ts';
import { Recording } from './recording.ts';

/** Whether `onNode()` uses the native loop: with GYRE_TEST_BACKEND=uv. */
export const isNative: boolean = process.env.GYRE_TEST_BACKEND === 'uv';

/** For the `skip` of a test that accesses the sockets of Node's own. */
export const needsNodeSockets: string | false =
  isNative && 'reaches into a socket of Node’s own, and the native backend has none';

/** Makes the loop of these tests. */
export function makeLoop(): NodeEventLoop {
  return isNative ? new UvEventLoop() : new NodeEventLoop();
}

/** Asserts that `fileno` is a descriptor, if the backend reveals descriptors, and else -1. */
export function assertFileno(loop: BaseEventLoop, fileno: number, isOpen: boolean = true): void {
  if (loop._backend.fileno && isOpen) assert.ok(fileno > 2, `descriptor ${fileno}`);
  else assert.equal(fileno, -1);
}

/** Runs `body` as a task on a real loop, and checks that nothing is left afterwards. */
export function onNode(body: (loop: NodeEventLoop, reports: Reports) => Promise<void>): () => Promise<void> {
  return async () => {
    try {
      await withLoop(makeLoop, (loop, reports) => loop.runUntilComplete(() => body(loop, reports)));
    } catch (error) {
      // A test that failed in the middle must not keep the process alive, and so delay the report.
      for (const handle of foreign) void closed(handle);
      throw error;
    }
  };
}

/** Node's own sockets and servers that are open. */
const foreign: Set<Socket | NodeServer> = new Set();

function track<H extends Socket | NodeServer>(handle: H): H {
  foreign.add(handle);
  handle.once('close', () => foreign.delete(handle));
  return handle;
}

/**
 * A protocol that records its calls: `made`, `data` (in several pieces: once), `eof`, `pause`, `resume`,
 * `lost`.
 */
export class Recorder extends Recording implements Protocol {
  readonly chunks: Buffer[] = [];
  received: number = 0;
  /** The result of `eofReceived`. */
  keepOpen: boolean = false;
  /** The argument of `connectionLost`; undefined before. */
  exception: Error | null | undefined = undefined;
  paused: boolean = false;
  #transport: Transport | null = null;

  get transport(): Transport {
    if (this.#transport === null) throw new Error('no connection was made yet');
    return this.#transport;
  }

  /** The received data as text. */
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get lost(): boolean {
    return this.exception !== undefined;
  }

  connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.note('made');
  }

  dataReceived(data: Buffer): void {
    this.chunks.push(data);
    this.received += data.length;
    if (this.log.at(-1) === 'data') this.log.pop();
    this.note('data');
  }

  eofReceived(): boolean {
    this.note('eof');
    return this.keepOpen;
  }

  pauseWriting(): void {
    this.paused = true;
    this.note('pause');
  }

  resumeWriting(): void {
    this.paused = false;
    this.note('resume');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.note('lost');
  }

  /** Waits until `bytes` were received, and returns all received data. */
  async untilReceived(bytes: number): Promise<Buffer> {
    await this.until(() => this.received >= bytes);
    return Buffer.concat(this.chunks);
  }

  untilLost(): Promise<void> {
    return this.until(() => this.lost);
  }
}

/** Returns the port of a server with one socket. */
export function portOf(server: Server): number {
  return server.sockets[0]?.getsockname()?.[1] as number;
}

/**
 * Connects two gyre transports: the near one by `createConnection`, the far one accepted by a server that is
 * closed again.
 */
export async function connectedPair<N extends StreamProtocol, F extends StreamProtocol>(
  loop: BaseEventLoop,
  near: N,
  far: F,
  host: string = '127.0.0.1',
): Promise<{ near: Transport; far: Transport }> {
  const accepted = loop.createFuture<Transport>();
  const server = await loop.createServer(() => tellingOf(far, accepted), host, 0);
  const [transport] = await loop.createConnection(() => near, host, portOf(server));
  const other = await accepted;
  server.close();
  return { near: transport, far: other };
}

/** Connects two recorders. */
export async function recorders(
  loop: BaseEventLoop,
  host?: string,
): Promise<{ near: Recorder; far: Recorder }> {
  const near = new Recorder();
  const far = new Recorder();
  await connectedPair(loop, near, far, host);
  return { near, far };
}

/** More than the kernel accepts for one connection on any known machine: Linux stops at 36 MiB. */
const CLOG_BYTES = 64 * 1024 * 1024;
const CLOG_PIECE = Buffer.alloc(1024 * 1024, 'clog');

/**
 * Connects a pair whose near side has written 64 MiB, while the far side reads nothing until
 * `resumeReading()`.
 *
 * @returns `written`: the bytes that the far side will get if nothing is dropped
 */
export async function cloggedPair(
  loop: BaseEventLoop,
): Promise<{ near: Recorder; far: Recorder; written: number }> {
  const pair = await recorders(loop);
  pair.far.transport.pauseReading();
  for (let bytes = 0; bytes < CLOG_BYTES; bytes += CLOG_PIECE.length) pair.near.transport.write(CLOG_PIECE);
  await pair.near.untilTold('pause');
  return { ...pair, written: CLOG_BYTES };
}

/** Returns a gyre server's side of a connection to a half-open socket of Node's own. */
export async function foreignClient<P extends StreamProtocol>(
  loop: BaseEventLoop,
  protocol: P,
  host: string = '127.0.0.1',
): Promise<{ transport: Transport; socket: Socket }> {
  const accepted = loop.createFuture<Transport>();
  const server = await loop.createServer(() => tellingOf(protocol, accepted), host, 0);
  const socket = track(connect({ host, port: portOf(server), allowHalfOpen: true }));
  socket.on('error', ignore);
  const transport = await accepted;
  server.close();
  return { transport, socket };
}

/** Returns a gyre client's side of a connection to a server of Node's own, which accepts only this one. */
export async function foreignServer<P extends StreamProtocol>(
  loop: BaseEventLoop,
  protocol: P,
  host: string = '127.0.0.1',
): Promise<{ transport: Transport; socket: Socket }> {
  const { server, port } = await listeningNodeServer(host);
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const [transport] = await loop.createConnection(() => protocol, host, port);
  const socket = await accepted;
  socket.on('error', ignore);
  server.close();
  return { transport, socket };
}

/** An 'error' event without a listener would end the process. A test that needs it adds its own listener. */
function ignore(): void {}

const connectionsOf: WeakMap<NodeServer, Set<Socket>> = new WeakMap();

/** Starts a server of Node's own. `closed(server)` ends its connections, too. */
export async function listeningNodeServer(
  host: string = '127.0.0.1',
  port: number = 0,
): Promise<{ server: NodeServer; port: number }> {
  const server = track(createServer({ allowHalfOpen: true }));
  const connections = new Set<Socket>();
  connectionsOf.set(server, connections);
  server.on('connection', (socket) => {
    connections.add(track(socket));
    socket.on('error', ignore);
    socket.on('close', () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return { server, port: (server.address() as { port: number }).port };
}

/**
 * Returns a port without a listener: taken from the system, and given back. No other program gets it within a
 * test's time.
 */
export async function freePort(host: string = '127.0.0.1'): Promise<number> {
  const { server, port } = await listeningNodeServer(host);
  await closed(server);
  return port;
}

/** Ends a socket or server of Node's own, and waits until it is closed. */
export function closed(handle: Socket | NodeServer): Promise<void> {
  return new Promise((resolve) => {
    if ('destroy' in handle && handle.closed) {
      resolve();
      return;
    }
    handle.once('close', () => resolve());
    if ('destroy' in handle) {
      handle.destroy();
      return;
    }
    handle.close();
    for (const socket of connectionsOf.get(handle) ?? []) socket.destroy();
  });
}

/** Returns `protocol`; its `connectionMade` also completes `accepted`. */
function tellingOf<P extends StreamProtocol>(
  protocol: P,
  accepted: { setResult(transport: Transport): void },
): P {
  const made = protocol.connectionMade;
  protocol.connectionMade = function (this: P, transport: Transport): unknown {
    accepted.setResult(transport);
    if (made === undefined) delete protocol.connectionMade;
    else protocol.connectionMade = made;
    return made?.call(this, transport);
  };
  return protocol;
}
