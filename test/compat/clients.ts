/** The ways of a client to a server of its own kind over gyre: TCP, and a unix socket. */
import type { TransportDuplex } from '../../src/entry/node.ts';
import { connectDuplex } from '../../src/entry/node.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import { sleep } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';
import { leavingNoSocket } from './descriptors.ts';
import type { RunningServer } from './servers.ts';

/** Connects to a server, and knows the open connections. */
export class Dialler {
  /** The number of connections so far. */
  dialled: number = 0;
  readonly open: Set<TransportDuplex> = new Set();
  readonly #loop: BaseEventLoop;
  readonly #server: RunningServer;
  readonly #way: 'TCP' | 'unix';

  constructor(loop: BaseEventLoop, server: RunningServer, way: 'TCP' | 'unix') {
    this.#loop = loop;
    this.#server = server;
    this.#way = way;
  }

  dial(): TransportDuplex {
    this.dialled++;
    const loop = this.#loop;
    const { port, path } = this.#server;
    const duplex = connectDuplex(
      (factory) =>
        this.#way === 'TCP'
          ? loop.createConnection(factory, '127.0.0.1', port)
          : loop.createUnixConnection(factory, path),
      { loop },
    );
    this.open.add(duplex);
    duplex.on('close', () => this.open.delete(duplex));
    return duplex;
  }

  async allClosed(): Promise<void> {
    while (this.open.size > 0) await sleep(0.001);
  }
}

/**
 * Makes a test body with a server that was started before. Its loop and its connections must all be closed at
 * the end.
 */
export function against(
  server: () => RunningServer,
  way: 'TCP' | 'unix',
  body: (dialler: Dialler) => Promise<void>,
): () => Promise<void> {
  const onLoop = onNode(async (loop) => {
    const dialler = new Dialler(loop, server(), way);
    try {
      await body(dialler);
    } catch (error) {
      for (const duplex of dialler.open) duplex.destroy();
      throw error;
    } finally {
      await dialler.allClosed();
    }
  });
  return () => leavingNoSocket(onLoop);
}

export const ways = ['TCP', 'unix'] as const;
