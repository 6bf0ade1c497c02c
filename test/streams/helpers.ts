/** Helpers of the tests of streams: a transport that the test controls. */

import type { Future, StreamProtocol, StreamReader, WriteBufferLimits } from '../../src/index.ts';
import { Transport } from '../../src/index.ts';

/** Returns how a future ended, in one word or two, for comparisons. */
export function outcome(future: Future<unknown>): string {
  if (!future.done()) return 'pending';
  if (future.cancelled()) return 'cancelled';
  const exception = future.exception() as { code?: string; message: string } | null;
  if (exception !== null) return exception.code ?? exception.message;
  return String(future.result());
}

/** Records the calls of the protocol. A test plays the network by calling the protocol. */
export class FakeTransport extends Transport {
  readonly calls: string[] = [];
  readonly info: Record<string, unknown> = { peername: ['192.0.2.1', 1234], sockname: ['192.0.2.2', 80] };
  closing: boolean = false;
  reading: boolean = true;

  isReading(): boolean {
    return this.reading;
  }
  pauseReading(): void {
    this.calls.push('pauseReading');
    this.reading = false;
  }
  resumeReading(): void {
    this.calls.push('resumeReading');
    this.reading = true;
  }
  write(data: string | Uint8Array): void {
    this.calls.push(`write ${String(data)}`);
  }
  writelines(list: Iterable<string | Uint8Array>): void {
    this.calls.push(`writelines ${[...list].map(String).join('|')}`);
  }
  writeEof(): void {
    this.calls.push('writeEof');
  }
  canWriteEof(): boolean {
    return false;
  }
  close(): void {
    this.calls.push('close');
    this.closing = true;
  }
  abort(): void {
    this.calls.push('abort');
    this.closing = true;
  }
  isClosing(): boolean {
    return this.closing;
  }
  getExtraInfo(name: string, fallback: unknown = null): never {
    return (this.info[name] ?? fallback) as never;
  }
  setWriteBufferLimits(_limits?: WriteBufferLimits): void {}
  getWriteBufferLimits(): { low: number; high: number } {
    return { low: 0, high: 0 };
  }
  getWriteBufferSize(): number {
    return 0;
  }
  setProtocol(_protocol: StreamProtocol): void {}
  getProtocol(): StreamProtocol {
    return {};
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Reads the rest of a reader that has got the end of its stream. */
export async function rest(reader: StreamReader): Promise<string> {
  return (await reader.read()).toString();
}
