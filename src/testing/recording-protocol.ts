/** One side of a connection, as a check sees it. */
import { strict as assert } from 'node:assert';
import type { BaseEventLoop } from '../event-loop.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';

/** Records the calls to a protocol, and lets a check wait for them. */
export class RecordingProtocol implements Protocol {
  readonly loop: BaseEventLoop;
  readonly transport: Transport;
  /** `data`, `eof`, `pause`, `resume`, `lost`. Consecutive pieces of data are recorded once. */
  readonly log: string[] = [];
  received: number = 0;
  /** The return value of `eofReceived`. */
  keepOpen: boolean = false;
  /** The argument of `connectionLost`; undefined before that call. */
  exception: Error | null | undefined = undefined;
  /** The beginning of the data. The rest is not stored, because clogs are large. */
  #text: string = '';
  #told: { done(): boolean; setResult(value: undefined): void } | null = null;

  constructor(loop: BaseEventLoop, transport: Transport) {
    this.loop = loop;
    this.transport = transport;
    transport.setProtocol(this);
  }

  get text(): string {
    return this.#text;
  }

  get lost(): boolean {
    return this.exception !== undefined;
  }

  connectionMade(): void {
    assert.fail('connectionMade() was called by setProtocol()');
  }

  dataReceived(data: Buffer): void {
    if (this.received < 1000) this.#text += data.toString('latin1', 0, 1000);
    this.received += data.length;
    if (this.log.at(-1) === 'data') this.log.pop();
    this.#note('data');
  }

  eofReceived(): boolean {
    this.#note('eof');
    return this.keepOpen;
  }

  pauseWriting(): void {
    this.#note('pause');
  }

  resumeWriting(): void {
    this.#note('resume');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.#note('lost');
  }

  untilTold(word: string): Promise<void> {
    return this.#until(() => this.log.includes(word));
  }

  untilReceived(bytes: number): Promise<void> {
    return this.#until(() => this.received >= bytes);
  }

  untilLost(): Promise<void> {
    return this.#until(() => this.lost);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const told = this.loop.createFuture<undefined>();
      this.#told = told;
      await told;
    }
  }

  #note(word: string): void {
    this.log.push(word);
    const told = this.#told;
    this.#told = null;
    if (told !== null && !told.done()) told.setResult(undefined);
  }
}
