import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExploreOptions } from '../../../src/entry/sim.ts';
import { explore, ScheduleError } from '../../../src/entry/sim.ts';
import { bugs } from './bugs.ts';

/** Runs a search that must fail, and returns its error. */
async function failure(search: Promise<unknown>): Promise<ScheduleError> {
  return await search.then(
    (report) => assert.fail(`no schedule fails: ${JSON.stringify(report)}`),
    (error) => {
      assert.ok(error instanceof ScheduleError, String(error));
      return error;
    },
  );
}

const common: ExploreOptions = { file: null, simulate: { node: false } };

for (const bug of bugs) {
  for (const strategy of ['random', 'pct', 'exhaustive'] as const) {
    test(`the strategy ${strategy} finds ${bug.name} within 300 schedules`, async () => {
      const options = { ...common, ...bug.options, strategy, budget: { schedules: 300 } };
      const error = await failure(explore(bug.scenario(false), options));
      assert.equal(error.code, 'ERR_SCHEDULE_FAILS');
      assert.match(String(error.cause), bug.breaks);
      assert.ok(error.decisions.length <= 2, error.message);
    });
  }

  test(`no schedule of 60 breaks the program without ${bug.name}`, async () => {
    const options = { ...common, ...bug.options, budget: { schedules: 60 } };
    assert.equal((await explore(bug.scenario(true), options)).schedules, 60);
  });
}
