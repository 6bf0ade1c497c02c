/** The C programs: the load generator, and the peer `libuv`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds } from './succeeds.ts';

/** This file runs as bench/results/build/compile.js. */
const SOURCES = join(import.meta.dirname, '..', '..');
const WARNINGS = ['-Wall', '-Wextra'];

/** The result of compiling: a path, or the sentence with the reason why there is none. */
export type Compiled = { path: string } | { path: null; reason: string };

/** The load generator. */
export function compileLoad(): Compiled {
  if (process.platform !== 'linux') return missing('The load generator is for Linux (epoll)');
  const compiler = findCompiler();
  if (compiler === null) return missing('There is no C compiler (cc, gcc or clang) for the load generator');
  const path = join(import.meta.dirname, 'load-generator');
  compile(compiler, path, filesOf('load'), []);
  return { path };
}

/** The programs of `libuv/`, into a folder of their own. */
export function compileLibuv(): Compiled {
  const compiler = findCompiler();
  if (compiler === null) return missing('libuv is not measured: there is no C compiler (cc, gcc or clang)');
  const path = join(import.meta.dirname, 'libuv');
  mkdirSync(path, { recursive: true });
  const probe = ['-x', 'c', '-include', 'uv.h', '-o', join(path, 'probe'), '-', '-luv'];
  if (!succeeds(compiler, probe, 'int main(void) { return uv_version() == 0; }')) {
    return missing('libuv is not measured: there are no uv.h and libuv (on Debian, install libuv1-dev)');
  }
  for (const file of filesOf('libuv')) {
    const name = (file.split('/').pop() as string).replace(/\.c$/, '');
    compile(compiler, join(path, name), [file], ['-luv']);
  }
  return { path };
}

function missing(reason: string): Compiled {
  return { path: null, reason: `${reason}.` };
}

function findCompiler(): string | null {
  return ['cc', 'gcc', 'clang'].find((name) => succeeds(name, ['--version'])) ?? null;
}

function filesOf(folder: string): string[] {
  return readdirSync(join(SOURCES, folder))
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(SOURCES, folder, name));
}

function compile(compiler: string, target: string, files: readonly string[], libraries: readonly string[]) {
  execFileSync(compiler, ['-O2', ...WARNINGS, '-o', target, ...files, ...libraries], { stdio: 'inherit' });
}
