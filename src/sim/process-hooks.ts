/**
 * Handles what code of a simulated host does to the process: `process.exit()`, and exceptions that nothing
 * catches. It is in force while a simulation runs. Code outside of every simulated host is not concerned.
 *
 * It replaces `process.emit` instead of adding listeners: a listener would turn off the default action for
 * exceptions of the machine's own code, and a test runner's listener would take those of the hosts for its
 * own.
 */
import { currentTaskOrNull } from '../loop/context.ts';
import type { Place } from './place.ts';
import { currentPlace } from './place.ts';
import { programOf } from './program.ts';

type Emit = (this: NodeJS.Process, event: string | symbol, ...args: unknown[]) => boolean;

let users = 0;
let uninstall: (() => void) | null = null;

/** Puts the hooks into force. Returns a function that is called at the end of the simulation. */
export function installProcessHooks(): () => void {
  if (users++ === 0) uninstall = install();
  return () => {
    if (--users > 0) return;
    uninstall?.();
    uninstall = null;
  };
}

function install(): () => void {
  const { exit, exitCode } = process;
  const emit = process.emit as Emit;
  const hookedExit = function (this: NodeJS.Process, code?: number | string | null): never {
    const place = currentPlace();
    if (place !== null) return place.exit(Number(code ?? 0));
    return exit.call(this, code);
  };
  const hookedEmit: Emit = function (event, ...args) {
    return isTaken(event, args) || Reflect.apply(emit, this, [event, ...args]);
  };
  process.exit = hookedExit as typeof process.exit;
  process.emit = hookedEmit as typeof process.emit;
  return () => {
    // Another tool may have replaced them meanwhile, and calls these.
    if (process.exit === hookedExit) process.exit = exit;
    if ((process.emit as Emit) === hookedEmit) process.emit = emit as typeof process.emit;
    process.exitCode = exitCode;
  };
}

/** Returns true if the event is an exception of a simulated host, which its world takes. */
function isTaken(event: string | symbol, args: readonly unknown[]): boolean {
  if (event === 'unhandledRejection') {
    const program = programOf(args[1] as Promise<unknown>);
    if (program === null) return failed(currentPlace(), args[0], 'an unhandled rejection');
    program.resultLost(args[0]);
    return true;
  }
  if (event === 'uncaughtException') return failed(currentPlace(), args[0], 'an uncaught exception');
  // Node asks this one before the other.
  return event === 'uncaughtExceptionMonitor' && currentPlace() !== null;
}

function failed(place: Place | null, error: unknown, what: string): boolean {
  if (place === null) return false;
  const task = currentTaskOrNull() as { readonly name?: string } | null;
  place.fail(error, task?.name === undefined ? what : `${what} of task ${task.name}`);
  return true;
}
