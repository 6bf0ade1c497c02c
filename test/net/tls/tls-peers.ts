/** Helpers of the tests of TLS: connected pairs, foreign peers, and programs of the machine. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import type { Server as NodeServer, Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { BaseEventLoop, Server, StreamProtocol, Transport } from '../../../src/index.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { portOf, Recorder } from '../../helpers/pairs.ts';

export interface PairOptions {
  server?: TlsOptions;
  client?: ConnectionOptions;
}

/** Starts a TLS server whose protocols are recorders. `accepted` gets each when its connection is made. */
export async function recordingServer(
  loop: BaseEventLoop,
  ssl: unknown = serverTls(),
  options: { sslHandshakeTimeout?: number; sslShutdownTimeout?: number } = {},
): Promise<{ server: Server; port: number; next: () => Promise<Recorder>; made: Recorder[] }> {
  const made: Recorder[] = [];
  let wake: () => void = () => {};
  const server = await loop.createServer(
    () => {
      const recorder = new Recorder();
      const connectionMade = recorder.connectionMade;
      recorder.connectionMade = (transport) => {
        connectionMade.call(recorder, transport);
        made.push(recorder);
        wake();
      };
      return recorder;
    },
    '127.0.0.1',
    0,
    { ssl, ...options },
  );
  let told = 0;
  const next = async (): Promise<Recorder> => {
    while (made.length <= told) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return made[told++] as Recorder;
  };
  return { server, port: portOf(server), next, made };
}

/** Connects two gyre transports with TLS. */
export async function tlsPair<N extends StreamProtocol>(
  loop: BaseEventLoop,
  near: N,
  { server: serverSide = serverTls(), client = clientTls() }: PairOptions = {},
): Promise<{ near: Transport; far: Recorder }> {
  const { server, port, next } = await recordingServer(loop, serverSide);
  const [transport] = await loop.createConnection(() => near, '127.0.0.1', port, {
    ssl: client,
    serverHostname: 'localhost',
  });
  const far = await next();
  server.close();
  return { near: transport, far };
}

/** Connects two recorders with TLS. */
export async function tlsRecorders(
  loop: BaseEventLoop,
  options: PairOptions = {},
): Promise<{ near: Recorder; far: Recorder }> {
  const near = new Recorder();
  const { far } = await tlsPair(loop, near, options);
  return { near, far };
}

/** Closes both, and waits until they are lost. */
export async function end(...recorders: Recorder[]): Promise<void> {
  for (const recorder of recorders) recorder.transport.close();
  for (const recorder of recorders) await recorder.untilLost();
}

// --- Node's own ---

/** Starts a server of `node:tls`. */
export async function nodeTlsServer(
  options: TlsOptions,
  onConnection: (socket: TLSSocket) => void,
): Promise<{ server: NodeServer; port: number }> {
  const server = createTlsServer(options, (socket) => {
    socket.on('error', ignore);
    socket.unref();
    onConnection(socket);
  });
  server.on('tlsClientError', ignore);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A test that fails does not close it.
  server.unref();
  return { server, port: (server.address() as { port: number }).port };
}

/** Connects a client of `node:tls`. */
export function nodeTlsClient(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ...clientTls(),
      ...options,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject);
      socket.on('error', ignore);
      socket.unref();
      resolve(socket);
    });
  });
}

/** Returns all data of a socket of Node's until its end. */
export async function rest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export function closedSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) {
      resolve();
      return;
    }
    socket.once('close', () => resolve());
    socket.destroy();
  });
}

export function closedServer(server: NodeServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function ignore(): void {}

// --- programs ---

/** Returns false if the program exists, else the reason to skip. */
export function missing(program: string, argument: string = 'version'): string | false {
  const { error } = spawnSync(program, [argument], { stdio: 'ignore' });
  return error === undefined ? false : `there is no ${program} on this machine`;
}

/** A program of the machine. The test talks to it by its standard streams. */
export class Program {
  readonly #child: ChildProcess;
  #output: string = '';
  #ended: boolean = false;
  #code: number | null = null;
  readonly #waiting: Set<() => void> = new Set();

  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const child = spawn(program, args, { stdio: 'pipe', env });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data: Buffer) => {
        this.#output += data.toString('latin1');
        this.#wake();
      });
    }
    child.stdin?.on('error', ignore);
    // A test that fails does not end it.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket | null)?.unref();
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('close', (code) => {
      process.removeListener('exit', kill);
      this.#ended = true;
      this.#code = code;
      this.#wake();
    });
  }

  /** Its output, on both streams. */
  get output(): string {
    return this.#output;
  }

  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends its standard input. */
  done(): void {
    this.#child.stdin?.end();
  }

  /** Waits until its output matches. Throws if it ends before. */
  async until(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.#output.match(pattern);
      if (match !== null) return match;
      if (this.#ended) throw new Error(`it never said ${pattern}, but:\n${this.#output}`);
      await this.#change();
    }
  }

  /** Waits until it has ended, and returns its return code. */
  async ended(): Promise<number | null> {
    while (!this.#ended) await this.#change();
    return this.#code;
  }

  /** Ends it. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
    });
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
