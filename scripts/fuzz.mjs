// npm run fuzz [-- option ...]: hostile peers against programs of ours, at random. A fault ends it, with the
// seed of its round and the command that runs that round again.
//
//   --seconds=30                 all together: the targets run at once
//   --on=node,uv,sanitized       the targets: a backend, or the native one under the sanitizers
//   --seed=17                    this round, again and again: it repeats itself as far as the system does
//   --from=17                    rounds from this seed on. Default: a seed of the clock
//   --kinds=tcp,tls              these kinds only: see test/fuzz/hostile/kinds.ts
//
// First the native part is called with arguments that no code of ours gives: test/backend/uv/hostile.test.ts,
// with a seed of its own (GYRE_HOSTILE_SEED).

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { buildNative, whyNotNative } from './build-native.mjs';
import { sanitizerFindings } from './native-findings.mjs';
import { canFindLeaks, sanitizedNode, sanitizerEnv, whyNoSanitizers } from './sanitizers.mjs';
import { ensureDependencies, root } from './setup.mjs';

const TARGETS = ['node', 'uv', 'sanitized'];
const PROGRAM = 'test/fuzz/hostile/main.ts';
const CALLS = 'test/backend/uv/hostile.test.ts';

/**
 * @typedef {object} Host how a target's process is started
 * @property {string} node
 * @property {Record<string, string>} env
 * @property {string | null} logs the folder that the sanitizers write to
 * @property {number} patience seconds after which the process is stuck
 */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    on: { type: 'string', default: TARGETS.join(',') },
    seed: { type: 'string' },
    from: { type: 'string' },
    kinds: { type: 'string' },
  },
});

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

const seconds = Number(values.seconds);
const first = Number(values.seed ?? values.from ?? Date.now() % 1_000_000_000);
const asked = values.on.split(',');
if (!(seconds > 0)) fail('--seconds takes a number above 0.');
if (!Number.isSafeInteger(first)) fail('--seed and --from take a whole number.');
for (const one of asked) if (!TARGETS.includes(one)) fail(`--on takes ${TARGETS.join(', ')}, not ${one}.`);
ensureDependencies();

/** @param {string} target @returns {string | null} why it cannot be tried here */
function whyNot(target) {
  if (target === 'node') return null;
  return whyNotNative() ?? (target === 'sanitized' ? whyNoSanitizers() : null);
}

const targets = asked.filter((target) => {
  const reason = whyNot(target);
  if (reason !== null) console.log(`${target}: skipped, ${reason}`);
  return reason === null;
});

/** @param {string} target @returns {Host} */
function hostFor(target) {
  const node = process.env.GYRE_NODE || process.execPath;
  if (target === 'uv') buildNative();
  if (target !== 'sanitized') return { node, env: {}, logs: null, patience: 40 };
  const logs = mkdtempSync(path.join(tmpdir(), 'gyre-fuzz-logs-'));
  const tools = sanitizedNode();
  const leaks = canFindLeaks();
  if (!leaks) console.log('sanitized: without LeakSanitizer, which cannot look into a process here');
  const env = sanitizerEnv(logs, buildNative('sanitize'), tools.nodeOptions, leaks);
  return { node: tools.node, env, logs, patience: 300 };
}

/**
 * @param {Host} host
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
function start(host, args, env = {}) {
  return spawn(
    host.node,
    ['--expose-gc', '--expose-internals', '--import', './scripts/typescript/register.mjs', ...args],
    {
      cwd: root,
      env: { ...process.env, ...host.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
}

/** @param {import('node:child_process').ChildProcess} child @returns {Promise<number | string | null>} */
const endOf = (child) => new Promise((resolve) => child.once('close', (code, by) => resolve(by ?? code)));

/**
 * Calls the native part with odd arguments.
 *
 * @param {Host} host
 * @returns {Promise<string | null>} the fault
 */
async function call(host) {
  const child = start(host, [CALLS], { GYRE_HOSTILE_SEED: String(first) });
  const ended = endOf(child);
  let output = '';
  for await (const data of child.stdout) output += data;
  const how = await ended;
  return how === 0 ? null : `${CALLS} ended by ${how}\n${output}`;
}

/**
 * Lets hostile peers and programs meet.
 *
 * @param {Host} host
 * @param {string} target
 * @param {number} left seconds
 * @returns {Promise<{ seed: number, fault: string | null }>}
 */
async function meet(host, target, left) {
  const args = [PROGRAM, `--backend=${target === 'node' ? 'node' : 'uv'}`, `--seed=${first}`];
  args.push(`--seconds=${left}`, `--patience=${host.patience / 2}`);
  if (values.seed !== undefined) args.push('--again');
  if (values.kinds !== undefined) args.push(`--kinds=${values.kinds}`);
  const child = start(host, args);
  const ended = endOf(child);
  let seed = first;
  let rounds = 0;
  let isDone = false;
  /** @type {string | null} */
  let fault = null;
  const alarm = setTimeout(() => {
    fault = `it gave no sign of life for ${host.patience} seconds`;
    child.kill('SIGKILL');
  }, host.patience * 1000);
  for await (const line of createInterface(child.stdout)) {
    alarm.refresh();
    const told = line.startsWith('{') ? JSON.parse(line) : {};
    fault ??= told.fault ?? null;
    if (told.seed !== undefined) {
      seed = told.seed;
      rounds++;
    }
    if (told.done === undefined) continue;
    isDone = true;
    console.log(`${target}: ${rounds} rounds, seeds ${first} to ${seed}: ${JSON.stringify(told.done)}`);
  }
  const how = await ended;
  clearTimeout(alarm);
  if (!isDone) fault ??= `it ended by ${how}`;
  return { seed, fault };
}

/** @param {string} logs @returns {string | null} the findings of the sanitizers */
function findingsIn(logs) {
  const texts = readdirSync(logs).map((name) => readFileSync(path.join(logs, name), 'utf8'));
  rmSync(logs, { recursive: true });
  const found = texts.flatMap((text) => sanitizerFindings(text).ours);
  return found.length === 0 ? null : found.map(({ title, text }) => `${title}\n${text}`).join('\n\n');
}

/** @param {string} target @returns {Promise<boolean>} whether no fault was found */
async function run(target) {
  const began = performance.now();
  const host = hostFor(target);
  const called = target === 'node' ? null : await call(host);
  const left = Math.max(1, seconds - (performance.now() - began) / 1000);
  const { seed, fault } = called === null ? await meet(host, target, left) : { seed: first, fault: called };
  const found = host.logs === null ? null : findingsIn(host.logs);
  const faults = [fault, found].filter((one) => one !== null);
  if (faults.length === 0) return true;
  const kinds = values.kinds === undefined ? '' : ` --kinds=${values.kinds}`;
  console.error(`\n${target}, seed ${seed}: ${faults.join('\n')}`);
  console.error(`Again: npm run fuzz -- --on=${target} --seed=${seed}${kinds}`);
  return false;
}

console.log(`Seeds from ${first} on, ${seconds} seconds on each of ${targets.join(', ')}`);
const clean = await Promise.all(targets.map(run));
console.log(clean.every(Boolean) ? 'No fault was found.' : 'FAILED');
process.exitCode = clean.every(Boolean) ? 0 : 1;
