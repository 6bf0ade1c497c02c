import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

// TypeScript 7 has no stable compiler API, so this reads the declarations that the compiler writes. Their
// layout is regular: every top-level statement begins in the first column, every member is indented by four
// spaces, and a doc comment stands right before what it describes.

/**
 * @typedef {object} Member
 * @property {string} name
 * @property {string} doc the text of its doc comment, '' when there is none
 *
 * @typedef {object} Declaration
 * @property {'function' | 'class' | 'const' | 'interface' | 'type'} kind
 * @property {string} name
 * @property {string} file
 * @property {string} doc the text of its doc comment, '' when there is none
 * @property {string} signature of a function: what is between its parentheses
 * @property {string[]} bases what a class or an interface extends and implements, by name
 * @property {Member[]} members of a class or an interface: what is public, each name once
 */

const statement =
  /^(?:export )?(?:declare )?(?:abstract )?(function|class|const|let|interface|type) ([\w$]+)/;

/**
 * @param {string} text
 * @param {number} open the index of an opening bracket
 * @returns {number} the index behind its closing bracket
 */
function behindBracket(text, open) {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if ('([{'.includes(text.charAt(i))) depth++;
    else if (')]}'.includes(text.charAt(i)) && --depth === 0) return i + 1;
  }
  return text.length;
}

/**
 * @param {readonly string[]} lines
 * @param {number} at the index of a line
 * @returns {string} the text of the doc comment that ends on the line before
 */
function docBefore(lines, at) {
  if (!lines[at - 1]?.trimEnd().endsWith('*/')) return '';
  let first = at - 1;
  while (first > 0 && !lines[first]?.trimStart().startsWith('/**')) first--;
  return lines
    .slice(first, at)
    .map((line) =>
      line
        .replace(/^\s*\/\*\*\s?/, '')
        .replace(/\s*\*\/\s*$/, '')
        .replace(/^\s*\* ?/, ''),
    )
    .join('\n')
    .trim();
}

/**
 * @param {string} line that opens a class or an interface
 * @returns {string[]}
 */
function basesOf(line) {
  // Type arguments are removed from the inside out: Map<string, Set<number>> becomes Map.
  let plain = line;
  for (let before = ''; before !== plain; ) {
    before = plain;
    plain = plain.replace(/<[^<>]*>/g, '');
  }
  return [...plain.matchAll(/\b(?:extends|implements) ([\w$., ]+?)(?= implements| \{)/g)].flatMap(
    ([, list = '']) => list.split(', '),
  );
}

/**
 * @param {readonly string[]} lines
 * @param {number} start the line of a class or an interface
 * @returns {Member[]}
 */
function membersOf(lines, start) {
  /** @type {Map<string, Member>} */
  const members = new Map();
  for (let i = start + 1; i < lines.length && !lines[i]?.startsWith('}'); i++) {
    const line = lines[i] ?? '';
    const found =
      /^ {4}(?!private\b|protected\b|#)(?:(?:static|readonly|abstract|override|get|set|public) )*(\[[\w.]+\]|[\w$]+)\??[(<:]/.exec(
        line,
      );
    const name = found?.[1];
    if (name === undefined || name === 'constructor' || name.startsWith('_')) continue;
    // One doc comment is enough for several overloads, or a getter and its setter.
    const doc = docBefore(lines, i);
    const known = members.get(name);
    if (known === undefined) members.set(name, { name, doc });
    else if (known.doc === '') known.doc = doc;
  }
  return [...members.values()];
}

/**
 * @param {string} file
 * @returns {{ own: Map<string, Declaration>, from: Map<string, { file: string, name: string }>, all: string[]
 *   }}
 */
function readModule(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const text = lines.join('\n');
  /** @type {Map<string, Declaration>} */
  const own = new Map();
  /** @type {Map<string, { file: string, name: string }>} */
  const from = new Map();
  /** @type {string[]} */
  const all = [];
  let offset = 0;
  for (const [i, line] of lines.entries()) {
    const found = statement.exec(line);
    if (found !== null) {
      const [, word = '', name = ''] = found;
      const kind = /** @type {Declaration['kind']} */ (word === 'let' ? 'const' : word);
      const open = text.indexOf('(', offset);
      const declaration = {
        kind,
        name,
        file,
        doc: docBefore(lines, i),
        signature: kind === 'function' ? text.slice(open + 1, behindBracket(text, open) - 1) : '',
        bases: kind === 'class' || kind === 'interface' ? basesOf(line) : [],
        members: kind === 'class' || kind === 'interface' ? membersOf(lines, i) : [],
      };
      // A class and an interface of one name are one thing to its user; of overloads one doc comment is
      // enough, but it describes the parameters of all.
      const known = own.get(name);
      if (known === undefined || (known.kind === 'interface' && kind === 'class')) own.set(name, declaration);
      else {
        known.doc ||= declaration.doc;
        if (kind === 'function') known.signature += `, ${declaration.signature}`;
      }
    }
    offset += line.length + 1;
  }
  const beside = (/** @type {string} */ specifier) =>
    path.resolve(path.dirname(file), specifier.replace(/\.(ts|js)$/, '.d.ts'));
  for (const [, list = '', specifier] of text.matchAll(
    /^export (?:type )?\{([^}]*)\}(?: from '([^']+)')?;/gm,
  )) {
    for (const item of list.split(',')) {
      const [name = '', alias = name] = item
        .trim()
        .replace(/^type /, '')
        .split(/ as /);
      if (name === '' || specifier === undefined) continue;
      from.set(alias, { file: beside(specifier), name });
    }
  }
  for (const [, specifier = ''] of text.matchAll(/^export \* from '([^']+)';/gm)) all.push(beside(specifier));
  return { own, from, all };
}

