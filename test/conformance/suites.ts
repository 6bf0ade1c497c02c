/**
 * All suites, in the order of asyncio's event loop reference. Add a new suite here. A suite that needs a
 * feature, such as `'tcp'`, passes it to `section()` as the last argument.
 */
import { callsSuite } from './calls.suite.ts';
import { closingSuite } from './closing.suite.ts';
import { contextSuite } from './context.suite.ts';
import { datagramsSuite } from './datagrams.suite.ts';
import { debugModeSuite } from './debug-mode.suite.ts';
import { delayedCallsSuite } from './delayed-calls.suite.ts';
import { exceptionsSuite } from './exceptions.suite.ts';
import { executorsSuite } from './executors.suite.ts';
import { fairnessSuite } from './fairness.suite.ts';
import { functionsAndPolicySuite } from './functions-and-policy.suite.ts';
import { futuresAndTasksSuite } from './futures-and-tasks.suite.ts';
import { namesSuite } from './names.suite.ts';
import { pipesSuite } from './pipes.suite.ts';
import { runningSuite } from './running.suite.ts';
import type { Target } from './section.ts';
import { severalLoopsSuite } from './several-loops.suite.ts';
import { signalsSuite } from './signals.suite.ts';
import { socketsSuite } from './sockets.suite.ts';
import { stoppingSuite } from './stopping.suite.ts';
import { subprocessesSuite } from './subprocesses.suite.ts';
import { tcpConnectionsSuite } from './tcp-connections.suite.ts';
import { tcpServersSuite } from './tcp-servers.suite.ts';
import { tlsSuite } from './tls.suite.ts';
import { unixSuite } from './unix.suite.ts';
import { watchersSuite } from './watchers.suite.ts';

export const suites: readonly ((target: Target) => void)[] = [
  functionsAndPolicySuite,
  runningSuite,
  stoppingSuite,
  closingSuite,
  callsSuite,
  delayedCallsSuite,
  tcpConnectionsSuite,
  tcpServersSuite,
  datagramsSuite,
  tlsSuite,
  unixSuite,
  namesSuite,
  subprocessesSuite,
  pipesSuite,
  watchersSuite,
  socketsSuite,
  signalsSuite,
  executorsSuite,
  fairnessSuite,
  severalLoopsSuite,
  contextSuite,
  exceptionsSuite,
  debugModeSuite,
  futuresAndTasksSuite,
];
