import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsconfig = readFileSync(path.join(root, 'tsconfig.json'), 'utf8');

/** tsx brings esbuild. A process loads it on demand: mostly it finds all its files in the cache. */
const requireOfTsx = createRequire(createRequire(import.meta.url).resolve('tsx'));

/**
 * Returns tsx's own options, so that the code is the same under both loaders. The source maps have no
 * sources, because Node parses the map of each file that it loads.
 *
 * @param {string} file
 * @returns {import('esbuild').TransformOptions}
 */
function optionsFor(file) {
  return {
    sourcefile: file,
    loader: 'ts',
    format: 'esm',
    target: `node${process.versions.node}`,
    keepNames: true,
    sourcemap: 'inline',
    sourcesContent: false,
    tsconfigRaw: tsconfig,
  };
}

/** Another esbuild, or another Node, has a cache of its own. */
const version = `esbuild-${requireOfTsx('esbuild/package.json').version}-node-${process.versions.node}`;
const cache = path.join(cacheFolder(), version);

/** @returns {string} a folder that this user may write to: a checkout may belong to somebody else */
function cacheFolder() {
  const modules = path.join(root, 'node_modules');
  try {
    accessSync(modules, constants.W_OK);
    return path.join(modules, '.cache', 'gyre-typescript');
  } catch {
    return path.join(tmpdir(), `gyre-typescript-${process.getuid?.() ?? 'user'}`);
  }
}

/**
 * Returns the place of a file in the cache, and the last line of its entry there. That line names the source,
 * so that an entry of an older source is not used.
 *
 * @param {string} file
 * @param {string} source
 * @returns {{ entry: string, mark: string }}
 */
function placeOf(file, source) {
  const digest = createHash('sha1').update(tsconfig).update(source).digest('hex');
  return {
    entry: path.join(cache, encodeURIComponent(path.relative(root, file))),
    mark: `\n// ${digest}\n`,
  };
}

/**
 * @param {string} entry
 * @param {string} mark
 * @returns {string | null} null when there is no such entry, or that of another version
 */
function cached(entry, mark) {
  try {
    const code = readFileSync(entry, 'utf8');
    return code.endsWith(mark) ? code : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} entry
 * @param {string} code
 */
function keep(entry, code) {
  // Several processes may write an entry at once: each writes a file of its own, and moves it into place.
  const temporary = `${entry}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  writeFileSync(temporary, code);
  renameSync(temporary, entry);
}

/**
 * Returns a TypeScript file as JavaScript.
 *
 * @param {string} file its path
 * @returns {string}
 */
export function transform(file) {
  const source = readFileSync(file, 'utf8');
  const { entry, mark } = placeOf(file, source);
  const known = cached(entry, mark);
  if (known !== null) return known;
  const { code } = requireOfTsx('esbuild').transformSync(source, optionsFor(file));
  keep(entry, code + mark);
  return code;
}

/**
 * Fills the cache. That is faster than file by file, each in the process that needs it first.
 *
 * @param {readonly string[]} files their paths
 * @returns {Promise<void>}
 */
export async function transformAll(files) {
  await Promise.all(
    files.map(async (file) => {
      const source = readFileSync(file, 'utf8');
      const { entry, mark } = placeOf(file, source);
      if (cached(entry, mark) !== null) return;
      // The process that loads a wrong file reports the error.
      const result = await requireOfTsx('esbuild')
        .transform(source, optionsFor(file))
        .catch(() => null);
      if (result !== null) keep(entry, result.code + mark);
    }),
  );
}