/**
 * The public names of an entry point with their declarations, found by following its re-exports.
 *
 * @param {string} file a `.d.ts` that the compiler wrote
 * @returns {Map<string, Declaration>}
 */
export function publicDeclarations(file) {
  const { own, from, all } = readModule(file);
  /** @type {Map<string, Declaration>} */
  const found = new Map(own);
  for (const [alias, { file: source, name }] of from) {
    const declaration = existsSync(source) ? publicDeclarations(source).get(name) : undefined;
    if (declaration === undefined) throw new Error(`${file}: cannot find the declaration of ${name}`);
    found.set(alias, declaration);
  }
  for (const source of all) {
    for (const [name, declaration] of publicDeclarations(source)) found.set(name, declaration);
  }
  return found;
}

/**
 * @param {string} signature what is between a function's parentheses
 * @returns {string[]} the names of its parameters
 */
export function parameterNames(signature) {
  /** @type {string[]} */
  const names = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= signature.length; i++) {
    const char = signature.charAt(i);
    if ('([{<'.includes(char) && char !== '') depth++;
    else if (')]}'.includes(char) && char !== '') depth--;
    // The '>' of an arrow closes nothing.
    else if (char === '>' && signature.charAt(i - 1) !== '=') depth--;
    else if ((char === ',' || char === '') && depth === 0) {
      const name = /^\s*(?:\.\.\.)?([\w$]+)\??\s*:/.exec(signature.slice(start, i))?.[1];
      if (name !== undefined && name !== 'this') names.push(name);
      start = i + 1;
    }
  }
  return names;
}

/** @type {Record<string, string[]>} */
const explainedByLanguage = {
  Error: ['name', 'message', 'stack', 'cause'],
  Promise: ['then', 'catch', 'finally'],
  PromiseLike: ['then'],
};

/**
 * Whether a reader finds an explanation of a member: on itself, or on what the class extends or implements,
 * which is where an editor looks too.
 *
 * @param {Declaration} declaration
 * @param {Member} member
 * @param {ReadonlyMap<string, Declaration>} all every declaration by name
 * @returns {boolean}
 */
export function isExplained(declaration, member, all) {
  if (member.doc !== '' || member.name === '[Symbol.toStringTag]') return true;
  return declaration.bases.some((name) => {
    const base = all.get(name);
    if (base === undefined) return explainedByLanguage[name]?.includes(member.name) ?? false;
    const inherited = base.members.find((other) => other.name === member.name) ?? {
      name: member.name,
      doc: '',
    };
    return isExplained(base, inherited, all);
  });
}

/**
 * @param {string} folder of `.d.ts` files
 * @returns {Map<string, Declaration>} all that is declared in it, by name
 */
export function allDeclarations(folder) {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.d.ts'))
      .flatMap((name) => [...readModule(path.join(folder, name)).own]),
  );
}
