/** The functions that the tests run on workers. */
import { appendFileSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { currentJob } from '../../src/executor/current-job.ts';

export function add(a: number, b: number): number {
  return a + b;
}

export function same<T>(value: T): T {
  return value;
}

export class QuotaError extends RangeError {
  readonly code = 'E_QUOTA';
}

export function fail(): never {
  throw new QuotaError('too much', { cause: new TypeError('the cause') });
}

export function uncopyable(): unknown {
  return { deep: [() => 1] };
}

export function large(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

export async function report(parts: number): Promise<string> {
  for (let part = 1; part <= parts; part++) {
    currentJob()?.reportProgress({ part });
    await pause(1);
  }
  return 'reported';
}

/** Says in a file that it has begun, and waits for its cancel. */
export async function untilCancelled(file: string): Promise<void> {
  const signal = currentJob()?.signal as AbortSignal;
  appendFileSync(file, 'begun\n');
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  appendFileSync(file, 'cancelled\n');
}

/** Never sees its cancel. */
export function forever(file: string): never {
  appendFileSync(file, `${process.pid}\n`);
  for (;;);
}

/** Fails until the file has a number of lines. */
export function failTimes(file: string, lines: number): number {
  appendFileSync(file, '.');
  const done = Number(lengthOf(file));
  if (done <= lines) throw new Error(`attempt ${done}`);
  return done;
}

export function note(file: string, text: string): void {
  appendFileSync(file, `${text}\n`);
}

export async function noteSlowly(file: string, text: string, milliseconds: number): Promise<string> {
  await pause(milliseconds);
  appendFileSync(file, `${text}\n`);
  return text;
}

export function crash(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

function lengthOf(file: string): number {
  return statSync(file).size;
}
