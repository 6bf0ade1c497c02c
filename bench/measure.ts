/**
 * Helpers of the programs of `gyre/`, `node/` and `bun/`, and the twin of `asyncio/measure.py`. run.ts starts
 * each program with the size of its workload as argument, and the program prints one JSON line.
 */
import { cpuUsage } from 'node:process';

export interface Figures {
  /** In the unit of the workload. */
  value: number;
  /** Further figures, by the name of their column. */
  details: Record<string, number>;
}

/** The line of a program that measures itself. */
export interface Measurement extends Figures {
  /** The runtime: name and version. */
  runtime: string;
}

/** Waits until the compiler has seen the code, because its work is no cost of an operation. */
const WARM_UPS = 2;
const REPETITIONS = 5;

const { bun } = process.versions as { bun?: string };
export const RUNTIME: string = bun === undefined ? `Node ${process.version}` : `Bun ${bun}`;

export function operationsAsked(): number {
  const operations = Number(process.argv[2]);
  if (!(Number.isInteger(operations) && operations > 0)) throw new RangeError('usage: program <operations>');
  return operations;
}

/** The further numbers of the command line. */
export function sizesAsked(): number[] {
  return process.argv.slice(3).map(Number);
}

/**
 * Reports the CPU time of the whole process (collector and compiler threads included) per operation: the
 * median of several repetitions.
 *
 * @param body does the given number of operations, and resolves to the number that it counted at their ends
 */
export async function measureCpu(body: (operations: number) => Promise<number>): Promise<void> {
  const operations = operationsAsked();
  const samples: number[] = [];
  for (let i = 0; i < WARM_UPS + REPETITIONS; i++) {
    const before = cpuUsage();
    const done = await body(operations);
    const spent = cpuUsage(before);
    if (done !== operations) throw new Error(`${done} of ${operations} operations were done`);
    if (i >= WARM_UPS) samples.push(((spent.user + spent.system) * 1000) / operations);
  }
  report(median(samples), {});
}

/** Reports how late timers were, from lateness in milliseconds. */
export function reportLateness(milliseconds: number[]): void {
  if (milliseconds.length !== operationsAsked()) throw new Error(`${milliseconds.length} timers fired`);
  const sorted = milliseconds.map((late) => late * 1000).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number;
  report(at(0.5), { 'min us': at(0), 'p99 us': at(0.99), 'max us': at(1) });
}

export function report(value: number, details: Record<string, number>): void {
  const measurement: Measurement = { value, details, runtime: RUNTIME };
  console.log(JSON.stringify(measurement));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/**
 * Delays that look random and are the same in every run and in every language: whole microseconds, in `[0,
 * below)`.
 */
export function pseudoRandomDelays(count: number, belowMicroseconds: number): number[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state % belowMicroseconds;
  });
}
