// node files.mjs FILE...: runs test files one after the other in this process. It loads a file when the tests
// of the file before have ended, and nothing of that file keeps the process alive.

import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { lastReported, tell } from './child.mjs';
import { LAST, SEPARATOR } from './protocol.mjs';

/** Milliseconds between two looks at the resources that a file still holds. */
const LOOK_EVERY = 10;

/** Node opens these two at their first use. From then on they may count as resources. */
const streams = [process.stdout, process.stderr];
const atStart = process.getActiveResourcesInfo();

/** @returns {string[]} the kinds of the resources that keep the process alive, without those at the start */
function resourcesLeft() {
  const left = process.getActiveResourcesInfo();
  for (const kind of atStart) if (left.includes(kind)) left.splice(left.indexOf(kind), 1);
  return left;
}

/** @param {string} file */
async function run(file) {
  tell({ type: 'file', at: performance.now() });
  await import(pathToFileURL(file).href);
  const ended = lastReported();
  // node:test runs the outermost tests in order.
  test(LAST, () => {});
  await ended;
  const left = resourcesLeft();
  if (left.length > 0) tell({ type: 'left', resources: left });
  while (resourcesLeft().length > 0) await pause(LOOK_EVERY);
  tell({ type: 'done', exitCode: process.exitCode ?? 0 });
  process.exitCode = undefined;
  for (const stream of streams) stream.write(SEPARATOR);
}

async function runAll() {
  for (const file of process.argv.slice(2)) await run(file);
}

// No top-level await: if a test waits for ever and nothing keeps the process alive, node:test says so, and
// the process ends.
runAll().catch((error) => {
  console.error(error);
  process.exit(1);
});
