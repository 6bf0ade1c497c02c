/** Functions that the tests run in workers, by module and name. */
import { threadId } from 'node:worker_threads';
import type { Job } from '../../src/executor/current-job.ts';
import { currentJob } from '../../src/executor/current-job.ts';

export function fib(n: number): number {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

export async function later(text: string, times: number): Promise<string> {
  await Promise.resolve();
  return text.repeat(times);
}

export const notAFunction = 5;

export class Point {
  x = 1;
}

/** Returns the id of this worker. */
export function whoAmI(): string {
  return `${process.pid}-${threadId}`;
}

export class AppError extends RangeError {
  readonly code = 'E_APP';
  readonly limits: number[] = [1, 2];
  readonly callback = (): void => {};
}

export function failDeeply(): never {
  const root = Object.assign(new TypeError('root'), { code: 'E_ROOT', errno: -5, syscall: 'open' });
  const middle = new Error('middle', { cause: root });
  throw new AppError('top', { cause: middle });
}

export function failTogether(): never {
  throw new AggregateError([new SyntaxError('one'), new URIError('two'), 'three'], 'all of them');
}

export async function abort(): Promise<never> {
  await Promise.resolve();
  AbortSignal.abort().throwIfAborted();
  throw new Error('unreachable');
}

export function throwValue(value: unknown): never {
  throw value;
}

/** Fails outside of the job, while that waits. */
export async function crashOutside(): Promise<never> {
  queueMicrotask(() => {
    throw new TypeError('nobody caught this');
  });
  return new Promise(() => {});
}

export function exit(code: number): never {
  process.exit(code);
}

export function spin(): never {
  for (;;);
}

/** Computes until it gets the cancel, and reports when it has begun. */
export function spinPolitely(): string {
  const job = currentJob();
  job?.reportProgress('begun');
  while (job?.cancelled() === false);
  (globalThis as { stoppedBy?: string }).stoppedBy = 'cancelled()';
  return 'stopped';
}

/** Waits until it gets the cancel. */
export async function waitPolitely(): Promise<string> {
  const job = currentJob();
  const stopped = new Promise<void>((resolve) => {
    if (job?.signal.aborted) resolve();
    job?.signal.addEventListener('abort', () => resolve());
  });
  job?.reportProgress('begun');
  await stopped;
  (globalThis as { stoppedBy?: string }).stoppedBy =
    `signal: ${job?.signal.reason?.name}, ${job?.cancelled()}`;
  return 'stopped';
}

/** Returns the record of this worker's last polite job. */
export function stoppedBy(): string | undefined {
  return (globalThis as { stoppedBy?: string }).stoppedBy;
}

/** Ignores the cancel, and reports when it has begun. */
export async function waitForEver(): Promise<never> {
  currentJob()?.reportProgress('begun');
  return new Promise(() => {});
}

export function spinForEver(): never {
  currentJob()?.reportProgress('begun');
  for (;;);
}

export function count(to: number): string {
  for (let i = 1; i <= to; i++) currentJob()?.reportProgress(i);
  return `counted to ${to}`;
}

/** State that one job leaves behind for the next one in the same worker. */
const leftBehind: { job: Job | null; data: Uint8Array | null; ran: boolean } = {
  job: null,
  data: null,
  ran: false,
};

export function leaveJob(): void {
  leftBehind.job = currentJob();
}

/** Reports progress for a job that is over. */
export function reportLate(): void {
  leftBehind.job?.reportProgress('late');
}

/** Marks a value for transfer, and returns another value that holds it. */
export function markAnother(): { data: Uint8Array } {
  const data = new Uint8Array(8);
  leftBehind.data = data;
  currentJob()?.transfer(data, [data.buffer]);
  return { data };
}

export function lengthOfMarked(): number | undefined {
  return leftBehind.data?.length;
}

export function markRan(): void {
  leftBehind.ran = true;
}

export function hasRan(): boolean {
  return leftBehind.ran;
}

export function jobOutside(): boolean {
  return currentJob() === null;
}

export function bytes(length: number, handOver: boolean): Uint8Array {
  const result = new Uint8Array(length).fill(7);
  return handOver ? (currentJob()?.transfer(result, [result.buffer]) ?? result) : result;
}

export function returnFunction(): unknown {
  return { list: [1, { callback: () => {} }] };
}

export function reportFunction(): void {
  currentJob()?.reportProgress(() => {});
}
