// node --import child.mjs: tells the parent process which test begins and ends. It writes at once, because
// the reporter would never get to tell of a test that blocks the thread or kills the process.

import { openSync, writeSync } from 'node:fs';

const file = process.env.GYRE_TEST_EVENTS;
// A program or worker of a test inherits the options of this process, but is no test process.
delete process.env.GYRE_TEST_EVENTS;

const descriptor = file === undefined ? null : openSync(file, 'a');

/** @type {() => void} */
let onLast = () => {};

/** @returns {Promise<void>} done when the reporter comes to the next test that is named `LAST` */
export function lastReported() {
  return new Promise((resolve) => {
    onLast = resolve;
  });
}

/** Says that such a test has passed, and that everything before it is told. */
export function reportLast() {
  onLast();
}

/** @param {object} event */
export function tell(event) {
  if (descriptor !== null) writeSync(descriptor, `${JSON.stringify(event)}\n`);
}

if (descriptor !== null) {
  tell({ type: 'started' });
  const { afterEach, beforeEach } = await import('node:test');
  beforeEach((test) => tell({ type: 'begin', name: nameOf(test) }));
  afterEach((test) => tell({ type: 'end', name: nameOf(test) }));
}

/** @param {any} test the types of Node 20 do not know its full name */
function nameOf(test) {
  return test.fullName;
}
