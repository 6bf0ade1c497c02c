/** The transports that the compatibility suite runs its clients and servers over. */
import { join } from 'node:path';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { connectDuplex, fromDuplex, toDuplex } from '../../src/entry/node.ts';
import type { NodeEventLoop, Server, Transport } from '../../src/index.ts';
import { Protocol, sleep } from '../../src/index.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { onNode, portOf } from '../helpers/pairs.ts';
import { inDirectory } from '../helpers/unix-pairs.ts';
import { leavingNoSocket } from './descriptors.ts';
import { duplexPair } from './memory.ts';

/** The connections of a test, from its clients to its server. */
export class Connections {
  /** The open connections, on the server's side. */
  readonly open: Set<TransportDuplex> = new Set();
  /** The open connections, on the clients' side. */
  readonly #dialled: Set<TransportDuplex> = new Set();
  readonly #connect: (protocolFactory: () => Protocol) => PromiseLike<unknown>;
  readonly #loop: NodeEventLoop;

  constructor(loop: NodeEventLoop, connect: (protocolFactory: () => Protocol) => PromiseLike<unknown>) {
    this.#loop = loop;
    this.#connect = connect;
  }

  /** Opens a connection, and returns its client's side. */
  dial(): TransportDuplex {
    const duplex = connectDuplex(this.#connect, { loop: this.#loop });
    this.#dialled.add(duplex);
    duplex.on('close', () => this.#dialled.delete(duplex));
    return duplex;
  }

  /** Waits until all connections have ended, on both sides. */
  async allClosed(): Promise<void> {
    while (this.open.size + this.#dialled.size > 0) await sleep(0.001);
  }

  destroyAll(): void {
    for (const duplex of [...this.open, ...this.#dialled]) duplex.destroy();
  }
}

/** Starts a server that calls `accept`, runs `body`, and waits until no connection is left. */
type TransportKind = (
  loop: NodeEventLoop,
  accept: (duplex: TransportDuplex) => void,
  body: (connections: Connections) => Promise<void>,
) => Promise<void>;

/** Gives each connection as a duplex to a server. */
class Accepting extends Protocol {
  readonly #accept: (duplex: TransportDuplex) => void;
  readonly #open: Set<TransportDuplex>;

  constructor(accept: (duplex: TransportDuplex) => void, open: Set<TransportDuplex>) {
    super();
    this.#accept = accept;
    this.#open = open;
  }

  override connectionMade(transport: Transport): void {
    const duplex = toDuplex(transport, { allowHalfOpen: true });
    this.#open.add(duplex);
    duplex.on('close', () => this.#open.delete(duplex));
    this.#accept(duplex);
  }
}

/** @param server null: there is no server to close */
async function served(
  server: Server | null,
  connections: Connections,
  body: (connections: Connections) => Promise<void>,
): Promise<void> {
  try {
    await body(connections);
  } finally {
    server?.close();
    // A test that failed must not keep the loop running.
    connections.destroyAll();
    await connections.allClosed();
    await server?.waitClosed();
  }
}

export const transportKinds: Readonly<Record<'TCP' | 'unix' | 'TLS' | 'memory', TransportKind>> = {
  TCP: async (loop, accept, body) => {
    const connections = new Connections(loop, (factory) =>
      loop.createConnection(factory, '127.0.0.1', portOf(server)),
    );
    const server = await loop.createServer(() => new Accepting(accept, connections.open), '127.0.0.1', 0);
    await served(server, connections, body);
  },

  unix: (loop, accept, body) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'socket');
      const connections = new Connections(loop, (factory) => loop.createUnixConnection(factory, path));
      const server = await loop.createUnixServer(() => new Accepting(accept, connections.open), path);
      await served(server, connections, body);
    }),

  TLS: async (loop, accept, body) => {
    const connections = new Connections(loop, (factory) =>
      loop.createConnection(factory, '127.0.0.1', portOf(server), { ssl: { ca } }),
    );
    const server = await loop.createServer(() => new Accepting(accept, connections.open), '127.0.0.1', 0, {
      ssl: certificate,
    });
    await served(server, connections, body);
  },

  // Two transports over a pair in memory.
  memory: async (loop, accept, body) => {
    const connections = new Connections(loop, async (factory) => {
      const [near, far] = duplexPair();
      await fromDuplex(far, () => new Accepting(accept, connections.open), { loop });
      await fromDuplex(near, factory, { loop });
    });
    await served(null, connections, body);
  },
};

/** Makes a test body over one kind of transport, and checks that its loop is empty at the end. */
export function over(
  name: keyof typeof transportKinds,
  accept: (duplex: TransportDuplex) => void,
  body: (connections: Connections, loop: NodeEventLoop) => Promise<void>,
): () => Promise<void> {
  const onLoop = onNode((loop) =>
    transportKinds[name](loop, accept, (connections) => body(connections, loop)),
  );
  return () => leavingNoSocket(onLoop);
}

export const kindNames = Object.keys(transportKinds) as (keyof typeof transportKinds)[];
