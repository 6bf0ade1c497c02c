/**
 * The machine under the loops of a test, with files, descriptors, signals, and peers that do not use gyre.
 * This file has the real machine, and simulated-machine.ts that of a simulated host.
 */
import type { promises } from 'node:fs';
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { closedSocket, nodeSocket } from '../helpers/datagrams.ts';
import { socketPair } from '../helpers/descriptors.ts';
import { closed, listeningNodeServer } from '../helpers/pairs.ts';
import { inDirectory, isOpen, pipeEnds } from '../helpers/unix-pairs.ts';

export interface Machine {
  readonly files: Files;
  readonly descriptors: Descriptors;
  readonly peers: Peers;
  readonly signals: Signals;
  /** Runs `body` with a file that the system's `sendfile()` refuses, and the beginning of its text. */
  withUnsendable(body: (file: string | promises.FileHandle, begins: RegExp) => Promise<void>): Promise<void>;
}

export interface Files {
  /** Runs `body` with a directory of its own, which is removed afterwards. */
  inDirectory(body: (directory: string) => Promise<void>): Promise<void>;
  write(path: string, data: string): void;
  truncate(path: string, length: number): void;
  remove(path: string): void;
  kindOf(path: string): 'none' | 'file' | 'socket' | 'other';
}

export interface Descriptors {
  pipe(): { readonly read: number; readonly write: number };
  /** Two ends, each of which can be read and written. */
  socketPair(): readonly [number, number];
  /** A descriptor that is no pipe: that of a file. */
  openFile(path: string): number;
  /** Returns what is there, as text; null if nothing is. */
  read(fd: number, length?: number): string | null;
  write(fd: number, data: string): void;
  close(fd: number): void;
  isOpen(fd: number): boolean;
}

/** A connection that does not use gyre. */
export interface Peer {
  /** For the option `sock`. */
  readonly sock: unknown;
  write(data: string): void;
  /** Ends its direction, after `data`. */
  end(data?: string): void;
  /** Returns everything up to the end. */
  rest(): Promise<string>;
  close(): Promise<void>;
}

export interface PeerServer {
  readonly port: number;
  /** Waits for the next connection. */
  accept(): Promise<Peer>;
  /** Ends its connections, too. */
  close(): Promise<void>;
}

export interface Peers {
  listen(host?: string): Promise<PeerServer>;
  listenAt(path: string): Promise<PeerServer>;
  /** @param to a port of 127.0.0.1, or a path */
  connect(to: number | string): Promise<Peer>;
  /** A bound datagram socket. */
  datagrams(): Promise<{ readonly sock: unknown; readonly port: number; close(): Promise<void> }>;
}

export interface Signals {
  send(signal: NodeJS.Signals): void;
  /** Sends it, and waits until it has come, also while no loop runs. */
  sent(signal: NodeJS.Signals): Promise<void>;
  /** The number of handlers of this program. */
  handlers(signal: NodeJS.Signals): number;
}

/** Returns a port without a listener. No other program gets it within a test's time. */
export async function freePort(machine: Machine, host?: string): Promise<number> {
  const server = await machine.peers.listen(host);
  await server.close();
  return server.port;
}

export async function freeUdpPort(machine: Machine): Promise<number> {
  const socket = await machine.peers.datagrams();
  await socket.close();
  return socket.port;
}

const files: Files = {
  inDirectory,
  write: writeFileSync,
  truncate: truncateSync,
  remove: unlinkSync,
  kindOf(path) {
    if (!existsSync(path)) return 'none';
    const stats = lstatSync(path);
    return stats.isSocket() ? 'socket' : stats.isFile() ? 'file' : 'other';
  },
};

const descriptors: Descriptors = {
  pipe: pipeEnds,
  socketPair() {
    const { from, to } = socketPair();
    return [from, to];
  },
  openFile(path) {
    return openSync(path, 'r+');
  },
  read(fd, length = 65_536) {
    const buffer = Buffer.alloc(length);
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch (error) {
      if ((error as { code?: string }).code === 'EAGAIN') return null;
      throw error;
    }
  },
  write: (fd, data) => void writeSync(fd, data),
  close: closeSync,
  isOpen,
};

class NodePeer implements Peer {
  readonly sock: Socket;

  constructor(sock: Socket) {
    this.sock = sock;
  }

  write(data: string): void {
    this.sock.write(data);
  }

  end(data: string = ''): void {
    this.sock.end(data);
  }

  async rest(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.sock) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }

  close(): Promise<void> {
    return closed(this.sock);
  }
}

function peerServer(server: Server, port: number): PeerServer {
  const waiting: Socket[] = [];
  let wake: () => void = () => {};
  server.on('connection', (socket) => {
    waiting.push(socket);
    wake();
  });
  return {
    port,
    async accept() {
      while (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return new NodePeer(waiting.shift() as Socket);
    },
    close: () => closed(server),
  };
}

const peers: Peers = {
  async listen(host) {
    const { server, port } = await listeningNodeServer(host);
    return peerServer(server, port);
  },
  async listenAt(path) {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    return peerServer(server, 0);
  },
  async connect(to) {
    return new NodePeer(typeof to === 'string' ? connect(to) : connect(to, '127.0.0.1'));
  },
  async datagrams() {
    const sock = await nodeSocket();
    return { sock, port: sock.address().port, close: () => closedSocket(sock) };
  },
};

const signals: Signals = {
  send: (signal) => void process.kill(process.pid, signal),
  async sent(signal) {
    let come = false;
    process.once(signal, () => {
      come = true;
    });
    process.kill(process.pid, signal);
    while (!come) await new Promise((resolve) => setImmediate(resolve));
  },
  handlers: (signal) => process.listenerCount(signal),
};

export const realMachine: Machine = {
  files,
  descriptors,
  peers,
  signals,
  withUnsendable: (body) => body('/proc/self/status', /^Name:/),
};
