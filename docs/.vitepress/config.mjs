import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { writeTextPages } from './text-pages.mjs';

const docs = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(path.join(docs, '..', 'package.json'), 'utf8'));

/** The pages in their order, as [file, title]. A page that nobody has written yet is left out. */
const groups = {
  'Begin here': [
    ['start', 'Start'],
    ['asyncio', 'Coming from asyncio'],
    ['node', 'Coming from Node'],
  ],
  Guide: [
    ['tasks', 'Tasks and cancellation'],
    ['limits', 'Limits and groups'],
    ['servers', 'Servers and clients'],
    ['tls', 'TLS'],
    ['subprocesses', 'Subprocesses'],
    ['threads', 'Threads and processes'],
    ['workers', 'Workers'],
    ['frameworks', 'Frameworks and clients'],
    ['testing', 'Testing'],
    ['debugging', 'Debugging'],
    ['stuck', 'Debugging a stuck program'],
    ['held-loop', 'What holds my loop'],
    ['production', 'Watching in production'],
    ['deployment', 'Deployment'],
  ],
  Facts: [
    ['cancellation', 'Rules of cancellation'],
    ['simulation', 'Simulated worlds'],
    ['flaky', 'From a flaky test to its schedule'],
    ['bundling', 'Bundlers'],
    ['systems', 'Systems and runtimes'],
    ['platforms', 'Test results'],
    ['compatibility', 'npm libraries'],
    ['asyncio-index', "asyncio's whole index"],
    ['conformance', 'Functions by backend'],
    ['differences', 'Differences: loops and tasks'],
    ['differences-io', 'Differences: connections'],
    ['differences-processes', 'Differences: processes'],
    ['performance', 'Performance'],
    ['dependencies', 'Dependencies'],
  ],
  Design: [
    ['architecture', 'Architecture'],
    ['lives', 'The life of a byte'],
  ],
};

/** A page that no group names yet is listed last, so that none gets lost. */
function sidebar() {
  const named = new Set(['index', ...Object.values(groups).flatMap((pages) => pages.map(([file]) => file))]);
  const others = readdirSync(docs)
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -3))
    .filter((name) => !named.has(name))
    .map((name) => [name, headingOf(`${name}.md`)]);
  return Object.entries({ ...groups, More: others })
    .map(([text, pages]) => ({
      text,
      items: pages
        .filter(([file]) => existsSync(path.join(docs, `${file}.md`)))
        .map(([file, title]) => ({ text: title, link: `/${file}` })),
    }))
    .filter(({ items }) => items.length > 0);
}

/** @param {string} file */
function headingOf(file) {
  return /^# (.+)$/m.exec(readFileSync(path.join(docs, file), 'utf8'))?.[1] ?? file;
}

/**
 * Lists the API pages by module. The page of a module has its types; a function or class has a page of its
 * own.
 */
function apiSidebar() {
  const modules = ['gyre', 'gyre/sim', 'gyre/node', 'gyre/testing', 'gyre/lowlevel'];
  return modules.map((module) => ({
    text: module,
    link: `/api/${module}/`,
    collapsed: module !== 'gyre',
    items: ['functions', 'classes'].flatMap((kind) => {
      const folder = path.join(docs, 'api', module, kind);
      if (!existsSync(folder)) return [];
      return readdirSync(folder).map((name) => ({
        text: kind === 'functions' ? `${name.slice(0, -3)}()` : name.slice(0, -3),
        link: `/api/${module}/${kind}/${name.slice(0, -3)}`,
      }));
    }),
  }));
}

/**
 * Turns a link to a file of the repository, outside of `docs/`, into one to its public address; without an
 * address, into its plain text.
 *
 * @param {import('markdown-it').default} md
 */
function repositoryLinks(md) {
  md.core.ruler.after('inline', 'repository-links', ({ tokens, env }) => {
    const folder = path.dirname(env.relativePath ?? '');
    for (const { children } of tokens) {
      let drop = false;
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          const target = path.posix.join(folder, token.attrGet('href') ?? '');
          drop = target.startsWith('../') && manifest.homepage === undefined;
          if (target.startsWith('../'))
            token.attrSet('href', `${manifest.homepage}/blob/main/${target.slice(3)}`);
        }
        if (!drop) continue;
        if (token.type === 'link_close') drop = false;
        if (token.type.startsWith('link_'))
          Object.assign(token, { type: 'text', tag: '', content: '', nesting: 0 });
      }
    }
  });
}

/**
 * The search finds headings and prose. Code is left out, because its highlighting takes most of the build.
 *
 * @param {string} source
 * @param {object} env
 * @param {import('markdown-it').default} md
 */
function renderForSearch(source, env, md) {
  return md.render(source.replace(/^```.*?^```$/gms, ''), env);
}

// VitePress takes the default export.
// biome-ignore lint/style/noDefaultExport: as said
export default defineConfig({
  title: 'gyre',
  description: manifest.description,
  base: process.env.SITE_BASE ?? '/',
  lang: 'en',
  srcExclude: ['node_modules/**'],
  markdown: { config: repositoryLinks, theme: { light: 'github-light-high-contrast', dark: 'github-dark' } },
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  themeConfig: {
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Guide', link: '/tasks' },
      { text: 'API', link: '/api/' },
      { text: 'Performance', link: '/performance' },
    ],
    sidebar: { '/api/': apiSidebar(), '/': sidebar() },
    outline: [2, 3],
    search: { provider: 'local', options: { _render: renderForSearch } },
    externalLinkIcon: true,
  },
  // KiB. The search index is one file, which the browser loads when somebody searches.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  buildEnd: ({ outDir }) => writeTextPages(docs, outDir, manifest, sidebar()),
});
