import { readFileSync } from 'node:fs';

/**
 * @typedef {object} Result
 * @property {string} title
 * @property {string} where the file, or the backend
 * @property {'passed' | 'failed' | 'skipped'} state
 * @property {string} why
 */

/**
 * @typedef {object} Expected tests that fail, for one reason
 * @property {string} reason
 * @property {string[]} backends
 * @property {string[]} tests their titles
 */

/**
 * @param {string} name of the runtime
 * @returns {Expected[]}
 */
export function expectedOf(name) {
  return JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8'))[name] ?? [];
}

/**
 * Returns the differences from the expectation, a line each: a test that fails, one that no longer fails, one
 * that does not exist.
 *
 * @param {readonly Result[]} results
 * @param {readonly Expected[]} expected
 * @returns {string[]}
 */
export function differences(results, expected) {
  /** @type {string[]} */
  const lines = [];
  for (const { title, where, state, why } of results) {
    const listed = reasonFor(title, where, expected) !== null;
    if (state === 'failed' && !listed) lines.push(`failed: ${title} (${where}): ${why.split('\n')[0]}`);
    if (state === 'passed' && listed) lines.push(`passed, and is listed as failing: ${title} (${where})`);
  }
  for (const { backends, tests } of expected) {
    for (const title of tests) {
      for (const backend of backends) {
        if (!results.some((result) => result.title === title && result.where === backend)) {
          lines.push(`listed, and there is no such test: ${title} (${backend})`);
        }
      }
    }
  }
  return lines;
}

/**
 * @param {string} title
 * @param {string} where
 * @param {readonly Expected[]} expected
 * @returns {string | null}
 */
export function reasonFor(title, where, expected) {
  return (
    expected.find(({ backends, tests }) => backends.includes(where) && tests.includes(title))?.reason ?? null
  );
}
