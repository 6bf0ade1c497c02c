/**
 * The events of this thread's recorder, for `npx gyre trace` and for files that the program writes itself.
 */

import { InvalidStateError } from '../base/errors.ts';
import { hostNow, hostOrigin } from '../base/host.ts';
import type { RecordedEvent, ThreadRecording } from '../base/trace-events.ts';
import { TRACE_FILE, TraceMaker } from '../base/trace-events.ts';
import { checkString } from '../base/validate.ts';
import { existingRecorder } from '../loop/recorder.ts';
import { node } from '../platform/node-modules.ts';
import { openLoops } from './loops.ts';

/** @param places the places at which earlier readings ended, by recorder */
export function recording(places?: Readonly<Record<string, number>>): ThreadRecording[] {
  const recorder = existingRecorder();
  if (recorder === null) return [];
  const read = recorder.read(places);
  const { threadId, isMainThread } = node.worker_threads;
  return [
    {
      ...read,
      pid: process.pid,
      thread: isMainThread ? 0 : threadId,
      origin: hostOrigin,
      names: namesIn(read.events),
    },
  ];
}

/** Returns the names of tasks and transports in the events that have not ended. */
function namesIn(events: readonly RecordedEvent[]): Record<number, string> {
  const wanted = new Set<number>();
  for (const [kind, subject, , label] of events) {
    if (kind === 'turns') wanted.add(Number(label));
    else if (kind !== 'call') wanted.add(subject);
  }
  const names: Record<number, string> = {};
  for (const { _owned } of openLoops()) {
    for (const task of _owned.tasks as Iterable<{ _number?: number; name: string }>)
      if (wanted.has(task._number ?? 0)) names[task._number as number] = task.name;
    for (const resource of _owned.resources)
      if (wanted.has(resource._number ?? 0)) names[resource._number as number] = String(resource);
  }
  return names;
}

/**
 * Writes the last events of this thread's loops to a file, which Perfetto (https://ui.perfetto.dev) and
 * `chrome://tracing` open: turns, steps of tasks and their waits, callbacks, the lateness of timers, calls of
 * protocols. An existing file is replaced.
 *
 * It writes at once, and holds the loop for about 50 ms. If it fails, no file is left. `GYRE_TRACE=FOLDER` in
 * the environment writes such files at each uncaught error and at SIGUSR2.
 *
 * @param file its path
 * @throws InvalidStateError if no loop of this thread has recorded; an error of Node (`ENOSPC`, `EACCES`) if
 *   the file can't be written
 *
 * @example
 * ```ts
 * import { run, sleep, writeTrace } from 'gyre';
 * import { tmpdir } from 'node:os';
 *
 * await run(async () => {
 *   await sleep(0.01);
 *   writeTrace(`${tmpdir()}/gyre-example.json`);
 * });
 * ```
 */
export function writeTrace(file: string): void {
  checkString('file', file);
  // The events since the last reading of the clock would have no time, and be left out.
  existingRecorder()?.time(hostNow() / 1000);
  const [recorded] = recording();
  if (recorded === undefined) {
    throw new InvalidStateError('no loop of this thread was recorded, so there is no trace to write');
  }
  const events = new TraceMaker(recorded, recorded.origin).take(recorded);
  const text = events.map((event) => JSON.stringify(event)).join(TRACE_FILE.between);
  replaceFile(file, TRACE_FILE.head + text + TRACE_FILE.tail);
}

/** Writes beside the file first, so that the file is whole or unchanged. */
function replaceFile(file: string, text: string): void {
  const part = `${file}.${process.pid}.part`;
  try {
    node.fs.writeFileSync(part, text);
    node.fs.renameSync(part, file);
  } catch (error) {
    node.fs.rmSync(part, { force: true });
    throw error;
  }
}
