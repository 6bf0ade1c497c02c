/**
 * CPU work in processes: counts the primes below a number, in parts, and prints its progress. The loop stays
 * free for other work. Ctrl-C ends it, with its processes.
 *
 *   $ node --import tsx examples/cpu-work.ts 2000000
 */
import { CancelledError, currentJob, gather, getRunningLoop, ProcessPoolExecutor, run, sleep } from 'gyre';

const PARTS = 8;

/**
 * Returns the number of primes from `from` up to, but without, `to`. It crosses to its process as source, so
 * it uses nothing from outside.
 */
function countPrimes(from: number, to: number): number {
  const isPrime = (n: number): boolean => {
    for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
    return n >= 2;
  };
  const step = Math.ceil((to - from) / 10);
  let found = 0;
  for (let n = from; n < to; n++) {
    if (isPrime(n)) found++;
    if ((n - from + 1) % step === 0) currentJob()?.reportProgress(step);
  }
  return found;
}

async function main(limit: number): Promise<void> {
  const loop = getRunningLoop();
  await using pool = new ProcessPoolExecutor({ gracePeriod: 0 });
  let done = 0;
  const counting = pool.withOptions({
    onProgress: (numbers: number) => {
      done += numbers;
    },
  });

  const bounds = Array.from({ length: PARTS + 1 }, (_, i) => Math.floor((limit * i) / PARTS));
  const parts = bounds
    .slice(1)
    .map((to, i) => loop.runInExecutor(counting, countPrimes, bounds[i] as number, to));

  const showing = loop.createTask(async () => {
    for (;;) {
      await sleep(0.2);
      console.log(`${Math.floor((100 * done) / limit)} %`);
    }
  });
  const primes = await gather(...parts);
  showing.cancel();
  console.log(`${primes.reduce((sum, part) => sum + part, 0)} primes below ${limit}`);
}

try {
  await run(() => main(Number(process.argv[2] ?? 2_000_000)));
} catch (error) {
  if (!(error instanceof CancelledError)) throw error;
  console.log('interrupted');
  process.exitCode = 130;
}
