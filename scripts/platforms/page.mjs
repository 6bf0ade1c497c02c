import { reasonFor } from './differences.mjs';

/**
 * @typedef {object} Report
 * @property {import('./runtimes.mjs').Runtime} runtime
 * @property {string} version
 * @property {readonly import('./differences.mjs').Result[]} results
 * @property {readonly import('./differences.mjs').Expected[]} expected
 */

/** @param {readonly Report[]} reports @returns {string} the text of docs/platforms.md */
export function pageOf(reports) {
  const lines = [
    '# Platforms',
    '',
    'Where gyre was tried, and what is different there. Made by `npm run platforms`, which fetches each runtime from the npm',
    'registry, and fails when one differs in a way that `scripts/platforms/expected.json` does not list, or no longer differs in one',
    'that it does. On the Nodes every test runs; on Bun and Deno the conformance suites, for the portable backend (`node`, on the',
    'runtime’s own `node:` modules) and for the simulated one (`sim`).',
    '',
    '| platform | version | tests | passed | skipped | different |',
    '| --- | --- | ---: | ---: | ---: | ---: |',
    ...reports.map(({ runtime, version, results }) => {
      const count = (/** @type {string} */ state) =>
        results.filter((result) => result.state === state).length;
      const cells = [
        runtime.title,
        version,
        results.length,
        count('passed'),
        count('skipped'),
        count('failed'),
      ];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
    `On ${process.platform} ${process.arch}.`,
    '',
    ...reports.flatMap(sectionOf),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

/** @param {Report} report @returns {string[]} */
function sectionOf({ runtime, version, results, expected }) {
  const failed = grouped(
    results,
    'failed',
    ({ title, where, why }) => reasonFor(title, where, expected) ?? `not explained: ${why}`,
  );
  const skipped = grouped(results, 'skipped', ({ why }) => why || 'no reason is given');
  return [
    `## ${runtime.title} ${version}`,
    '',
    ...(failed.length + skipped.length === 0 ? ['Every test passes.', ''] : []),
    ...listOf('Different', failed),
    ...listOf('Skipped', skipped),
  ];
}

/**
 * @param {readonly import('./differences.mjs').Result[]} results
 * @param {string} state
 * @param {(result: import('./differences.mjs').Result) => string} reasonOf
 * @returns {[reason: string, tests: string[]][]}
 */
function grouped(results, state, reasonOf) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const result of results) {
    if (result.state !== state) continue;
    const reason = (reasonOf(result).split('\n')[0] ?? '').trim();
    const group = groups.get(reason) ?? [];
    group.push(`${result.title} (${result.where})`);
    groups.set(reason, group);
  }
  return [...groups];
}

/** @param {string} title @param {[reason: string, tests: string[]][]} groups @returns {string[]} */
function listOf(title, groups) {
  return groups.flatMap(([reason, tests]) => [
    `${title}: **${reason}**`,
    '',
    ...tests.map((test) => `- ${test}`),
    '',
  ]);
}
