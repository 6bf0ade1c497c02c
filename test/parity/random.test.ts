import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareAll } from './random/compare.ts';
import { generate } from './random/generate.ts';
import { asyncio, findPython, gyre, Interpreter } from './random/interpreters.ts';
import type { Family, Program, Step } from './random/program.ts';
import { FAMILIES } from './random/program.ts';
import { pseudoCode } from './random/pseudo-code.ts';
import { fingerprint, hashOfPrograms, readRecorded, recordedPrograms } from './random/recorded.ts';
import { shrink } from './random/shrink.ts';
import { Summary } from './random/summary.ts';

// Random programs, on gyre and on CPython's asyncio. `node --import tsx test/parity/random.ts` compares many,
// and shows the reason for a difference. The logs of asyncio are recorded as hashes. If the machine has a
// CPython, fresh programs are compared, too.

/**
 * The part of the programs that must end with the same outcomes and times, and the part that must have the
 * same log.
 */
const HELD: Readonly<Record<Family, { outcome: number; order: number }>> = {
  distinct: { outcome: 1, order: 0.999 },
  coinciding: { outcome: 1, order: 0.999 },
};
/** The kinds of statements in program.ts. */
const STATEMENTS = 40;
/** Fresh programs of each family. */
const FRESH = 200;

const recorded = readRecorded();
const python = findPython();
const noPython = python === null ? 'no CPython 3.13 or newer on this machine' : false;

for (const family of FAMILIES) {
  test(`random programs with ${family} deadlines run on gyre as on asyncio`, async () => {
    const programs = recordedPrograms(family);
    const { programs: hash, runs } = recorded.families[family];
    assert.equal(hashOfPrograms(programs), hash, 'other programs than the recorded ones: random.ts --record');
    const ofGyre = (await runAll(new Interpreter(gyre), programs)).map(fingerprint);
    const compared = programs.filter((_, index) => runs[index] !== 'apart');
    const other = (part: number): number[] =>
      compared
        .map(({ seed }) => seed)
        .filter((seed) => partOf(ofGyre, seed, part) !== partOf(runs, seed, part));
    for (const [part, held] of [HELD[family].outcome, HELD[family].order].entries()) {
      const seeds = other(part);
      const same = 1 - seeds.length / compared.length;
      const what = part === 0 ? 'outcome' : 'log';
      const see = `see random.ts --family ${family} --show ${seeds[0]}`;
      assert.ok(same >= held, `the same ${what} in ${same}, not in ${held}: ${see}`);
    }
  });
}

for (const family of FAMILIES) {
  test(`fresh random programs with ${family} deadlines run on gyre as on asyncio`, {
    skip: noPython,
  }, async () => {
    const seed = 1_000_000 + (Date.now() % 1_000_000_000);
    const programs = Array.from({ length: FRESH }, (_, index) => generate(seed + index, family));
    const summary = new Summary();
    const [onAsyncio, onGyre] = [
      new Interpreter(asyncio(fileOfPython(), 'scheduled')),
      new Interpreter(gyre),
    ];
    try {
      summary.add(await compareAll(programs, onAsyncio, onGyre));
    } finally {
      onAsyncio.close();
      onGyre.close();
    }
    assert.equal(summary.count('failed'), 0, summary.text());
    assert.ok(summary.sameOutcome() >= HELD[family].outcome, summary.text());
    assert.ok(summary.sameOrder() >= HELD[family].order, summary.text());
  });
}

test('the recorded programs run on asyncio as they were recorded', { skip: whyNotAgain() }, async () => {
  for (const family of FAMILIES) {
    const runs = await runAll(
      new Interpreter(asyncio(fileOfPython(), 'scheduled')),
      recordedPrograms(family),
    );
    assert.deepEqual(runs.map(fingerprint), recorded.families[family].runs);
  }
});

test('the recorded programs have every kind of statement, and each kind has its pseudo code', () => {
  const programs = FAMILIES.flatMap(recordedPrograms);
  assert.equal(new Set(programs.flatMap(({ main }) => opsOf(main))).size, STATEMENTS);
  for (const program of programs) assert.doesNotMatch(pseudoCode(program), /undefined/);
});

test('the same seed gives the same program, and another one in each family', () => {
  assert.deepEqual(generate(7, 'distinct'), generate(7, 'distinct'));
  assert.notDeepEqual(generate(7, 'distinct').main, generate(8, 'distinct').main);
  assert.notDeepEqual(generate(7, 'distinct').main, generate(7, 'coinciding').main);
});

