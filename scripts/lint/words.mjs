// node scripts/lint/words.mjs [path ...]: checks the words of comments, Markdown and test titles, in all of
// the repository or in these files and folders.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../setup.mjs';
import { proseOf } from './prose.mjs';
import { titlesOf } from './titles.mjs';

const CHECKED = ['src', 'native', 'test', 'bench', 'scripts', 'examples', 'docs'];
const GENERATED = /(?:^|\/)(?:node_modules|dist|build|reports|results|api)(?:\/|$)/;
const PROSE = /\.(?:md|ts|mts|mjs|js|c|h|py|sh)$/;

/** Columns of a line with a comment. */
const COLUMNS = 110;
const FIRST_WORDS = [
  'What',
  'Whatever',
  'Who',
  'Whoever',
  'Whose',
  'Whom',
  'Of',
  'Nobody',
  'None of',
  'That which',
];
/** Behind the end of a sentence, a colon, an arrow, or a bold word that introduces a sentence. */
const SENTENCE = new RegExp(
  `(?:^|[.!?:…][)"'”*]*\\s+|→\\s*|\\*\\*:?\\s+)["'(“*_]*(${FIRST_WORDS.join('|')})\\b`,
  'g',
);
/** A title may continue behind a colon, and need not begin with a capital. */
const TITLE = new RegExp(`(?:^|[.:;]\\s+)(${FIRST_WORDS.join('|')})\\b`, 'i');
const FUNCTION = /\w\(/;
const FEWEST_WORDS = 3;
const FOUNDING = /\bfounding\s+document\b/i;
/** Instructions to tools, and addresses, cannot be wrapped. */
const UNWRAPPABLE = /biome-ignore|@ts-|https?:\/\/\S{40}|@\w+ \{/;

/**
 * @typedef {object} Finding
 * @property {'sentence' | 'column' | 'phrase' | 'title'} rule
 * @property {number} line
 * @property {string} message
 */

/**
 * Finds the places of a file that break a rule.
 *
 * @param {string} file its name tells the language
 * @param {string} text
 * @returns {Finding[]}
 */
export function findingsIn(file, text) {
  const { paragraphs, lines } = proseOf(file, text);
  /** @type {Finding[]} */
  const findings = [];
  for (const { text: prose, lineAt } of paragraphs) {
    for (const match of prose.matchAll(SENTENCE)) {
      const at = (match.index ?? 0) + match[0].length;
      const message = `a sentence begins with "${match[1]}": name who acts, then the verb`;
      findings.push({ rule: 'sentence', line: lineAt(at - 1), message });
    }
    const phrase = FOUNDING.exec(prose);
    if (phrase === null) continue;
    const message = `"${phrase[0]}": say "asyncio's event loop reference"`;
    findings.push({ rule: 'phrase', line: lineAt(phrase.index), message });
  }
  for (const { line, text: whole } of lines) {
    if (whole.length <= COLUMNS || UNWRAPPABLE.test(whole)) continue;
    const message = `a comment of ${whole.length} columns: wrap at ${COLUMNS}`;
    findings.push({ rule: 'column', line, message });
  }
  for (const title of titlesOf(file, text)) {
    const message = faultOf(title.text);
    if (message !== null) findings.push({ rule: 'title', line: title.line, message });
  }
  return findings.sort((one, other) => one.line - other.line);
}

/**
 * @param {string} title
 * @returns {string | null}
 */
function faultOf(title) {
  const first = TITLE.exec(title);
  if (first !== null) return `a title says "${first[1]}": name the subject, then the verb`;
  const isKnown = !title.includes('${');
  if (!isKnown || title.split(/\s+/).length >= FEWEST_WORDS || FUNCTION.test(title)) return null;
  return `"${title}": a title is a sentence that is understood alone, or names a function`;
}

/**
 * @param {string} place a file or folder, relative to the root
 * @returns {string[]} the files with prose in it
 */
function filesIn(place) {
  const absolute = path.resolve(root, place);
  if (!existsSync(absolute)) throw new Error(`there is no ${place}`);
  if (statSync(absolute).isFile()) return [place];
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && PROSE.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !GENERATED.test(file))
    .sort();
}

/** @param {string} file */
function findingsOf(file) {
  return findingsIn(file, readFileSync(path.resolve(root, file), 'utf8').replaceAll('\r\n', '\n'));
}

/** @param {readonly string[]} places */
function check(places) {
  let count = 0;
  for (const file of places.flatMap(filesIn)) {
    for (const { line, message } of findingsOf(file)) {
      count++;
      console.error(`${file}:${line}: ${message}`);
    }
  }
  if (count > 0) console.error(`${count} findings. CONTRIBUTING.md has the rules, under "Words".`);
  process.exitCode = count > 0 ? 1 : 0;
}

function all() {
  return [...CHECKED, ...readdirSync(root).filter((name) => name.endsWith('.md'))];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const paths = process.argv.slice(2);
  check(paths.length > 0 ? paths : all());
}
