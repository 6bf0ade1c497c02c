/** The behaviour of `npm test` for test files that go wrong, each in a process of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { jobsFor, testFiles } from '../scripts/test/jobs.mjs';
import type { Outcome, Run } from '../scripts/test/process.mjs';
import { runFiles } from '../scripts/test/process.mjs';
import { Report } from '../scripts/test/report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Milliseconds: longer than a process needs to start on a busy machine. */
const LIMIT = 20_000;

interface Options {
  timeout?: number;
  filtered?: boolean;
}

/** Runs test files with these texts in one process. */
async function runTogether(texts: string[], options: Options = {}): Promise<Run> {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-test-script-'));
  try {
    const files = texts.map((text, i) => {
      const file = path.join(folder, `${i}.test.ts`);
      writeFileSync(file, `import { beforeEach, describe, test } from 'node:test';\n${text}\n`);
      return path.relative(root, file);
    });
    const settings = { node: process.execPath, options: [], filtered: false, timeout: 300_000, folder };
    return await runFiles({ files, backend: 'sim', again: false }, { ...settings, ...options }).run;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a test file with this text. */
async function run(text: string, options: Options = {}): Promise<Outcome> {
  const { outcomes, left } = await runTogether([text], options);
  assert.deepEqual([outcomes.length, left], [1, []]);
  return outcomes[0] as Outcome;
}

/** Returns the messages of failures that belong to no test. */
function failures({ file, events }: Outcome): string[] {
  return events
    .filter(({ type, data }) => type === 'test:fail' && data.name === file)
    .map(({ data }) => String(data.details.error.cause));
}

function results({ file, events }: Outcome): string[] {
  return events
    .filter(({ type, data }) => /^test:(pass|fail)$/.test(type) && data.name !== file)
    .map(({ type, data }) => `${type.slice('test:'.length)} ${data.name}`);
}

describe('npm test of a faulty file', { concurrency: 3 }, () => {
  test('npm test reports a file without a test as a failure, unless a name pattern was given', async () => {
    assert.deepEqual(failures(await run('')), ['the file has no test']);
    assert.deepEqual(failures(await run('', { filtered: true })), []);
  });

  test('npm test names a test that hangs, and keeps the results before it', async () => {
    const text = `
      test('this test passes', () => {});
      describe('a suite of tests', () => {
        test('this test hangs', async () => { setInterval(() => {}, 1000); await new Promise(() => {}); });
      });`;
    const outcome = await run(text, { timeout: LIMIT });
    assert.deepEqual(failures(outcome), [
      'the test "a suite of tests > this test hangs" did not end in 20 s: the rest of the file did not run',
    ]);
    assert.deepEqual(results(outcome), ['pass this test passes']);
  });

  test('npm test names a test that blocks the thread', async () => {
    const text = `test('blocks', () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); });`;
    assert.deepEqual(failures(await run(text, { timeout: LIMIT })), [
      'the test "blocks" did not end in 20 s: the rest of the file did not run',
    ]);
  });

  test('npm test reports a process that continues after its tests as a failure', async () => {
    const outcome = await run(`test('leaves a timer', () => { setInterval(() => {}, 1000); });`, {
      timeout: LIMIT,
    });
    assert.deepEqual(failures(outcome), ['the process did not end in 20 s']);
    assert.deepEqual(results(outcome), ['pass leaves a timer']);
  });

  test('npm test names the test in which a process is killed', async () => {
    const outcome = await run(`test('kills', () => { process.kill(process.pid, 'SIGSEGV'); });`);
    assert.deepEqual(failures(outcome), [
      'the process was ended by SIGSEGV, in the middle of the test "kills"',
    ]);
  });

  test('npm test reports an exit before the end of the tests as a failure, for any exit code', async () => {
    const outcome = await run(`test('exits', async () => { await null; process.exit(0); });`);
    assert.deepEqual(failures(outcome), [
      'the process ended with exit code 0 before its tests did, in the middle of the test "exits"',
    ]);
  });

  test('npm test reports a file that cannot be loaded as a failure, and shows the reason', async () => {
    const outcome = await run(`import './nowhere.ts';`);
    assert.equal(failures(outcome).length, 1);
    assert.match(outcome.output, /(?:Cannot find module|no such file) .*nowhere\.ts/);
  });

  test('npm test reports an exit code as a failure, although no test failed', async () => {
    const outcome = await run(`test('passes', () => { process.exitCode = 3; });`);
    assert.deepEqual(failures(outcome), ['the process ended with exit code 3, although no test failed']);
  });

  test('npm test shows failures with their place in the source, and their output', async () => {
    const text = `
      interface Left { out: true }

      test('this test fails', () => {
        const left: Left = { out: true };
        console.log('it says', left);
        throw new Error('because');
      });`;
    const outcome = await run(text);
    const failed = outcome.events.find(({ type }) => type === 'test:fail');
    assert.deepEqual([failed?.data.name, failed?.data.line], ['this test fails', 5]);
    assert.match(String(failed?.data.details.error.cause.text), /^Error: because\n.*0\.test\.ts:8:15/);
    assert.equal(outcome.output, 'it says { out: true }\n');
    assert.deepEqual(failures(outcome), []);
  });
});

/** The file names, the results of their tests, and their own failures. */
function told({ outcomes }: Run): [results: string[], failures: string[]][] {
  return outcomes.map((outcome) => [results(outcome), failures(outcome)]);
}

const names = ({ left }: Run): string[] => left.map((file) => path.basename(file));

describe('npm test of several files in one process', { concurrency: 3 }, () => {
  test('npm test reports tests, output and time by file, although the files share a process', async () => {
    const shared = await runTogether([
      `test('first', () => { console.log('out', process.pid); console.error('wrong'); });`,
      `describe('suite', () => { test('fails', () => { throw new Error('because'); }); });`,
      `test('third', async () => { console.log('out', process.pid); await null; });`,
    ]);
    assert.deepEqual(told(shared), [
      [['pass first'], []],
      [['fail fails', 'fail suite'], []],
      [['pass third'], []],
    ]);
    const [first, second, third] = shared.outcomes as [Outcome, Outcome, Outcome];
    assert.match(third.output, /^out \d+\n$/);
    assert.ok(first.output.includes(third.output) && first.output.includes('wrong\n'), first.output);
    assert.equal(second.output, '');
    assert.ok(shared.outcomes.every(({ milliseconds }) => milliseconds > 0));
    assert.deepEqual(shared.left, []);
  });

  test('npm test loads a file after the tests of the file before', async () => {
    const shared = await runTogether([
      `test('first', async () => { await null; globalThis.ended = true; });`,
      `const { ended } = globalThis; test('second', () => { if (!ended) throw new Error('too early'); });`,
    ]);
    assert.deepEqual(told(shared), [
      [['pass first'], []],
      [['pass second'], []],
    ]);
  });

  test('npm test names the file and test that kill a shared process, and leaves the other files to run', async () => {
    const passes = `test('passes', () => {});`;
    const kills = `test('kills', () => { process.kill(process.pid, 'SIGSEGV'); });`;
    const shared = await runTogether([passes, kills, passes, passes]);
    assert.deepEqual(told(shared), [
      [['pass passes'], []],
      [[], ['the process was ended by SIGSEGV, in the middle of the test "kills"']],
    ]);
    assert.deepEqual(names(shared), ['2.test.ts', '3.test.ts']);
  });

  test('npm test names the file and test that hang in a shared process, and leaves the other files to run', async () => {
    const hangs = `test('hangs', async () => { setInterval(() => {}, 1000); await new Promise(() => {}); });`;
    const shared = await runTogether([`test('passes', () => {});`, hangs, ''], { timeout: LIMIT });
    assert.deepEqual(told(shared), [
      [['pass passes'], []],
      [[], ['the test "hangs" did not end in 20 s: the rest of the file did not run']],
    ]);
    assert.deepEqual(names(shared), ['2.test.ts']);
  });

  test('npm test names a test that waits for nothing, and leaves the files behind it to run', async () => {
    const waits = `test('waits', async () => { await new Promise(() => {}); });`;
    const shared = await runTogether([waits, `test('passes', () => {});`], { timeout: LIMIT });
    // Node 20 ends the test and the process. Later ones keep the process alive.
    assert.match(told(shared).flat(2).join(), /^(fail waits|the test "waits" did not end in 20 s: .*)$/);
    assert.deepEqual(names(shared), ['1.test.ts']);
  });

  test('npm test names the file that keeps a shared process alive after its tests', async () => {
    const leaves = `test('leaves a timer', () => { setInterval(() => {}, 1000); });`;
    const shared = await runTogether([leaves, `test('passes', () => {});`], { timeout: LIMIT });
    const why = 'the process did not end in 20 s: the file left Timeout behind';
    assert.deepEqual(told(shared), [[['pass leaves a timer'], [why]]]);
    assert.deepEqual(names(shared), ['1.test.ts']);
  });

  test('npm test waits for what a file of a shared process leaves behind for a moment', async () => {
    const leaves = `test('first', () => { setTimeout(() => { globalThis.ended = true; }, 50); });`;
    const looks = `const { ended } = globalThis; test('second', () => { if (!ended) throw new Error('early'); });`;
    assert.deepEqual(told(await runTogether([leaves, looks])), [
      [['pass first'], []],
      [['pass second'], []],
    ]);
  });

  test('npm test reports a file without a test, and one that sets an exit code, in a shared process', async () => {
    const shared = await runTogether([
      '',
      `test('sets', () => { process.exitCode = 3; });`,
      `test('fails', () => { throw new Error('because'); });`,
      `test('passes', () => {});`,
    ]);
    assert.deepEqual(told(shared), [
      [[], ['the file has no test']],
      [['pass sets'], ['the process ended with exit code 3, although no test failed']],
      [['fail fails'], []],
      [['pass passes'], []],
    ]);
  });

  test('npm test reports a file of a shared process that cannot be loaded, and leaves the others to run', async () => {
    const passes = `test('passes', () => {});`;
    const shared = await runTogether([passes, `import './nowhere.ts';`, passes]);
    assert.deepEqual(told(shared), [
      [['pass passes'], []],
      [[], ['the process ended with exit code 1 before its tests did']],
    ]);
    assert.match(shared.outcomes[1]?.output ?? '', /(?:Cannot find module|no such file) .*nowhere\.ts/);
    assert.deepEqual(names(shared), ['2.test.ts']);
  });
});

test('npm test counts the tests of all processes at the end, and exits with the worst code', async () => {
  const outcomes = [
    await run(`test('passes', () => {}); test('is skipped', { skip: 'why' }, () => {});`),
    await run(`describe('suite', () => { test('fails', () => { throw new Error('no'); }); });`),
  ];
  const events = new PassThrough({ objectMode: true });
  const report = new Report([{ events, done: Promise.resolve() }]);
  for (const outcome of outcomes) report.add(outcome);
  await report.end();
  const written = events.read === undefined ? [] : await events.toArray();
  const closing = written.filter(({ type }) => type === 'test:diagnostic').map(({ data }) => data.message);
  assert.deepEqual(closing.slice(0, -1), [
    'tests 3',
    'suites 1',
    'pass 1',
    'fail 1',
    'cancelled 0',
    'skipped 1',
    'todo 0',
  ]);
  assert.match(closing.at(-1), /^duration_ms \d/);
  assert.deepEqual(report.failed, [outcomes[1]]);
});

test('npm test with a filter that matches no file fails', () => {
  const script = path.join(root, 'scripts', 'test.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, 'no-such-file'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [1, 'No test file matches no-such-file.\n']);
});

test('npm test runs each file once, and those of sockets, processes and programs again on the other backend', () => {
  const files = testFiles(['base/errors', 'stream/transport.test', 'executor/load', 'executor/remote']);
  assert.deepEqual(files, [
    'test/base/errors.test.ts',
    'test/executor/load.test.ts',
    'test/executor/remote.test.ts',
    'test/net/stream/transport.test.ts',
  ]);
  const planned = (other: string | null): string[] =>
    jobsFor(files, 'node', other, 1).map(
      (job) => `${path.basename(String(job.files), '.test.ts')} ${job.backend}`,
    );
  assert.deepEqual(planned(null).sort(), ['errors node', 'load node', 'remote node', 'transport node']);
  assert.deepEqual(planned('uv').sort(), [
    'errors node',
    'load node',
    'remote node',
    'remote uv',
    'transport node',
    'transport uv',
  ]);
});

test('npm test puts files into one process, without those that take long or look at the whole process', () => {
  const files = testFiles([
    'base/errors',
    'base/validate',
    'base/linked-list',
    'net/kept-memory',
    'executor/load',
  ]);
  const planned = (most: number): string[][] =>
    jobsFor(files, 'node', null, most).map((job) => job.files.map((file) => path.basename(file, '.test.ts')));
  assert.deepEqual(planned(8), [['load'], ['errors', 'linked-list', 'validate'], ['kept-memory']]);
  assert.deepEqual(planned(2), [['load'], ['linked-list', 'validate'], ['kept-memory'], ['errors']]);
});
