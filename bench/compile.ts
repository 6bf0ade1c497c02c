/** The C programs: the load generator, and the peer `libuv`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { succeeds } from './succeeds.ts';

/** This file runs as bench/results/build/compile.js. */
const SOURCES = join(import.meta.dirname, '..', '..');
const WARNINGS = ['-Wall', '-Wextra'];
const OPENSSL = ['-lssl', '-lcrypto'];

/** The result of compiling: a path, or the sentence with the reason why there is none. */
export type Compiled = { path: string } | { path: null; reason: string };

/** The load generator. */
export function compileLoad(): Compiled {
  if (process.platform !== 'linux') return missing('The load generator is for Linux (epoll)');
  const compiler = findCompiler();
  if (compiler === null) return missing('There is no C compiler (cc, gcc or clang) for the load generator');
  const path = join(import.meta.dirname, 'load-generator');
  const [withTls, plain] = partition(filesOf('load'), isForTls);
  if (hasOpenSsl(compiler)) compile(compiler, path, [...plain, ...withTls], ['-DLOAD_TLS', ...OPENSSL]);
  else compile(compiler, path, plain, []);
  return { path };
}

/** Returns the sentence with the reason why no workload with TLS can be measured here; null if they can. */
export function whyNoTls(): string | null {
  const compiler = findCompiler();
  if (compiler !== null && hasOpenSsl(compiler)) return null;
  return 'The workloads with TLS are skipped: there are no openssl/ssl.h and libssl (on Debian, install libssl-dev).';
}

/** The programs of `libuv/`, into a folder of their own. */
export function compileLibuv(): Compiled {
  const compiler = findCompiler();
  if (compiler === null) return missing('libuv is not measured: there is no C compiler (cc, gcc or clang)');
  const path = join(import.meta.dirname, 'libuv');
  mkdirSync(path, { recursive: true });
  if (!canLink(compiler, 'uv.h', 'uv_version()', ['-luv'])) {
    return missing('libuv is not measured: there are no uv.h and libuv (on Debian, install libuv1-dev)');
  }
  const tls = hasOpenSsl(compiler);
  for (const file of filesOf('libuv').filter((each) => tls || !isForTls(each))) {
    const target = join(path, basename(file, '.c'));
    compile(compiler, target, [file], ['-luv', ...(isForTls(file) ? OPENSSL : [])]);
  }
  return { path };
}

function missing(reason: string): Compiled {
  return { path: null, reason: `${reason}.` };
}

function findCompiler(): string | null {
  return ['cc', 'gcc', 'clang'].find((name) => succeeds(name, ['--version'])) ?? null;
}

function hasOpenSsl(compiler: string): boolean {
  return canLink(compiler, 'openssl/ssl.h', 'OpenSSL_version_num()', OPENSSL);
}

/** Tells whether a program with this header compiles, and finds a function of these libraries. */
function canLink(compiler: string, header: string, call: string, libraries: readonly string[]): boolean {
  const target = join(import.meta.dirname, 'probe');
  const program = `int main(void) { return ${call} == 0; }`;
  return succeeds(compiler, ['-x', 'c', '-include', header, '-o', target, '-', ...libraries], program);
}

function isForTls(file: string): boolean {
  return basename(file).startsWith('tls');
}

function partition<T>(all: readonly T[], belongs: (one: T) => boolean): [T[], T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}

function filesOf(folder: string): string[] {
  return readdirSync(join(SOURCES, folder))
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(SOURCES, folder, name));
}

function compile(compiler: string, target: string, files: readonly string[], libraries: readonly string[]) {
  execFileSync(compiler, ['-O2', ...WARNINGS, '-o', target, ...files, ...libraries], { stdio: 'inherit' });
}
