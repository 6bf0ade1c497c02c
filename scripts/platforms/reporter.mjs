// A reporter of node:test: a line of JSON for each test, without the suites and files around them.

/**
 * @param {AsyncIterable<{ type: string, data: any }>} source
 * @returns {AsyncGenerator<string>}
 */
// biome-ignore lint/style/noDefaultExport: node:test takes the default export of a reporter
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const failed = type === 'test:fail';
    // A suite reports by its tests. A suite that fails without a failed test has only this event.
    const error = data.details?.error;
    if (data.details?.type === 'suite' && !(failed && error?.failureType !== 'subtestsFailed')) continue;
    if (failed && error?.failureType === 'subtestsFailed') continue;
    const why = failed
      ? String(error?.cause?.message ?? error?.message)
      : typeof data.skip === 'string'
        ? data.skip
        : '';
    const skipped = data.skip !== undefined && data.skip !== false;
    const state = failed ? 'failed' : skipped ? 'skipped' : 'passed';
    // scripts/test.mjs says so of each test.
    const again = data.again === true;
    yield `${JSON.stringify({ title: data.name, where: data.file ?? '', again, state, why })}\n`;
  }
}
