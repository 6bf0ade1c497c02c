import { reasonFor } from './differences.mjs';

/**
 * @typedef {object} About whom a report is, and what was expected of it
 * @property {import('./runtimes.mjs').Runtime} runtime
 * @property {readonly import('./differences.mjs').Expected[]} expected
 *
 * @typedef {import('./reports.mjs').Kept & About} Report
 */

/**
 * @param {readonly Report[]} reports
 * @param {readonly import('./runtimes.mjs').Runtime[]} [missing] of which there is no report: the page only says so
 * @returns {string} the text of docs/platforms.md
 */
export function pageOf(reports, missing = []) {
  // Where all ran on one day, the page's own history says which.
  const dated = new Set(reports.map(({ date }) => date)).size > 1;
  const lines = [
    '# Platforms',
    '',
    'Where gyre was tried, and what is different there. Made by `npm run platforms`, which fetches each runtime from the npm',
    'registry, and fails when one differs in a way that `scripts/platforms/expected.json` does not list, or no longer differs in one',
    'that it does. On the Nodes every test runs, and those of sockets, processes and programs once more on the native backend, of which',
    'one binary serves all of them; on Bun and Deno the conformance suites, for the portable backend (`node`, on the',
    'runtime’s own `node:` modules) and for the simulated one (`sim`).',
    '',
    `| platform | version |${dated ? ' run on |' : ''} tests | passed | skipped | different |`,
    `| --- | --- |${dated ? ' --- |' : ''} ---: | ---: | ---: | ---: |`,
    ...reports.map(({ runtime, version, date, results }) => {
      const count = (/** @type {string} */ state) =>
        results.filter((result) => result.state === state).length;
      const cells = [
        runtime.title,
        version,
        ...(dated ? [date] : []),
        results.length,
        count('passed'),
        count('skipped'),
        count('failed'),
      ];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
    `On ${[...new Set(reports.map(({ system }) => system))].join(', ')}.`,
    '',
    ...missing.flatMap(({ name, title, range }) => [
      `There is no report of ${title} ${range}: \`npm run platforms -- ${name}\` makes it.`,
      '',
    ]),
    '## What is different',
    '',
    ...listOf(
      reports,
      'failed',
      ({ title, where, why }, { expected }) => reasonFor(title, where, expected) ?? `not explained: ${why}`,
    ),
    '## What is skipped',
    '',
    ...listOf(reports, 'skipped', ({ why }) => why || 'no reason is given'),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

/**
 * The tests of one state: those that share a reason and the runtimes that it holds for stand together.
 *
 * @param {readonly Report[]} reports
 * @param {string} state
 * @param {(result: import('./differences.mjs').Result, report: Report) => string} reasonOf
 * @returns {string[]}
 */
function listOf(reports, state, reasonOf) {
  /** @type {Map<string, Map<string, Set<string>>>} by reason and test: on which runtimes */
  const reasons = new Map();
  for (const report of reports) {
    for (const result of report.results) {
      if (result.state !== state) continue;
      const reason = (reasonOf(result, report).split('\n')[0] ?? '').trim();
      const tests = reasons.get(reason) ?? new Map();
      const test = `${result.title} (${result.where})`;
      tests.set(test, (tests.get(test) ?? new Set()).add(nameOf(report)));
      reasons.set(reason, tests);
    }
  }
  return [...reasons].flatMap(([reason, tests]) => [
    `**${reason}**`,
    '',
    ...grouped(tests).flatMap(([runtimes, titles]) => [
      `On ${runtimes}:`,
      '',
      ...titles.map((title) => `- ${title}`),
      '',
    ]),
  ]);
}

/** @param {ReadonlyMap<string, ReadonlySet<string>>} tests @returns {[runtimes: string, titles: string[]][]} */
function grouped(tests) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const [test, runtimes] of tests) {
    const key = [...runtimes].join(', ');
    groups.set(key, [...(groups.get(key) ?? []), test]);
  }
  return [...groups];
}

/** @param {Report} report */
function nameOf({ runtime, version }) {
  return runtime.kind === 'node' ? `${runtime.title} ${version.split('.')[0]}` : runtime.title;
}
