import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('..', import.meta.url);
const page = ['architecture', 'lives']
  .map((name) => readFileSync(new URL(`docs/${name}.md`, root), 'utf8'))
  .join('\n');

/** Returns the code spans of a Markdown text, in order. */
function spansOf(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span as string);
}

function isPath(span: string): boolean {
  return /^(?:src|native|test|scripts|docs)\/[\w./-]+$/.test(span);
}

/** Returns each function that a numbered item names after a file, with that file. */
function functionsOf(item: string): { file: string; name: string }[] {
  const named: { file: string; name: string }[] = [];
  let file: string | null = null;
  for (const span of spansOf(item)) {
    const name = /^#?(\w+)\(\)$/.exec(span)?.[1];
    if (isPath(span)) file = span;
    else if (file !== null && name !== undefined) named.push({ file, name });
  }
  return named;
}

test('every path in docs/architecture.md and docs/lives.md is a file or folder of the repository', () => {
  const paths = spansOf(page).filter(isPath);
  assert.ok(paths.length > 20);
  for (const path of paths) assert.ok(existsSync(new URL(path, root)), `there is no ${path}`);
});

test('every function in a numbered list of docs/lives.md is in the file named before it', () => {
  const items = page.split('\n').filter((line) => /^\d+\. /.test(line));
  const named = items.flatMap(functionsOf);
  assert.ok(named.length > 30);
  for (const { file, name } of named) {
    const source = readFileSync(new URL(file, root), 'utf8');
    assert.match(source, new RegExp(`\\b${name}(?:<[^(]*>)?(?:\\(| = )`), `${file} has no ${name}()`);
  }
});
