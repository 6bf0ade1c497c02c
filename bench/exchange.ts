/**
 * The program of the workload `exchange`: each host serves an echo and sends messages of 64 bytes to the next
 * host, one after the other. The simulated world and the real loopback run the same code.
 */
import type { Transport } from 'gyre';
import { getRunningLoop, Protocol } from 'gyre';

export const HOSTS = 100;
const MESSAGE = Buffer.alloc(64, 'm');

class Echo extends Protocol {
  #transport: Transport | null = null;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    this.#transport?.write(data);
  }
}

class Sender extends Protocol {
  readonly lost: Promise<void>;
  #resolve: () => void = () => {};
  #transport: Transport | null = null;
  #left: number;
  #received: number = 0;

  constructor(count: number) {
    super();
    this.#left = count;
    this.lost = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#send();
  }

  override dataReceived(data: Buffer): void {
    this.#received += data.length;
    if (this.#received < MESSAGE.length) return;
    this.#received = 0;
    this.#send();
  }

  override connectionLost(): void {
    this.#resolve();
  }

  #send(): void {
    if (this.#left-- > 0) this.#transport?.write(MESSAGE);
    else this.#transport?.close();
  }
}

/** Serves an echo until the program is cancelled, and calls back when it listens. */
export async function serve(host: string, port: number, onListening: () => void): Promise<void> {
  const server = await getRunningLoop().createServer(() => new Echo(), host, port);
  onListening();
  await server.serveForever();
}

/** Sends `count` messages, each after the echo of the one before. */
export async function send(host: string, port: number, count: number): Promise<void> {
  const sender = new Sender(count);
  await getRunningLoop().createConnection(() => sender, host, port);
  await sender.lost;
}
