/** A transport of a user: it records its calls, and the test plays the peer. */
import type { ExtraInfo, StreamProtocol, WriteBufferLimits } from '../../src/index.ts';
import { Transport } from '../../src/index.ts';

interface Told {
  dataReceived(data: Buffer): void;
  eofReceived(): boolean | void;
  pauseWriting(): void;
  resumeWriting(): void;
  connectionLost(error: Error | null): void;
}

export class ManualTransport extends Transport {
  /** `write 5`, `writeEof`, `close`, … */
  readonly calls: string[] = [];
  readonly sent: Buffer[] = [];
  readonly info: Partial<ExtraInfo>;
  /** Bytes that the host has not accepted. */
  unsent: number = 0;
  /** False: writes stay unsent until `flush()`. */
  takesAll: boolean = true;
  halfClose: boolean = true;
  reading: boolean = true;
  high: number = 64 * 1024;
  #protocol: StreamProtocol = {};
  #paused: boolean = false;
  #closing: boolean = false;

  constructor(info: Partial<ExtraInfo> = {}) {
    super();
    this.info = info;
  }

  // --- events of the peer and the host ---

  receive(data: string): void {
    this.#told.dataReceived(Buffer.from(data));
  }

  receiveEnd(): void {
    if (this.#told.eofReceived() !== true) this.close();
  }

  flush(bytes: number = this.unsent): void {
    this.unsent -= bytes;
    if (!this.#paused || this.unsent > this.high / 4) return;
    this.#paused = false;
    this.#told.resumeWriting();
  }

  lose(error: Error | null): void {
    this.#closing = true;
    this.#told.connectionLost(error);
  }

  get #told(): Told {
    return this.#protocol as Told;
  }

  // --- Transport ---

  override getExtraInfo(name: string, fallback: unknown = null): never {
    return ((this.info as Record<string, unknown>)[name] ?? fallback) as never;
  }
  override setProtocol(protocol: StreamProtocol): void {
    this.#protocol = protocol;
  }
  override getProtocol(): StreamProtocol {
    return this.#protocol;
  }
  override isClosing(): boolean {
    return this.#closing;
  }
  override isReading(): boolean {
    return this.reading;
  }
  override pauseReading(): void {
    this.reading = false;
  }
  override resumeReading(): void {
    this.reading = true;
  }
  override write(data: string | Uint8Array): void {
    this.sent.push(Buffer.from(data as string));
    this.calls.push(`write ${data.length}`);
    if (this.takesAll) return;
    this.unsent += data.length;
    this.#checkFlow();
  }
  override writelines(list: Iterable<string | Uint8Array>): void {
    for (const data of list) this.write(data);
  }
  override canWriteEof(): boolean {
    return this.halfClose;
  }
  override writeEof(): void {
    this.calls.push('writeEof');
  }
  override close(): void {
    this.#closing = true;
    this.calls.push('close');
  }
  override abort(): void {
    this.#closing = true;
    this.calls.push('abort');
  }
  override setWriteBufferLimits(limits: WriteBufferLimits = {}): void {
    this.high = limits.high ?? 64 * 1024;
    this.#checkFlow();
  }
  override getWriteBufferLimits(): { low: number; high: number } {
    return { low: this.high / 4, high: this.high };
  }
  override getWriteBufferSize(): number {
    return this.unsent;
  }
  override async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #checkFlow(): void {
    if (this.#paused || this.unsent <= this.high) return;
    this.#paused = true;
    this.#told.pauseWriting();
  }
}
