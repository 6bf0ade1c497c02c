// npm run check:native [-- option ...] [filter ...]: runs native/ under memory checkers. Any finding is a
// failure.
//
//   suite      the tests of the native part under AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer
//   soak       test/backend/uv/soak.test.ts under the same, once for each seed
//   valgrind   the addon's own tests under memcheck, with a build without sanitizers
//
//   --stage=suite,soak,valgrind   only these stages
//   --soak-seconds=60             for each seed
//   --soak-seeds=1,2,3
//   --keep                        keeps the logs, and prints their folder
//
// A filter is a part of a test file's path, as in npm test. Node itself is not instrumented. The interceptors
// in the sanitizers' run-time libraries see some of its accesses to the addon's memory; valgrind sees all.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { buildNative, whyNotNative } from './build-native.mjs';
import { memcheckFindings, sanitizerFindings } from './native-findings.mjs';
import { runChild } from './run-child.mjs';
import { canFindLeaks, sanitizedNode, sanitizerEnv, whyNoSanitizers } from './sanitizers.mjs';
import { ensureDependencies, root } from './setup.mjs';

const STAGES = ['suite', 'soak', 'valgrind'];
const NODE = process.env.GYRE_NODE || process.execPath;
/** The options that run TypeScript. */
const LOADER = ['--expose-internals', '--import', './scripts/typescript/register.mjs'];
/** Milliseconds. A memory checker makes a test about ten times slower. */
const TEST_TIMEOUT = 1_200_000;
/** The length of the soak test under valgrind, where it gets less done in the same time. */
const VALGRIND_SOAK_SECONDS = '20';

const args = process.argv.slice(2);
const filters = args.filter((arg) => !arg.startsWith('-'));
const stages = optionOf('stage')?.split(',') ?? STAGES;
const soakSeconds = Number(optionOf('soak-seconds') ?? 60);
const soakSeeds = (optionOf('soak-seeds') ?? '1,2,3').split(',').map(Number);
const keep = args.includes('--keep');

for (const arg of args) {
  if (arg.startsWith('-') && !/^--(?:keep|(?:stage|soak-seconds|soak-seeds)=.+)$/.test(arg))
    fail(`unknown option ${arg}`);
}
for (const stage of stages) if (!STAGES.includes(stage)) fail(`no stage is called ${stage}`);
if (![soakSeconds, ...soakSeeds].every(Number.isFinite)) fail('seconds and seeds are numbers');

/** @param {string} name */
function optionOf(name) {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}

const reason = whyNotNative();
if (reason !== null) fail(`Nothing was checked: ${reason}.`);
ensureDependencies();

/** The result of each stage, or why it was skipped. Printed again at the end. @type {string[]} */
const summary = [];
let failed = false;

/** @param {string} line */
function note(line) {
  summary.push(line);
  console.log(line);
}

/**
 * Returns the test files of folders that match the filters.
 *
 * @param {readonly string[]} folders
 * @returns {string[]}
 */
function filesIn(...folders) {
  return folders
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { encoding: 'utf8', recursive: true }).map(
        (name) => `${folder}/${name}`,
      ),
    )
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
    .sort();
}

/**
 * Runs test files by `command`, then examines the logs.
 *
 * @param {string} title
 * @param {readonly string[]} command with the arguments before the files
 * @param {readonly string[]} files
 * @param {Record<string, string>} env
 * @param {string} logs the folder
 * @param {typeof sanitizerFindings} findings
 */
