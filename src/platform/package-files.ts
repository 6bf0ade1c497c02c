/**
 * The files of this package that are not modules.
 *
 * A bundler may replace `import.meta.url`, leave it undefined (in a CommonJS bundle), or take a call
 * `new URL('./file', import.meta.url)` for a file to copy. So don't write such a call, and expect each file
 * to be missing.
 */
import { node } from './node-modules.ts';

const { url } = import.meta as { readonly url?: string };
const here: string | null = url?.startsWith('file:') ? url : null;

/** Whether this is TypeScript, as in the project's own tests. */
export const fromSource: boolean = here?.endsWith('.ts') ?? false;

/** Returns the URL of a file, by its path in the package. null: this is a bundle without an address. */
export function packageFile(path: string): URL | null {
  // The package's code is in dist/, one level below its root.
  return here === null ? null : new URL(`${fromSource ? '../..' : '..'}/${path}`, here);
}

/** Returns Node's `require`. It finds the packages that this module, or the bundle with it, finds. */
export function requireHere(): NodeJS.Require {
  const file = typeof __filename === 'string' ? __filename : process.execPath;
  return node.module.createRequire(here ?? file);
}
