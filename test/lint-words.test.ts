import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../scripts/lint/words.mjs';
import { findingsIn } from '../scripts/lint/words.mjs';

/** Returns the rule and the line of each finding. */
function found(file: string, text: string): [Finding['rule'], number][] {
  return findingsIn(file, text).map(({ rule, line }) => [rule, line]);
}

const LONG = 'word '.repeat(22);

test('the word lint refuses a sentence that begins with a relative clause, wherever the sentence stands', () => {
  const source = [
    '/** What the loop owns. */',
    'const a = 1; // Nobody reads it.',
    '/**',
    ' * The reader waits. Whose data comes first',
    ' * is not known. None of',
    ' * the readers is told.',
    ' *',
    ' * Of every callback: it comes later.',
    ' *',
    ' * **Backends** Whoever is native.',
    ' * @param size of the buffer: Who cares.',
    ' */',
  ];
  const lines = [1, 2, 4, 5, 8, 10, 11];
  assert.deepEqual(
    found('a.ts', source.join('\n')),
    lines.map((line) => ['sentence', line]),
  );
});

test('the word lint accepts these words inside a sentence, in code and in examples', () => {
  const source = [
    '/**',
    ' * Returns what the peer sent, and who sent it. The result of `Who. What` is code.',
    ' *',
    ' * ```ts',
    ` * const example = 'What is this?'; // ${LONG}${LONG}`,
    ' * ```',
    ' */',
    "const text = '// What is no comment';",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is source text
    'const template = `/* Who ${1 + `${2} // Whose`} */ // Of`;',
    'const pattern = /[/]"/; // The quote is part of the pattern.',
    'const half = 1 / 2 / 3;',
  ];
  assert.deepEqual(found('a.ts', source.join('\n')), []);
});

test('the word lint reads the comments of C, Python and shell', () => {
  assert.deepEqual(found('a.c', "char quote = '\"'; /* Whom it concerns. */"), [['sentence', 1]]);
  assert.deepEqual(found('a.py', 'x = 1\n# What it is.\n"""Of all\nloops."""\n'), [
    ['sentence', 2],
    ['sentence', 3],
  ]);
  assert.deepEqual(found('a.sh', '#!/bin/sh\n# That which runs.\n'), [['sentence', 2]]);
});

test('the word lint reads headings, lists and tables of Markdown, and skips its code', () => {
  const page = [
    '# What is different',
    'A paragraph. Whatever',
    'it says.',
    '- Who runs',
    '1. first: Of two',
    '| a cell | Nobody |',
    '```ts',
    'What is code.',
    '```',
    `A line of any length is one paragraph: ${LONG}${LONG}`,
  ];
  assert.deepEqual(
    found('a.md', page.join('\n')),
    [1, 2, 4, 5, 6].map((line) => ['sentence', line]),
  );
});

test('the word lint refuses comment lines over 110 columns, and leaves long code to the formatter', () => {
  const source = [`// ${LONG}`, `const a = '${LONG}';`, 'const b = 1;', `/* short`, ` * ${LONG} */`];
  assert.deepEqual(found('a.ts', source.join('\n')), [
    ['column', 1],
    ['column', 5],
  ]);
});

test('the word lint refuses the old name of asyncio’s event loop reference', () => {
  const phrase = ['founding', 'document'].join(' ');
  assert.deepEqual(found('a.md', `As the ${phrase} says.`), [['phrase', 1]]);
  assert.deepEqual(found('a.ts', `// As the Founding\n// document says.`), [['phrase', 1]]);
});

test('the word lint refuses a test title without a subject, or with less than three words', () => {
  const source = [
    "test('what a loop owns is closed', () => {});",
    "  it('Queue: who waits is served', () => {});",
    'describe("options", () => {});',
    "test(\n  'Nobody is told',",
  ];
  const lines = [1, 2, 3, 5];
  assert.deepEqual(
    found('a.test.ts', source.join('\n')),
    lines.map((line) => ['title', line]),
  );
});

test('the word lint accepts a test title that names a function, and titles inside of a string', () => {
  const source = [
    "describe('run()', () => {});",
    "test('Queue serves a task that waits, whoever it is', () => {});",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is source text
    'test(`${name} (${backend})`, () => {});',
    "const text = `test('passes', () => {});`;",
  ];
  assert.deepEqual(found('a.test.ts', source.join('\n')), []);
});

test('scripts/lint/words.mjs fails for a file with a finding and names its line, and passes for one without', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-words-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = fileURLToPath(new URL('../scripts/lint/words.mjs', import.meta.url));
  const check = (name: string, text: string) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return spawnSync(process.execPath, [script, file], { encoding: 'utf8' });
  };
  const bad = check('bad.ts', '\n// What is bad.\n');
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /bad\.ts:2: a sentence begins with "What"/);
  assert.deepEqual(check('good.ts', '// It is good.\n').status, 0);
});
