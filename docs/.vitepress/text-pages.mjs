import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Writes the pages for readers that are programs: each page as Markdown beside its HTML, `llms.txt` with a
 * line for each, and `llms-full.txt` with all of them.
 *
 * @param {string} docs the folder of the pages
 * @param {string} outDir the folder of the site
 * @param {{ name: string, description: string }} manifest
 * @param {{ text: string, items: { text: string, link: string }[] }[]} groups
 */
export function writeTextPages(docs, outDir, manifest, groups) {
  const index = [`# ${manifest.name}`, '', `> ${manifest.description}`];
  const full = [];
  for (const group of groups) {
    index.push('', `## ${group.text}`, '');
    for (const { text, link } of group.items) {
      const file = `${link.slice(1)}.md`;
      const page = readFileSync(path.join(docs, file), 'utf8');
      copyFileSync(path.join(docs, file), path.join(outDir, file));
      index.push(`- [${text}](${file}): ${summaryOf(page)}`);
      full.push(page.trim());
    }
  }
  writeFileSync(path.join(outDir, 'llms.txt'), `${index.join('\n')}\n`);
  writeFileSync(path.join(outDir, 'llms-full.txt'), `${full.join('\n\n')}\n`);
}

/**
 * Returns the first sentence of a page, without links.
 *
 * @param {string} page
 */
function summaryOf(page) {
  const text = page.replace(/^---\n.*?\n---\n/s, '').replace(/^```.*?^```$/gms, '');
  const paragraph = text.split(/\n\s*\n/).find((part) => /^[^#<|!\-\s]/.test(part)) ?? '';
  const [sentence = ''] = paragraph.replaceAll('\n', ' ').split(/(?<=\.)\s/);
  return sentence.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}
