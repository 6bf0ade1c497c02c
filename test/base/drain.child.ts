/**
 * Runs the suites about the order of callbacks on every backend, without node:test, whose async hooks cost
 * more than the suites. Prints the way of draining, and a line of JSON for each test: its title and its
 * failure, or null.
 */

import { backendInfo, run as runProgram } from '../../src/index.ts';
import { callsSuite } from '../conformance/calls.suite.ts';
import { closingSuite } from '../conformance/closing.suite.ts';
import { contextSuite } from '../conformance/context.suite.ts';
import { delayedCallsSuite } from '../conformance/delayed-calls.suite.ts';
import { exceptionsSuite } from '../conformance/exceptions.suite.ts';
import { fairnessSuite } from '../conformance/fairness.suite.ts';
import { futuresAndTasksSuite } from '../conformance/futures-and-tasks.suite.ts';
import { runningSuite } from '../conformance/running.suite.ts';
import { entriesOf } from '../conformance/section.ts';
import { severalLoopsSuite } from '../conformance/several-loops.suite.ts';
import { stoppingSuite } from '../conformance/stopping.suite.ts';
import { targets } from '../conformance/targets.ts';

const suites = [
  runningSuite,
  stoppingSuite,
  closingSuite,
  callsSuite,
  delayedCallsSuite,
  fairnessSuite,
  severalLoopsSuite,
  contextSuite,
  exceptionsSuite,
  futuresAndTasksSuite,
];

await runProgram(async () => {});
console.log(backendInfo().drain);
for (const target of targets) {
  for (const { title, run } of entriesOf(suites, target)) {
    const failure = await run().then(
      () => null,
      (error: Error) => String(error.stack),
    );
    console.log(JSON.stringify({ title: `${title} (${target.backend})`, failure }));
  }
}
