import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import type { ExploreOptions, World } from '../../../src/entry/sim.ts';
import { explore, invariant, ScheduleError, simulate } from '../../../src/entry/sim.ts';
import { getRunningLoop, sleep } from '../../../src/index.ts';

const common: ExploreOptions = {
  name: 'race',
  file: null,
  simulate: { node: false },
  budget: { schedules: 100 },
};

afterEach(() => {
  delete process.env.GYRE_SEED;
  delete process.env.GYRE_SCHEDULE;
});

/** Two timers with one deadline. The scenario relies on their order, if it has the bug. */
function race(isFixed: boolean = false): (world: World) => Promise<unknown> {
  return (world) =>
    world.host('app').run(async () => {
      const order: string[] = [];
      const loop = getRunningLoop();
      loop.callLater(1, function first() {
        order.push('first');
      });
      loop.callLater(1, function second() {
        order.push('second');
      });
      await sleep(2);
      if (!isFixed) invariant(order[0] === 'first', `${order[0]} came first`);
    });
}

async function failure(search: Promise<unknown>): Promise<ScheduleError> {
  return await search.then(
    (report) => assert.fail(`no schedule fails: ${JSON.stringify(report)}`),
    (error) => {
      assert.ok(error instanceof ScheduleError, String(error));
      return error;
    },
  );
}

function setEnvironment(seed: string, schedule: string): void {
  process.env.GYRE_SEED = seed;
  process.env.GYRE_SCHEDULE = schedule;
}

test('the error tells the schedule as a story, shows where the runs part, and how to run it again', async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'gyre-')), 'race.test.ts');
  const error = await failure(explore(race(), { ...common, file }));
  const { message, seed, schedule, decisions } = error;
  assert.equal(schedule, 'race~timer@app#1=1');
  assert.deepEqual(decisions, [
    { kind: 'timer', place: 'app', number: 1, choice: 1, text: 'timer second before timer first' },
  ]);
  assert.match(message, /^the scenario race fails with seed \d+: InvariantError: second came first$/m);
  assert.match(message, /^ {2}1\. timer app \(number 1\): timer second before timer first$/m);
  assert.match(
    message,
    /^ {2}> 1 s: choice timer app: timer second before timer first +\| 1 s: app loop timer first$/m,
  );
  assert.ok(message.includes(`GYRE_SEED=${seed} GYRE_SCHEDULE=race~timer@app#1=1 npx tsx --test `), message);
  rmSync(path.dirname(file), { recursive: true });
});

test('GYRE_SEED and GYRE_SCHEDULE run one schedule, and no search of another name', async () => {
  setEnvironment('5', 'race~timer@app#1=1');
  const error = await failure(explore(race(), common));
  assert.equal(error.seed, 5);
  assert.match(error.message, /second came first/);
  const other = await explore(race(), { ...common, name: 'other' });
  assert.deepEqual(other, { schedules: 0, complete: false });
});

test('GYRE_SEED alone searches with that seed', async () => {
  process.env.GYRE_SEED = '41';
  assert.equal((await failure(explore(race(), common))).seed, 41);
});

test('a schedule of a changed program says at which decision it no longer fits', async () => {
  setEnvironment('5', 'race~timer@app#1=1,timer@app#9=1');
  const error = await failure(explore(race(true), common));
  assert.equal(error.code, 'ERR_SCHEDULE_STALE');
  assert.match(error.message, /decision 2 of 2: timer app \(number 9\)/);
});

test('a schedule that passes now is no error', async () => {
  setEnvironment('5', 'race~timer@app#1=1');
  assert.deepEqual(await explore(race(true), common), { schedules: 1, complete: false });
});

test('an environment that cannot be read is an error', async () => {
  for (const [seed, schedule] of [
    ['5', 'race'],
    ['5', 'race~timer@app#0=1'],
    ['5', 'race~sleep@app#1=1'],
    ['5', 'race~timer@%zz#1=1'],
    ['x', 'race~'],
  ] as const) {
    setEnvironment(seed, schedule);
    const error = await failure(explore(race(), common));
    assert.equal(error.code, 'ERR_SCHEDULE_INVALID', schedule);
  }
  delete process.env.GYRE_SEED;
  assert.match((await failure(explore(race(), common))).message, /needs GYRE_SEED/);
});

