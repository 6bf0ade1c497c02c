import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TraceEntry } from '../../src/entry/sim.ts';
import { compareTraces, SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { ScenarioModule } from './scenario.ts';
import { logOf, withDifferences } from './scenario.ts';

// The same scenario in two languages: gyre's log must equal that of CPython's asyncio. `python3
// test/parity/record.py` records the logs. If the machine has that Python, the test records them once more
// and compares.

interface Recorded {
  scenario: string;
  python: string;
  implementation: string;
  log: string[];
}

const here = fileURLToPath(new URL('.', import.meta.url));
const names = readdirSync(path.join(here, 'scenarios'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replace(/\.ts$/, ''))
  .sort();

function recordedIn(folder: string, name: string): Recorded {
  return JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as Recorded;
}

for (const name of names) {
  test(`${name}: gyre’s log equals that of asyncio, in the same order`, async () => {
    const { scenario, differences = [] } = (await import(`./scenarios/${name}.ts`)) as ScenarioModule;
    const recorded = recordedIn(path.join(here, 'logs'), name);
    assert.equal(recorded.scenario, name);
    assert.match(`${recorded.implementation} ${recorded.python}`, /^CPython 3\.\d+\.\d+/);
    for (const { reason } of differences) assert.notEqual(reason, '');
    assert.deepEqual(await logOf(scenario), withDifferences(recorded.log, differences));
  });
}

for (const name of names) {
  test(`${name}: two runs give the same trace`, async () => {
    const { scenario } = (await import(`./scenarios/${name}.ts`)) as ScenarioModule;
    const traceOf = async (): Promise<readonly TraceEntry[]> => {
      const loop = new SimulatedEventLoop({ trace: true });
      await logOf(scenario, loop);
      return loop.trace;
    };
    const first = await traceOf();
    assert.ok(first.length > 0);
    assert.equal(compareTraces(first, await traceOf()), null);
  });
}

test('withDifferences() throws for a difference that is not in the recorded log, or is there twice', () => {
  const difference = { reason: 'because', recorded: ['b'], gyre: ['x', 'y'] };
  assert.deepEqual(withDifferences(['a', 'b', 'c'], [difference]), ['a', 'x', 'y', 'c']);
  assert.throws(() => withDifferences(['a', 'c'], [difference]), /has this 0 times, not once:\nb/);
  assert.throws(() => withDifferences(['b', 'b'], [difference]), /has this 2 times, not once:\nb/);
});

test('each scenario has its two halves and its log', () => {
  const files = (folder: string, ending: string): string[] =>
    readdirSync(path.join(here, folder))
      .filter((file) => file.endsWith(ending))
      .map((file) => file.slice(0, -ending.length))
      .sort();
  assert.ok(names.length >= 12);
  assert.deepEqual(files('scenarios', '.py'), names);
  assert.deepEqual(files('logs', '.json'), names);
});

const folder = mkdtempSync(path.join(tmpdir(), 'gyre-parity-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function python(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8' });
  return { status, output: `${stdout ?? ''}${stderr ?? ''}`.trim() };
}

const recordedWith = recordedIn(path.join(here, 'logs'), names[0] as string).python;
const found = python(
  '-c',
  'import platform; print(platform.python_implementation(), platform.python_version())',
);

/** Other versions of asyncio may use another order. Then gyre must still match the recorded one. */
function whyNot(): string | false {
  if (found.status !== 0) return 'no python3 on this machine';
  const minor = (version: string): string => version.split('.').slice(0, 2).join('.');
  const here = found.output.split(' ');
  if (here[0] === 'CPython' && minor(here[1] as string) === minor(recordedWith)) return false;
  return `the logs are of CPython ${minor(recordedWith)}, this machine has ${found.output}`;
}

test('the logs of asyncio are the same when they are recorded again', { skip: whyNot() }, () => {
  const { status, output } = python(path.join(here, 'record.py'), folder);
  assert.equal(status, 0, output);
  for (const name of names) {
    assert.deepEqual(recordedIn(folder, name).log, recordedIn(path.join(here, 'logs'), name).log, name);
  }
});