async function check(title, command, files, env, logs, findings) {
  if (files.length === 0) {
    note(`${title}: no file matches ${filters.join(', ')}: not run`);
    return;
  }
  console.log(`\n==== ${title}: ${files.length} file${files.length === 1 ? '' : 's'}\n`);
  const began = performance.now();
  const [program, ...rest] = command;
  const code = await runChild(String(program), [...rest, ...files], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const found = collect(logs, findings);
  for (const { title: what, text, count } of found.ours) {
    console.log(`\n---- found${count > 1 ? ` ${count} times` : ''}: ${what}\n${text}`);
  }
  if (code !== 0 || found.ours.length > 0) failed = true;
  note(
    `${title}: ${files.length} file${files.length === 1 ? '' : 's'}, ${seconds} s, tests ${code === 0 ? 'pass' : `FAIL (exit code ${code})`}, ` +
      `${found.ours.length} findings in the addon, ${found.theirs} in Node itself (ignored)`,
  );
  for (const one of found.notes) note(`  ${one}`);
}

/**
 * Returns the findings in all logs of a stage, each kind once. Removes the logs, unless `--keep` was given.
 *
 * @param {string} folder
 * @param {typeof sanitizerFindings} findings
 */
function collect(folder, findings) {
  /** @type {Map<string, { title: string, text: string, count: number }>} */
  const ours = new Map();
  const notes = new Set();
  let theirs = 0;
  for (const name of readdirSync(folder)) {
    const found = findings(readFileSync(path.join(folder, name), 'utf8'));
    theirs += found.theirs;
    for (const one of found.notes) notes.add(one);
    for (const { title, text } of found.ours) {
      // The same finding in two processes differs only in its addresses.
      const key = `${title}\n${text}`.replace(/0x[\da-f]+|==\d+==|\d[\d,]* bytes?/gi, '');
      const before = ours.get(key);
      ours.set(key, { title, text, count: (before?.count ?? 0) + 1 });
    }
    if (!keep) rmSync(path.join(folder, name));
  }
  return { ours: [...ours.values()], notes: [...notes], theirs };
}

/** @param {readonly string[]} options */
function nodeTest(...options) {
  return [
    ...[sanitizer().node, '--expose-gc', ...LOADER, '--test-reporter=spec'],
    ...[`--test-timeout=${TEST_TIMEOUT}`, ...options, '--test'],
  ];
}

// --- sanitizers ---

/** Made once for all stages. @type {ReturnType<typeof sanitizedNode> | null} */
let made = null;

function sanitizer() {
  made ??= sanitizedNode();
  return made;
}

/** @param {string} logs */
function sanitized(logs) {
  const built = buildNative('sanitize');
  const leaks = canFindLeaks();
  if (!leaks) note('  LeakSanitizer: skipped, because ptrace is not allowed here');
  return sanitizerEnv(logs, built, sanitizer().nodeOptions, leaks);
}

/** The tests that use a native loop, or the backend that GYRE_TEST_BACKEND names. */
function onEither() {
  return filesIn('test/net', 'test/process', 'test/streams').filter((file) =>
    /\bonNode\(|\bonUv\(|UvEventLoop/.test(readFileSync(path.join(root, file), 'utf8')),
  );
}

/** @param {string} logs */
async function suite(logs) {
  const why = whyNoSanitizers();
  if (why !== null) return note(`suite: skipped, ${why}`);
  const env = sanitized(logs);
  const concurrency = `--test-concurrency=${availableParallelism()}`;
  const own = filesIn('test/backend/uv');
  await check('suite, the addon’s own', nodeTest(concurrency), own, env, logs, sanitizerFindings);
  const rest = [...filesIn('test/fuzz'), ...onEither()];
  await check('suite, on the native backend', nodeTest(concurrency), rest, env, logs, sanitizerFindings);
  // These run on all backends. The other backends' part takes only seconds.
  const conformance = filesIn('test/conformance');
  await check('suite, conformance', nodeTest(concurrency), conformance, env, logs, sanitizerFindings);
}

/** @param {string} logs */
async function soak(logs) {
  const why = whyNoSanitizers();
  if (why !== null) return note(`soak: skipped, ${why}`);
  const env = sanitized(logs);
  for (const seed of soakSeeds) {
    await check(
      `soak, ${soakSeconds} s, seed ${seed}`,
      nodeTest(),
      ['test/backend/uv/soak.test.ts'],
      { ...env, GYRE_SOAK_SECONDS: String(soakSeconds), GYRE_SOAK_SEED: String(seed) },
      logs,
      sanitizerFindings,
    );
  }
}

// --- valgrind ---

/** @param {string} logs */
async function valgrind(logs) {
  if (spawnSync('valgrind', ['--version']).status !== 0)
    return note('valgrind: skipped, it is not installed');
  const built = buildNative('faults');
  const command = [
    'valgrind',
    // V8 generates code, and overwrites it later.
    ...['--smc-check=all-non-file', '--error-limit=no', '--num-callers=40', '--track-origins=no'],
    ...['--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=none'],
    // Follow the Node processes that tests start, but no other programs.
    ...['--trace-children=yes', '--trace-children-skip=*/sh,*/cat,*/sleep,*/true,*/head,*/esbuild'],
    `--log-file=${path.join(logs, 'memcheck.%p')}`,
  ];
  for (const file of filesIn('test/backend/uv')) {
    await check(
      `valgrind, ${path.basename(file, '.test.ts')}`,
      // Run the files without the test runner's process, which would only wait.
      [...command, NODE, '--expose-gc', ...LOADER, '--test-reporter=spec'],
      [file],
      { GYRE_NATIVE: built, GYRE_SOAK_SECONDS: VALGRIND_SOAK_SECONDS },
      logs,
      memcheckFindings,
    );
  }
}

const run = { suite, soak, valgrind };
for (const stage of /** @type {(keyof typeof run)[]} */ (stages)) {
  const logs = mkdtempSync(path.join(tmpdir(), `gyre-check-${stage}-`));
  await run[stage](logs);
  if (keep) note(`  its logs: ${logs}`);
  else rmSync(logs, { recursive: true });
}

console.log(`\n==== what was checked\n${summary.join('\n')}`);
for (const stage of STAGES) if (!stages.includes(stage)) console.log(`${stage}: not asked for`);
console.log(failed ? 'FAILED' : 'No findings in the addon.');
process.exitCode = failed ? 1 : 0;
