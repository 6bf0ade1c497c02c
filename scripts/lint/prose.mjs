import { commentsOf } from './comments.mjs';

/**
 * @typedef {object} Paragraph a heading, a list item, a cell of a table or plain text
 * @property {string} text in one line, without marks at its beginning; code in it is replaced by `x`
 * @property {(offset: number) => number} lineAt tells the line of the file of an offset in `text`
 *
 * @typedef {object} ProseLine
 * @property {number} line
 * @property {string} text as it is in the file
 *
 * @typedef {object} Prose
 * @property {Paragraph[]} paragraphs
 * @property {ProseLine[]} lines of comments; Markdown has no limit of columns, and none here
 */

/** A list item, or a heading of Markdown. */
const MARK = /^(?:[-*•→]|\d+\.|#+|>)\s+/;
const TAG = /^@(?:(?:param|property|typedef|template)\s+(?:\{.*?\}\s+)?\S+|\w+(?:\s+\{.*?\})?)(?:\s+|$)/;
const FENCE = /^\s*(?:```|~~~)/;

/**
 * Finds the prose of a file: its comments, or all of it if it is Markdown. Examples in fences are code.
 *
 * @param {string} file
 * @param {string} text
 * @returns {Prose}
 */
export function proseOf(file, text) {
  if (file.endsWith('.md')) {
    const lines = text.split('\n').map((line, i) => ({ line: i + 1, text: line }));
    return { paragraphs: paragraphsOf(lines), lines: [] };
  }
  /** @type {Prose} */
  const prose = { paragraphs: [], lines: [] };
  for (const { line, lines } of commentsOf(file, text)) {
    const numbered = withoutFences(lines.map((each, i) => ({ line: line + i, text: each })));
    prose.lines.push(...numbered);
    prose.paragraphs.push(
      ...paragraphsOf(numbered.map((each) => ({ ...each, text: uncommented(each.text) }))),
    );
  }
  return prose;
}

/** @param {string} line of a comment, perhaps behind code */
function uncommented(line) {
  return line
    .replace(/^.*?(?:\/\*\*?|\/\/+)|^\s*(?:\*(?!\/)|#|""")/, '')
    .replace(/(?:\*\/|""")\s*$/, '')
    .trim();
}

/**
 * @param {readonly ProseLine[]} lines
 * @returns {ProseLine[]}
 */
function withoutFences(lines) {
  let open = false;
  return lines.filter(({ text }) => {
    const isFence = FENCE.test(text.replace(/^\s*\*/, ''));
    if (isFence) open = !open;
    return !open && !isFence;
  });
}

/**
 * @param {readonly ProseLine[]} lines
 * @returns {Paragraph[]}
 */
function paragraphsOf(lines) {
  /** @type {ProseLine[][]} */
  const groups = [[]];
  for (const { line, text } of withoutFences(lines)) {
    const trimmed = text.trim();
    const cells = /^\|.*\|$/.test(trimmed) ? trimmed.split('|') : [trimmed];
    const begins = cells.length > 1 || MARK.test(trimmed) || TAG.test(trimmed);
    if (begins || trimmed === '') groups.push([]);
    for (const [i, cell] of cells.entries()) {
      if (i > 0) groups.push([]);
      if (cell.trim() !== '') groups.at(-1)?.push({ line, text: cell.trim() });
    }
    if (/^#+\s/.test(trimmed)) groups.push([]);
  }
  return groups.filter((group) => group.length > 0).map(paragraphOf);
}

/**
 * @param {readonly ProseLine[]} lines
 * @returns {Paragraph}
 */
function paragraphOf(lines) {
  /** @type {{ from: number, line: number }[]} */
  const starts = [];
  let text = '';
  for (const { line, text: part } of lines) {
    starts.push({ from: text.length, line });
    text += `${part} `;
  }
  const clean = text.replace(/`[^`]*`/g, (code) => 'x'.repeat(code.length));
  const skipped = (MARK.exec(clean) ?? TAG.exec(clean) ?? [''])[0].length;
  return {
    text: clean.slice(skipped),
    lineAt: (offset) => starts.findLast(({ from }) => from <= offset + skipped)?.line ?? 0,
  };
}
