// npm run docs:test: runs the examples that readers copy; `npm run docs:test -- servers` those in files with
// this word in their path.
//
// Every ```ts fence of README.md, docs/*.md and the doc comments of src/ that imports 'gyre' is a program:
// all are type checked together, then each is run against the built package and must
// exit with 0 in time. Comment lines at the end of a program are its output, line by line.
// Words behind ts in the opening line:
//   ignore         is not run, nor checked; counted and listed
//   NAME.ts        the file of the program, which the other programs of its page may import
//   until-sigint   serves for ever: gets a SIGINT after its first output, and must then end by itself

import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { build } from './build.mjs';
import { buildNative, whyNotNative } from './build-native.mjs';
import { root } from './setup.mjs';

const limitSeconds = 30;

/**
 * @typedef {object} Fence
 * @property {string} place file and line of its opening
 * @property {string[]} words what stands behind ts
 * @property {string} code
 */

/**
 * @param {string} file relative to the root
 * @returns {Fence[]}
 */
function fencesOf(file) {
  /** @type {Fence[]} */
  const fences = [];
  /** @type {Fence | null} */
  let open = null;
  const inComments = file.endsWith('.ts');
  for (const [i, raw] of readFileSync(path.join(root, file), 'utf8').split(/\r?\n/).entries()) {
    const line = inComments ? raw.replace(/^\s*\* ?/, '') : raw;
    if (open !== null) {
      if (/^\s*```\s*$/.test(line)) {
        fences.push(open);
        open = null;
      } else {
        open.code += `${line}\n`;
      }
      continue;
    }
    // In a source file a fence stands in a doc comment: its line begins with an asterisk.
    const opening = /^\s*```(?:ts|typescript)\b(.*)$/.exec(line);
    if (opening !== null && (!inComments || /^\s*\*/.test(raw))) {
      open = { place: `${file}:${i + 1}`, words: (opening[1] ?? '').split(/\s+/).filter(Boolean), code: '' };
    }
  }
  if (open !== null) throw new Error(`${open.place}: the fence is never closed`);
  return fences;
}

/**
 * @param {string} folder relative to the root
 * @param {string} suffix
 * @param {boolean} deep
 * @returns {string[]}
 */
function filesIn(folder, suffix, deep) {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: deep, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort();
}

/** @param {string} code */
function expectedOutput(code) {
  return (
    /(?:^\/\/.*\n)+(?![\s\S])/m
      .exec(`${code.trim()}\n`)?.[0]
      .replaceAll(/^\/\/ ?/gm, '')
      .trim() ?? null
  );
}

/**
 * @param {Fence} fence
 * @param {string} file the compiled program
 * @param {string} cwd
 * @returns {Promise<string>} '' when all went well, else what went wrong
 */
function runProgram({ words, code: source }, file, cwd) {
  const untilSigint = words.includes('until-sigint');
  const expected = expectedOutput(source);
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ['--enable-source-maps', '--disable-warning=GYRE_SLOW_CALLBACK', file],
      {
        cwd,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    let late = false;
    let interrupted = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitSeconds * 1000);
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      output += chunk;
      if (!untilSigint || interrupted) return;
      interrupted = true;
      child.kill('SIGINT');
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (late) {
        const how = untilSigint && !interrupted ? 'printed nothing' : 'did not end';
        resolve(`${how} in ${limitSeconds} s\n${output}`);
      } else if (code !== 0 && !(untilSigint && interrupted && code === 130)) {
        resolve(`exit ${code ?? signal}\n${output}`);
      } else if (expected !== null && expected !== output.trim()) {
        resolve(`the comments at its end are not its output:\n${output}`);
      } else resolve('');
    });
  });
}

await build();
// Some of the examples are of what only the native backend has.
const withoutNative = whyNotNative();
if (withoutNative === null) buildNative();

