/**
 * @typedef {object} Title of a test or a suite
 * @property {number} line of the file
 * @property {string} text without its quotes
 */

/** Only at the beginning of a line, because a string may have a test as its text. */
const CALL =
  /^[ \t]*(?:test|it|describe)(?:\.\w+)?\(\s*(?:'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`)/gm;
const SCRIPT = /\.m?[jt]s$/;

/**
 * Finds the titles of a test file: the first arguments of `test()`, `it()` and `describe()`.
 *
 * @param {string} file its name tells the language
 * @param {string} text
 * @returns {Title[]}
 */
export function titlesOf(file, text) {
  if (!SCRIPT.test(file)) return [];
  return [...text.matchAll(CALL)].map((match) => ({
    line: text.slice(0, match.index + match[0].length).split('\n').length,
    text: match[1] ?? match[2] ?? match[3] ?? '',
  }));
}
