/**
 * `GYRE_TRACE=FOLDER`: files with the last events before an uncaught error, and at SIGUSR2.
 *
 * The listeners must change nothing else: they never throw, and the monitor leaves the error uncaught.
 */
import { node } from '../platform/node-modules.ts';
import { writeTrace } from './recording.ts';

/** A process that goes on after its errors must not fill the disk. */
const MOST_FILES = 100;

let installed = false;

/** Installs the listeners of this thread if `GYRE_TRACE` names a folder. */
export function installFaultTraces(): void {
  const folder = process.env.GYRE_TRACE;
  if (installed || folder === undefined || folder === '') return;
  installed = true;
  process.on('uncaughtExceptionMonitor', () => saveTrace(folder));
  // A worker thread gets no signals.
  if (node.worker_threads.isMainThread) process.on('SIGUSR2', () => saveTrace(folder));
}

/** Writes to standard error itself, because a process that ends emits no warning any more. */
function saveTrace(folder: string): void {
  try {
    node.fs.mkdirSync(folder, { recursive: true });
    const file = freeFile(folder);
    writeTrace(file);
    console.error(`gyre: the last events are in ${file}`);
  } catch (error) {
    console.error(`gyre: GYRE_TRACE could not write a trace: ${(error as Error).message}`);
  }
}

/** In a container each process may have the same id, so an older file must stay. */
function freeFile(folder: string): string {
  const { isMainThread, threadId } = node.worker_threads;
  const owner = isMainThread ? process.pid : `${process.pid}-worker${threadId}`;
  for (let number = 1; number <= MOST_FILES; number++) {
    const file = `${folder}/gyre-${owner}-${number}.json`;
    if (!node.fs.existsSync(file)) return file;
  }
  throw new Error(`${folder} has ${MOST_FILES} traces of this process already: move them away`);
}
