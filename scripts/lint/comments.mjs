/**
 * @typedef {object} Comment
 * @property {number} line of the file at which it begins, from 1
 * @property {string[]} lines of its text, with the comment signs
 */

/** A slash behind this begins a regular expression; behind anything else it divides. */
const BEFORE_REGEX =
  /(?:^|[([{},;=:!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|throw|await|yield|void))\s*$/;
/** Characters of code before a slash that {@link BEFORE_REGEX} looks at. */
const LOOK_BEHIND = 20;

/**
 * Finds the comments of a source file. Line comments that follow each other form one comment.
 *
 * @param {string} file its name tells the language
 * @param {string} text
 * @returns {Comment[]}
 */
export function commentsOf(file, text) {
  if (/\.(?:py|sh)$/.test(file)) return hashComments(text);
  return joined(new Scanner(text, !/\.[ch]$/.test(file)).scan());
}

/** Skips strings, templates and regular expressions, because a slash in them begins no comment. */
class Scanner {
  #at = 0;
  #line = 1;
  /** Text since the last comment, without strings. */
  #code = '';
  /** @type {Comment[]} */
  #found = [];
  /** @type {number[]} for each open `${` of a template, the braces that are open inside */
  #templates = [];

  /**
   * @param {string} text
   * @param {boolean} isScript JavaScript or TypeScript, not C
   */
  constructor(text, isScript) {
    this.text = text;
    this.isScript = isScript;
  }

  scan() {
    while (this.#at < this.text.length) this.#step();
    return this.#found;
  }

  #step() {
    const char = this.text[this.#at] ?? '';
    const pair = this.text.slice(this.#at, this.#at + 2);
    if (pair === '//') this.#comment(this.text.indexOf('\n', this.#at));
    else if (pair === '/*') this.#comment(this.text.indexOf('*/', this.#at + 2) + 2);
    else if (char === '"' || char === "'")
      this.#skip(new RegExp(`${char}(?:\\\\[^]|[^\\\\\n])*?(?:${char}|(?=\n))`, 'y'));
    else if (this.isScript && char === '`') this.#template();
    else if (this.isScript && char === '/' && BEFORE_REGEX.test(this.#code.slice(-LOOK_BEHIND)))
      this.#skip(/\/(?:\\.|\[(?:\\.|[^\]\n])*\]|[^/\\\n])+\/\w*/y);
    else this.#plain(char);
  }

  /** @param {number} end where the comment ends; below its beginning: with the file */
  #comment(end) {
    const to = end > this.#at ? end : this.text.length;
    const before = this.text.slice(this.text.lastIndexOf('\n', this.#at - 1) + 1, this.#at);
    const lines = this.text.slice(this.#at, to).split('\n');
    lines[0] = before + lines[0];
    this.#found.push({ line: this.#line, lines });
    this.#advance(to);
  }

  /** @param {RegExp} literal sticky */
  #skip(literal) {
    literal.lastIndex = this.#at;
    this.#advance(literal.test(this.text) ? literal.lastIndex : this.#at + 1);
    this.#code += 'x';
  }

  /** The text of a template, up to its end or to the code in it. */
  #template() {
    const literal = /(?:\\[\s\S]|(?!\$\{)[^\\`])*(`|\$\{|$)/y;
    literal.lastIndex = this.#at + 1;
    const end = literal.exec(this.text)?.[1];
    this.#advance(literal.lastIndex);
    this.#code += end === '${' ? '(' : 'x';
    if (end === '${') this.#templates.push(0);
  }

  /** @param {string} char */
  #plain(char) {
    const depth = this.#templates.length - 1;
    if (depth >= 0 && char === '{') this.#templates[depth] = (this.#templates[depth] ?? 0) + 1;
    if (depth >= 0 && char === '}') {
      if (this.#templates[depth] === 0) {
        this.#templates.pop();
        this.#template();
        return;
      }
      this.#templates[depth] = (this.#templates[depth] ?? 0) - 1;
    }
    this.#code += char;
    this.#advance(this.#at + 1);
  }

  /** @param {number} to */
  #advance(to) {
    for (let at = this.#at; at < to; at++) if (this.text[at] === '\n') this.#line++;
    this.#at = to;
  }
}

/**
 * @param {readonly Comment[]} comments
 * @returns {Comment[]}
 */
function joined(comments) {
  /** @type {Comment[]} */
  const result = [];
  for (const comment of comments) {
    const last = result.at(-1);
    const follows = last !== undefined && last.line + last.lines.length === comment.line;
    if (follows && isLineComment(last) && isLineComment(comment)) last.lines.push(...comment.lines);
    else result.push({ line: comment.line, lines: [...comment.lines] });
  }
  return result;
}

/** Whether it stands alone in its line. @param {Comment} comment */
function isLineComment({ lines }) {
  return /^\s*\/\//.test(lines[0] ?? '');
}

/**
 * Python and shell: lines that begin with `#`, and Python's strings of documentation.
 *
 * @param {string} text
 * @returns {Comment[]}
 */
function hashComments(text) {
  /** @type {Comment[]} */
  const found = [];
  for (const match of text.matchAll(/(?:^[ \t]*#(?!!).*\n?)+|^[ \t]*"""[\s\S]*?"""/gm)) {
    const line = text.slice(0, match.index).split('\n').length;
    found.push({ line, lines: match[0].trimEnd().split('\n') });
  }
  return found;
}
