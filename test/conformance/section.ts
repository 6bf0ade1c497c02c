/**
 * One body, every backend: a suite is a function of a target, and its tests are made by `section()`.
 *
 * A backend that cannot do what a test asks has the test's title in its skip list, with the reason. Skipped
 * tests are run all the same: one that would pass fails the run, so the list cannot outlive its reasons.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BackendFeatures } from '../../src/backend/backend.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import type { Reports } from '../helpers/loop-fixture.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { functionsIn } from './functions.ts';

/** What a suite is applied to. */
export interface Target {
  /** Its name: `node`, `sim`. */
  backend: string;
  makeLoop: () => BaseEventLoop;
  /** Its clock is virtual, so times are asserted exactly. With a real one: never early, and the order. */
  exact: boolean;
  skip: readonly Skip[];
  /**
   * Is told of each test instead of the test being run: for docs/conformance.md, and where node:test does not
   * run.
   */
  record?: (entry: Entry) => void;
}

export interface Skip {
  reason: string;
  /** Titles, exactly. */
  tests: readonly string[];
}

/** A test on a backend, for the table. */
export interface Entry {
  title: string;
  functions: readonly string[];
  backend: string;
  /** Why this backend cannot do it; null when it does. */
  unsupported: string | null;
  /** What this machine lacks for it; false when nothing. */
  lacking: string | false;
  run: () => Promise<void>;
}

export interface Fixture {
  /** Afterwards it must be stopped and own nothing; it is closed then. */
  loop: BaseEventLoop;
  /** What it reported; a test takes what it expects. */
  reports: Reports;
  makeLoop: () => BaseEventLoop;
  exact: boolean;
}

export type Body = (fixture: Fixture) => unknown;
/** @param lacking what this machine lacks for the test, see helpers/machine.ts */
export type Register = (title: string, body: Body, lacking?: string | false) => void;

/**
 * The tests of one section, for one backend.
 *
 * @param needs a feature without which the whole section is unsupported
 */
export function section(
  name: string,
  target: Target,
  body: (register: Register) => void,
  needs?: keyof BackendFeatures,
): void {
  const { backend, makeLoop, exact, record } = target;
  const unable = needs !== undefined && !hasFeature(makeLoop, needs) ? `the backend has no ${needs}` : null;
  const reasonFor = (title: string): string | null =>
    unable ?? target.skip.find(({ tests }) => tests.includes(title))?.reason ?? null;
  const bodyOf = (run: Body) => async (): Promise<void> => {
    await withLoop(makeLoop, (loop, reports) => run({ loop, reports, makeLoop, exact }));
  };
  if (record !== undefined) {
    body((title, run, lacking = false) => {
      const unsupported = reasonFor(title);
      record({ title, functions: functionsIn(title), backend, unsupported, lacking, run: bodyOf(run) });
    });
    return;
  }
  if (unable !== null) {
    test(`${name} (${backend})`, { skip: unable }, () => {});
    return;
  }
  describe(`${name} (${backend})`, () => {
    body((title, run, lacking = false) => {
      functionsIn(title);
      const runBody = bodyOf(run);
      const reason = reasonFor(title);
      if (lacking !== false) {
        test(title, { skip: lacking }, () => {});
        return;
      }
      // It runs all the same: what has come to pass must not go on being skipped. The reason is the target's,
      // in targets.ts.
      if (reason === null) test(title, runBody);
      else test(title, (context) => runSkipped(title, runBody, () => context.skip(reason)));
    });
  });
}

/** Fails when what is skipped would pass. */
export async function runSkipped(title: string, run: () => Promise<void>, skip: () => void): Promise<void> {
  try {
    await run();
  } catch {
    skip();
    return;
  }
  assert.fail(`"${title}" is on the skip list, but passes: take it off`);
}

function hasFeature(makeLoop: () => BaseEventLoop, feature: keyof BackendFeatures): boolean {
  const loop = makeLoop();
  try {
    return loop._backend.features[feature];
  } finally {
    loop.close();
  }
}