test('a failed schedule is kept beside the test file, tried first, and taken out when it passes', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'gyre-'));
  const file = path.join(directory, 'race.test.ts');
  const kept = path.join(directory, '.gyre', 'seeds', 'race.test.ts.txt');
  const { seed } = await failure(explore(race(), { ...common, file }));
  assert.equal(readFileSync(kept, 'utf8'), `GYRE_SEED=${seed} GYRE_SCHEDULE=race~timer@app#1=1\n`);
  // The usual schedule passes, so only the kept one can fail.
  const usual = { ...common, file, budget: { schedules: 1 } };
  assert.match((await failure(explore(race(), usual))).message, /behind 0 schedules/);
  assert.equal(readFileSync(kept, 'utf8').split('\n').length, 2);
  await explore(race(true), usual);
  assert.equal(existsSync(kept), false);
  rmSync(directory, { recursive: true });
});

test('a scenario with state of a module is not deterministic, and the first difference is shown', async () => {
  let runs = 0;
  const error = await failure(explore((world) => world.host('app').run(() => sleep(++runs)), common));
  assert.equal(error.code, 'ERR_SCHEDULE_NOT_DETERMINISTIC');
  assert.match(error.message, /first run: {2}1 s: .*\n +second run: 2 s: /);
});

test('a failure that does not come again is reported as not deterministic', async () => {
  let runs = 0;
  const error = await failure(
    explore(async () => invariant(++runs !== 2, 'the second run'), { ...common, checkEvery: 0 }),
  );
  assert.equal(error.code, 'ERR_SCHEDULE_NOT_DETERMINISTIC');
});

test('the strategy exhaustive ends when it has tried every schedule', async () => {
  const options: ExploreOptions = { ...common, strategy: 'exhaustive' };
  const report = await explore(race(true), options);
  assert.equal(report.complete, true);
  assert.ok(report.schedules > 1 && report.schedules < 100, String(report.schedules));
});

test('the order of ready entries is first in, first out, unless the search may change it', async () => {
  const scenario = (world: World): Promise<unknown> =>
    world.host('app').run(async () => {
      const order: string[] = [];
      const loop = getRunningLoop();
      for (const name of ['first', 'second']) loop.callSoon(() => order.push(name));
      await sleep(1);
      invariant(order[0] === 'first', `${order[0]} came first`);
    });
  assert.equal((await explore(scenario, common)).schedules, 100);
  const error = await failure(explore(scenario, { ...common, readyOrder: 'any' }));
  assert.deepEqual(
    error.decisions.map(({ kind }) => kind),
    ['ready'],
  );
});

test('a leak, a deadlock, a limit on virtual time and an unhandled rejection are failures', async () => {
  const scenarios: Record<string, () => Promise<unknown>> = {
    ERR_SIMULATION_DEADLOCK: () => new Promise(() => {}),
    ERR_SIMULATION_TIME_LIMIT: () => sleep(3600),
    ERR_SIMULATION_UNHANDLED: async () => {
      void Promise.reject(new Error('lost'));
      await sleep(1);
    },
  };
  for (const [expected, main] of Object.entries(scenarios)) {
    const simulateOptions = { node: false, timeLimit: 60 };
    const scenario = (world: World): Promise<unknown> => world.host('app').run(main);
    const error = await failure(explore(scenario, { ...common, simulate: simulateOptions }));
    const { cause } = error as { cause?: unknown };
    assert.equal((cause as { code?: unknown }).code, expected);
  }
  const leak = (world: World): Promise<unknown> =>
    world.host('app').run(async () => {
      await getRunningLoop().createServer(() => ({}), '127.0.0.1', 80);
    });
  assert.match((await failure(explore(leak, common))).message, /a server was still listening/);
});

test('invariant() fails a simulation even if the program catches the error', async () => {
  const run = simulate({ seed: 1, node: false }, (world) =>
    world.host('app').run(async () => {
      try {
        invariant(false, 'it is broken');
      } catch {}
      await sleep(1);
    }),
  );
  await assert.rejects(run, { name: 'InvariantError', code: 'ERR_INVARIANT', message: 'it is broken' });
  assert.throws(() => invariant(0, 'zero'), { name: 'InvariantError' });
});

test('explore() rejects options that it does not know or cannot use', async () => {
  const bad: [unknown, RegExp][] = [
    [{ tries: 3 }, /tries/],
    [{ strategy: 'luck' }, /options\.strategy/],
    [{ seeds: [] }, /options\.seeds/],
    [{ seeds: [1.5] }, /options\.seeds\[0\]/],
    [{ budget: { schedules: 0 } }, /options\.budget\.schedules/],
    [{ faults: { resets: 1 } }, /options\.faults\.resets/],
    [{ faults: { cancels: 'worker' } }, /options\.faults\.cancels/],
    [{ simulate: { seed: 1 } }, /options\.simulate\.seed/],
    [{ readyOrder: 'lifo' }, /options\.readyOrder/],
  ];
  for (const [options, message] of bad)
    await assert.rejects(explore(race(), options as ExploreOptions), { message });
  await assert.rejects(explore(null as never), /scenario/);
});
