import { reasonFor } from './differences.mjs';

/**
 * @typedef {object} About the runtime of a report, and its expected differences
 * @property {import('./runtimes.mjs').Runtime} runtime
 * @property {readonly import('./differences.mjs').Expected[]} expected
 *
 * @typedef {import('./reports.mjs').Kept & About} Report
 */

/**
 * @param {readonly Report[]} reports
 * @param {readonly import('./runtimes.mjs').Runtime[]} [missing] runtimes without a report: the page only
 *   names them
 * @returns {string} the text of docs/platforms.md
 */
export function pageOf(reports, missing = []) {
  // Where all ran on one day, the page's own history says which.
  const dated = new Set(reports.map(({ date }) => date)).size > 1;
  const lines = [
    '# Platforms',
    '',
    '`npm run platforms` makes this page. It fetches each runtime from the npm registry and runs the tests on it.',
    'It fails if a runtime differs in a way that `scripts/platforms/expected.json` does not list, or no longer differs in a listed way.',
    '',
    'On Node every test runs. Tests of sockets, processes and programs run a second time, on the native backend, of which one binary',
    'serves all versions. On Bun and Deno the conformance suites run, on the portable backend (`node`, over the runtime’s own `node:`',
    'modules) and on the simulated one (`sim`). On arm64 they run on all backends under an emulator: `uv` by a cross-compiled binary.',
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
    '## Differences',
    '',
    ...listOf(
      reports,
      'failed',
      ({ title, where, why }, { expected }) => reasonFor(title, where, expected) ?? `not explained: ${why}`,
    ),
    '## Skipped tests',
    '',
    ...listOf(reports, 'skipped', ({ why }) => why || 'no reason is given'),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

/**
 * Returns the tests of one state, grouped by reason and runtimes.
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

/**
 * @param {ReadonlyMap<string, ReadonlySet<string>>} tests @returns {[runtimes: string, titles: string[]][]}
 */
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
