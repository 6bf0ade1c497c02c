/**
 * One body for every backend: a suite is a function of a target, and `section()` makes its tests.
 *
 * If a backend lacks what a test needs, the skip list of its target has the test's title, with the reason.
 * Skipped tests run all the same: one that would pass fails the run, so the list cannot outlive its reasons.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BaseEventLoop } from '../../src/index.ts';
import type { Feature } from '../../src/loop/supports.ts';
import { supports } from '../../src/loop/supports.ts';
import type { Reports } from '../helpers/loop-fixture.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { functionsIn } from './functions.ts';
import type { Machine } from './machine.ts';

/** A backend, and how the suites apply to it. */
export interface Target {
  /** Its name: `node`, `sim`. */
  backend: string;
  makeLoop: () => BaseEventLoop;
  /** Begins a test: returns the machine, and a function that makes loops on it. */
  begin: () => { makeLoop: () => BaseEventLoop; machine: Machine };
  /** The clock is virtual, so times are asserted exactly. With a real clock: never early, and the order. */
  exact: boolean;
  skip: readonly Skip[];
  /**
   * Is called with each test, which then does not run: for docs/conformance.md, and where node:test does not
   * run.
   */
  record?: (entry: Entry) => void;
}

export interface Skip {
  reason: string;
  /** Exact titles. */
  tests: readonly string[];
}

/** A test on a backend, for the table. */
export interface Entry {
  title: string;
  functions: readonly string[];
  backend: string;
  /** The reason why this backend fails the test; null if it passes. */
  unsupported: string | null;
  /** The tool that this machine lacks for it; false if none. */
  lacking: string | false;
  run: () => Promise<void>;
}

export interface Fixture {
  /** After the test it must be stopped and own nothing. Then it is closed. */
  loop: BaseEventLoop;
  /** The reports of the loop. A test takes those that it expects. */
  reports: Reports;
  makeLoop: () => BaseEventLoop;
  exact: boolean;
  machine: Machine;
}

export type Body = (fixture: Fixture) => unknown;
/** @param lacking the tool that this machine lacks for the test, see helpers/machine.ts */
export type Register = (title: string, body: Body, lacking?: string | false) => void;

/**
 * Registers the tests of one section, for one backend.
 *
 * @param needs a feature without which the whole section is unsupported
 */
export function section(
  name: string,
  target: Target,
  body: (register: Register) => void,
  needs?: Feature,
): void {
  const { backend, makeLoop: makeAny, begin, exact, record } = target;
  const unable = needs !== undefined && !hasFeature(makeAny, needs) ? `the backend has no ${needs}` : null;
  const reasonFor = (title: string): string | null =>
    unable ?? target.skip.find(({ tests }) => tests.includes(title))?.reason ?? null;
  const bodyOf = (run: Body) => async (): Promise<void> => {
    const { makeLoop, machine } = begin();
    await withLoop(makeLoop, (loop, reports) => run({ loop, reports, makeLoop, exact, machine }));
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
      // A listed test runs all the same, because it must leave the list once it passes. The reason is in
      // targets.ts.
      if (reason === null) test(title, runBody);
      else test(title, (context) => runSkipped(title, runBody, () => context.skip(reason)));
    });
  });
}

/** The tests that start a process or a thread of their own, where the caller's thread makes no difference. */
const ELSEWHERE = /keeps an idle process alive|throws on a worker thread/;

/**
 * Returns the tests of suites that pass on a backend, to run them without node:test. They are those that run
 * in the caller's thread, and for which the machine has the tools.
 */
export function entriesOf(suites: readonly ((target: Target) => void)[], target: Target): Entry[] {
  const entries: Entry[] = [];
  for (const suite of suites) suite({ ...target, record: (entry) => entries.push(entry) });
  return entries.filter(
    ({ title, unsupported, lacking }) => unsupported === null && lacking === false && !ELSEWHERE.test(title),
  );
}

/** Throws if a skipped test would pass. */
export async function runSkipped(title: string, run: () => Promise<void>, skip: () => void): Promise<void> {
  try {
    await run();
  } catch {
    skip();
    return;
  }
  assert.fail(`"${title}" is on the skip list, but passes: take it off`);
}

function hasFeature(makeLoop: () => BaseEventLoop, feature: Feature): boolean {
  const loop = makeLoop();
  try {
    return supports(loop._backend, feature);
  } finally {
    loop.close();
  }
}
