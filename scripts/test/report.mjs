// Makes one stream of node:test's events from those of all test processes, and gives it to reporters.

import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as builtin from 'node:test/reporters';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { isFailure } from './verdict.mjs';

/** The closing lines of one process, which are left out: the report ends with those of all processes. */
const CLOSING = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;
/** The failures that node:test counts as cancelled. */
const CANCELLED = ['cancelledByParent', 'testAborted', 'testTimeoutFailure'];

/**
 * @typedef {object} Sink
 * @property {import('node:stream').PassThrough} events
 * @property {Promise<void>} done
 */

/** Gives the results to reporters, and counts them. */
export class Report {
  #began = performance.now();
  /** @type {Sink[]} */
  #sinks;
  #counts = { tests: 0, suites: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
  #outermost = 0;
  /** @type {import('./process.mjs').Outcome[]} */
  failed = [];

  /** @param {readonly Sink[]} sinks */
  constructor(sinks) {
    this.#sinks = [...sinks];
  }

  /** @param {import('./process.mjs').Outcome} outcome */
  add(outcome) {
    const { file, backend, events, output, milliseconds } = outcome;
    const seconds = (milliseconds / 1000).toFixed(1);
    this.#tell({ type: 'test:stdout', data: { message: `\n${file} on ${backend}, ${seconds} s\n` } });
    if (output !== '') this.#tell({ type: 'test:stdout', data: { message: output } });
    for (const event of events) {
      if (isClosing(event)) continue;
      this.#count(event);
      this.#tell(revived(this.#numbered(event), outcome));
    }
    if (events.some(isFailure)) this.failed.push(outcome);
  }

  /** @returns {Promise<void>} once the reporters have written everything */
  async end() {
    this.#tell({ type: 'test:plan', data: { nesting: 0, count: this.#outermost } });
    const numbers = { ...this.#counts, duration_ms: performance.now() - this.#began };
    for (const [name, number] of Object.entries(numbers)) {
      this.#tell({ type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${number}` } });
    }
    for (const { events } of this.#sinks) events.end();
    await Promise.all(this.#sinks.map(({ done }) => done));
  }

  /**
   * Numbers the outermost tests of all files in a row, as TAP wants it.
   *
   * @param {import('./verdict.mjs').TestEvent} event
   */
  #numbered({ type, data }) {
    if (data.nesting !== 0 || (type !== 'test:pass' && type !== 'test:fail')) return { type, data };
    return { type, data: { ...data, testNumber: ++this.#outermost } };
  }

  /** @param {import('./verdict.mjs').TestEvent} event */
  #tell(event) {
    for (const { events } of this.#sinks) events.write(event);
  }

  /** @param {import('./verdict.mjs').TestEvent} event */
  #count({ type, data }) {
    if (type !== 'test:pass' && type !== 'test:fail') return;
    const counts = this.#counts;
    if (data.details.type === 'suite') {
      counts.suites++;
      return;
    }
    counts.tests++;
    if (data.skip !== undefined) counts.skipped++;
    else if (data.todo !== undefined) counts.todo++;
    else if (type === 'test:pass') counts.pass++;
    else if (CANCELLED.includes(data.details.error?.failureType)) counts.cancelled++;
    else counts.fail++;
  }
}

/** @param {import('./verdict.mjs').TestEvent} event */
function isClosing({ type, data }) {
  if (data.nesting !== 0) return false;
  return type === 'test:plan' || (type === 'test:diagnostic' && CLOSING.test(data.message));
}

/**
 * @param {import('./verdict.mjs').TestEvent} event
 * @param {import('./process.mjs').Outcome} outcome
 * @returns {import('./verdict.mjs').TestEvent} with errors that are errors
 */
function revived({ type, data }, { backend, again }) {
  const { details } = data;
  const error = details?.error;
  const told = error === undefined ? details : { ...details, error: revivedError(error) };
  return { type, data: { ...data, details: told, backend, again } };
}

/** @param {any} plain see `plain` of reporter.mjs */
function revivedError(plain) {
  if (typeof plain === 'string') return plain;
  const { text, cause, ...properties } = plain;
  const error = Object.assign(new Error(plain.message), properties);
  if (text !== undefined) Object.defineProperty(error, inspect.custom, { value: () => text });
  if (cause !== undefined) error.cause = revivedError(cause);
  return error;
}

/**
 * Returns the reporters that the options of Node's test runner name, each with its destination.
 *
 * @param {readonly string[]} names
 * @param {readonly string[]} destinations
 * @returns {Promise<Sink[]>}
 */
export async function reportersFor(names, destinations) {
  if (destinations.length !== names.length && (destinations.length > 0 || names.length > 1))
    throw new Error(`${names.length} reporters need as many destinations, not ${destinations.length}`);
  return Promise.all(
    names.map(async (name, i) => {
      const events = new PassThrough({ objectMode: true });
      const destination = openDestination(destinations[i] ?? 'stdout');
      const end = destination !== process.stdout && destination !== process.stderr;
      return { events, done: pipeline(events, await reporterFor(name), destination, { end }) };
    }),
  );
}

/** @param {string} name @returns {Promise<any>} a stream, or an async generator function */
async function reporterFor(name) {
  const known = /** @type {any} */ (builtin)[name];
  const isFile = name.startsWith('.') || path.isAbsolute(name);
  const reporter = known ?? (await import(isFile ? pathToFileURL(path.resolve(name)).href : name)).default;
  const isClass = reporter?.prototype !== undefined && Object.hasOwn(reporter.prototype, 'constructor');
  return isClass ? new reporter() : reporter;
}

/** @param {string} name */
function openDestination(name) {
  if (name === 'stdout') return process.stdout;
  if (name === 'stderr') return process.stderr;
  return createWriteStream(name);
}