const chosen = process.argv.slice(2);
const fences = ['README.md', ...filesIn('docs', '.md', false), ...filesIn('src', '.ts', true)]
  .filter((file) => existsSync(path.join(root, file)))
  .filter((file) => chosen.length === 0 || chosen.some((word) => file.includes(word)))
  .flatMap(fencesOf);
const ignored = fences.filter((fence) => fence.words.includes('ignore'));
const programs = fences.filter(
  (fence) => !ignored.includes(fence) && /^import\b(?:[^;]*?from )?['"]gyre(?:\/\w+)*['"]/m.test(fence.code),
);
for (const { words, place } of fences) {
  const unknown = words.filter((word) => !/^(?:ignore|until-sigint|[\w.-]+\.ts)$/.test(word));
  if (unknown.length > 0) throw new Error(`${place}: unknown word behind ts: ${unknown.join(' ')}`);
}

const folder = mkdtempSync(path.join(tmpdir(), 'gyre-doctest-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
mkdirSync(path.join(folder, 'node_modules', '@types'), { recursive: true });
const link = process.platform === 'win32' ? 'junction' : 'dir';
symlinkSync(root, path.join(folder, 'node_modules', 'gyre'), link);
// The frameworks and clients of docs/frameworks.md that come with types.
const FRAMEWORKS = ['@grpc', '@hono', 'axios', 'fastify', 'hono', 'ioredis', 'undici'];
for (const name of ['@types/node', 'undici-types', ...FRAMEWORKS]) {
  symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name), link);
}
writeFileSync(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
writeFileSync(
  path.join(folder, 'tsconfig.json'),
  JSON.stringify({
    compilerOptions: {
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      moduleDetection: 'force',
      types: ['node'],
      strict: true,
      skipLibCheck: true,
      sourceMap: true,
      rewriteRelativeImportExtensions: true,
    },
  }),
);
/**
 * Each page has a folder for its programs.
 *
 * @param {Fence} fence
 */
function fileOf({ place, words }) {
  const [page = '', line] = place.split(':');
  return path.join(
    page.replace(/[^\w-]/g, '-'),
    words.find((word) => word.endsWith('.ts')) ?? `line-${line}.ts`,
  );
}
for (const fence of programs) {
  const file = path.join(folder, fileOf(fence));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, fence.code);
}
// The certificate that the pages of TLS read. It names localhost.
for (const name of ['self-signed.pem', 'self-signed-key.pem']) {
  cpSync(
    path.join(root, 'test/helpers/certificates', name),
    path.join(folder, name.replace('self-signed', 'cert').replace('cert-key', 'key')),
  );
}

console.log(
  `${fences.length} ts fences: ${programs.length} programs, ${ignored.length} ignored, ` +
    `${fences.length - programs.length - ignored.length} fragments`,
);
for (const fence of ignored) console.log(`ignored  ${fence.place}`);
for (const fence of fences) {
  if (!ignored.includes(fence) && !programs.includes(fence)) console.log(`fragment ${fence.place}`);
}

let failures = 0;
if (programs.length > 0) {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const checked = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: folder, encoding: 'utf8' });
  if (checked.status !== 0) {
    failures++;
    console.error(`FAIL     types\n${checked.stdout}${checked.stderr}`);
  }
}
/** @param {Fence} fence */
async function check(fence) {
  if (withoutNative !== null && fence.code.includes('UvEventLoop')) {
    console.log(`skipped  ${fence.place}: ${withoutNative}`);
    return;
  }
  const wrong = await runProgram(fence, fileOf(fence).replace(/ts$/, 'js'), folder);
  if (wrong === '') {
    console.log(`ok       ${fence.place}`);
  } else {
    failures++;
    console.error(`FAIL     ${fence.place}: ${wrong}`);
  }
}

/** Checks programs one after the other until there are none. */
async function work() {
  for (let fence = programs.shift(); fence !== undefined; fence = programs.shift()) await check(fence);
}

// Two for each processor: a program waits about half of its time.
await Promise.all(Array.from({ length: 2 * availableParallelism() }, work));
if (failures > 0) console.error(`${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;
