/** One way, by protocol: writes until it is told to pause. */
import type { Transport } from 'gyre';
import { Protocol } from 'gyre';
import { readRequest } from '../bulk-request.ts';
import { messageOf } from '../message.ts';
import { serveProtocol } from './serve.ts';

class Source extends Protocol {
  #transport: Transport | null = null;
  #message: Buffer = Buffer.alloc(0);
  #left: number = 0;
  #paused: boolean = false;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Buffer): void {
    const { writes, size } = readRequest(data);
    this.#message = messageOf(size);
    this.#left = writes;
    this.#send();
  }

  override pauseWriting(): void {
    this.#paused = true;
  }

  override resumeWriting(): void {
    this.#paused = false;
    this.#send();
  }

  #send(): void {
    for (; this.#left > 0 && !this.#paused; this.#left--) this.#transport?.write(this.#message);
    if (this.#left === 0) this.#transport?.close();
  }
}

await serveProtocol(() => new Source());
