// The reporter of a test process: sends the events of node:test to the parent process, which has the real
// reporters.

import { findSourceMap } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { reportLast, tell } from './child.mjs';
import { LAST } from './protocol.mjs';

const TYPES = ['test:start', 'test:pass', 'test:fail', 'test:plan', 'test:diagnostic'];

/**
 * @param {AsyncIterable<{ type: string, data: any }>} source
 * @returns {AsyncGenerator<string>}
 */
// biome-ignore lint/style/noDefaultExport: node:test takes the default export of a reporter
// biome-ignore lint/correctness/useYield: the events go to the parent, and nothing to the standard output
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (!TYPES.includes(type)) continue;
    if (data.name === LAST) {
      if (type === 'test:pass') reportLast();
      continue;
    }
    const { error, ...details } = data.details ?? {};
    const told = error === undefined ? details : { ...details, error: plain(error) };
    tell({ type, data: { ...data, ...inSource(data), details: told } });
  }
}

/**
 * Returns the place in the TypeScript source. node:test tells the place in the JavaScript that runs.
 *
 * @param {{ file?: string, line?: number, column?: number }} data
 */
function inSource({ file, line, column }) {
  if (file === undefined || line === undefined || column === undefined) return {};
  const map = findSourceMap(file) ?? findSourceMap(pathToFileURL(file).href);
  const entry = /** @type {any} */ (map?.findEntry(line - 1, column - 1));
  if (entry?.originalLine === undefined) return {};
  return { line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

/**
 * Returns an error as JSON can hold it. `text` is the error as `console.error()` shows it.
 *
 * @param {unknown} error
 * @returns {unknown}
 */
function plain(error) {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : { text: inspect(error) };
  const { name, message, stack, cause } = error;
  const { code, failureType } = /** @type {any} */ (error);
  return {
    ...{ name, message, stack, text: inspect(error) },
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof failureType === 'string' ? { failureType } : {}),
    ...(cause === undefined ? {} : { cause: plain(cause) }),
  };
}
