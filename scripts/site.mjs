// npm run site: builds the site into docs/.vitepress/dist/: the pages of docs/, the API pages from the doc
// comments of src/, the search index and llms.txt. It fails on a warning of typedoc, a link that leads
// nowhere, and a page that is too long. `npm run site -- --serve` then serves it for a browser.
//
// docs/ has a package.json of its own, because typedoc and TypeScript 7 do not install together.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

/** Words of prose and code on a page: a person reads them in ten minutes. */
const longest = 2200;

/** Pages of tables to look things up in. */
const tables = ['conformance.md', 'platforms.md', 'performance.md', 'asyncio-index.md'];

const folder = path.join(root, 'docs');
ensureDependencies('docs');
checkLengths();
rmSync(path.join(folder, 'api'), { recursive: true, force: true });
await tool('typedoc/bin/typedoc', '--options', 'typedoc.json', '--logLevel', 'Warn');
await tool('vitepress/bin/vitepress.js', 'build');
console.log('The site is in docs/.vitepress/dist/');
if (process.argv.includes('--serve')) await tool('vitepress/bin/vitepress.js', 'preview');

/**
 * Runs a program of `docs/node_modules`, and ends this process if it fails.
 *
 * @param {string} file
 * @param {string[]} args
 */
async function tool(file, ...args) {
  const code = await runChild(process.execPath, [path.join(folder, 'node_modules', file), ...args], {
    cwd: folder,
  });
  if (code !== 0) process.exit(code);
}

function checkLengths() {
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && !tables.includes(name));
  const faults = pages
    .map((name) => ({ name, words: readFileSync(path.join(folder, name), 'utf8').split(/\s+/).length }))
    .filter(({ words }) => words > longest)
    .map(({ name, words }) => `docs/${name} has ${words} words: split it, a page has at most ${longest}`);
  if (faults.length === 0) return;
  console.error(faults.join('\n'));
  process.exit(1);
}
