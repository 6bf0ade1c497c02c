/**
 * The files of this package that are not modules, and the form in which the program runs.
 *
 * A bundler takes a call `new URL('./file', import.meta.url)` for a file to copy. So don't write such a call,
 * and expect each file to be missing.
 */
import { pathToFileURL } from 'node:url';
import { node } from './node-modules.ts';

/**
 * The addresses that this code may have. A CommonJS bundle has only the second. webpack puts the address of
 * the module at build time for the first, and Bun's bundler for the second.
 */
const addresses: readonly string[] = [
  (import.meta as { readonly url?: string }).url,
  typeof __filename === 'string' ? pathToFileURL(__filename).href : undefined,
  pathToFileURL(process.execPath).href,
].filter((url) => url?.startsWith('file:') === true) as string[];

/** Whether this is TypeScript, as in the project's own tests. */
export const fromSource: boolean = addresses[0]?.endsWith('.ts') ?? false;

/** Returns the URL of a file, by its path in the package. null: this is a bundle, without that file. */
export function packageFile(path: string): URL | null {
  // The package's code is in dist/, one level below its root.
  const up = fromSource ? '../..' : '..';
  const urls = addresses.map((address) => new URL(`${up}/${path}`, address));
  return urls.find((url) => node.fs.existsSync(url)) ?? null;
}

/** Loads a file, or a package that this module finds, or the bundle with it. Throws as `require()` does. */
export function requireHere(name: string): unknown {
  let missing: unknown;
  for (const address of addresses) {
    try {
      return node.module.createRequire(address)(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      missing = error;
    }
  }
  throw missing;
}

/** Returns true if the executable of this process contains the program. It runs no other one. */
export function isStandalone(): boolean {
  const { Deno: deno } = globalThis as { Deno?: { build: { standalone?: boolean } } };
  if (deno !== undefined) return deno.build.standalone === true;
  // Bun gives the files of an executable this address.
  if (process.versions.bun !== undefined) return addresses.some((url) => /\/(\$bunfs|~BUN)\//.test(url));
  const sea = process.getBuiltinModule('node:sea') as { isSea?(): boolean } | undefined;
  return sea?.isSea?.() === true;
}
