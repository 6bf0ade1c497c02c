// Module hooks that load TypeScript, and resolve 'gyre' as tsconfig.json says. They are synchronous, so that
// they serve both module.register() and module.registerHooks().

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transform } from './transform.mjs';

const tsconfig = new URL('../../tsconfig.json', import.meta.url);

/** @type {ReadonlyMap<string, string>} the URLs of 'gyre' and its entries */
const aliases = new Map(
  Object.entries(JSON.parse(readFileSync(tsconfig, 'utf8')).compilerOptions.paths).map(([name, [file]]) => [
    name,
    new URL(file, tsconfig).href,
  ]),
);

/**
 * @template Answer
 * @param {string} specifier
 * @param {{ parentURL?: string }} context
 * @param {(specifier: string, context: any) => Answer} next
 * @returns {Answer | { url: string, format: string, shortCircuit: true }}
 */
export function resolve(specifier, context, next) {
  // Node's own way looks for the real path and the package of each of some thousand imports.
  if (specifier.startsWith('node:')) return { url: specifier, format: 'builtin', shortCircuit: true };
  if (specifier.startsWith('.') && specifier.endsWith('.ts') && context.parentURL !== undefined) {
    const url = new URL(specifier, context.parentURL);
    if (existsSync(url)) return { url: url.href, format: 'module', shortCircuit: true };
  }
  return next(aliases.get(specifier) ?? specifier, context);
}

/**
 * @template Answer
 * @param {string} url
 * @param {object} context
 * @param {(url: string, context: any) => Answer} next
 */
export function load(url, context, next) {
  const location = new URL(url);
  if (location.protocol !== 'file:' || !location.pathname.endsWith('.ts')) return next(url, context);
  return { format: 'module', shortCircuit: true, source: transform(fileURLToPath(location)) };
}
