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
import { runFile } from '../scripts/test/process.mjs';
import { Report } from '../scripts/test/report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Milliseconds: longer than a process needs to start on a busy machine. */
const LIMIT = 20_000;

type Outcome = Awaited<ReturnType<typeof runFile>['outcome']>;

/** Runs a test file with this text. */
async function run(text: string, options: { timeout?: number; filtered?: boolean } = {}): Promise<Outcome> {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-test-script-'));
  try {
    const file = path.join(folder, 'one.test.ts');
    writeFileSync(file, `import { describe, test } from 'node:test';\n${text}\n`);
    const job = { file: path.relative(root, file), backend: 'sim', again: false };
    const settings = { node: process.execPath, options: [], filtered: false, timeout: 300_000, folder };
    return await runFile(job, { ...settings, ...options }).outcome;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the messages of failures that belong to no test. */
function failures({ job, events }: Outcome): string[] {
  return events
    .filter(({ type, data }) => type === 'test:fail' && data.name === job.file)
    .map(({ data }) => String(data.details.error.cause));
}

function results({ job, events }: Outcome): string[] {
  return events
    .filter(({ type, data }) => /^test:(pass|fail)$/.test(type) && data.name !== job.file)
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
    assert.deepEqual(failures(outcome), [
      'the process did not end in 20 s: the rest of the file did not run',
    ]);
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
    assert.match(String(failed?.data.details.error.cause.text), /^Error: because\n.*one\.test\.ts:8:15/);
    assert.equal(outcome.output, 'it says { out: true }\n');
    assert.deepEqual(failures(outcome), []);
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
  const told = events.read === undefined ? [] : await events.toArray();
  const closing = told.filter(({ type }) => type === 'test:diagnostic').map(({ data }) => data.message);
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
  assert.deepEqual(report.failed, [outcomes[1]?.job]);
});

test('npm test with a filter that matches no file fails', () => {
  const script = path.join(root, 'scripts', 'test.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, 'no-such-file'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [1, 'No test file matches no-such-file.\n']);
});

test('npm test runs each file once, and those of sockets, processes and programs again on the other backend', () => {
  const files = testFiles(['base/errors', 'stream/transport.test', 'executor/load']);
  assert.deepEqual(files, [
    'test/base/errors.test.ts',
    'test/executor/load.test.ts',
    'test/net/stream/transport.test.ts',
  ]);
  const told = (other: string | null): string[] =>
    jobsFor(files, 'node', other).map(({ file, backend }) => `${path.basename(file, '.test.ts')} ${backend}`);
  assert.deepEqual(told(null).sort(), ['errors node', 'load node', 'transport node']);
  assert.deepEqual(told('uv').sort(), [
    'errors node',
    'load node',
    'load uv',
    'transport node',
    'transport uv',
  ]);
});