test('a program that waits for ever is a deadlock, and its tasks are cancelled', async () => {
  const main: Step[] = [{ op: 'await', id: 1, what: { kind: 'event', index: 0 } }];
  const program: Program = { seed: 1, family: 'distinct', semaphores: [], queues: [], main };
  const [run] = await runAll(new Interpreter(gyre), [program]);
  assert.deepEqual(run, {
    seed: 1,
    log: [
      '0 T0 begins',
      'end+0 - cancels what is left',
      'end+0 T0 1 await !Cancelled',
      'end+0 T0 ends !Cancelled',
    ],
    outcome: { T0: 'Cancelled at end+0' },
    deadlock: true,
  });
});

/** An interpreter that answers, but not to these seeds. */
function interpreterThat(answerToOne: string, silenceSeconds?: number): Interpreter {
  const code = `
    const lines = require('node:readline').createInterface({ input: process.stdin });
    lines.on('line', (line) => {
      const { seed } = JSON.parse(line);
      if (seed === 1) { ${answerToOne} } else console.log(JSON.stringify({ seed, log: [], outcome: {} }));
    });`;
  return new Interpreter({ file: process.execPath, args: ['-e', code] }, silenceSeconds);
}

test('an interpreter that dies names the program, and the next program gets a fresh one', async () => {
  const dies = interpreterThat(`console.error('out of luck'); process.exit(3);`);
  const [before, dead, after] = await runAll(dies, [
    generate(0, 'distinct'),
    generate(1, 'distinct'),
    generate(2, 'distinct'),
  ]);
  assert.deepEqual([before?.seed, after?.seed], [0, 2]);
  assert.match((dead as { failure: string }).failure, /^the interpreter died: .*\nout of luck/);
  assert.equal(dead?.seed, 1);
});

test('an interpreter that cannot be started names the program', async () => {
  const [missing] = await runAll(new Interpreter({ file: '/nowhere/python3', args: [] }), [
    generate(1, 'distinct'),
  ]);
  assert.match((missing as { failure: string }).failure, /ENOENT/);
});

test('an interpreter that hangs is killed, and names the program', async () => {
  const [hung] = await runAll(interpreterThat('for (;;);', 5), [generate(1, 'distinct')]);
  assert.match((hung as { failure: string }).failure, /^no end after 5 seconds/);
  assert.equal(hung?.seed, 1);
});

test('shrinking keeps the statement that the difference needs, and its indispensable blocks', async () => {
  const program = generate(3, 'coinciding');
  const needed = (candidate: Program): boolean => JSON.stringify(candidate).includes('"op":"gather"');
  assert.ok(needed(program));
  const smallest = await shrink(
    program,
    async (programs) => programs.map((candidate) => ({ ...ASIDE, program: candidate })),
    ({ program: candidate }) => needed(candidate),
  );
  const ops = opsOf(smallest.main);
  assert.deepEqual(ops.slice(-1), ['gather']);
  assert.ok(
    ops.slice(0, -1).every((op) => ['spawn', 'groupSpawn', 'group'].includes(op)),
    ops.join(' '),
  );
});

const NO_RUN = { seed: 0, log: [], outcome: {}, deadlock: false };
const ASIDE = { asyncio: NO_RUN, gyre: NO_RUN, verdict: 'same' } as const;

function opsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'op' in value ? [String(value.op)] : [];
  return [...own, ...Object.values(value).flatMap(opsOf)];
}

async function runAll(
  interpreter: Interpreter,
  programs: readonly Program[],
): ReturnType<Interpreter['run']> {
  try {
    return await interpreter.run(programs);
  } finally {
    interpreter.close();
  }
}

function partOf(fingerprints: readonly string[], seed: number, part: number): string | undefined {
  return fingerprints[seed - 1]?.split(' ')[part];
}

function fileOfPython(): string {
  assert.ok(python !== null);
  return python.file;
}

/** Another version may do some things in another order. */
function whyNotAgain(): string | false {
  if (python === null) return noPython;
  const minor = (version: string): string => version.split('.').slice(0, 2).join('.');
  if (minor(python.version) === minor(recorded.python)) return false;
  return `the logs are of CPython ${minor(recorded.python)}, this machine has ${python.version}`;
}
