/**
 * Compares gyre with CPython's asyncio by random programs.
 *
 *     node --import tsx test/parity/random.ts --count 10000 --seed 1 --family distinct|coinciding
 *     node --import tsx test/parity/random.ts --family coinciding --show 17
 *     node --import tsx test/parity/random.ts --family coinciding --shrink 17
 *
 * `--show` prints the program and both logs side by side, `--shrink` the same for the smallest program that
 * still differs. `--record` writes random/recorded.json anew, after a change of the generator.
 *
 * Timers with the same deadline run in the order of scheduling on gyre. asyncio leaves the order open, so it
 * is made to do the same; with `--ties as-cpython` it keeps CPython's own order, which is an accident of its
 * heap.
 */
import { parseArgs } from 'node:util';
import type { Comparison } from './random/compare.ts';
import { compareAll } from './random/compare.ts';
import { generate } from './random/generate.ts';
import type { Ties } from './random/interpreters.ts';
import { asyncio, findPython, gyre, Interpreter } from './random/interpreters.ts';
import type { Family, Program } from './random/program.ts';
import { FAMILIES } from './random/program.ts';
import { pseudoCode, sideBySide } from './random/pseudo-code.ts';
import { record } from './random/recorded.ts';
import { shrink } from './random/shrink.ts';
import { Summary } from './random/summary.ts';

/** Programs that are on their way at once. */
const CHUNK = 500;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    family: { type: 'string', default: 'distinct' },
    ties: { type: 'string', default: 'scheduled' },
    show: { type: 'string' },
    shrink: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});

const family = oneOf<Family>('--family', values.family, FAMILIES);
const ties = oneOf<Ties>('--ties', values.ties, ['scheduled', 'as-cpython']);
const python = findPython();
if (python === null) {
  throw new Error('no CPython 3.13 or newer on the PATH, nor among the versions of pyenv');
}
const onAsyncio = new Interpreter(asyncio(python.file, ties));
const onGyre = new Interpreter(gyre);
const compare = (programs: readonly Program[]): Promise<Comparison[]> =>
  compareAll(programs, onAsyncio, onGyre);

try {
  if (values.show !== undefined) await show(generate(whole('--show', values.show), family));
  else if (values.shrink !== undefined)
    await showSmallest(generate(whole('--shrink', values.shrink), family));
  else if (values.record) await record(python.version, (programs) => onAsyncio.run(programs));
  else await compareMany(whole('--count', values.count), whole('--seed', values.seed), python.version);
} finally {
  onAsyncio.close();
  onGyre.close();
}

async function compareMany(count: number, seed: number, version: string): Promise<void> {
  const began = performance.now();
  const summary = new Summary();
  for (let done = 0; done < count; done += CHUNK) {
    const length = Math.min(CHUNK, count - done);
    const programs = Array.from({ length }, (_, index) => generate(seed + done + index, family));
    summary.add(await compare(programs));
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`${count} programs, ${family} deadlines, from seed ${seed}; CPython ${version}; ${seconds} s`);
  console.log(summary.text());
  if (summary.count('failed') > 0) process.exitCode = 1;
}

async function show(program: Program): Promise<void> {
  const [{ asyncio, gyre, verdict }] = (await compare([program])) as [Comparison];
  console.log(`${pseudoCode(program)}\n`);
  if ('failure' in asyncio || 'failure' in gyre) console.log({ asyncio, gyre });
  else console.log(`${sideBySide(asyncio, gyre)}\n\nset apart: ${asyncio.apart?.join('; ') || 'no'}`);
  console.log(`verdict: ${verdict}`);
}

async function showSmallest(program: Program): Promise<void> {
  const [{ verdict }] = (await compare([program])) as [Comparison];
  if (verdict === 'same') console.log(`seed ${program.seed} does not differ`);
  else await show(await shrink(program, compare, (comparison) => comparison.verdict === verdict));
}

function whole(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error(`${option} takes a whole number, not ${text}`);
  return number;
}

function oneOf<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) throw new Error(`${option} takes ${allowed.join(' or ')}, not ${text}`);
  return found;
}
